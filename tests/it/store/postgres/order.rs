//! Changes made at once leave what they leave one by one: random mixtures on tables with keys of several kinds.

use serde_json::Value;

use super::{ask, open};
use crate::random::Random;
use crate::store::changes::apply_what_can_be;
use crate::support::{activities, delete, insert, update};

/// What stands behind `CREATE TABLE name`.
const TABLES: &[&str] = &[
    "(id integer PRIMARY KEY, a text, b integer)",
    "(id integer PRIMARY KEY, a text, b integer UNIQUE)",
    "(id integer, a text, b integer)",
    "(id integer, a text, b integer, UNIQUE (id, b))",
    "(id integer UNIQUE, a text, b integer CHECK (b < 9))",
    "(id bigint PRIMARY KEY, a varchar(9), b numeric(5,1) NOT NULL)",
];

fn change(random: &mut Random, table: &str) -> Value {
    let id = random.below(25);
    let (a, b) = (format!("a{}", random.below(50)), random.below(10));
    let cells = |id: u64| [("id", "INTEGER", id.into()), ("a", "TEXT", a.as_str().into()), ("b", "INTEGER", b.into())];
    let key = [("id", "INTEGER", id.into())];
    match random.below(40) {
        0..16 => insert(table, &cells(id)),
        16..22 => update(table, &cells(id)[1..], &key),
        // The key is set to what it is, as wal2json does, and then to something else.
        22..26 => update(table, &cells(id), &key),
        26..28 => update(table, &cells(random.below(25)), &key),
        28..36 => delete(table, &key),
        36 => delete(table, &[("b", "INTEGER", b.into())]),
        37 => update(table, &cells(id)[1..2], &[("b", "INTEGER", b.into())]),
        38 => update(table, &cells(id)[1..2], &[("id", "INTEGER", id.into()), ("b", "INTEGER", Value::Null)]),
        _ => insert(table, &[("id", "INTEGER", Value::Null), ("b", "INTEGER", b.into())]),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn random_mixtures_end_as_they_do_one_by_one() {
    let Some((bench, database)) = open().await else { return };
    for seed in 0..18 {
        let definition = TABLES[seed as usize % TABLES.len()];
        let mut random = Random::new(seed);
        let names = [format!("together{seed}"), format!("apart{seed}")];
        for name in &names {
            database.execute(&format!("CREATE TABLE {name} {definition}"));
        }
        let count = 40 + random.below(160);
        let batch: Vec<String> =
            (0..count).map(|_| activities((0..=random.below(2)).map(|_| change(&mut random, &names[0])))).collect();
        let together = apply_what_can_be(&bench, &batch).await;
        let mut apart = Vec::new();
        for (index, text) in batch.iter().enumerate() {
            if apply_what_can_be(&bench, &[text.replace(&names[0], &names[1])]).await == [0] {
                apart.push(index);
            }
        }
        assert_eq!(together, apart, "seed {seed}, {definition}");
        let rows = async |name| ask(&database, &format!("SELECT * FROM {name} ORDER BY id, a, b")).await;
        assert_eq!(rows(&names[0]).await, rows(&names[1]).await, "seed {seed}, {definition}");
        assert!(!together.is_empty(), "seed {seed}");
    }
}

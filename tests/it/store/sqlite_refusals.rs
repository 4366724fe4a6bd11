//! Every kind of refusal that a document can meet in SQLite: it is a dead letter with the database's own words, its
//! neighbours in the same batch apply, nothing stands still, and a dry run says the same.

use std::sync::Arc;

use sluicegate::document::Position;
use sluicegate::problem::ProblemType::{self, *};
use sluicegate::record::{Headers, Kept, Record};
use sluicegate::store::Store;
use sluicegate::store::books::LetterFilter;
use sluicegate::store::sqlite::SqliteStore;
use sluicegate::store::tries::rehearse;

use crate::faults::apply::Running;
use crate::store::bench::documents;
use crate::store::{insert, stream};
use crate::support::PATIENCE;

const NEIGHBOURS: usize = 7;

const PLAIN: &str = "CREATE TABLE {t} (id INTEGER, v INTEGER);";

/// What others made, the cells of the bad row, and why it is refused.
const REFUSALS: &[(&str, &str, ProblemType, &str)] = &[
    ("CREATE TABLE {t} (id INTEGER, v INTEGER CONSTRAINT few CHECK (v < 9))", "v INTEGER 13", ConstraintViolated, "few"),
    ("CREATE TABLE {t} (id INTEGER, v INTEGER NOT NULL)", "v INTEGER null", ConstraintViolated, "NOT NULL"),
    (
        "CREATE TABLE {t} (id INTEGER, v INTEGER, u INTEGER UNIQUE); INSERT INTO {t} VALUES (0, 0, 5)",
        "u INTEGER 5",
        ConstraintViolated,
        "{t}.u",
    ),
    (
        "CREATE TABLE {t} (id INTEGER, v INTEGER, u INTEGER UNIQUE ON CONFLICT ROLLBACK); INSERT INTO {t} VALUES (0, 0, 5)",
        "u INTEGER 5",
        ConstraintViolated,
        "{t}.u",
    ),
    (
        "CREATE TABLE {t} (id INTEGER, v INTEGER); CREATE UNIQUE INDEX {t}_i ON {t} (id) WHERE id > 800;
         INSERT INTO {t} VALUES (900, 0)",
        "v INTEGER 1",
        ConstraintViolated,
        "UNIQUE",
    ),
    (
        "CREATE TABLE {t} (id INTEGER PRIMARY KEY, v INTEGER) WITHOUT ROWID; INSERT INTO {t} VALUES (900, 0)",
        "v INTEGER 1",
        ConstraintViolated,
        "{t}.id",
    ),
    (
        "CREATE TABLE {t}_p (id INTEGER PRIMARY KEY); CREATE TABLE {t} (id INTEGER, v INTEGER, p INTEGER REFERENCES {t}_p)",
        "p INTEGER 2",
        ConstraintViolated,
        "FOREIGN KEY",
    ),
    (
        "CREATE TABLE {t}_p (id INTEGER PRIMARY KEY);
         CREATE TABLE {t} (id INTEGER, v INTEGER, p INTEGER REFERENCES {t}_p DEFERRABLE INITIALLY DEFERRED)",
        "p INTEGER 2",
        ConstraintViolated,
        "FOREIGN KEY",
    ),
    (
        "CREATE TABLE {t}_p (id INTEGER PRIMARY KEY);
         CREATE TABLE {t} (id INTEGER, v INTEGER, p INTEGER REFERENCES {t}_p DEFERRABLE INITIALLY DEFERRED)",
        "p INTEGER 2, new INTEGER 1",
        ConstraintViolated,
        "FOREIGN KEY",
    ),
    (
        "CREATE TABLE {t}_p (id INTEGER PRIMARY KEY);
         CREATE TABLE {t}_c (p INTEGER REFERENCES {t}_p DEFERRABLE INITIALLY DEFERRED); CREATE TABLE {t} (id INTEGER, v INTEGER);
         CREATE TRIGGER {t}_f AFTER INSERT ON {t} WHEN new.v = 13 BEGIN INSERT INTO {t}_c VALUES (13); END",
        "v INTEGER 13",
        ConstraintViolated,
        "FOREIGN KEY",
    ),
    ("CREATE TABLE {t} (id INTEGER, v INTEGER, s INTEGER) STRICT", "s TEXT \"x\"", TypeConflict, "TEXT"),
    (
        "CREATE TABLE {t} (id INTEGER, v INTEGER, g INTEGER GENERATED ALWAYS AS (v + 1) STORED)",
        "g INTEGER 1",
        DatabaseRefused,
        "generated column",
    ),
    (
        "CREATE TABLE {t} (id INTEGER, v INTEGER, j TEXT); CREATE INDEX {t}_i ON {t} (json_extract(j, '$.a'))",
        "j TEXT \"{\"",
        DatabaseRefused,
        "malformed JSON",
    ),
    (
        "{plain} CREATE TRIGGER {t}_f BEFORE INSERT ON {t} WHEN new.v = 13 BEGIN SELECT raise(ABORT, 'no'); END",
        "v INTEGER 13",
        ConstraintViolated,
        "no",
    ),
    (
        "{plain} CREATE TRIGGER {t}_f BEFORE INSERT ON {t} WHEN new.v = 13 BEGIN SELECT raise(FAIL, 'no'); END",
        "v INTEGER 13",
        ConstraintViolated,
        "no",
    ),
    (
        "{plain} CREATE TRIGGER {t}_f BEFORE INSERT ON {t} WHEN new.v = 13 BEGIN SELECT raise(ROLLBACK, 'no'); END",
        "v INTEGER 13",
        ConstraintViolated,
        "no",
    ),
    (
        "{plain} CREATE TRIGGER {t}_f BEFORE INSERT ON {t} WHEN new.v = 13 BEGIN SELECT json('{'); END",
        "v INTEGER 13",
        DatabaseRefused,
        "malformed JSON",
    ),
    (
        "{plain} CREATE TRIGGER {t}_f BEFORE INSERT ON {t} WHEN new.v = 13
             BEGIN SELECT zeroblob(2000000000); END",
        "v INTEGER 13",
        ValueOutOfRange,
        "too big",
    ),
    (
        "{plain} CREATE TABLE {t}_l (id INTEGER PRIMARY KEY);
         CREATE TRIGGER {t}_f BEFORE INSERT ON {t} WHEN new.v = 13 BEGIN INSERT INTO {t}_l VALUES ('x'); END",
        "v INTEGER 13",
        InvalidValue,
        "datatype mismatch",
    ),
    ("{plain}", "V INTEGER 1", NameConflict, "letter case"),
];

/// What bears the name of the table, or what the name is.
const NAMES: &[(&str, &str, &str)] = &[
    ("{t}", "CREATE TABLE {t}_x (id INTEGER); CREATE INDEX {t} ON {t}_x (id)", "is an index"),
    ("{t}", "CREATE VIEW {t} AS SELECT 1 AS id", "is a view"),
    ("{t}", "CREATE TABLE {T} (id INTEGER)", "letter case"),
];

struct Scene {
    running: Running,
    file: rusqlite::Connection,
    sent: usize,
    _folder: tempfile::TempDir,
}

impl Scene {
    fn open() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("store.db");
        let store: Arc<dyn Store> = Arc::new(SqliteStore::open(&path).unwrap());
        let file = rusqlite::Connection::open(&path).unwrap();
        file.busy_timeout(PATIENCE).unwrap();
        Scene { running: Running::open(async || store), file, sent: 0, _folder: folder }
    }

    /// Sends a bad document among good ones.
    #[track_caller]
    fn check(&mut self, name: &str, good: impl Fn(usize) -> String, bad: &str, kind: ProblemType, word: &str) {
        let runtime = &self.running.runtime;
        let stream = stream();
        let position = Position { topic: stream.topic.clone(), partition: 0, offset: 0 };
        let record = Record { key: None, value: bad.to_owned().into(), headers: Headers::default(), timestamp_ms: 0 };
        let kept = Kept { position, record };
        let document = documents(&stream, &[kept]).whole();
        let said = runtime.block_on(rehearse(&*self.running.store, &stream.apply.rules, &document)).unwrap();
        let rehearsed = said.1.unwrap_or_else(|| panic!("{name}: a dry run refuses it, too"));

        let mut batch: Vec<_> = (0..NEIGHBOURS).map(&good).collect();
        batch.push(bad.to_owned());
        batch.extend((NEIGHBOURS..2 * NEIGHBOURS).map(&good));
        self.running.append(&batch);
        self.sent += batch.len();
        self.running.wait_for(self.sent as i64);
        assert_eq!(self.running.progress.halted(), None, "{name}");
        let filter = LetterFilter { limit: 100, ..LetterFilter::default() };
        let letters = runtime.block_on(self.running.store.books().letters(&filter)).unwrap();
        let [letter] = &letters[..] else { panic!("{name}: {letters:?}") };
        assert!(letter.problem.kind == kind && letter.problem.detail.contains(word), "{name}: {}", letter.problem);
        assert_eq!(letter.problem, rehearsed, "{name}");
        let drop = sluicegate::apply::letters::drop_letter(&*self.running.store, &letter.position);
        assert!(runtime.block_on(drop).unwrap());
    }

    fn count(&self, sql: &str) -> usize {
        self.file.query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap() as usize
    }
}

#[test]
fn whatever_sqlite_refuses_is_its_documents_and_its_neighbours_apply() {
    let mut scene = Scene::open();
    for (number, (ground, bad, kind, word)) in REFUSALS.iter().enumerate() {
        let table = format!("t{number}");
        let named = |text: &str| text.replace("{plain}", PLAIN).replace("{t}", &table);
        scene.file.execute_batch(&named(ground)).unwrap();
        let all = format!("SELECT count(*) FROM {table}");
        let before = scene.count(&all);
        let good = |id: usize| insert(&table, &format!("id INTEGER {id}, v INTEGER 1"));
        scene.check(ground, good, &insert(&table, &format!("id INTEGER 900, {bad}")), *kind, &named(word));
        assert_eq!(scene.count(&all), before + 2 * NEIGHBOURS, "{ground}");
    }
}

#[test]
fn whatever_bears_a_tables_name_in_sqlite_is_named_for_what_it_is() {
    let mut scene = Scene::open();
    for (number, (table, ground, word)) in NAMES.iter().enumerate() {
        let named = |text: &str| text.replace("{t}", &format!("t{number}")).replace("{T}", &format!("T{number}"));
        scene.file.execute_batch(&named(ground)).unwrap();
        let good = |id: usize| insert(&format!("good{number}"), &format!("id INTEGER {id}"));
        scene.check(ground, good, &insert(&named(table), "id INTEGER 1"), NameConflict, word);
        assert_eq!(scene.count(&format!("SELECT count(*) FROM good{number}")), 2 * NEIGHBOURS);
    }
    // A column may bear a name of the rowid's.
    for name in ["rowid", "oid", "_rowid_"] {
        scene.running.append(&[insert(&format!("of_{name}"), &format!("{name} TEXT \"x\""))]);
        scene.sent += 1;
        scene.running.wait_for(scene.sent as i64);
        assert_eq!(scene.count(&format!("SELECT count(*) FROM of_{name} WHERE {name} = 'x'")), 1);
    }
}

#[test]
fn a_deferred_key_that_the_whole_document_fulfils_is_no_fault() {
    let mut scene = Scene::open();
    let tables = "CREATE TABLE p (id INTEGER PRIMARY KEY);
                  CREATE TABLE c (id INTEGER, p INTEGER REFERENCES p DEFERRABLE INITIALLY DEFERRED)";
    scene.file.execute_batch(tables).unwrap();
    let family = |id: usize| {
        let child = crate::support::insert("c", &[("id", "INTEGER", id.into()), ("p", "INTEGER", id.into())]);
        crate::support::activities([child, crate::support::insert("p", &[("id", "INTEGER", id.into())])])
    };
    scene.check("an orphan", family, &insert("c", "id INTEGER 99, p INTEGER 99"), ConstraintViolated, "FOREIGN KEY");
    assert_eq!(scene.count("SELECT count(*) FROM c JOIN p ON c.p = p.id"), 2 * NEIGHBOURS);
}

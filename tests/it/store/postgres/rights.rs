//! What the role may not touch: a document that names it is a dead letter that says what would allow it, and everybody
//! else's apply; without the rights to our own tables nothing does, and apply stands still.

use sluicegate::problem::ProblemType::{self, *};

use super::refusals::Scene;
use crate::store::insert;
use crate::support::services::unique;
use crate::support::{PATIENCE, activities, delete, eventually, update};

/// What a document asks for, why it is refused, the statement that its detail gives, and whether that statement suffices.
type Row<'r> = (&'r str, String, ProblemType, &'r str, Option<&'r str>);

const GROUND: &str = "
    CREATE TABLE closed (id integer); CREATE TABLE half (id integer, v integer); GRANT INSERT (id) ON half TO {role};
    CREATE TABLE seen (id integer, v integer); GRANT SELECT ON seen TO {role};
    CREATE TABLE fixed (id integer); GRANT INSERT ON fixed TO {role};
    CREATE SCHEMA hidden; CREATE TABLE hidden.t (id integer); GRANT INSERT ON hidden.t TO {role};
    CREATE SCHEMA shut; GRANT USAGE ON SCHEMA shut TO {role};
    CREATE TABLE below (id integer); CREATE VIEW above WITH (security_invoker) AS SELECT id FROM below;
    GRANT INSERT ON above TO {role};
    CREATE TABLE guarded (id integer); GRANT INSERT ON guarded TO {role}; ALTER TABLE guarded ENABLE ROW LEVEL SECURITY;
    CREATE POLICY small ON guarded FOR INSERT WITH CHECK (id < 100);
    CREATE TABLE audit (id integer);
    CREATE TABLE audited (id integer); GRANT INSERT ON audited TO {role};
    CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN IF NEW.id = 900 THEN INSERT INTO audit VALUES (NEW.id); END IF; RETURN NEW; END $$;
    CREATE TRIGGER note BEFORE INSERT ON audited FOR EACH ROW EXECUTE FUNCTION note()";

fn rows(database: &str) -> Vec<Row<'static>> {
    let one = |table: &str| insert(table, "id INTEGER 900");
    let id = [("id", "INTEGER", 1.into())];
    let v = [("v", "INTEGER", 1.into())];
    let database: &'static str = format!("GRANT CREATE ON DATABASE {database} TO {{role}}").leak();
    vec![
        (
            "a table",
            one("closed"),
            ForbiddenTable,
            "lacks INSERT",
            Some("GRANT INSERT (\"id\") ON \"public\".\"closed\" TO {role}"),
        ),
        (
            "a column",
            insert("half", "id INTEGER 900, v INTEGER 1"),
            ForbiddenTable,
            "lacks INSERT (\"v\")",
            Some("GRANT INSERT (\"v\") ON \"public\".\"half\" TO {role}"),
        ),
        (
            "updates",
            activities([update("seen", &v, &id)]),
            ForbiddenTable,
            "lacks UPDATE",
            Some("GRANT UPDATE (\"v\") ON \"public\".\"seen\" TO {role}"),
        ),
        (
            "deletes",
            activities([delete("seen", &id)]),
            ForbiddenTable,
            "lacks DELETE",
            Some("GRANT DELETE ON \"public\".\"seen\" TO {role}"),
        ),
        (
            "what deletes look for",
            activities([delete("fixed", &id)]),
            ForbiddenTable,
            "lacks SELECT, DELETE",
            Some("GRANT SELECT, DELETE ON \"public\".\"fixed\" TO {role}"),
        ),
        (
            "truncates",
            r#"{"action": "T", "schema": "public", "table": "fixed"}"#.into(),
            ForbiddenTable,
            "lacks TRUNCATE",
            Some("GRANT TRUNCATE ON \"public\".\"fixed\" TO {role}"),
        ),
        ("new columns", insert("fixed", "id INTEGER 900, new INTEGER 1"), ForbiddenTable, "belongs to", None),
        (
            "a schema",
            one("hidden.t"),
            ForbiddenTable,
            "may not use the schema",
            Some("GRANT USAGE ON SCHEMA \"hidden\" TO {role}"),
        ),
        (
            "new tables",
            one("shut.new"),
            ForbiddenTable,
            "may not create tables",
            Some("GRANT USAGE, CREATE ON SCHEMA \"shut\" TO {role}"),
        ),
        ("new schemas", one("fresh.new"), ForbiddenTable, "may not create the schema", Some(database)),
        ("what a view shows", one("above"), ForbiddenTable, "permission denied for table below", None),
        ("a policy", one("guarded"), ConstraintViolated, "row-level security policy for table \"guarded\"", None),
        ("a trigger's own wants", one("audited"), ForbiddenTable, "permission denied for table audit", None),
    ]
}

#[test]
fn what_the_role_may_not_touch_is_its_documents_with_the_grant_that_would_allow_it() {
    let role = unique("role").replace('-', "_");
    let url = |database: &crate::support::services::Database| {
        let sql = crate::support::Sql::open(&database.url()).unwrap();
        sql.run(&format!("CREATE ROLE {role} LOGIN PASSWORD 'pw'; CREATE SCHEMA mine AUTHORIZATION {role}"));
        sql.run(&GROUND.replace("{role}", &role));
        let url = database.url();
        let (_, place) = url.rsplit_once('@').unwrap();
        format!("postgres://{role}:pw@{place}?schema=mine")
    };
    let Some(mut scene) = Scene::open(url) else { return };
    let database = scene.sql.query("SELECT current_database()").unwrap()[0][0].clone();
    for (what, bad, kind, word, grant) in rows(&database) {
        // A table without a schema goes to that of the books.
        let bad = bad.replace("\"table\":\"", "\"table\":\"public.").replace("public.hidden.", "hidden.");
        let bad = bad.replace("public.shut.", "shut.").replace("public.fresh.", "fresh.");
        let good = |id: usize| insert("own", &format!("id INTEGER {id}"));
        let detail = scene.check(what, good, &bad, kind, word);
        if let Some(grant) = grant {
            let grant = grant.replace("{role}", &role);
            assert!(detail.contains(&format!("`{grant}`")), "{what}: {detail}");
            scene.sql.run(&grant);
            scene.settle(&[bad]);
            assert_eq!(scene.letters(), [], "{what}: {grant} suffices");
        }
    }

    // Our own tables are needed for everybody's.
    scene.sql.run(&format!(r#"REVOKE UPDATE ON mine."_sluicegate_positions" FROM {role}"#));
    scene.running.append(&[insert("own", "id INTEGER 7000")]);
    let halted = eventually(PATIENCE, "apply stands still", || scene.running.progress.halted());
    assert!(halted.contains("permission denied") && halted.contains("grant"), "{halted}");
    scene.sql.run(&format!(r#"GRANT UPDATE ON mine."_sluicegate_positions" TO {role}"#));
    eventually(PATIENCE, "it goes on by itself", || {
        (scene.sql.number("SELECT count(*) FROM mine.own WHERE id = 7000") == Some(1)).then_some(())
    });
    assert_eq!(scene.letters(), []);
    let sql = crate::support::Sql::open(&scene.database.url()).unwrap();
    drop(scene.running);
    sql.run(&format!("DROP SCHEMA mine CASCADE; DROP OWNED BY {role} CASCADE; DROP ROLE {role}"));
}

#[test]
fn our_own_tables_and_those_without_a_key_can_be_published() {
    let Some(mut scene) = Scene::open(crate::support::services::Database::url) else { return };
    scene.sql.run("CREATE TABLE theirs (id integer, v integer); CREATE PUBLICATION p FOR ALL TABLES");
    let row = |v: i64| [("id", "INTEGER", 1.into()), ("v", "INTEGER", v.into())];
    let id = [("id", "INTEGER", 1.into())];
    let made = [
        activities([crate::support::insert("keyless", &row(1)), crate::support::insert("keyless", &row(2))]),
        activities([update("keyless", &row(3)[1..], &[row(1)[1].clone()])]),
        activities([delete("keyless", &[row(2)[1].clone()])]),
        insert("theirs", "id INTEGER 1, v INTEGER 1"),
    ];
    scene.settle(&made);
    assert_eq!(scene.letters(), []);
    scene.has("SELECT count(*) FROM keyless WHERE v = 3", 1);
    scene.has("SELECT count(*) FROM keyless", 1);
    // What others made is not ours to alter.
    let good = |id: usize| insert("theirs", &format!("id INTEGER {id}, v INTEGER 1"));
    for bad in [activities([update("theirs", &row(5)[1..], &id)]), activities([delete("theirs", &id)])] {
        scene.check("theirs", good, &bad, DatabaseRefused, "does not have a replica identity");
    }
    for table in ["_sluicegate_store", "_sluicegate_lost"] {
        scene.sql.run(&format!(r#"INSERT INTO "{table}" SELECT * FROM "{table}"; DELETE FROM "{table}" WHERE FALSE"#));
    }
    let sql = r#"UPDATE "_sluicegate_store" SET version = version; DELETE FROM "_sluicegate_lost""#;
    scene.sql.run(sql);
}

//! Requirements of the configuration as a whole, as tables of files and what is said of them.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::load::load_with;
use super::*;
use crate::settings::intake::IntakeSettings;
use crate::settings::{Allow, ApplySettings, ChangeSettings, RetentionSettings, UnknownTypes};
use crate::words::{OnFailure, Operation, Reply, Takes};

const SCHEMES: Schemes<'static> = Schemes { journal: &["sqlite", "kafka"], store: &["sqlite", "postgres"] };

fn variable(name: &str) -> Option<String> {
    match name {
        "HOST" => Some("0.0.0.0".to_owned()),
        "SECRET" => Some("s3cret".to_owned()),
        "YES" => Some("true".to_owned()),
        _ => None,
    }
}

fn load_text(text: &str) -> Result<Config, ConfigError> {
    load_over(text, Overrides::default()).1
}

fn load_over(text: &str, overrides: Overrides) -> (PathBuf, Result<Config, ConfigError>) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(FILE);
    fs::write(&path, text).unwrap();
    let overrides = Overrides { config: Some(path), ..overrides };
    (folder.path().to_owned(), load_with(&overrides, &SCHEMES, &variable))
}

/// What is said of a file, each problem without the folder: `4:5: unknown key …`.
fn said_of(text: &str) -> Vec<String> {
    match load_text(text) {
        Ok(config) => panic!("this must be refused: {text}\n{config:?}"),
        Err(error) => {
            let shown = error.to_string();
            assert!(!shown.contains("s3cret") && !format!("{error:?}").contains("s3cret"), "{shown}");
            shown.lines().map(|line| line.split_once("sluicegate.yaml:").unwrap().1.to_owned()).collect()
        }
    }
}

#[test]
fn every_problem_of_a_file_is_said_with_line_and_column_and_what_would_be_right() {
    let table: &[(&str, &[&str])] = &[
        ("strems: {}", &["1:1: unknown key `strems`; did you mean `streams`?"]),
        ("xyzzy: 1", &["1:1: unknown key `xyzzy`; known are `allowed_hosts`, `allowed_origins`"]),
        (
            "streams:\n  people:\n    takes: events\n    tabel: people\n",
            &["4:5: unknown key `tabel` in streams.people; did you mean `table`?"],
        ),
        (
            "streams: {a: {takes: changes, allow: {table: [a]}}}",
            &["unknown key `table` in streams.a.allow; did you mean `tables`?"],
        ),
        (
            "allowed_hosts: [\"gate:8080\"]",
            &[
                "1:17: `allowed_hosts` cannot have \"gate:8080\"; any port is right: write the name or the address alone",
            ],
        ),
        ("allowed_hosts: []", &["`allowed_hosts` is an empty list; write a list such as `[gate.internal]`"]),
        (
            "allowed_origins: [\"*\"]",
            &["would be every page there is; `cors` of a stream can say \"*\" for that stream"],
        ),
        ("allowed_origins: [shop.example]", &["`allowed_origins` cannot have \"shop.example\"; it has no scheme"]),
        (
            "streams: {a: {takes: events, cors: [\"https://a.example/\"]}}",
            &["`streams.a.cors` cannot have \"https://a.example/\"; an origin is a scheme, a host"],
        ),
        ("read: {table: [a]}", &["unknown key `table` in read; did you mean `tables`?"]),
        ("read: {tables: a}", &["`read.tables` must be a list such as `[people, \"game.*\"]`, found the text \"a\""]),
        ("listen: a:1\nlisten: b:2", &["2:1: the key `listen` stands here again; it is on line 1"]),
        (
            "listen: 8080",
            &["1:9: `listen` must be an address, HOST:PORT, such as 127.0.0.1:8080, found the number 8080"],
        ),
        ("listen: localhost", &["1:9: `listen` cannot be \"localhost\"; write HOST:PORT"]),
        ("data:", &["`data` has no value; write the path of a folder, or remove it"]),
        ("- a", &["1:1: the configuration must be a mapping of settings, found a list"]),
        (
            "journal: pubsub://p",
            &["1:10: `journal` names `pubsub://`, which is no journal of this version; known are sqlite://, kafka://"],
        ),
        (
            "store: nowhere",
            &["1:8: `store` is not a URL; write one that begins with a store of this version: sqlite://, postgres://"],
        ),
        ("log: {levle: info}", &["1:7: unknown key `levle` in log; did you mean `level`?"]),
        ("log: {level: loud}", &["`log.level` cannot be so: \"loud\" names no level; write off, error, warn"]),
        ("log: {format: xml}", &["`log.format` must be `text` or `json`"]),
        (
            "streams: {a: {takes: changes, wait: 5s}}",
            &["`streams.a.wait` is for `reply: echo` and `reply: created`; with receipts the sender asks"],
        ),
        ("streams: {a: {takes: changes, reply: echo, wait: 2m}}", &["`streams.a.wait` is 2m; it can be up to 60s"]),
        ("streams: {a: {takes: changes, reply: echo, wait: 0s}}", &["`streams.a.wait` is 0s; it can be up to 60s"]),
        (
            "streams: {a: {takes: events, reply: created, wait: 5s}}",
            &["`streams.a.wait` has no outcome to wait for: the stream has no `table`"],
        ),
        ("streams: {}", &["1:10: `streams` is empty; write a mapping of names to streams"]),
        ("streams:", &["`streams` has no value"]),
        ("streams: {a: {}}", &["1:11: `streams.a` must say what it takes; write `takes: changes` or `takes: events`"]),
        (
            "streams: {a: {takes: change}}",
            &["`streams.a.takes` must be `changes` or `events`, found the text \"change\"; did you mean `changes`?"],
        ),
        (
            "streams: {a: {takes: changes, topic: 5}}",
            &["`streams.a.topic` must be the name of a topic, found the number 5; as text it is \"5\""],
        ),
        (
            "streams: {a: {takes: changes, forms: wal2json}}",
            &["`streams.a.forms` must be a list such as `[activities]`, found the text \"wal2json\""],
        ),
        ("streams: {a: {takes: changes, forms: [wal2json, wal2json]}}", &["names the text \"wal2json\" twice"]),
        (
            "streams: {a: {takes: changes, forms: [debezium]}}",
            &["1:39: `debezium` in `streams.a.forms` is not built yet in this version; remove it"],
        ),
        (
            "streams: {a: {takes: changes, allow: {create: no}}}",
            &["`streams.a.allow.create` must be `true` or `false`, found the text \"no\""],
        ),
        (
            "streams: {a: {takes: changes, document_bytes_max: 1048576}}",
            &["1:51: `streams.a.document_bytes_max` is 1048576, which has no unit; write a size such as 1MiB"],
        ),
        ("streams: {a: {takes: changes, document_bytes_max: 0B}}", &["can be 1B to 512MiB"]),
        (
            "streams: {a: {takes: changes, retention: {age: 7}}}",
            &["`streams.a.retention.age` is 7, which has no unit; write a duration such as 5s or 7d"],
        ),
        ("streams: {a: {takes: changes, key: id}}", &["`streams.a.key` cannot be \"id\"; write a JSON Pointer"]),
        ("streams: {a: {takes: events, key: table}}", &["`streams.a.key` cannot be `table`: events name no table"]),
        (
            "streams:\n  a:\n    takes: events\n    forms: [wal2json]\n    keys: {item: [id]}\n",
            &["4:5: `forms` is for streams that take changes, and `a` takes events; remove it", "5:5: `keys` is for"],
        ),
        (
            "streams: {a: {takes: changes, table: a}}",
            &["`table` is for streams that take events, and `a` takes changes"],
        ),
        ("streams: {a: {takes: events, document_column: d}}", &["is about `table`, and there is none"]),
        ("streams: {a: {takes: events, table: t, document_column: Receipt}}", &["cannot be `Receipt`: the table has"]),
        (
            "streams: {a: {takes: events, table: pg_x}}",
            &["`streams.a.table` cannot be \"pg_x\"; tables that begin with pg_"],
        ),
        (
            "streams: {a: {takes: events, table: t, columns: {Receipt: /a, DOCUMENT: /b, c: /c, C: /d, e: x, f: ce.A}}}",
            &[
                "1:50: `Receipt` cannot be a column's name",
                "1:63: `DOCUMENT` cannot be a column's name",
                "1:84: the columns `c` and `C` differ in letter case only",
                "streams.a.columns.e` cannot be \"x\"; write a JSON Pointer, such as /userId, or ce.type",
                "streams.a.columns.f` cannot be \"ce.A\"; attributes",
            ],
        ),
        (
            "streams: {a: {takes: events, table: t, columns: {a: {type: integr}, b: {at: /b, type: mood, x: 1}}}}",
            &[
                "`streams.a.columns.a` must say where its value stands: `at: /name`",
                "`streams.a.columns.a.type` cannot be \"integr\", which is no type; did you mean `integer`?",
                "which is no type; write one such as `integer`, `bigint`",
                "unknown key `x` in streams.a.columns.b",
            ],
        ),
        (
            "streams: {a: {takes: events, columns: {a: /a}, misfit: \"null\", document_index: true, formats: assert}}",
            &[
                "`streams.a.columns` is about `table`",
                "misfit` is about",
                "document_index` is about",
                "`schema`, and there is",
            ],
        ),
        (
            "streams: {a: {takes: events, table: t, misfit: null}}",
            &["`streams.a.misfit` must be in quotes, \"null\": YAML reads null as no value"],
        ),
        ("streams: {a: {takes: changes, schema: s}}", &["`schema` is for streams that take events"]),
        ("streams: {a b: {takes: events}}", &["1:11: `a b` cannot be a stream's name"]),
        (
            "streams:\n  a: {takes: events, topic: b}\n  b: {takes: events}\n",
            &["3:3: the topic `b` of `b` belongs to `a` (line 2); a topic belongs to one stream"],
        ),
        (
            "streams:\n  a: {takes: events, routes: [/x]}\n  b: {takes: events, routes: [/x, /v1/y, z]}\n",
            &[
                "3:31: the route `/x` of `b` belongs to `a`",
                "3:35: a route in `streams.b.routes` cannot be \"/v1/y\"; the gate itself",
                "3:42: a route",
            ],
        ),
        (
            "rollups: {}\nstreams: {a: {takes: events, queries: x}}",
            &["1:10: `rollups` is empty; write a mapping of names to rollups", "`streams.a.queries` must be `true` or"],
        ),
        (
            "streams: {a: {takes: events}, b: {takes: events, topic: t}}\nrollups:\n  r: {from: aa, key: /k, summary: {n: {count: \"\"}}}\n  t: {from: a, key: /k, summary: {n: {count: \"\"}}}\n  s: {from: a}\n",
            &[
                "3:13: `rollups.r.from`: there is no stream \"aa\"; did you mean \"a\"?",
                "4:3: the rollup `t` has an output topic of its name, which belongs to `b` (line 1); give it another name",
                "5:3: `rollups.s` must say `key`, such as `key: /userId`",
                "5:3: `rollups.s` must say `summary`",
            ],
        ),
        (
            "rollups:\n  r:\n    from: events\n    key: [k, {as: b, at: /x}, \"\"]\n    summary: {n: {min: /a, max: /b}, f: {first: /a}, g: {sum: /a, by: /t}, h: {med: /a}}\n    publish: every 1ms\n    where: {/a: {b: c}}\n    window: {of: 0s, at: /t}\n    on_failure: set-aside\n",
            &[
                "4:11: `rollups.r.key` is wrong: `k` is no JSON Pointer; write `/k`",
                "4:31: `rollups.r.key` has no last part that could be its name",
                "5:18: `rollups.r.summary.n` must say one of `min`, `max`",
                "5:41: `rollups.r.summary.f` must say by which time: `{first: /a, by: /at}`",
                "5:71: `rollups.r.summary.g.by` is for `first` and `last`; remove it",
                "5:79: `rollups.r.summary.h` must say one of",
                "unknown key `med`",
                "6:14: `rollups.r.publish` is too often: `every 100ms` is the shortest",
                "7:17: `rollups.r.where./a` must be a text, a number",
                "8:18: `rollups.r.window.of` cannot be 0",
                "9:17: `rollups.r.on_failure` must be `skip` or `stop`",
            ],
        ),
        (
            "rollups: {r: {from: events, key: [/a/n, /b/n], summary: {n: {count: \"\"}}}}",
            &["`rollups.r` calls two members `n`; write `{as: NAME, at: PLACE}` in `key`"],
        ),
        (
            "streams: {a: {takes: events, source: t, topic: u, routes: [/x]}, b: {takes: events, from: end}}",
            &[
                "`streams.a.topic` is not for a stream with `source`",
                "`streams.a.routes` is not for a stream with `source`",
                "`streams.b.from` is for streams with `source`",
            ],
        ),
        (
            "streams:\n  a: {takes: events, source: t}\n  b: {takes: events, topic: t}\n",
            &["3:29: the topic `t` of `b` belongs to `a` (line 2)"],
        ),
        (
            "listen: ${NONE}:80",
            &["1:9: the environment variable NONE is not set; set it, or write a default as `${NONE:-default}`"],
        ),
        ("store: \"postgres://${HOST}/${NADA}?$${x}\"", &["1:28: the environment variable NADA is not set"]),
        ("listen: ${SECRET}", &["`listen` cannot be \"${SECRET}\""]),
        ("journal: postgres://u:s3cret@h/d", &["names `postgres://`"]),
        ("streams: {a: {takes: events, topic: \"x://u:s3cret@h\"}}", &["cannot be \"x://u:***@h\""]),
        ("listen: {a: postgres://u:s3cret@h}", &["found a mapping"]),
        ("listen: !port a:80", &["the tag `!port` means nothing here"]),
        ("listen: a:1\n---\nlisten: b:2", &["2:1: a second YAML document begins here"]),
        ("? [a]\n: b", &["1:3: a key must be text"]),
        ("streams: {a: {takes: events, topic: ${X}}}", &["this is not YAML; within `{ }` and `[ ]` a text with"]),
        ("listen: [a", &["this is not YAML"]),
        ("streams: {a: {takes: events, queries: true}}", &["`streams.a.queries` reads the rows of `table`"]),
        ("streams: {a: {takes: changes, queries: true}}", &["`queries` is for streams that take events"]),
        (
            "streams:\n  a: {takes: events, table: a, queries: true}\n  b: {takes: events, table: b, queries: true}",
            &["3:32: `streams.b.queries` is said by `a` already (line 2); one stream answers queries"],
        ),
        ("streams: {a: {takes: events, table: a, queries: maybe}}", &["must be `true` or `false`"]),
        (
            "streams: {a: {takes: events, routes: [/api/v1/query_relational_data]}}",
            &["the gate itself answers at /api/v1/query_relational_data"],
        ),
    ];
    for (text, expected) in table {
        let said = said_of(text);
        assert_eq!(said.len(), expected.len(), "{text}\n{}", said.join("\n"));
        for (said, expected) in said.iter().zip(*expected) {
            assert!(said.contains(expected), "{text}\nsaid:     {said}\nexpected: {expected}");
        }
    }
}

#[test]
fn a_file_that_says_nothing_means_what_runs_without_one() {
    for text in ["", "# nothing\n", "{}", "---\n...\n", "\u{feff}", TEMPLATE] {
        let config = load_text(text).unwrap();
        assert_eq!(Config { file: None, ..config }, Config::default(), "{text}");
    }
    let config = Config::default();
    assert_eq!(config.streams.iter().map(|stream| &*stream.name).collect::<Vec<_>>(), ["activities", "events"]);
    assert_eq!(config.stream("activities").unwrap().intake.routes, ["/api/activities"]);
    assert_eq!(config.journal.reveal(), "sqlite://sluicegate-data/journal.db");
    assert_eq!(config.store.unwrap().reveal(), "sqlite://sluicegate-data/store.db");
}

#[test]
fn a_variable_in_quotes_stays_a_text() {
    let said = said_of("streams:\n  a:\n    takes: changes\n    allow: {create: \"${YES}\"}\n");
    assert_eq!(said, ["4:21: `streams.a.allow.create` must be `true` or `false`, found the text \"${YES}\""]);
}

#[test]
fn every_setting_of_a_stream_is_read() {
    let config = load_text(
        r#"
listen: ${HOST}:${PORT:-9090}
streams:
  zebra:
    takes: changes
    forms: [wal2json]
    topic: t
    routes: [/a, /b]
    reply: created
    key: table
    keys: {item: [id, part], "sales.orders": [no]}
    key_columns: [id]
    unknown_types: reject
    on_failure: stop
    allow:
      tables: ["game.*"]
      operations: [insert, delete]
      create: ${YES}
    document_bytes_max: &size 2MiB
    retention: {age: 2h}
    duplicates_kept: 500ms
  apple: {takes: events, key: /userId, table: apples, document_column: body, queries: true, document_bytes_max: *size,
    schema: parts/apple.json, formats: assert, misfit: "null", document_index: true,
    columns: {weight: {at: /weight, type: "numeric(6,2)"}, kind: /kind, at: ce.time}}
"#,
    )
    .unwrap();
    let column = |name: &str, at: &str, column_type: Option<&str>| Column {
        name: name.to_owned(),
        at: at.to_owned(),
        column_type: column_type.map(str::to_owned),
    };
    let words = |words: &[&str]| words.iter().map(|&word| word.to_owned()).collect::<Vec<_>>();
    let zebra = Stream {
        forms: vec![Form::Wal2json],
        topic: "t".to_owned(),
        intake: IntakeSettings { routes: words(&["/a", "/b"]), reply: Reply::Created, ..IntakeSettings::default() },
        key: Some(Key::Table),
        keys: [("item".to_owned(), words(&["id", "part"])), ("sales.orders".to_owned(), words(&["no"]))].into(),
        changes: ChangeSettings {
            key_columns: words(&["id"]),
            unknown_types: UnknownTypes::Reject,
            allow: Allow {
                tables: words(&["game.*"]),
                operations: vec![Operation::Insert, Operation::Delete],
                create: true,
            },
        },
        apply: ApplySettings {
            on_failure: OnFailure::Stop,
            duplicates_kept: Duration::from_millis(500),
            ..ApplySettings::default()
        },
        document_bytes_max: 2 << 20,
        retention: RetentionSettings { age: Duration::from_secs(7200), ..RetentionSettings::default() },
        ..Stream::named("zebra", Takes::Changes)
    };
    let apple = Stream {
        key: Some(Key::Pointer("/userId".to_owned())),
        table: Some("apples".to_owned()),
        document_column: "body".to_owned(),
        queries: true,
        document_bytes_max: 2 << 20,
        schema: config.streams[1].schema.clone(),
        formats: Formats::Assert,
        misfit: Misfit::Null,
        document_index: true,
        columns: vec![
            column("weight", "/weight", Some("numeric(6,2)")),
            column("kind", "/kind", None),
            column("at", "ce.time", None),
        ],
        ..Stream::named("apple", Takes::Events)
    };
    assert_eq!(config.listen, "0.0.0.0:9090");
    assert_eq!(config.streams, [zebra, apple]);
    let schema = config.streams[1].schema.as_deref().unwrap();
    assert!(schema.is_absolute() && schema.ends_with("parts/apple.json"), "{schema:?} lies beside the file");
}

#[test]
fn flags_stand_over_the_file_and_paths_are_taken_from_where_they_are_written() {
    let url = |text: &str| Some(BackendUrl::new(text));
    let data = Some(PathBuf::from("elsewhere"));
    // The file, the flags, and then journal and store; FOLDER is the file's folder.
    let table = [
        ("", Overrides::default(), "sqlite://sluicegate-data/journal.db", Some("sqlite://sluicegate-data/store.db")),
        ("data: d", Overrides::default(), "sqlite://FOLDER/d/journal.db", Some("sqlite://FOLDER/d/store.db")),
        (
            "data: d",
            Overrides { data, ..Overrides::default() },
            "sqlite://elsewhere/journal.db",
            Some("sqlite://elsewhere/store.db"),
        ),
        (
            "journal: sqlite://j.db",
            Overrides::default(),
            "sqlite://FOLDER/j.db",
            Some("sqlite://sluicegate-data/store.db"),
        ),
        (
            "journal: sqlite://j.db\nstore: sqlite:///s.db",
            Overrides { journal: url("sqlite://k.db"), store: url(""), ..Overrides::default() },
            "sqlite://k.db",
            Some("sqlite:///s.db"),
        ),
        ("journal: kafka://h:9092", Overrides::default(), "kafka://h:9092", None),
        (
            "journal: kafka://h",
            Overrides { store: url("sqlite://"), ..Overrides::default() },
            "kafka://h",
            Some("sqlite://sluicegate-data/store.db"),
        ),
        (
            "store: postgres://u:${SECRET}@h/d",
            Overrides::default(),
            "sqlite://sluicegate-data/journal.db",
            Some("postgres://u:s3cret@h/d"),
        ),
    ];
    for (text, overrides, journal, store) in table {
        let (folder, config) = load_over(text, overrides);
        let config = config.unwrap();
        let placed = |text: &str| text.replace("FOLDER", folder.to_str().unwrap());
        assert_eq!(config.journal.reveal(), placed(journal), "{text}");
        assert_eq!(config.store.as_ref().map(|store| store.reveal().to_owned()), store.map(placed), "{text}");
        assert!(!format!("{config:?}").contains("s3cret"));
    }
    let overrides = Overrides { listen: Some("80".to_owned()), journal: url("x://u:s3cret@h"), ..Overrides::default() };
    let shown = load_over("", overrides).1.unwrap_err().to_string();
    assert!(shown.contains("--listen: write HOST:PORT") && shown.contains("--journal: names `x://`"), "{shown}");
    assert!(!shown.contains("s3cret"));
}

#[test]
fn a_named_file_must_be_there() {
    let overrides = Overrides { config: Some("/nowhere/x.yaml".into()), ..Overrides::default() };
    let error = load(&overrides, &SCHEMES).unwrap_err();
    assert!(matches!(&error, ConfigError::Unreadable { path, .. } if path == Path::new("/nowhere/x.yaml")), "{error}");
    assert!(std::error::Error::source(&error).is_some());
}

#[test]
fn nesting_and_aliases_without_end_are_refused() {
    for text in ["[".repeat(100_000), format!("a: {}", "{b: ".repeat(200)), "a: &a [*a]".to_owned()] {
        assert!(load_text(&text).is_err());
    }
}

#[test]
fn every_setting_is_in_the_template_and_loads_when_uncommented() {
    let mut shown = TEMPLATE.to_owned();
    for line in TEMPLATE.lines().filter(|line| line.trim_start().starts_with("# ") && line.contains(": ")) {
        let is_within = line.contains("#   ") || line.contains("# allow") || line.contains("# actions");
        if !is_within && schema::STREAM.has(line.trim_start().trim_start_matches("# ").split(':').next().unwrap()) {
            let one = TEMPLATE.replacen(line, &line.replacen("# ", "", 1), 1);
            load_text(&one).unwrap_or_else(|error| panic!("{line}\n{error}"));
            shown = shown.replacen(line, &line.replacen("# ", "", 1), 1);
        }
    }
    for setting in [
        "listen",
        "data",
        "journal",
        "store",
        "log",
        "metrics",
        "limits",
        "allow",
        "  tables",
        "  operations",
        "  create",
        "actions",
    ] {
        assert!(shown.contains(&format!("# {setting}:")), "{setting}");
        shown = shown.replacen(&format!("# {setting}:"), &format!("{setting}:"), 1);
    }
    shown = shown.replacen("#   GET ", "  GET ", 1);
    load_text(&shown).unwrap_or_else(|error| panic!("{shown}\n{error}"));
    let words = |keys: &schema::Keys| keys.names().map(str::to_owned).collect::<Vec<_>>();
    for key in
        [words(&schema::CONFIG), words(&schema::STREAM), words(&schema::ALLOW), words(&schema::RETENTION)].concat()
    {
        assert!(TEMPLATE.contains(&format!("{key}:")), "{key} is not in the template");
    }
}

#[test]
fn every_setting_of_the_schema_is_explained() {
    fn check(schema: &serde_json::Value, path: &str) -> usize {
        let properties = schema["properties"].as_object().into_iter().flatten();
        let settings = properties.map(|(key, property)| {
            let path = format!("{path}.{key}");
            assert!(property["description"].is_string(), "{path} has no description");
            1 + check(property, &path) + check(&property["additionalProperties"], &path)
        });
        settings.sum()
    }
    let schema = schema();
    assert_eq!(check(&schema, ""), 79);
    assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema");
    let stream = &schema["properties"]["streams"]["additionalProperties"];
    assert_eq!(stream["required"], serde_json::json!(["takes"]));
    assert_eq!(stream["additionalProperties"], false);
    assert_eq!(stream["properties"]["document_bytes_max"]["default"], "1MiB");
    assert_eq!(stream["properties"]["retention"]["default"], serde_json::json!({"age": "7d", "size": "10GiB"}));
}

#[test]
fn configuration_md_says_what_the_types_say() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/configuration.md");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        fs::write(&path, reference()).unwrap();
    }
    let written = fs::read_to_string(&path).unwrap_or_default();
    assert!(written == reference(), "docs/configuration.md is out of date: UPDATE_DOCS=1 cargo test configuration_md");
}

#[test]
fn where_numbers_are_pushed_is_judged() {
    let table = [
        ("{push: {url: \"http://127.0.0.1:9091/\"}}", None),
        ("{push: {url: \"http://[::1]:9091\", every: 1s, job: a b, grouping: {instance: a, zone: \"é\"}}}", None),
        ("{push: {}}", Some("has no `url`")),
        ("{push: {url: \"https://push.example\"}}", Some("must be a URL such as http://")),
        ("{push: {url: \"http://user:s3cret@push.example\"}}", Some("without a name, a password")),
        ("{push: {url: \"http://a\", every: 0s}}", Some("cannot be 0")),
        ("{push: {url: \"http://a\", job: \"\"}}", Some("must be a name")),
        ("{push: {url: \"http://a\", job: \"..\"}}", Some("cannot be empty")),
        ("{push: {url: \"http://a\", grouping: {job: a}}}", Some("is no label")),
        ("{push: {url: \"http://a\", grouping: {\"a-b\": a}}}", Some("is no label")),
        ("{push: {url: \"http://a\", grouping: {a: \"b/c\"}}}", Some("nor hold a slash")),
        ("{push: {url: \"http://a\", evry: 1s}}", Some("every")),
    ];
    for (metrics, refused) in table {
        let said = load_text(&format!("metrics: {metrics}")).map(drop).map_err(|error| error.to_string());
        match refused {
            None => assert_eq!(said, Ok(()), "{metrics}"),
            Some(words) => {
                let said = said.unwrap_err();
                assert!(said.contains(words) && !said.contains("s3cret"), "{metrics}: {said}");
            }
        }
    }
}

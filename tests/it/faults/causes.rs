//! What fails is told twice: the log has the sentence and every cause behind it; answers and /health/ready have the sentence
//! alone. Neither has a secret.

use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Stdio};

use super::{post, ready};
use crate::store::insert;
use crate::support::{Home, PATIENCE, Process, Proxy, Response, Sql, Target, eventually, services};

const SECRET: &str = "s3cret";

/// A failure as each hears of it.
struct Told<'t> {
    /// What /health/ready says it about.
    check: &'t str,
    /// Words of the sentence.
    sentence: &'t str,
    /// Words of its causes, which the log alone has.
    causes: &'t [&'t str],
}

impl Told<'_> {
    /// Waits until readiness has the sentence, and the log has a line with the causes behind it.
    #[track_caller]
    fn check(&self, process: &Process, answers: &[Response]) {
        let Told { check, sentence, causes } = self;
        let checks = eventually(PATIENCE, "readiness says the sentence", || {
            let checks = ready(process, 503);
            checks[check].as_str().is_some_and(|why| why.contains(sentence)).then_some(checks)
        });
        eventually(PATIENCE, "the log tells the causes behind the sentence", || {
            let said = process.said();
            let is_it = |line: &str| {
                let causes_of = |at: usize| causes.iter().all(|cause| line[at..].contains(cause));
                line.contains("error=") && line.find(sentence).is_some_and(causes_of)
            };
            said.lines().any(is_it).then_some(())
        });
        assert!(!process.said().contains(SECRET), "{}", process.said());
        let answers = answers.iter().map(|answer| answer.json().to_string());
        for answer in answers.chain([checks.to_string()]) {
            let told = causes.iter().chain([&SECRET]).find(|word| answer.contains(**word));
            assert_eq!(told, None, "{answer}");
        }
    }
}

#[test]
fn a_locked_file_is_told_with_what_sqlite_said_in_the_log_alone() {
    let home = Home::new();
    let process = home.up();
    post(&process, 1).expect(200);
    let causes = ["database is locked (SQLite's result code 5)"];
    let lock = |file: std::path::PathBuf| {
        let lock = rusqlite::Connection::open(file).unwrap();
        lock.execute_batch("BEGIN IMMEDIATE").unwrap();
        lock
    };
    let store = lock(home.store());
    let answer = process.post("/v1/streams/activities", insert("t", "id INTEGER 2")).expect(202);
    Told { check: "stream activities", sentence: "the store's file is locked by another process", causes: &causes }
        .check(&process, &[answer]);
    store.execute_batch("ROLLBACK").unwrap();
    ready(&process, 200);

    // Whether the journal is ready is asked of what waits for the lock: it gives no answer.
    let journal = lock(home.journal());
    let answer = process.post("/v1/streams/activities", insert("t", "id INTEGER 3")).expect(503);
    Told { check: "journal", sentence: "", causes: &causes }.check(&process, &[answer]);
    let sentence = process.wait_to_say("data/journal.db is locked by another process");
    assert!(sentence.contains(causes[0]), "{sentence}");
    journal.execute_batch("ROLLBACK").unwrap();
    ready(&process, 200);
}

/// Makes nonsense of the page of `file` where the table `t` begins.
fn damage(file: &Path) {
    let (page, size): (u32, u32) = rusqlite::Connection::open(file)
        .and_then(|file| {
            file.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)")?;
            let sql = "SELECT rootpage, page_size FROM sqlite_schema, pragma_page_size WHERE name = 't'";
            file.query_row(sql, [], |row| Ok((row.get(0)?, row.get(1)?)))
        })
        .unwrap();
    let written = std::fs::OpenOptions::new().write(true).open(file).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&written, &vec![0xff; 512], u64::from((page - 1) * size)).unwrap();
}

#[test]
fn a_damaged_file_is_told_with_what_sqlite_said_in_the_log_alone() {
    let home = Home::new();
    let mut process = home.up();
    post(&process, 1).expect(200);
    process.stop();
    damage(&home.store());
    let process = home.up();
    let answers = [post(&process, 2).expect(202), process.get("/v1/tables/t/rows").expect(503)];
    let causes = ["SQLite's result code 11)"];
    Told { check: "stream activities", sentence: "is damaged or no SQLite file; restore it", causes: &causes }
        .check(&process, &answers);
}

#[test]
fn a_full_disk_is_told_with_what_sqlite_said_in_the_log_alone() {
    let home = Home::new();
    home.up().stop();
    let (binary, data) = (env!("CARGO_BIN_EXE_sluicegate"), home.path("data"));
    let script = format!("ulimit -f 6000; exec {binary} --data {} up --listen 127.0.0.1:0", data.display());
    let mut limited = Command::new("sh");
    limited.args(["-c", &script]).current_dir(home.path(".")).stdin(Stdio::null()).stdout(Stdio::null());
    let process = Process::start(&mut limited).listening();
    let document = serde_json::json!({"text": "x".repeat(500_000)}).to_string();
    let answer = eventually(PATIENCE, "the limit is reached", || {
        let answer = process.post("/v1/streams/events", &document);
        (answer.status != 202).then_some(answer)
    });
    let causes = ["SQLite's result code 778)"];
    Told { check: "journal", sentence: "is full, or the file has reached its limit", causes: &causes }
        .check(&process, &[answer.expect(503)]);
}

/// A database whose URL has a password, by way of a proxy.
fn with_password() -> Option<(services::Database, Proxy, String)> {
    let database = services::postgres()?;
    let role = services::unique("role").replace('-', "_");
    database.execute(&format!(
        "CREATE ROLE {role} LOGIN PASSWORD '{SECRET}'; GRANT ALL ON SCHEMA public TO {role};
         CREATE SCHEMA books AUTHORIZATION {role}"
    ));
    let (proxy, url) = (Proxy::before(&database.url()), database.url());
    let (_, place) = url.rsplit_once('@').unwrap();
    let url = proxy.url(&format!("postgres://{role}:{SECRET}@{place}?schema=books&sslmode=disable"));
    Some((database, proxy, url))
}

#[test]
fn a_postgresql_that_refuses_or_is_gone_is_told_with_what_it_said_in_the_log_alone() {
    let Some((database, proxy, url)) = with_password() else { return };
    let home = Home::with(&format!("store: {url}\nstreams: {{activities: {{takes: changes}}}}"));
    let process = home.up();
    post(&process, 1).expect(200);
    let sql = Sql::open(&database.url()).unwrap();
    let owner = sql.query("SELECT nspowner::regrole FROM pg_namespace WHERE nspname = 'books'").unwrap()[0][0].clone();
    let right = r#"UPDATE ON books."_sluicegate_positions""#;
    sql.run(&format!("REVOKE {right} FROM {owner}"));
    let answer = post(&process, 2).expect(202);
    let causes = ["permission denied for table _sluicegate_positions (SQLSTATE 42501)"];
    Told { check: "stream activities", sentence: "PostgreSQL refuses (42501); permission denied", causes: &causes }
        .check(&process, &[answer]);
    sql.run(&format!("GRANT {right} TO {owner}"));
    ready(&process, 200);

    drop(proxy);
    let answers = [process.get("/v1/tables").expect(503)];
    let causes = ["Connection refused"];
    Told { check: "store", sentence: "cannot be reached", causes: &causes }.check(&process, &answers);
}

#[test]
fn a_kafka_that_is_gone_is_told_with_what_its_client_said_in_the_log_alone() {
    let Some(servers) = services::Private::up(&["kafka"]) else { return };
    let kafka = servers.kafka();
    let home =
        Home::with(&format!("journal: kafka://{kafka}?append_timeout=2s\nstreams: {{events: {{takes: events}}}}"));
    let process = home.up();
    process.post("/v1/streams/events", "1").expect(202);
    servers.stop(&["kafka", "--immediate"]);
    let answer = process.post("/v1/streams/events", "2").expect(503);
    let causes = ["Connection refused"];
    Told { check: "journal", sentence: "BrokerTransportFailure", causes: &causes }.check(&process, &[answer]);
}

#[test]
fn who_runs_a_command_is_told_the_causes_and_no_secret() {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let home = Home::new();
    home.up().stop();
    home.write("none.db", "this is no database, however long one looks at it: it is text, and nothing else than text");
    let mut rows = vec![
        (format!("--store=postgres://u:{SECRET}@127.0.0.1:{port}/x"), vec!["cannot be reached", "Connection refused"]),
        (format!("--store=sqlite://{}", home.path("none.db").display()), vec!["no SQLite file", "result code 26)"]),
        (format!("--journal=sqlite://{}", home.path("none.db").display()), vec!["no SQLite file", "result code 26)"]),
    ];
    if let Some((servers, ca)) = services::kafka_tls() {
        let url = format!("--journal=kafka://writer:{SECRET}-wrong@{servers}?ssl.ca.location={ca}");
        rows.push((url, vec!["check user and password", "SASL"]));
    }
    for (option, told) in rows {
        let ran = home.run(&["check", &option]).expect(1);
        let line = ran.stdout.lines().find(|line| line.starts_with("wrong")).unwrap_or_else(|| panic!("{ran:?}"));
        let places: Vec<_> = told.iter().map(|words| line.find(words)).collect();
        assert!(places.iter().all(Option::is_some) && places.is_sorted(), "{told:?}: {line}");
        assert!(!format!("{}{}", ran.stdout, ran.stderr).contains(SECRET), "{ran:?}");
    }
}

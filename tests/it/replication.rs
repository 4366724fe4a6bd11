//! From a replication slot of PostgreSQL to rows: the recipes of docs/wal2json.md, word for word, while everything is killed.

use std::collections::HashMap;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use crate::support::services::{self, Database, Private};
use crate::support::{Home, PATIENCE, Process, eventually};

/// How often something is killed.
const ROUNDS: u64 = 12;

const TABLES: &str = "CREATE TABLE account (id int PRIMARY KEY, balance numeric NOT NULL);
    CREATE TABLE entry (id bigserial PRIMARY KEY, account int, delta numeric, note text)";

/// What pgbench does again and again.
const WORK: &str = "\\set a random(1, 20)
\\set d random(-500, 500)
BEGIN;
UPDATE account SET balance = balance + :d WHERE id = :a;
INSERT INTO entry (account, delta, note) SELECT :a, :d, repeat('x', 40) FROM generate_series(1, 3);
DELETE FROM entry WHERE id = (SELECT min(id) + 20 FROM entry);
END;
";

/// A recipe of the document, by the name in its first line.
fn recipe(name: &str) -> String {
    let text = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/wal2json.md")).unwrap();
    let block = text.split("```bash\n").skip(1).find(|block| block.starts_with(&format!("# {name}\n")));
    block.and_then(|block| block.split("```").next()).expect("the document has the recipe").to_owned()
}

/// The loop of a recipe. What it has started may outlive it when it is killed, as in life; at the end all of it goes.
struct Loop {
    child: Child,
}

impl Loop {
    fn start(home: &Home, script: &str, source: &str) -> Self {
        let binary = Path::new(env!("CARGO_BIN_EXE_sluicegate")).parent().unwrap().display().to_string();
        let path = format!("{binary}:{}", std::env::var("PATH").unwrap_or_default());
        let said = std::fs::OpenOptions::new().create(true).append(true).open(home.path("loop.log")).unwrap();
        let mut command = Command::new("bash");
        command.args(["-c", script]).current_dir(home.path("")).env("PATH", path).env("SOURCE", source);
        command.env("SLUICEGATE_DATA", home.path("data")).stdin(Stdio::null()).stdout(Stdio::null()).stderr(said);
        Loop { child: command.spawn().unwrap() }
    }

    /// Every process that the loop has started, and those that they have, by name.
    fn descendants(&self) -> Vec<(u32, String)> {
        let mut parents: HashMap<u32, Vec<(u32, String)>> = HashMap::new();
        for entry in std::fs::read_dir("/proc").unwrap().flatten() {
            let stat = std::fs::read_to_string(entry.path().join("stat")).unwrap_or_default();
            let Some((before, after)) = stat.rsplit_once(") ") else { continue };
            let Some((pid, name)) = before.split_once(" (") else { continue };
            let parent = after.split(' ').nth(1).and_then(|parent| parent.parse().ok());
            if let (Ok(pid), Some(parent)) = (pid.parse(), parent) {
                parents.entry(parent).or_default().push((pid, name.to_owned()));
            }
        }
        let mut found = Vec::new();
        let mut open = vec![self.child.id()];
        while let Some(pid) = open.pop() {
            for (pid, name) in parents.remove(&pid).unwrap_or_default() {
                open.push(pid);
                found.push((pid, name));
            }
        }
        found
    }

    /// Kills a process of that name, as soon as there is one.
    fn kill_one(&self, name: &str, after: Duration) {
        let pid = eventually(PATIENCE, name, || {
            self.descendants().into_iter().find(|(_, found)| found.starts_with(name)).map(|(pid, _)| pid)
        });
        thread::park_timeout(after);
        kill(pid);
    }

    fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Loop {
    fn drop(&mut self) {
        let children = self.descendants();
        self.kill();
        children.into_iter().for_each(|(pid, _)| kill(pid));
    }
}

fn kill(pid: u32) {
    let _ = Command::new("sh").args(["-c", &format!("kill -9 {pid} 2>/dev/null")]).status();
}

/// The rows of both tables in the source.
fn source_rows(source: &str) -> Option<String> {
    let sql = "SELECT id || '|' || balance FROM account ORDER BY id;
               SELECT id || '|' || account || '|' || delta || '|' || note FROM entry ORDER BY id";
    let output = Command::new("psql").args([source, "-XAtqc", sql]).stderr(Stdio::null()).output().unwrap();
    output.status.success().then(|| String::from_utf8(output.stdout).unwrap())
}

/// The same rows in the store.
fn target_rows(home: &Home) -> Option<String> {
    let store = rusqlite::Connection::open(home.store()).ok()?;
    let mut text = String::new();
    for sql in [
        "SELECT id || '|' || balance FROM account ORDER BY id",
        "SELECT id || '|' || account || '|' || delta || '|' || note FROM entry ORDER BY id",
    ] {
        let mut statement = store.prepare(sql).ok()?;
        let rows = statement.query_map([], |row| row.get::<_, String>(0)).ok()?;
        for row in rows {
            text.push_str(&(row.ok()? + "\n"));
        }
    }
    Some(text)
}

/// Writes until it is told to stop, whether or not the server is there.
fn write(source: &str, script: &Path, stop: &AtomicBool) {
    while !stop.load(Ordering::Relaxed) {
        let mut pgbench = Command::new("pgbench");
        pgbench.args(["-n", "-c", "2", "-T", "1", "-R", "60", "-f"]).arg(script).arg(source);
        let _ = pgbench.stdout(Stdio::null()).stderr(Stdio::null()).status();
        thread::park_timeout(Duration::from_millis(20));
    }
}

/// A number that nobody can foresee.
fn random(below: u64) -> u64 {
    u64::from_le_bytes(uuid::Uuid::now_v7().as_bytes()[8..].try_into().unwrap()) % below
}

fn rows_are_equal_after_kills(name: &str, reader: &str) {
    for tool in ["psql", "pg_recvlogical", "pgbench", "flock"] {
        if services::tool(tool).is_none() {
            return;
        }
    }
    let Some(server) = Private::up(&["postgres"]) else { return };
    let database = Database::create(&server.postgres());
    let source = database.url();
    database.execute(TABLES);
    let slot = "SELECT pg_create_logical_replication_slot('sluicegate', 'wal2json')";
    let made = Command::new("psql").args([&source, "-XAtqc", slot]).output().unwrap();
    if !made.status.success() {
        services::missing::<()>(&format!("wal2json: {}", String::from_utf8_lossy(&made.stderr)));
        return;
    }
    database.execute("INSERT INTO account SELECT g, 0 FROM generate_series(1, 20) g");
    let home = Home::with("streams: {changes: {takes: changes, forms: [wal2json], on_failure: stop}}\n");
    let script = home.write("work.sql", WORK);
    let recipe = recipe(name);
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        let writer = scope.spawn(|| write(&source, &script, &stop));
        // A check that fails must not leave the writer writing.
        let mut up: Process = home.up();
        let mut running = Loop::start(&home, &recipe, &source);
        let done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            for round in 0..ROUNDS {
                let after = Duration::from_millis(random(60));
                thread::park_timeout(Duration::from_millis(random(300)));
                match round % 6 {
                    0 => running.kill_one("sluicegate", after),
                    1 => running.kill_one(reader, after),
                    2 => {
                        server.stop(&["postgres", "--immediate"]);
                        server.start(&["postgres"]);
                    }
                    3 => running.kill_one("sluicegate", Duration::ZERO),
                    4 => {
                        up.kill();
                        up = home.up();
                    }
                    _ => {
                        running.kill();
                        running = Loop::start(&home, &recipe, &source);
                    }
                }
            }
        }));
        stop.store(true, Ordering::Relaxed);
        writer.join().unwrap();
        if let Err(panic) = done {
            std::panic::resume_unwind(panic);
        }
        let expected = eventually(PATIENCE, "the source answers", || source_rows(&source));
        assert!(expected.lines().count() > 100, "pgbench has written: {expected}");
        let log = || std::fs::read_to_string(home.path("loop.log")).unwrap_or_default();
        let deadline = std::time::Instant::now() + 3 * PATIENCE;
        while target_rows(&home).as_ref() != Some(&expected) {
            assert!(
                std::time::Instant::now() < deadline,
                "source:\n{expected}\ntarget:\n{:?}\n{}",
                target_rows(&home),
                log()
            );
            thread::park_timeout(Duration::from_millis(50));
        }
        home.run(&["verify", "changes"]).expect(0);
        drop(running);
    });
}

#[test]
fn rows_are_equal_whatever_is_killed_while_the_slot_is_pulled() {
    rows_are_equal_after_kills("pull", "psql");
}

#[test]
fn rows_are_equal_whatever_is_killed_while_the_slot_is_spooled() {
    rows_are_equal_after_kills("spool", "pg_recvlogical");
}

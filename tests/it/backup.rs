//! A backup made under load goes on by itself where it is put back.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use crate::support::{Documents, Home, PATIENCE, Request, Target, eventually, item};

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}

/// The ids of the table's rows, in order; twice where a row is there twice.
fn ids(server: &impl Target) -> Vec<i64> {
    let request = Request::get("/v1/tables/item/rows").header("Accept", "application/x-ndjson");
    let rows = server.send(request).expect(200);
    let id = |line: &str| serde_json::from_str::<serde_json::Value>(line).unwrap()["id"].as_i64().unwrap();
    let mut ids: Vec<_> = rows.text().lines().map(id).collect();
    ids.sort_unstable();
    ids
}

#[test]
fn a_backup_under_load_goes_on_by_itself() {
    let home = Home::new();
    let server = home.up();
    server.applied(item(0));
    let is_over = AtomicBool::new(false);
    let folders = ["one", "two", "three"];
    thread::scope(|scope| {
        let loader = scope.spawn(|| {
            let mut next = 1;
            while !is_over.load(Ordering::Relaxed) {
                let lines: Vec<_> = (next..next + 50).map(item).collect();
                server.send(Request::post("/v1/streams/activities", lines.join("\n")).lines()).expect(202);
                next += 50;
            }
        });
        let backups = || {
            for folder in folders {
                let ran = home.run(&["backup", folder, "--output", "json"]).expect(0);
                let parts: Vec<_> = ran.json().as_array().unwrap().iter().map(|part| part["part"].clone()).collect();
                assert_eq!(parts, ["store", "journal"], "{}", ran.stderr);
                assert!(ran.stderr.contains("To put it back"), "{}", ran.stderr);
            }
        };
        let backed_up = std::panic::catch_unwind(std::panic::AssertUnwindSafe(backups));
        is_over.store(true, Ordering::Relaxed);
        loader.join().unwrap();
        if let Err(panic) = backed_up {
            std::panic::resume_unwind(panic);
        }
    });
    let mut least = 0;
    for folder in folders {
        let path = home.path(folder);
        assert_eq!((mode(&path), mode(&path.join("journal.db")), mode(&path.join("store.db"))), (0o700, 0o600, 0o600));
        let restored = Home::new();
        std::fs::rename(&path, restored.path("data")).unwrap();
        let server = restored.up();
        let balance = eventually(PATIENCE, "everything in the journal is applied", || {
            let balance = restored.run(&["verify", "activities"]).expect(0).json()[0].clone();
            (balance["waiting"] == 0).then_some(balance)
        });
        let accepted = balance["accepted"].as_i64().unwrap();
        assert!(accepted > least, "it has what was accepted until then: {balance}");
        least = accepted;
        assert_eq!(ids(&server), (0..accepted).collect::<Vec<_>>(), "{folder}: {balance}");
        server.applied(item(accepted));
        assert_eq!(ids(&server).len() as i64, accepted + 1);
    }
}

#[test]
fn a_backup_overwrites_nothing_and_makes_nothing_up() {
    let home = Home::new();
    let ran = home.run(&["backup", "copy"]).expect(1);
    assert!(ran.stderr.contains("there is no"), "{}", ran.stderr);
    assert!(!home.path("copy").exists() && !home.store().exists());
    let mut server = home.up();
    server.applied(item(1));
    home.run(&["backup", "copy"]).expect(0);
    let before = std::fs::read(home.path("copy/store.db")).unwrap();
    server.applied(item(2));
    let ran = home.run(&["backup", "copy"]).expect(1);
    assert!(ran.stderr.contains("is not empty"), "{}", ran.stderr);
    assert_eq!(std::fs::read(home.path("copy/store.db")).unwrap(), before);
    assert!(server.stop().success());
    let names = |folder: &str| {
        let entries = std::fs::read_dir(home.path(folder)).unwrap();
        let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    };
    assert_eq!(names("copy"), ["journal.db", "store.db"], "nothing else is left beside them");
}

#[test]
fn what_directories_have_published_is_remembered_by_a_backup() {
    let home = Home::with("streams:\n  activities: {takes: changes, directories: [inbox]}\n");
    std::fs::create_dir(home.path("inbox")).unwrap();
    home.write("inbox/a.json", item(1));
    let server = home.up();
    eventually(PATIENCE, "the file is applied", || {
        let answer = server.get("/v1/tables/item/rows");
        (answer.status == 200 && ids(&server) == [1]).then_some(())
    });
    home.run(&["backup", "copy"]).expect(0);
    drop(server);
    std::fs::remove_dir_all(home.path("data")).unwrap();
    std::fs::rename(home.path("copy"), home.path("data")).unwrap();
    home.write("inbox/b.json", item(2));
    let server = home.up();
    eventually(PATIENCE, "only the new file is applied", || (ids(&server) == [1, 2]).then_some(()));
    let balance = home.run(&["verify", "activities"]).expect(0).json()[0].clone();
    assert_eq!((&balance["applied"], &balance["duplicates"]), (&2.into(), &0.into()), "{balance}");
}

#[test]
fn paths_may_hold_what_means_something_in_an_address() {
    for name in ["with space", "50%", "what?", "a#b", "%20", "?mode=ro#x%2F"] {
        let home = Home::new();
        let server = home.up();
        server.applied(item(1));
        home.run(&["backup", name]).expect(0);
        let restored = Home::new();
        std::fs::rename(home.path(name), restored.path("data")).unwrap();
        let server = restored.up();
        assert_eq!(ids(&server), [1], "{name}");
        // And such a folder may be the data itself.
        let data = restored.path(name);
        drop(server);
        std::fs::rename(restored.path("data"), &data).unwrap();
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_sluicegate"));
        command.current_dir(restored.path(".")).args(["--data", data.to_str().unwrap(), "backup", "again"]);
        let ran = command.output().unwrap();
        assert!(ran.status.success(), "{name}: {ran:?}");
        assert!(restored.path("again/journal.db").exists() && restored.path("again/store.db").exists(), "{name}");
    }
}

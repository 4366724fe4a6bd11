//! TLS, as `sslmode` says it.

use sluicegate::store::StoreError;
use sluicegate::store::postgres::PostgresStore;

use super::{ask, until};
use crate::support::services::{Database, Private, tool};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tls_is_what_sslmode_says() {
    if tool("openssl").is_none() {
        return;
    }
    let Some(server) = Private::up(&["postgres"]) else { return };
    let database = Database::create(&server.postgres());
    for name in ["server", "other"] {
        database.execute(
            &format!(
                "COPY (SELECT 1) TO PROGRAM 'openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN={name}
             -addext subjectAltName=DNS:localhost -keyout {name}.key -out {name}.crt && chmod 600 {name}.key'"
            )
            .replace("\n            ", ""),
        );
    }
    database.execute("ALTER SYSTEM SET ssl = on");
    database.execute("SELECT pg_reload_conf()");
    until(&database, "SELECT 1 WHERE current_setting('ssl') = 'on'").await;
    let folder = tempfile::tempdir().unwrap();
    let [root, other] = ["server", "other"].map(|name| folder.path().join(name).display().to_string());
    for (name, path) in [("server", &root), ("other", &other)] {
        let lines = ask(&database, &format!("SELECT pg_read_file('{name}.crt')")).await;
        std::fs::write(path, lines.join("\n")).unwrap();
    }
    let by_address = database.url();
    let by_name = by_address.replace("@127.0.0.1:", "@localhost:");
    for (url, mode, is_open) in [
        (&by_address, "prefer".to_owned(), true),
        (&by_address, "require".to_owned(), true),
        (&by_address, format!("require&sslrootcert={other}"), false),
        (&by_address, format!("verify-ca&sslrootcert={root}"), true),
        (&by_address, format!("verify-ca&sslrootcert={other}"), false),
        (&by_address, format!("verify-full&sslrootcert={root}"), false),
        (&by_name, format!("verify-full&sslrootcert={root}"), true),
    ] {
        match PostgresStore::open(&format!("{url}?sslmode={mode}&application_name=tls_test")).await {
            Ok(store) => {
                assert!(is_open, "{mode}");
                let sql = "SELECT ssl FROM pg_stat_ssl JOIN pg_stat_activity USING (pid)
                           WHERE application_name = 'tls_test' AND ssl";
                assert!(!ask(&database, sql).await.is_empty(), "{mode} is in the clear");
                drop(store);
            }
            Err(StoreError::Stop(reason)) => {
                assert!(!is_open && reason.words().contains("certificate"), "{mode}: {reason}")
            }
            Err(other) => panic!("{mode}: {other}"),
        }
    }
}

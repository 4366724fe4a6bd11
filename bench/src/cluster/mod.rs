//! Kafka and PostgreSQL, as `dev/services up` starts them: each measurement has a database and topics of its own.

pub(crate) mod http;
pub(crate) mod keys;
pub(crate) mod latency;
pub(crate) mod mixture;
pub(crate) mod records;
pub(crate) mod rows;

use std::collections::HashMap;
use std::fmt;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use bytes::BytesMut;
use futures_util::SinkExt;
use sluicegate::config::BackendUrl;
use sluicegate::journal::Journal;
use sluicegate::registry;
use sluicegate::store::Store;
use tokio_postgres::{Client, NoTls};

use crate::Fallible;

/// A database that goes with this value.
#[derive(Debug)]
pub(crate) struct Database {
    server: String,
    name: String,
}

impl Database {
    pub(crate) fn new() -> Fallible<Self> {
        let server = found("SLUICEGATE_TEST_POSTGRES")?;
        let name = format!("bench_{}", unique());
        blocking(async {
            let client = connect(&server).await?;
            client.batch_execute(&format!("CREATE DATABASE {name}")).await?;
            Fallible::Ok(())
        })?;
        Ok(Database { server, name })
    }

    pub(crate) fn url(&self) -> String {
        let before = self.server.rsplit_once('/').map_or(&*self.server, |(before, _)| before);
        format!("{before}/{}", self.name)
    }

    pub(crate) async fn connect(&self) -> Fallible<Client> {
        connect(&self.url()).await
    }

    pub(crate) async fn store(&self) -> Fallible<Arc<dyn Store>> {
        Ok(registry::open_store(&BackendUrl::new(self.url())).await?)
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        let (server, name) = (self.server.clone(), self.name.clone());
        // What stays behind goes with the services.
        let _ = blocking(async move {
            connect(&server).await?.batch_execute(&format!("DROP DATABASE {name} WITH (FORCE)")).await?;
            Fallible::Ok(())
        });
    }
}

/// Runs on a runtime and a thread of its own: the caller may be asynchronous itself.
fn blocking(work: impl Future<Output = Fallible> + Send) -> Fallible {
    let run = || tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(work);
    std::thread::scope(|scope| scope.spawn(run).join().map_err(|_| "a measurement panicked")?)
}

async fn connect(url: &str) -> Fallible<Client> {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await?;
    tokio::spawn(connection);
    Ok(client)
}

/// Copies rows into a table in a transaction of their own; `write` writes the line of the one with that number.
pub(crate) async fn copy(
    client: &Client,
    into: &str,
    numbers: Range<i64>,
    write: impl Fn(&mut BytesMut, i64) -> fmt::Result,
) -> Fallible {
    client.batch_execute("BEGIN").await?;
    let sink = client.copy_in(&format!("COPY {into} FROM STDIN")).await?;
    let mut sink = std::pin::pin!(sink);
    let mut rows = BytesMut::with_capacity(64 << 10);
    for n in numbers {
        write(&mut rows, n)?;
        if rows.len() > 60 << 10 {
            sink.send(rows.split().freeze()).await?;
        }
    }
    sink.send(rows.freeze()).await?;
    sink.finish().await?;
    client.batch_execute("COMMIT").await?;
    Ok(())
}

/// Where Kafka is.
pub(crate) fn kafka() -> Fallible<String> {
    found("SLUICEGATE_TEST_KAFKA")
}

/// The URL of a journal whose topics have so many partitions.
pub(crate) fn journal_url(partitions: u32) -> Fallible<String> {
    Ok(format!("kafka://{}?partitions={partitions}", kafka()?))
}

/// Opens a journal; `data` is a folder for its own files.
pub(crate) async fn journal(url: &str, data: &Path) -> Fallible<Arc<dyn Journal>> {
    Ok(registry::open_journal(&BackendUrl::new(url), data).await?)
}

/// A part of a name that nobody else has.
pub(crate) fn unique() -> String {
    let now = std::time::UNIX_EPOCH.elapsed().map_or(0, |since| since.as_nanos());
    format!("{now:x}")
}

fn found(variable: &str) -> Fallible<String> {
    if let Ok(value) = std::env::var(variable) {
        return Ok(value);
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/services/env");
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let lines: HashMap<_, _> = text.lines().filter_map(|line| line.split_once('=')).collect();
    let value = lines.get(variable).ok_or_else(|| format!("{variable} is not set: run dev/services up first"))?;
    Ok((*value).to_owned())
}

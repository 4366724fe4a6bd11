//! A client of PostgreSQL that waits for each answer, to look at what the program did, and to stand in its way.

use tokio::runtime::{Builder, Runtime};
use tokio_postgres::{Client, NoTls, SimpleQueryMessage};

/// One connection. A transaction that is begun on it lasts until it is ended, or this is dropped.
#[derive(Debug)]
pub(crate) struct Sql {
    client: Option<Client>,
    runtime: Runtime,
}

impl Sql {
    /// None when the server does not answer.
    pub(crate) fn open(url: &str) -> Option<Self> {
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        let client = runtime.block_on(async {
            let (client, connection) = tokio_postgres::connect(url, NoTls).await.ok()?;
            tokio::spawn(connection);
            Some(client)
        })?;
        Some(Sql { client: Some(client), runtime })
    }

    /// The rows that statements give, as texts; NULL is the empty one.
    pub(crate) fn query(&self, sql: &str) -> Result<Vec<Vec<String>>, String> {
        let client = self.client.as_ref().ok_or("closed")?;
        let answer = self.runtime.block_on(client.simple_query(sql));
        let answer = answer.map_err(|error| format!("{sql}: {error}: {:?}", error.as_db_error()))?;
        let row = |message| match message {
            SimpleQueryMessage::Row(row) => {
                Some((0..row.len()).map(|column| row.get(column).unwrap_or_default().to_owned()).collect())
            }
            _ => None,
        };
        Ok(answer.into_iter().filter_map(row).collect())
    }

    /// Runs statements that must succeed.
    #[track_caller]
    pub(crate) fn run(&self, sql: &str) {
        if let Err(error) = self.query(sql) {
            panic!("{error}");
        }
    }

    /// The one number that a query gives; none when it fails, such as for a table that is not there yet.
    pub(crate) fn number(&self, sql: &str) -> Option<i64> {
        self.query(sql).ok()?.first()?.first()?.parse().ok()
    }
}

impl Drop for Sql {
    fn drop(&mut self) {
        drop(self.client.take());
        // Lets the connection say good-bye, so that its transaction is over when this returns.
        self.runtime.block_on(async {
            for _ in 0..16 {
                tokio::task::yield_now().await;
            }
        });
    }
}

//! Keys as version 1 of the books kept them: a tree by stream and the key's own text.

use rusqlite::Connection;

use super::row::{LASTING, Row};
use super::{Keys, Noted, RECENT_MAX, number_of};
use crate::document::StreamName;
use crate::reason::Reason;
use crate::store::sqlite::failed;
use crate::store::{StoreError, keys};

/// Takes the keys over, and removes that table.
pub(in crate::store::sqlite) fn migrate(connection: &Connection) -> Result<(), StoreError> {
    let sql = r#"SELECT stream, key, digest, "partition", "offset", at_ms FROM "_sluicegate_keys""#;
    let mut known = Keys::new(RECENT_MAX);
    let mut noted = Noted::default();
    let mut stream: Option<(StreamName, u32)> = None;
    {
        let mut statement = connection.prepare(sql).map_err(failed)?;
        let mut found = statement.query([]).map_err(failed)?;
        while let Some(row) = found.next().map_err(failed)? {
            let name = row.get_ref(0).and_then(|name| Ok(name.as_str()?)).map_err(failed)?;
            let number = match &stream {
                Some((known, number)) if known.as_str() == name => *number,
                _ => {
                    let name = StreamName::parse(name).map_err(|error| {
                        StoreError::stop(Reason::of("a key in the store's books cannot be read", error))
                    })?;
                    let number = number_of(connection, &name)?;
                    stream.insert((name, number)).1
                }
            };
            let read = || -> rusqlite::Result<Row> {
                let key = row.get_ref(1)?.as_str()?;
                let digest: [u8; 32] = row.get(2)?;
                let noted_ms = if keys::is_lasting(key) { LASTING } else { row.get(5)? };
                Ok(Row {
                    key: u128::from_be_bytes(keys::fingerprint(name, key)),
                    digest: u128::from_be_bytes(keys::shortened(&digest)),
                    stream: number,
                    partition: row.get(3)?,
                    offset: row.get(4)?,
                    noted_ms,
                })
            };
            noted.rows.push(read().map_err(failed)?);
            if noted.rows.len() == RECENT_MAX / 2 {
                known.save(connection, &std::mem::take(&mut noted))?;
            }
        }
    }
    known.save(connection, &noted)?;
    connection.execute_batch(r#"DROP TABLE "_sluicegate_keys""#).map_err(failed)
}

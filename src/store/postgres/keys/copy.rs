//! Keys copied in, in COPY's binary format.

use std::pin::Pin;

use bytes::{BufMut as _, BytesMut};
use futures_util::SinkExt as _;
use tokio_postgres::error::SqlState;
use tokio_postgres::{CopyInSink, Error};

use super::{Key, stream_number};
use crate::store::postgres::catalogue::quote;
use crate::store::postgres::connection::{Connection, silent};
use crate::store::postgres::error::failed;
use crate::store::{Document, StoreError};

/// What a binary COPY begins with: its signature, no flags, no extension.
const HEAD: &[u8] = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";

/// It ends with a row of -1 values.
const END: i16 = -1;

/// The bytes of a row: a count, and six values, each behind its length.
const ROW_BYTES: usize = 2 + 6 * 4 + 2 * 16 + 8 + 4 + 8 + 8;

/// Copies keys in. False when one of them is there already, or twice among them: then the transaction is broken.
pub(super) async fn copy(
    connection: &Connection,
    schema: &str,
    documents: &[Document<'_>],
    keys: &[Key],
) -> Result<bool, StoreError> {
    let sql = format!(
        r#"COPY {}."_sluicegate_key_rows" (key, digest, stream, "partition", "offset", noted_ms)
           FROM STDIN (FORMAT binary)"#,
        quote(schema)
    );
    let statement = connection.prepared(&sql).await?;
    let mut sink: Pin<Box<CopyInSink<BytesMut>>> =
        match connection.patient(connection.client().copy_in(&statement)).await {
            Ok(sink) => Box::pin(sink),
            Err(error) => {
                // What the client sends to end a COPY that never began would be answered a second time.
                connection.cut();
                return Err(error.map_or_else(silent, failed));
            }
        };
    let copied = connection.patient(async {
        sink.send(rows(documents, keys)).await?;
        sink.as_mut().finish().await
    });
    match copied.await {
        Ok(_) => Ok(true),
        Err(Some(error)) if is_known(&error) => Ok(false),
        Err(error) => Err(error.map_or_else(silent, failed)),
    }
}

fn rows(documents: &[Document<'_>], keys: &[Key]) -> BytesMut {
    let mut out = BytesMut::with_capacity(HEAD.len() + keys.len() * ROW_BYTES + 2);
    out.put_slice(HEAD);
    let mut stream = None;
    for key in keys {
        let document = &documents[key.index];
        let number = match stream {
            Some((name, number)) if name == document.stream => number,
            _ => stream.insert((document.stream, stream_number(document.stream.as_str()))).1,
        };
        out.put_i16(6);
        for bytes in [&key.key.0, &key.digest.0] {
            out.put_i32(16);
            out.put_slice(bytes);
        }
        out.put_i32(8);
        out.put_i64(number);
        out.put_i32(4);
        out.put_i32(document.position.partition);
        for value in [document.position.offset, key.noted_ms] {
            out.put_i32(8);
            out.put_i64(value);
        }
    }
    out.put_i16(END);
    out
}

/// Whether a row with this key is there.
fn is_known(error: &Error) -> bool {
    error
        .as_db_error()
        .is_some_and(|said| *said.code() == SqlState::UNIQUE_VIOLATION && said.table() == Some("_sluicegate_key_rows"))
}

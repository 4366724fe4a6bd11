//! Idempotency keys: a row for each, inserted in the order of the keys, so that two partitions wait for each other in one
//! direction only. The first commit wins.
//!
//! Keys that are believed to be new are copied in, which costs a third of an insert that looks first; where one is known
//! after all, the copy fails, and they are inserted one by one.

mod copy;
mod number;

use std::collections::{HashMap, HashSet};

use self::copy::copy;
pub(super) use self::number::{Number, stream_number};
use super::catalogue::quote;
use super::connection::{Connection, column};
use crate::clock;
use crate::document::Position;
use crate::store::keys::{Holder, fingerprint, noted_ms, shortened, verdict};
use crate::store::{Document, Fate, Idempotency, Refusal, StoreError};

/// Fewer are inserted at once: for them COPY's further answer costs more than it saves.
const COPY_MIN: usize = 32;

/// A key as its row has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key {
    pub(super) key: Number,
    /// The index of its document.
    index: usize,
    pub(super) digest: Number,
    pub(super) noted_ms: i64,
}

impl Key {
    fn of(index: usize, document: &Document<'_>, idempotency: &Idempotency<'_>, now_ms: i64) -> Self {
        let (key, digest, noted_ms) = of(document.stream.as_str(), idempotency.key, &idempotency.digest, now_ms);
        Key { key, index, digest, noted_ms }
    }
}

/// What is kept of a key and of the document it stands for, and when it was noted.
pub(super) fn of(stream: &str, key: &str, digest: &[u8; 32], now_ms: i64) -> (Number, Number, i64) {
    (Number(fingerprint(stream, key)), Number(shortened(digest)), noted_ms(key, now_ms))
}

/// Who has a key, and the digest of its document.
struct Noted {
    digest: Number,
    position: Position,
}

/// What became of the keys.
pub(super) enum Kept {
    /// They are noted; this is the fate of each document as far as its key decides it, and whether any was known.
    All { fates: Vec<Fate>, is_any_known: bool },
    /// One of them was known after all, and nothing is noted: what was made is to be undone, and the keys looked for first.
    Known,
}

/// Notes the documents' keys. `is_new` says that they are believed to be.
pub(super) async fn keep(
    connection: &Connection,
    schema: &str,
    documents: &[Document<'_>],
    is_new: bool,
) -> Result<Kept, Refusal> {
    let (mut fates, now_ms) = (vec![Fate::Applied; documents.len()], clock::now_ms());
    let key = |(index, document): (usize, &Document<'_>)| {
        document.idempotency.as_ref().map(|idempotency| Key::of(index, document, idempotency, now_ms))
    };
    let mut asked: Vec<Key> = documents.iter().enumerate().filter_map(key).collect();
    if asked.is_empty() {
        return Ok(Kept::All { fates, is_any_known: false });
    }
    asked.sort_unstable();
    let whole = |error: StoreError| Refusal::new(error.of_the_books_after_documents(), None);
    let mut firsts = asked.clone();
    firsts.dedup_by_key(|key| key.key);
    let taken = match is_new && firsts.len() >= COPY_MIN {
        true if !copy(connection, schema, documents, &firsts).await.map_err(whole)? => return Ok(Kept::Known),
        true => HashSet::new(),
        false => insert(connection, schema, documents, &firsts).await.map_err(whole)?,
    };
    let mut holders = match taken.is_empty() {
        true => HashMap::new(),
        false => find(connection, schema, documents, &taken).await.map_err(whole)?,
    };
    for first in firsts.iter().filter(|first| !taken.contains(&first.key)) {
        holders.insert(first.key, Noted { digest: first.digest, position: documents[first.index].position.clone() });
    }
    // In the documents' order, so that the first at fault is named.
    asked.sort_unstable_by_key(|key| key.index);
    for Key { key, index, digest, .. } in asked {
        let (Some(idempotency), Some(noted)) = (&documents[index].idempotency, holders.get(&key)) else { continue };
        let holder = Holder { position: noted.position.clone(), is_same: noted.digest == digest };
        let fate = verdict(documents[index].position, idempotency.key, Some(holder));
        fates[index] = fate.map_err(|error| Refusal::new(error, Some(index)))?;
    }
    Ok(Kept::All { fates, is_any_known: !taken.is_empty() })
}

/// Inserts the keys, and gives those that somebody has already.
async fn insert(
    connection: &Connection,
    schema: &str,
    documents: &[Document<'_>],
    keys: &[Key],
) -> Result<HashSet<Number>, StoreError> {
    let sql = format!(
        r#"INSERT INTO {}."_sluicegate_key_rows" (key, digest, stream, "partition", "offset", noted_ms)
           SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::int8[], $4::int4[], $5::int8[], $6::int8[])
           ON CONFLICT DO NOTHING RETURNING key"#,
        quote(schema)
    );
    let of = |key: &Key| &documents[key.index];
    let names: Vec<_> = keys.iter().map(|key| key.key).collect();
    let digests: Vec<_> = keys.iter().map(|key| key.digest).collect();
    let streams: Vec<_> = keys.iter().map(|key| stream_number(of(key).stream.as_str())).collect();
    let partitions: Vec<_> = keys.iter().map(|key| of(key).position.partition).collect();
    let offsets: Vec<_> = keys.iter().map(|key| of(key).position.offset).collect();
    let times: Vec<_> = keys.iter().map(|key| key.noted_ms).collect();
    let rows = connection.query(&sql, &[&names, &digests, &streams, &partitions, &offsets, &times]).await?;
    let mut taken: HashSet<Number> = names.into_iter().collect();
    for row in &rows {
        taken.remove(&column(row, 0)?);
    }
    Ok(taken)
}

/// Finds who has the keys.
async fn find(
    connection: &Connection,
    schema: &str,
    documents: &[Document<'_>],
    keys: &HashSet<Number>,
) -> Result<HashMap<Number, Noted>, StoreError> {
    let Some(first) = documents.first() else { return Ok(HashMap::new()) };
    let sql = format!(
        r#"SELECT key, digest, "partition", "offset" FROM {}."_sluicegate_key_rows" WHERE key = ANY($1::uuid[])"#,
        quote(schema)
    );
    let keys: Vec<_> = keys.iter().copied().collect();
    let mut holders = HashMap::new();
    for row in connection.query(&sql, &[&keys]).await? {
        let topic = first.position.topic.clone();
        let position = Position { topic, partition: column(&row, 2)?, offset: column(&row, 3)? };
        holders.insert(column(&row, 0)?, Noted { digest: column(&row, 1)?, position });
    }
    Ok(holders)
}

/// Notes the duplicates.
pub(super) async fn note_duplicates(
    connection: &Connection,
    schema: &str,
    documents: &[Document<'_>],
    fates: &[Fate],
) -> Result<(), StoreError> {
    let pairs = documents.iter().zip(fates).filter_map(|(document, fate)| match fate {
        Fate::Duplicate { of } => Some((document.position, of)),
        Fate::Applied => None,
    });
    let pairs: Vec<_> = pairs.collect();
    if pairs.is_empty() {
        return Ok(());
    }
    let sql = format!(
        r#"INSERT INTO {}."_sluicegate_duplicates"
           SELECT u.*, $6 FROM unnest($1::text[], $2::int4[], $3::int8[], $4::int4[], $5::int8[]) AS u
           ON CONFLICT DO NOTHING"#,
        quote(schema)
    );
    let topics: Vec<_> = pairs.iter().map(|(at, _)| at.topic.as_str()).collect();
    let partitions: Vec<_> = pairs.iter().map(|(at, _)| at.partition).collect();
    let offsets: Vec<_> = pairs.iter().map(|(at, _)| at.offset).collect();
    let of_partitions: Vec<_> = pairs.iter().map(|(_, of)| of.partition).collect();
    let of_offsets: Vec<_> = pairs.iter().map(|(_, of)| of.offset).collect();
    let now_ms = clock::now_ms();
    let values: [&(dyn tokio_postgres::types::ToSql + Sync); 6] =
        [&topics, &partitions, &offsets, &of_partitions, &of_offsets, &now_ms];
    connection.execute(&sql, &values).await.map(drop)
}

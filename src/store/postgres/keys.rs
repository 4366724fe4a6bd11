//! Idempotency keys: a row for each, inserted in the order of the keys, so that two partitions wait for each other in one
//! direction only. The first commit wins.

use std::collections::HashMap;

use super::catalogue::quote;
use super::connection::{Connection, column};
use crate::clock;
use crate::document::{Position, Receipt};
use crate::problem::ProblemType;
use crate::store::{Document, Fate, Refusal, StoreError};

/// Longer keys are kept as their digest: an index takes no more than a third of a page.
const KEY_BYTES_MAX: usize = 1024;

/// A key as it is kept. Its first byte stays: it tells whose keys are never pruned by age.
pub(super) fn kept(key: &str) -> Vec<u8> {
    match key.len() <= KEY_BYTES_MAX {
        true => key.as_bytes().to_vec(),
        false => [&key.as_bytes()[..1], b"\0sha256:", &crate::digest(key.as_bytes())].concat(),
    }
}

/// Who has a key.
struct Holder {
    digest: Vec<u8>,
    position: Position,
}

/// Notes the documents' keys. Gives the fate of each document as far as its key decides it.
pub(super) async fn keep(
    connection: &Connection,
    schema: &str,
    documents: &[Document<'_>],
) -> Result<Vec<Fate>, Refusal> {
    let mut fates = vec![Fate::Applied; documents.len()];
    let mut asked: Vec<(Vec<u8>, usize)> = Vec::new();
    for (index, document) in documents.iter().enumerate() {
        if let Some(idempotency) = &document.idempotency {
            asked.push((kept(idempotency.key), index));
        }
    }
    if asked.is_empty() {
        return Ok(fates);
    }
    asked.sort();
    let whole = |error| Refusal { error, at: None };
    let mut holders: HashMap<&[u8], Holder> = HashMap::new();
    let mut firsts: Vec<(&[u8], usize)> = Vec::new();
    for (key, index) in &asked {
        if firsts.last().is_none_or(|(last, _)| last != key) {
            firsts.push((key, *index));
        }
    }
    let taken = insert(connection, schema, documents, &firsts).await.map_err(whole)?;
    if !taken.is_empty() {
        holders = find(connection, schema, documents, &taken).await.map_err(whole)?;
    }
    for (key, index) in &firsts {
        if !taken.contains(key)
            && let Some(idempotency) = &documents[*index].idempotency
        {
            let holder = Holder { digest: idempotency.digest.to_vec(), position: documents[*index].position.clone() };
            holders.insert(key, holder);
        }
    }
    // In the documents' order, so that the first at fault is named.
    let mut in_order: Vec<_> = asked.iter().collect();
    in_order.sort_by_key(|(_, index)| *index);
    for (key, index) in in_order {
        let (document, Some(holder)) = (&documents[*index], holders.get(&**key)) else { continue };
        let Some(idempotency) = &document.idempotency else { continue };
        // A dead letter that is tried again has its key already.
        if holder.position == *document.position {
            continue;
        }
        if holder.digest != idempotency.digest {
            let receipt = Receipt(holder.position.clone());
            let detail = format!("the idempotency key {:?} stands for another document, {receipt}", idempotency.key);
            let error = StoreError::document(ProblemType::IdempotencyKeyReused, detail);
            return Err(Refusal { error, at: Some(*index) });
        }
        fates[*index] = Fate::Duplicate { of: holder.position.clone() };
    }
    Ok(fates)
}

/// Inserts the keys, and gives those that somebody has already.
async fn insert<'k>(
    connection: &Connection,
    schema: &str,
    documents: &[Document<'_>],
    keys: &[(&'k [u8], usize)],
) -> Result<Vec<&'k [u8]>, StoreError> {
    let sql = format!(
        r#"INSERT INTO {}."_sluicegate_keys" (stream, key, digest, "partition", "offset", at_ms)
           SELECT stream, key, digest, part, place, $6
           FROM unnest($1::text[], $2::bytea[], $3::bytea[], $4::int4[], $5::int8[]) AS u (stream, key, digest, part, place)
           ON CONFLICT DO NOTHING RETURNING key"#,
        quote(schema)
    );
    let of = |(_, index): &(&[u8], usize)| &documents[*index];
    let streams: Vec<_> = keys.iter().map(|key| of(key).stream.as_str()).collect();
    let names: Vec<_> = keys.iter().map(|(key, _)| *key).collect();
    let digest = |key: &(&[u8], usize)| of(key).idempotency.map_or(Vec::new(), |found| found.digest.to_vec());
    let digests: Vec<_> = keys.iter().map(digest).collect();
    let partitions: Vec<_> = keys.iter().map(|key| of(key).position.partition).collect();
    let offsets: Vec<_> = keys.iter().map(|key| of(key).position.offset).collect();
    let now_ms = clock::now_ms();
    let rows = connection.query(&sql, &[&streams, &names, &digests, &partitions, &offsets, &now_ms]).await?;
    let mut new = std::collections::HashSet::with_capacity(rows.len());
    for row in &rows {
        new.insert(column::<&[u8]>(row, 0)?);
    }
    Ok(names.into_iter().filter(|name| !new.contains(name)).collect())
}

/// Finds who has the keys.
async fn find<'k>(
    connection: &Connection,
    schema: &str,
    documents: &[Document<'_>],
    keys: &[&'k [u8]],
) -> Result<HashMap<&'k [u8], Holder>, StoreError> {
    let Some(first) = documents.first() else { return Ok(HashMap::new()) };
    let sql = format!(
        r#"SELECT u.at, k.digest, k."partition", k."offset" FROM unnest($2::bytea[]) WITH ORDINALITY AS u (key, at)
           JOIN {}."_sluicegate_keys" k ON k.stream = $1 AND k.key = u.key"#,
        quote(schema)
    );
    let mut holders = HashMap::new();
    for row in connection.query(&sql, &[&first.stream.as_str(), &keys]).await? {
        let at: i64 = column(&row, 0)?;
        let Some(key) = usize::try_from(at - 1).ok().and_then(|at| keys.get(at)) else { continue };
        let topic = first.position.topic.clone();
        let position = Position { topic, partition: column(&row, 2)?, offset: column(&row, 3)? };
        holders.insert(*key, Holder { digest: column(&row, 1)?, position });
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

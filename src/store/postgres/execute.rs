//! Runs made: long ones as COPY or as one joined statement, short ones as prepared statements that are sent without
//! waiting for each other.

use std::borrow::Cow;
use std::pin::Pin;

use bytes::BytesMut;
use futures_util::stream::FuturesOrdered;
use futures_util::{SinkExt as _, StreamExt as _};
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{CopyInSink, Error, Statement};

use super::connection::{Connection, lost_in_silence};
use super::error::{blamed, copy_line, refused};
use super::plans::{Bulk, Plan};
use super::runs::{Run, Runs};
use super::sql::cell;
use super::text::{Column, Parameter, fits, write_copy};
use crate::change::{Change, Value};
use crate::store::keyed::Keyed;
use crate::store::needs;
use crate::store::{Refusal, StoreError};

/// Runs at least so long are made at once: below, COPY's extra answers and a statement's planning cost more.
const BULK_MIN: usize = 6;

/// COPY's rows leave in pieces of this size, so that the server reads while we write.
const PIECE_BYTES: usize = 64 << 10;

/// Makes all runs. On failure some of it is made: the caller undoes it.
pub(super) async fn execute(connection: &Connection, runs: &Runs<'_, '_>) -> Result<(), Refusal> {
    let mut waiting: Vec<&Run<'_, '_>> = Vec::new();
    for run in &runs.runs {
        let is_long = run.changes.len() >= BULK_MIN;
        match &run.plan.bulk {
            Bulk::Copy { sql, statement } if is_long => {
                singly(connection, &waiting).await?;
                waiting.clear();
                let statement = prepared(connection, sql, statement).await?;
                copy(connection, run, &statement).await?;
            }
            _ => waiting.push(run),
        }
    }
    singly(connection, &waiting).await
}

/// The statement of a slot, prepared when it is needed first.
pub(super) async fn prepared(
    connection: &Connection,
    sql: &str,
    slot: &std::sync::OnceLock<Statement>,
) -> Result<Statement, Refusal> {
    if let Some(statement) = slot.get() {
        return Ok(statement.clone());
    }
    let made = connection.verdict(connection.client().prepare(sql)).await;
    let statement = made.map_err(|error| Refusal::new(error, None))?;
    Ok(slot.get_or_init(|| statement).clone())
}

/// The value of a cell as the column takes it.
fn admitted<'v>(plan: &Plan, number: usize, change: &'v Change<'_>) -> Result<Cow<'v, Value<'v>>, StoreError> {
    let Some(cell) = plan.bound.get(number).and_then(|at| cell(change, *at)) else {
        return Ok(Cow::Owned(Value::Null));
    };
    let Some(column_type) = &plan.admits[number] else { return Ok(Cow::Borrowed(&cell.value)) };
    let value = needs::admitted(column_type, &change.table, cell)?;
    Ok(Cow::Owned(value))
}

/// The values of a change, as its statement binds them.
pub(super) fn parameters<'v>(plan: &Plan, change: &'v Change<'_>) -> Result<Vec<Parameter<'v>>, StoreError> {
    (0..plan.bound.len()).map(|number| admitted(plan, number, change).map(Parameter)).collect()
}

/// Makes runs whose statements need no answer before the next is sent.
async fn singly(connection: &Connection, runs: &[&Run<'_, '_>]) -> Result<(), Refusal> {
    let mut sent = FuturesOrdered::new();
    for run in runs {
        let (client, plan) = (connection.client(), &run.plan);
        if let Bulk::Join { sql, types } = &plan.bulk
            && run.changes.len() >= BULK_MIN
            && let Some(columns) = columns(plan, types, &run.changes)?
        {
            sent.push_back(futures_util::future::Either::Left(async move {
                let typed: Vec<(&(dyn ToSql + Sync), Type)> =
                    columns.iter().map(|column| (column as &(dyn ToSql + Sync), column.array_type())).collect();
                client.execute_typed(sql, &typed).await.map_err(|error| (None, error))
            }));
            continue;
        }
        let statement = prepared(connection, &plan.single, &plan.statement).await?;
        for (document, change) in &run.changes {
            let values = parameters(plan, change).map_err(|error| Refusal::new(error, Some(*document)))?;
            let statement = statement.clone();
            sent.push_back(futures_util::future::Either::Right(async move {
                client.execute_raw(&statement, values).await.map_err(|error| (Some(*document), error))
            }));
        }
    }
    let all = async {
        while let Some(made) = sent.next().await {
            made?;
        }
        Ok(())
    };
    patient(connection, all).await
}

/// Waits for what was sent, and says which document was at fault.
async fn patient(
    connection: &Connection,
    all: impl Future<Output = Result<(), (Option<usize>, Error)>>,
) -> Result<(), Refusal> {
    let mut at = None;
    let made = connection.patient(async {
        all.await.map_err(|(document, error)| {
            at = document;
            error
        })
    });
    let made = made.await;
    made.map_err(|error| match error {
        Some(error) => Refusal::new(blamed(error), at),
        None => Refusal::new(lost_in_silence(), None),
    })
}

/// The values of a run as columns; none when one of them cannot travel so.
fn columns(plan: &Plan, types: &[Type], changes: &[(usize, Keyed<'_, '_>)]) -> Result<Option<Vec<Column>>, Refusal> {
    let mut columns: Vec<_> = types.iter().map(|element| Column::new(element.clone())).collect();
    for (document, change) in changes {
        for (number, column) in columns.iter_mut().enumerate() {
            let value = admitted(plan, number, change).map_err(|error| Refusal::new(error, Some(*document)))?;
            if !fits(&types[number], &value) {
                return Ok(None);
            }
            column.push(&value);
        }
    }
    Ok(Some(columns))
}

/// Copies rows in.
async fn copy(connection: &Connection, run: &Run<'_, '_>, statement: &Statement) -> Result<(), Refusal> {
    let begun = connection.patient(connection.client().copy_in(statement)).await;
    let mut sink: Pin<Box<CopyInSink<BytesMut>>> = match begun {
        Ok(sink) => Box::pin(sink),
        Err(error) => {
            // What the client sends to end a COPY that never began would be answered a second time.
            connection.cut();
            let error = error.map_or_else(lost_in_silence, blamed);
            return Err(Refusal::new(not_begun(error), None));
        }
    };
    let mut piece = BytesMut::with_capacity(PIECE_BYTES + 4096);
    for (document, change) in &run.changes {
        for number in 0..run.plan.bound.len() {
            if number > 0 {
                piece.extend_from_slice(b"\t");
            }
            let value = admitted(&run.plan, number, change).map_err(|error| Refusal::new(error, Some(*document)))?;
            write_copy(&value, &mut piece);
        }
        piece.extend_from_slice(b"\n");
        if piece.len() >= PIECE_BYTES {
            let full = std::mem::replace(&mut piece, BytesMut::with_capacity(PIECE_BYTES + 4096));
            if connection.patient(sink.send(full)).await.is_err() {
                break;
            }
        }
    }
    let finished = connection.patient(async {
        if !piece.is_empty() {
            sink.send(piece).await?;
        }
        sink.as_mut().finish().await
    });
    match finished.await {
        Ok(_) => Ok(()),
        Err(Some(error)) => {
            let line = copy_line(&error, &run.plan.table.name);
            let at = line.and_then(|line| run.changes.get(line.checked_sub(1)?)).map(|(document, _)| *document);
            Err(Refusal { at, ..refused(error) })
        }
        Err(None) => Err(Refusal::new(lost_in_silence(), None)),
    }
}

/// A COPY that was refused before a row was read: the connection is gone with it, and so is what is remembered of the table,
/// which is why it was begun.
fn not_begun(error: StoreError) -> StoreError {
    match error {
        StoreError::Document(problem) | StoreError::Contested(problem) => {
            StoreError::lost(format!("COPY is refused: {}", problem.detail))
        }
        other => other,
    }
}

//! Any number of rows in one answer: pieces on their way to a client who may be slow, or leave.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::StatusCode;
use bytes::Bytes;
use futures_util::stream;
use tokio::sync::mpsc;

use crate::http::answer::{Answer, with_type};
use crate::query::export::{Export, Form};
use crate::query::tables::Question;
use crate::reason::{Reason, chain};
use crate::service::Service;

/// An export is given up when the client takes nothing for so long.
const CLIENT_TIMEOUT: Duration = Duration::from_secs(60);

/// A piece of an export on its way to the client.
enum Piece {
    Rows(Bytes),
    /// Everything was sent. An answer that ends without it was cut short, and the client must see that.
    End,
}

/// Answers with all rows that are asked for.
pub(super) async fn answer(service: Arc<Service>, question: Question, form: Form) -> Answer {
    // Before the answer begins, so that what cannot be asked is a problem with its status.
    let export = Export::begin(question, form).await?;
    let (to_client, pieces) = mpsc::channel(1);
    let media_type = if form == Form::Csv { "text/csv; charset=utf-8" } else { "application/x-ndjson" };
    tokio::spawn(async move {
        if let Err(error) = run(&service, export, &to_client).await {
            tracing::warn!(error = chain(&error), "An export of rows was cut short.");
        }
    });
    let body = stream::unfold(pieces, |mut pieces| async {
        match pieces.recv().await {
            Some(Piece::Rows(bytes)) => Some((Ok(bytes), pieces)),
            Some(Piece::End) => None,
            None => Some((Err(io::Error::other("the export was cut short")), pieces)),
        }
    });
    Ok(with_type(StatusCode::OK, media_type, Body::from_stream(body)))
}

/// Sends piece after piece. Ends early without a word when the client is gone.
async fn run(service: &Service, mut export: Export, to_client: &mpsc::Sender<Piece>) -> Result<(), Reason> {
    let cut = |unanswered| Reason::of("the rest cannot be read", unanswered);
    while let Some(text) = export.next().await.map_err(cut)? {
        if !text.is_empty() {
            let is_sent = tokio::select! {
                sent = send(to_client, Piece::Rows(text.into())) => sent?,
                () = service.stopping() => return Err("the process ends".into()),
            };
            if !is_sent {
                return Ok(());
            }
        }
        if service.is_stopping() && export.has_more() {
            return Err("the process ends".into());
        }
    }
    send(to_client, Piece::End).await.map(drop)
}

/// Sends a piece; false when the client is gone.
async fn send(to_client: &mpsc::Sender<Piece>, piece: Piece) -> Result<bool, Reason> {
    match tokio::time::timeout(CLIENT_TIMEOUT, to_client.send(piece)).await {
        Ok(sent) => Ok(sent.is_ok()),
        Err(_) => Err(format!("the client took nothing for {} s", CLIENT_TIMEOUT.as_secs()).into()),
    }
}

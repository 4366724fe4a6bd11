//! Any number of rows in one answer, as CSV or one JSON object a line.
//!
//! The rows come page by page, each a statement of its own that begins behind the key of the last row: memory stays flat,
//! no snapshot is held while a slow client reads, and rows that are added meanwhile neither move nor repeat others.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderMap, StatusCode, header};
use bytes::Bytes;
use futures_util::stream;
use tokio::sync::{Semaphore, SemaphorePermit, mpsc};

use super::{csv, tables};
use crate::http::answer::{Answer, Failure, with_type};
use crate::media_type::{self, Accepted, Kind};
use crate::problem::ProblemType;
use crate::service::Service;
use crate::store::Store;
use crate::store::rows::{Page, RowQuery};

/// How many rows an export asks the store for at once: in the order of the key they are found where the last ones ended …
const PAGE_ROWS: usize = 1_000;

/// … and in another order the table may have to be sorted anew for each page.
const SORTED_PAGE_ROWS: usize = 10_000;

/// … of at most so many bytes, unless one row is larger: an export holds three of them while a slow client reads.
const PAGE_BYTES: usize = 1 << 20;

/// So many exports run at once. Each holds two pages in memory.
const EXPORTS_MAX: usize = 8;

/// An export is given up when the client takes nothing for so long.
const CLIENT_TIMEOUT: Duration = Duration::from_secs(60);

static EXPORTS: Semaphore = Semaphore::const_new(EXPORTS_MAX);

/// How rows are answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// A page, as one JSON object.
    Page,
    /// `text/csv`
    Csv,
    /// `application/x-ndjson`
    Lines,
}

impl Form {
    /// What the header `Accept` likes best of what there is; a page of JSON when it says nothing, or nothing of that.
    pub(super) fn asked(headers: &HeaderMap) -> Self {
        let mut best = (0.0, Form::Page);
        let accepts = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
        for Accepted { kind, quality } in accepts.flat_map(media_type::accepted) {
            let form = match kind {
                Some(Kind::Csv) => Form::Csv,
                Some(Kind::Lines) => Form::Lines,
                Some(Kind::Json) | None => Form::Page,
                Some(_) => continue,
            };
            if quality > best.0 {
                best = (quality, form);
            }
        }
        best.1
    }
}

/// A piece of an export on its way to the client.
enum Piece {
    Rows(Bytes),
    /// Everything was sent. An answer that ends without it was cut short, and the client must see that.
    End,
}

/// Answers with all rows that `query` asks for.
pub(super) async fn answer(service: Arc<Service>, store: Arc<dyn Store>, query: RowQuery, form: Form) -> Answer {
    let Ok(place) = EXPORTS.try_acquire() else {
        let detail = format!("{EXPORTS_MAX} exports are running");
        return Err(Failure::new(ProblemType::StoreUnavailable, detail).retry_after(5));
    };
    let mut export = Export { store, service, left: query.limit, query, form, _place: place };
    // Before the answer begins, so that what cannot be asked is a problem with its status.
    let first = export.page().await?;
    let (to_client, pieces) = mpsc::channel(1);
    let media_type = if form == Form::Csv { "text/csv; charset=utf-8" } else { "application/x-ndjson" };
    tokio::spawn(async move {
        if let Err(reason) = export.run(first, &to_client).await {
            tracing::warn!(reason, "An export of rows was cut short.");
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

struct Export {
    store: Arc<dyn Store>,
    service: Arc<Service>,
    query: RowQuery,
    form: Form,
    left: usize,
    _place: SemaphorePermit<'static>,
}

impl Export {
    async fn page(&mut self) -> Result<Page, Failure> {
        let page_rows = if self.query.order.is_empty() { PAGE_ROWS } else { SORTED_PAGE_ROWS };
        self.query.limit = self.left.min(page_rows);
        self.query.bytes_max = PAGE_BYTES;
        let page = tables::ask(Arc::clone(&self.store), self.query.clone()).await?;
        self.left -= page.rows.len();
        self.query.after.clone_from(&page.next);
        Ok(page)
    }

    /// Sends page after page. Ends early without a word when the client is gone.
    async fn run(mut self, first: Page, to_client: &mpsc::Sender<Piece>) -> Result<(), String> {
        let mut text = String::new();
        if self.form == Form::Csv {
            csv::header(self.query.select.iter().map(|selected| selected.name.as_str()), &mut text);
        }
        let mut page = first;
        loop {
            for row in &page.rows {
                match self.form {
                    Form::Csv => csv::row(row, &mut text),
                    _ => text.extend([row.as_str(), "\n"]),
                }
            }
            let is_last = page.next.is_none() || self.left == 0;
            drop(page);
            if !text.is_empty() {
                let rows = Piece::Rows(std::mem::take(&mut text).into());
                let is_sent = tokio::select! {
                    sent = send(to_client, rows) => sent?,
                    () = self.service.stopping() => return Err("the process ends".into()),
                };
                if !is_sent {
                    return Ok(());
                }
            }
            if is_last {
                return send(to_client, Piece::End).await.map(drop);
            }
            if self.service.is_stopping() {
                return Err("the process ends".into());
            }
            page = self.page().await.map_err(|failure| failure.problem.to_string())?;
        }
    }
}

/// Sends a piece; false when the client is gone.
async fn send(to_client: &mpsc::Sender<Piece>, piece: Piece) -> Result<bool, String> {
    match tokio::time::timeout(CLIENT_TIMEOUT, to_client.send(piece)).await {
        Ok(sent) => Ok(sent.is_ok()),
        Err(_) => Err(format!("the client took nothing for {} s", CLIENT_TIMEOUT.as_secs())),
    }
}

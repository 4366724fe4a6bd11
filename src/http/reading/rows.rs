//! Tables and their rows: a page as JSON, or all rows as CSV or one JSON object a line.

use axum::http::{HeaderMap, StatusCode, header};

use super::{export, link};
use crate::http::answer::{Answer, json, ok};
use crate::http::room;
use crate::http::table::Call;
use crate::media_type::{self, Accepted, Kind};
use crate::query::export::Form;
use crate::query::parameters;
use crate::query::tables::{self, Question};
use crate::query_string::encode;
use crate::store::rows::ROW_BYTES_MAX;

/// `GET /v1/tables`
pub(in crate::http) async fn tables(call: Call) -> Answer {
    Ok(ok(&tables::list(&call.service).await?))
}

/// `GET /v1/tables/{table}`
pub(in crate::http) async fn table(call: Call) -> Answer {
    Ok(ok(&tables::show(&call.service, &call.name).await?))
}

/// `GET /v1/tables/{table}/rows`
pub(in crate::http) async fn rows(call: Call) -> Answer {
    let parameters = parameters::read(call.request.uri().query())?;
    let form = asked(call.request.headers());
    let question = Question::read(&call.service, &call.name, &parameters, form.is_some()).await?;
    match form {
        None => page(question, &parameters).await,
        Some(form) => export::answer(call.service, question, form).await,
    }
}

async fn page(question: Question, parameters: &[(String, String)]) -> Answer {
    let path = rows_of(question.table());
    let mut room = room::room(ROW_BYTES_MAX).await?;
    let mut rows = question.page().await?;
    rows.next = rows.next.map(|after| link(&path, parameters, &after)).transpose()?;
    let text = rows.into_json();
    room.shrink(text.len());
    Ok(room::keep(json(StatusCode::OK, text), room))
}

/// The address of a table's rows.
pub(super) fn rows_of(table: &str) -> String {
    format!("/v1/tables/{}/rows", encode(table))
}

/// The form that the header `Accept` likes best of what there is; a page of JSON when it says nothing, or nothing of that.
fn asked(headers: &HeaderMap) -> Option<Form> {
    let mut best = (0.0, None);
    let accepts = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    for Accepted { kind, quality } in accepts.flat_map(media_type::accepted) {
        let form = match kind {
            Some(Kind::Csv) => Some(Form::Csv),
            Some(Kind::Lines) => Some(Form::Lines),
            Some(Kind::Json) | None => None,
            Some(_) => continue,
        };
        if quality > best.0 {
            best = (quality, form);
        }
    }
    best.1
}

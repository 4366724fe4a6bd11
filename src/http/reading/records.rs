//! `POST /api/v1/query_unstructured_data` and `POST /api/v1/query_relational_data`

use axum::http::{HeaderMap, HeaderValue, StatusCode, header};

use super::link;
use super::rows::rows_of;
use crate::http::answer::{Answer, Failure, json};
use crate::http::table::Call;
use crate::http::{body, room};
use crate::media_type;
use crate::problem::ProblemType;
use crate::query::records::{self, Asked, By};
use crate::store::rows::ROW_BYTES_MAX;

/// The largest question.
const QUESTION_BYTES_MAX: usize = 64 << 10;

/// Records by a member of their document.
pub(in crate::http) async fn unstructured(call: Call) -> Answer {
    answer(call, By::Member).await
}

/// Records by their columns.
pub(in crate::http) async fn relational(call: Call) -> Answer {
    answer(call, By::Columns).await
}

async fn answer(Call { service, request, .. }: Call, by: By) -> Answer {
    // Before anything is read of a body that nobody would answer.
    records::answering(&service)?;
    let (head, body) = request.into_parts();
    check_type(&head.headers)?;
    let body = body::read(&service, &head, body, QUESTION_BYTES_MAX).await?;
    let asked = Asked::read(&service, by, &body.bytes)?;
    let question = asked.question(&service).await?;
    let path = rows_of(question.table());
    let mut room = room::room(ROW_BYTES_MAX).await?;
    let mut rows = records::found(question).await?;
    let next = rows.next.take();
    let text = rows.into_list();
    room.shrink(text.len());
    let mut response = room::keep(json(StatusCode::OK, text), room);
    if let Some(after) = next {
        // A list has no place for a link, so it stands where the web puts it (RFC 8288). Encoded, it is plain ASCII.
        let link = format!("<{}>; rel=\"next\"", link(&path, asked.parameters(), &after)?);
        response.headers_mut().extend(HeaderValue::from_str(&link).map(|link| (header::LINK, link)));
    }
    Ok(response)
}

fn check_type(headers: &HeaderMap) -> Result<(), Failure> {
    let Some(said) = headers.get(header::CONTENT_TYPE) else { return Ok(()) };
    let said = said.to_str().unwrap_or_default();
    let media = media_type::read(said);
    if said.is_empty() || media.is_json() && media.is_utf8 {
        return Ok(());
    }
    let detail = format!("Content-Type is {said:?}; this takes application/json in UTF-8");
    Err(Failure::new(ProblemType::UnsupportedMediaType, detail).with("accept", "application/json"))
}

//! `POST /api/v1/query_unstructured_data` and `POST /api/v1/query_relational_data`: the records of the stream that says
//! `queries: true`, by a member of the document or by columns.
//!
//! Both are questions about rows as any other; this is only another way to write them.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, Response, StatusCode, header};

use super::parameters::bad;
use super::postgrest::{holds_nul, plan};
use super::quoting::in_quotes;
use super::tables::{ask, joined, link};
use crate::http::answer::{Answer, Failure, json as json_answer, respond};
use crate::http::body;
use crate::http::room;
use crate::json::{Duplicates, Json, Path, Reader};
use crate::media_type;
use crate::near;
use crate::problem::ProblemType;
use crate::service::Service;
use crate::store::rows::{PAGE_ROWS_MAX, Page, ROW_BYTES_MAX};
use crate::stream::Target;

/// The largest question.
const QUESTION_BYTES_MAX: usize = 64 << 10;

type Parameters = Vec<(String, String)>;

/// `{"key": "city", "value": "Oslo"}`: the records whose document has this member with this value.
pub async fn unstructured(State(service): State<Arc<Service>>, request: Request) -> Response<Body> {
    respond(answer(&service, request, by_member).await)
}

/// `{"name": "george", "age": 24}`: the records whose columns have these values.
pub async fn relational(State(service): State<Arc<Service>>, request: Request) -> Response<Body> {
    respond(answer(&service, request, by_columns).await)
}

async fn answer(service: &Service, request: Request, read: fn(&str, &str) -> Result<Parameters, Failure>) -> Answer {
    let table = service.streams.iter().find(|served| served.stream.queries).map(|served| &served.stream.table);
    let Some(Target::Records { table, document_column, .. }) = table else {
        let detail = "no stream answers this; one does that has a `table` and says `queries: true`";
        return Err(Failure::new(ProblemType::NotFound, detail));
    };
    let (head, body) = request.into_parts();
    check_type(&head.headers)?;
    let body = body::read(service, &head, body, QUESTION_BYTES_MAX).await?;
    let text = std::str::from_utf8(&body.bytes).map_err(|_| not_json("the body is not UTF-8"))?;
    let parameters = read(text, document_column)?;

    let store = super::shared_store(service)?;
    // Before the first record there is no table, and nothing to find.
    let Some((listed, columns)) = store.rows().find(table).await? else { return Err(none()) };
    if !service.readable().shows(&listed) {
        return Err(Failure::new(ProblemType::UnknownTable, format!("there is no table {table:?}")));
    }
    let mut query = plan(&listed.name, &columns, &parameters, false)?;
    query.limit = PAGE_ROWS_MAX;
    let mut room = room::room(ROW_BYTES_MAX).await?;
    let Page { rows, next } = ask(store, query).await?;
    if rows.is_empty() {
        return Err(none());
    }
    let text = joined("[", rows, "]");
    room.shrink(text.len());
    let mut response = room::keep(json_answer(StatusCode::OK, text), room);
    if let Some(after) = next {
        // A list has no place for a link, so it stands where the web puts it (RFC 8288). Encoded, it is plain ASCII.
        let link = format!("<{}>; rel=\"next\"", link(table, &parameters, &after)?);
        response.headers_mut().extend(HeaderValue::from_str(&link).map(|link| (header::LINK, link)));
    }
    Ok(response)
}

fn none() -> Failure {
    Failure::new(ProblemType::NotFound, "No records returned")
}

fn not_json(detail: impl Into<String>) -> Failure {
    Failure::new(ProblemType::NotJson, detail)
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

fn by_member(text: &str, document_column: &str) -> Result<Parameters, Failure> {
    let (mut key, mut value) = (None, None);
    for (name, found) in members(text)? {
        match (name.as_str(), found) {
            ("key", Found { is_text: true, plain, .. }) => key = Some(plain),
            ("key", found) => {
                return Err(bad("key", &format!("it must be the name of a member, as text; found {}", found.json)));
            }
            ("value", found) => value = Some(found.json),
            (other, _) => {
                let why = format!("there are key and value{}", near::hint(other, ["key", "value"].into_iter()));
                return Err(bad(other, &why));
            }
        }
    }
    let key = key.ok_or_else(|| bad("key", "it is missing; write {\"key\": \"city\", \"value\": \"Oslo\"}"))?;
    let value = value.ok_or_else(|| bad("value", "it is missing; write {\"key\": \"city\", \"value\": \"Oslo\"}"))?;
    Ok(vec![(format!("{}->{}", in_quotes(document_column), in_quotes(&key)), format!("eq.{value}"))])
}

fn by_columns(text: &str, _: &str) -> Result<Parameters, Failure> {
    let parameters: Vec<_> = members(text)?
        .into_iter()
        .map(|(name, found)| match found.json.as_str() {
            "null" => (in_quotes(&name), "is.null".to_owned()),
            _ => (in_quotes(&name), format!("eq.{}", found.plain)),
        })
        .collect();
    match parameters.is_empty() {
        true => Err(bad("name", "no column is named; write {\"name\": \"george\", \"age\": 24}")),
        false => Ok(parameters),
    }
}

/// A member's value: as JSON, and as text without the quotes of a string.
struct Found {
    json: String,
    plain: String,
    is_text: bool,
}

/// The members of the one object that `text` must be.
fn members(text: &str) -> Result<Vec<(String, Found)>, Failure> {
    /// The first member that is named twice somewhere.
    #[derive(Default)]
    struct Twice(Option<String>);
    impl Duplicates for Twice {
        fn duplicate(&mut self, path: &Path<'_>) {
            self.0.get_or_insert_with(|| path.to_string());
        }
    }

    let fault = |fault: crate::json::Fault| not_json(fault.to_string());
    let mut twice = Twice::default();
    let mut reader = Reader::new(text);
    let whole = reader.value(&Path::ROOT, &mut twice).map_err(fault)?;
    reader.finish().map_err(fault)?;
    if let Some(path) = twice.0 {
        return Err(bad(&path, "it is named twice"));
    }
    let Json::Object(object) = whole else {
        return Err(not_json(format!("a JSON object is wanted, not {}", whole.kind())));
    };
    if holds_nul(object) {
        return Err(bad("the body", "it holds the character U+0000, which no database can hold"));
    }
    let found = |(name, value): (std::borrow::Cow<'_, str>, Json<'_>)| {
        let is_text = matches!(value, Json::Text(_));
        let json = match &value {
            Json::Null => "null".to_owned(),
            Json::Text(text) => serde_json::Value::from(text.as_ref()).to_string(),
            other => super::csv::cell(other.clone()).unwrap_or_default(),
        };
        (name.into_owned(), Found { json, plain: super::csv::cell(value).unwrap_or_default(), is_text })
    };
    Ok(crate::json::members(object).into_iter().map(found).collect())
}

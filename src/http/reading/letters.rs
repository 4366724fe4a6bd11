//! Dead letters: listed, shown whole, tried again, mended and tried again, given up.

use axum::http::{StatusCode, header};

use super::link;
use crate::aside;
use crate::format::yaml;
use crate::http::answer::{Answer, Failure, json, ok};
use crate::http::table::Call;
use crate::http::{body, room};
use crate::media_type::{self, Kind};
use crate::query::{letters, parameters, retry};
use crate::store::rows::PAGE_BYTES_MAX;

/// `GET /v1/dead-letters`
pub(in crate::http) async fn list(call: Call) -> Answer {
    let parameters = parameters::read(call.request.uri().query())?;
    let filter = letters::filter(&parameters, letters::PAGE)?;
    let mut page = heavy(async { Ok(letters::list(&call.service, &filter).await?) }).await?;
    page.0.next = page.0.next.map(|after| link("/v1/dead-letters", &parameters, &after)).transpose()?;
    weighed(page)
}

/// `GET /v1/dead-letters/{id}`
pub(in crate::http) async fn show(call: Call) -> Answer {
    weighed(heavy(async { Ok(letters::show(&call.service, &call.name).await?) }).await?)
}

/// An answer that is made when there is room for it, twice: as it is kept and as it is answered.
async fn heavy<T>(answer: impl Future<Output = Result<T, Failure>>) -> Result<(T, room::Room), Failure> {
    let room = room::room(2 * PAGE_BYTES_MAX).await?;
    Ok((answer.await?, room))
}

fn weighed((answer, mut room): (impl serde::Serialize, room::Room)) -> Answer {
    let text = serde_json::to_string(&answer).unwrap_or_default();
    room.shrink(text.len());
    Ok(room::keep(json(StatusCode::OK, text), room))
}

/// `DELETE /v1/dead-letters/{id}`
pub(in crate::http) async fn remove(call: Call) -> Answer {
    Ok(ok(&retry::drop(&call.service, &call.name).await?))
}

/// `POST /v1/dead-letters/{id}/retry`; a body takes the document's place.
pub(in crate::http) async fn retry_one(Call { service, name, request, .. }: Call) -> Answer {
    let letter = letters::find(&service, &name).await?;
    let bytes_max = service.stream(letter.stream.as_str()).map_or(0, |served| served.stream.gate.document_bytes_max);
    let (head, body) = request.into_parts();
    let body = body::read(&service, &head, body, bytes_max).await?.bytes;
    let media_type = head.headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let is_yaml = media_type.is_some_and(|media| media_type::read(media).kind == Kind::Yaml);
    let mended = match (body.is_empty(), is_yaml) {
        (true, _) => None,
        (false, true) => Some(aside::run(usize::MAX, || yaml::to_json(&body, 1, bytes_max)).await??.into()),
        (false, false) => Some(body),
    };
    let retried = retry::one(&service, letter, mended).await?;
    Ok(ok(&retry::answer(&name, retried)?))
}

/// `POST /v1/dead-letters/retry`
pub(in crate::http) async fn retry_many(call: Call) -> Answer {
    let parameters = parameters::read(call.request.uri().query())?;
    let filter = letters::filter(&parameters, retry::RETRIES_MAX)?;
    Ok(ok(&retry::many(&call.service, &filter).await?))
}

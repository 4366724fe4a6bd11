//! Streams, and what became of a document.

use crate::http::answer::{Answer, ok};
use crate::http::table::Call;
use crate::query::{receipts, streams};

/// `GET /v1/streams`
pub(in crate::http) async fn list(call: Call) -> Answer {
    Ok(ok(&streams::list(&call.service)))
}

/// `GET /v1/streams/{stream}`
pub(in crate::http) async fn show(call: Call) -> Answer {
    Ok(ok(&streams::show(&call.service, &call.name)?))
}

/// `GET /v1/receipts/{receipt}`
pub(in crate::http) async fn receipt(call: Call) -> Answer {
    Ok(super::not_kept(ok(&receipts::find(&call.service, &call.name).await?)))
}

//! Rollups and their summaries.

use crate::http::answer::{Answer, ok};
use crate::http::table::Call;
use crate::query::{parameters, rollups};

/// `GET /v1/rollups`
pub(in crate::http) async fn list(call: Call) -> Answer {
    Ok(super::not_kept(ok(&rollups::list(&call.service).await?)))
}

/// `GET /v1/rollups/{rollup}`
pub(in crate::http) async fn summaries(call: Call) -> Answer {
    let parameters = parameters::read(call.request.uri().query())?;
    Ok(super::not_kept(ok(&rollups::summaries(&call.service, &call.name, &parameters).await?)))
}

/// `GET /v1/rollups/{rollup}/late`
pub(in crate::http) async fn late(call: Call) -> Answer {
    Ok(super::not_kept(ok(&rollups::late(&call.service, &call.name).await?)))
}

/// `GET /v1/rollups/{rollup}/{key}`
pub(in crate::http) async fn summary(call: Call) -> Answer {
    Ok(super::not_kept(ok(&rollups::summary(&call.service, &call.name, &call.second).await?)))
}

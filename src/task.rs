//! Where work that blocks its thread runs.

use std::future::Future;

use crate::store::StoreError;

/// Runs store work that may block, away from the threads that answer requests.
pub async fn blocking<T: Send + 'static>(
    work: impl Future<Output = Result<T, StoreError>> + Send + 'static,
) -> Result<T, StoreError> {
    let runtime = tokio::runtime::Handle::current();
    tokio::task::spawn_blocking(move || runtime.block_on(work))
        .await
        .map_err(|error| StoreError::Later(format!("a task failed: {error}")))?
}

//! Pushes the numbers to a Prometheus Pushgateway, as the text 0.0.4: it misreads OpenMetrics. One that is gone costs a warning
//! and nothing else.

use std::time::Duration;

use hyper::header::{CONTENT_TYPE, HOST};
use hyper::{Request, Uri};
use hyper_util::rt::TokioIo;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use tokio::net::TcpStream;

use super::Format;
use crate::shutdown::Stop;

/// A Pushgateway answers at once, or is as good as gone.
const TIMEOUT: Duration = Duration::from_secs(5);

/// When the process ends, it waits for the last push so long.
const LAST_TIMEOUT: Duration = Duration::from_secs(2);

/// The port of HTTP where the URL has none.
const PORT: u16 = 80;

/// Where numbers are pushed to, and how often.
#[derive(Debug, Clone)]
pub struct Push {
    /// The URL with job and grouping.
    pub target: String,
    /// How often.
    pub every: Duration,
}

/// Why a push failed.
#[derive(Debug, thiserror::Error)]
enum PushError {
    #[error("{0} is no http:// URL")]
    Url(String),
    #[error("it cannot be reached")]
    Unreachable(#[from] std::io::Error),
    #[error("it broke off")]
    Http(#[from] hyper::Error),
    #[error("the request cannot be made")]
    Request(#[from] hyper::http::Error),
    #[error("it answered {0}")]
    Refused(hyper::StatusCode),
    #[error("it did not answer within {} s", .0.as_secs())]
    Late(Duration),
}

/// The URL of a group: the job first, then the labels that tell it from others.
pub fn target<'l>(url: &str, job: &str, grouping: impl IntoIterator<Item = (&'l str, &'l str)>) -> String {
    let encode = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
    let mut target = format!("{url}/metrics/job/{}", encode(job));
    for (label, value) in grouping {
        target.push_str(&format!("/{label}/{}", encode(value)));
    }
    target
}

impl Push {
    /// Pushes what `text` gives until it is stopped, and then once more.
    pub async fn run<F: Future<Output = Option<String>>>(&self, text: impl Fn() -> F, stop: Stop) {
        let mut is_failing = false;
        while !stop.is_set() {
            self.push(&text, TIMEOUT, &mut is_failing).await;
            stop.wait_for(self.every).await;
        }
        self.push(&text, LAST_TIMEOUT, &mut is_failing).await;
    }

    async fn push<F: Future<Output = Option<String>>>(
        &self,
        text: &impl Fn() -> F,
        timeout: Duration,
        is_failing: &mut bool,
    ) {
        let Some(text) = text().await else { return };
        let pushed = tokio::time::timeout(timeout, put(&self.target, text)).await;
        let failed = pushed.unwrap_or(Err(PushError::Late(timeout))).err();
        // Once each, however long it lasts.
        match (&failed, *is_failing) {
            (Some(error), false) => {
                let error = error as &(dyn std::error::Error + 'static);
                tracing::warn!(error, url = self.target, "The numbers cannot be pushed; it is tried again.");
            }
            (None, true) => tracing::info!(url = self.target, "The numbers are pushed again."),
            _ => {}
        }
        *is_failing = failed.is_some();
    }
}

async fn put(target: &str, text: String) -> Result<(), PushError> {
    let uri: Uri = target.parse().map_err(|_| PushError::Url(target.to_owned()))?;
    let Some(host) = uri.host().filter(|_| uri.scheme_str() == Some("http")) else {
        return Err(PushError::Url(target.to_owned()));
    };
    let stream = TcpStream::connect((host.trim_matches(['[', ']']), uri.port_u16().unwrap_or(PORT))).await?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    let connection = tokio::spawn(connection);
    let request = Request::put(uri.path_and_query().map_or("/", |path| path.as_str()))
        .header(HOST, uri.authority().map_or(host, |authority| authority.as_str()))
        .header(CONTENT_TYPE, Format::Prometheus.media_type())
        .body(http_body_util::Full::new(bytes::Bytes::from(text)))?;
    let answer = sender.send_request(request).await?;
    connection.abort();
    match answer.status() {
        status if status.is_success() => Ok(()),
        status => Err(PushError::Refused(status)),
    }
}

//! TLS as libpq's `sslmode` names it, by rustls.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::str::FromStr;
use std::sync::Arc;

use rustls::ClientConfig;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_postgres::config::SslMode;
use tokio_postgres_rustls::MakeRustlsConnect;

use super::certificate::{Checked, Trust};
use crate::reason::Reason;
use crate::store::StoreError;

/// Where distributions keep the certificates they trust.
const SYSTEM_ROOTS: &[&str] = &[
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// What the URL says about TLS.
#[derive(Debug, Default)]
pub(super) struct Tls {
    pub(super) mode: Mode,
    pub(super) root: Option<String>,
    pub(super) certificate: Option<String>,
    pub(super) key: Option<String>,
}

/// libpq's `sslmode`.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    Disable,
    #[default]
    Prefer,
    Require,
    VerifyCa,
    VerifyFull,
}

impl FromStr for Mode {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Ok(match text {
            "disable" => Mode::Disable,
            "prefer" => Mode::Prefer,
            "require" => Mode::Require,
            "verify-ca" => Mode::VerifyCa,
            "verify-full" => Mode::VerifyFull,
            _ => return Err(format!("sslmode {text:?} is none of disable, prefer, require, verify-ca, verify-full")),
        })
    }
}

impl Mode {
    /// What is said to the server before certificates are looked at.
    pub(super) fn wire(self) -> SslMode {
        match self {
            Mode::Disable => SslMode::Disable,
            Mode::Prefer => SslMode::Prefer,
            Mode::Require | Mode::VerifyCa | Mode::VerifyFull => SslMode::Require,
        }
    }
}

/// Builds what makes a connection's TLS.
pub(super) fn connector(tls: &Tls) -> Result<MakeRustlsConnect, StoreError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| failed("rustls", error))?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(checked(tls, provider)?));
    let config = match (&tls.certificate, &tls.key) {
        (None, None) => builder.with_no_client_auth(),
        (Some(certificate), Some(key)) => {
            let chain = certificates("sslcert", certificate)?;
            let secret = PrivateKeyDer::from_pem_file(key).map_err(|error| failed(&format!("sslkey {key}"), error))?;
            builder
                .with_client_auth_cert(chain, secret)
                .map_err(|error| failed(&format!("sslcert {certificate} with sslkey {key}"), error))?
        }
        (None, Some(_)) => return Err(stop("sslkey has no certificate beside it: name one with sslcert".into())),
        (Some(_), None) => return Err(stop("sslcert has no key beside it: name one with sslkey".into())),
    };
    Ok(MakeRustlsConnect::new(config))
}

/// What is looked at in the server's certificate.
fn checked(tls: &Tls, provider: Arc<CryptoProvider>) -> Result<Checked, StoreError> {
    // With a root, `require` looks at the chain, as libpq does for compatibility.
    let is_chain_verified =
        matches!(tls.mode, Mode::VerifyCa | Mode::VerifyFull) || tls.mode == Mode::Require && tls.root.is_some();
    if !is_chain_verified {
        return Ok(Checked { provider, trust: None, is_name_verified: false });
    }
    let system = || SYSTEM_ROOTS.iter().copied().find(|path| Path::new(path).exists());
    let root = match tls.root.as_deref() {
        None | Some("system") => system(),
        named => named,
    };
    let Some(root) = root else {
        let places = SYSTEM_ROOTS.join(", ");
        return Err(stop(format!(
            "the store's certificate cannot be verified: there is none of {places}; name a file with sslrootcert"
        )));
    };
    let trust = Trust::new(certificates("sslrootcert", root)?)
        .map_err(|error| failed(&format!("sslrootcert {root}"), error))?;
    Ok(Checked { provider, trust: Some(trust), is_name_verified: tls.mode == Mode::VerifyFull })
}

/// Reads the certificates of a PEM file.
fn certificates(parameter: &str, path: &str) -> Result<Vec<CertificateDer<'static>>, StoreError> {
    let what = || format!("{parameter} {path}");
    let read: Result<Vec<_>, _> = CertificateDer::pem_reader_iter(opened(&what(), path)?).collect();
    let found = read.map_err(|error| failed(&what(), error))?;
    if found.is_empty() {
        return Err(stop(format!(
            "TLS for the store cannot be set up: {}: the file holds no certificate (PEM)",
            what()
        )));
    }
    Ok(found)
}

fn opened(what: &str, path: &str) -> Result<impl BufRead + use<>, StoreError> {
    crate::disk::open(path.as_ref()).map(BufReader::new).map_err(|error| failed(what, error))
}

fn failed(what: &str, error: impl std::error::Error + Send + Sync + 'static) -> StoreError {
    StoreError::stop(Reason::of(format!("TLS for the store cannot be set up: {what}"), error))
}

fn stop(words: String) -> StoreError {
    StoreError::stop(words)
}

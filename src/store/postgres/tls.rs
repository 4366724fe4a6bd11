//! TLS as libpq's `sslmode` names it, by OpenSSL.

use std::path::Path;
use std::str::FromStr;

use openssl::ssl::{SslConnector, SslFiletype, SslMethod, SslVerifyMode};
use postgres_openssl::MakeTlsConnector;
use tokio_postgres::config::SslMode;

use crate::store::StoreError;

/// Where distributions keep the certificates they trust. The OpenSSL in this program knows none of these places itself.
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
pub(super) fn connector(tls: &Tls) -> Result<MakeTlsConnector, StoreError> {
    let failed = |what: &str, error: openssl::error::ErrorStack| {
        StoreError::Stop(format!("TLS for the store cannot be set up: {what}: {error}"))
    };
    let mut builder = SslConnector::builder(SslMethod::tls_client()).map_err(|error| failed("OpenSSL", error))?;
    // With a root, `require` looks at the chain, as libpq does for compatibility.
    let is_chain_verified =
        matches!(tls.mode, Mode::VerifyCa | Mode::VerifyFull) || tls.mode == Mode::Require && tls.root.is_some();
    if is_chain_verified {
        let system = || SYSTEM_ROOTS.iter().copied().find(|path| Path::new(path).exists());
        let root = match tls.root.as_deref() {
            None | Some("system") => system(),
            named => named,
        };
        let Some(root) = root else {
            let places = SYSTEM_ROOTS.join(", ");
            return Err(StoreError::Stop(format!(
                "the store's certificate cannot be verified: there is none of {places}; name a file with sslrootcert"
            )));
        };
        let unreadable = |error| StoreError::Stop(format!("sslrootcert {root} cannot be read: {error}"));
        crate::disk::open(root.as_ref()).map_err(unreadable)?;
        builder.set_ca_file(root).map_err(|error| failed(&format!("sslrootcert {root}"), error))?;
        builder.set_verify(SslVerifyMode::PEER);
    } else {
        builder.set_verify(SslVerifyMode::NONE);
    }
    if let Some(certificate) = &tls.certificate {
        builder
            .set_certificate_chain_file(certificate)
            .map_err(|error| failed(&format!("sslcert {certificate}"), error))?;
    }
    if let Some(key) = &tls.key {
        builder.set_private_key_file(key, SslFiletype::PEM).map_err(|error| failed(&format!("sslkey {key}"), error))?;
    }
    let mut connector = MakeTlsConnector::new(builder.build());
    let is_name_verified = tls.mode == Mode::VerifyFull;
    connector.set_callback(move |connect, _| {
        connect.set_verify_hostname(is_name_verified);
        Ok(())
    });
    Ok(connector)
}

//! What is looked at in a server's certificate: nothing, who signed it, or also whose name it bears.
//!
//! That the server holds the certificate's key is always looked at.

use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{verify_server_cert_signed_by_trust_anchor, verify_server_name};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};

/// The certificates that are trusted.
#[derive(Debug)]
pub(super) struct Trust {
    roots: RootCertStore,
    certificates: Vec<CertificateDer<'static>>,
}

impl Trust {
    /// Fails when there is not one among them that a chain could end with.
    pub(super) fn new(certificates: Vec<CertificateDer<'static>>) -> Result<Self, Error> {
        let mut roots = RootCertStore::empty();
        let mut refused = None;
        for certificate in &certificates {
            // A system's bundle may hold some that are of no use.
            if let Err(error) = roots.add(certificate.clone()) {
                refused = Some(error);
            }
        }
        match refused.filter(|_| roots.is_empty()) {
            Some(error) => Err(error),
            None => Ok(Trust { roots, certificates }),
        }
    }
}

/// Looks at a server's certificate.
#[derive(Debug)]
pub(super) struct Checked {
    pub(super) provider: Arc<CryptoProvider>,
    /// Who may have signed it; none: anybody.
    pub(super) trust: Option<Trust>,
    pub(super) is_name_verified: bool,
}

impl ServerCertVerifier for Checked {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let Some(trust) = &self.trust else { return Ok(ServerCertVerified::assertion()) };
        let certificate = ParsedCertificate::try_from(end_entity)?;
        let algorithms = self.provider.signature_verification_algorithms.all;
        match verify_server_cert_signed_by_trust_anchor(&certificate, &trust.roots, intermediates, now, algorithms) {
            // A server that shows the very certificate that is trusted, as one does that signed its own: PostgreSQL's manual
            // makes such, and marks them as an authority's. The time was looked at before.
            Err(error) if is_authority(&error) && trust.certificates.iter().any(|known| known == end_entity) => {}
            other => other?,
        }
        if self.is_name_verified {
            verify_server_name(&certificate, server_name)?;
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signed, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signed, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

/// Whether all that is wrong is that the certificate is an authority's. rustls has no variant of its own for that.
fn is_authority(error: &Error) -> bool {
    matches!(error, Error::InvalidCertificate(CertificateError::Other(cause)) if cause.to_string().contains("CaUsedAsEndEntity"))
}

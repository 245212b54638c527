//! Which server certificates are trusted: what a root vouches for, and a certificate that is a root itself.

use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{VerifierBuilderError, WebPkiServerVerifier, verify_server_name};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, DigitallySignedStruct, Error, OtherError, RootCertStore, SignatureScheme};

/// Verifies as rustls does, and also accepts a server whose certificate is itself an added root.
///
/// `openssl req -x509` makes self-signed certificates that are marked as authorities. RFC 5280 lets no authority be a
/// server, so rustls refuses them even as a root. Other clients accept them, and that is safe: only the owner of the
/// trusted key can sign the handshake.
#[derive(Debug)]
pub struct Trust {
    by_root: Arc<WebPkiServerVerifier>,
    added: Vec<CertificateDer<'static>>,
}

impl Trust {
    /// Trusts the public roots and `added`.
    pub fn new(
        added: &[CertificateDer<'static>],
        provider: Arc<CryptoProvider>,
    ) -> Result<Trust, VerifierBuilderError> {
        let mut store = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
        store.add_parsable_certificates(added.iter().cloned());
        let by_root = WebPkiServerVerifier::builder_with_provider(Arc::new(store), provider).build()?;
        Ok(Trust { by_root, added: added.to_vec() })
    }
}

impl ServerCertVerifier for Trust {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        match self.by_root.verify_server_cert(certificate, intermediates, name, ocsp_response, now) {
            Err(error) if is_an_authority(&error) => {
                if !self.added.iter().any(|added| added == certificate) {
                    return Err(CertificateError::UnknownIssuer.into());
                }
                verify_server_name(&ParsedCertificate::try_from(certificate)?, name)?;
                Ok(ServerCertVerified::assertion())
            }
            verdict => verdict,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.by_root.verify_tls12_signature(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.by_root.verify_tls13_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.by_root.supported_verify_schemes()
    }
}

/// Whether a certificate was refused for being an authority's. webpki checks the dates first, so they are valid; a test
/// makes sure of it.
fn is_an_authority(error: &Error) -> bool {
    matches!(error, Error::InvalidCertificate(CertificateError::Other(OtherError(inner)))
        if inner.to_string() == "CaUsedAsEndEntity")
}

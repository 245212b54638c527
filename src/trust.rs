//! Which server certificates are trusted: what a root vouches for, and a certificate that is a root itself.

use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{VerifierBuilderError, WebPkiServerVerifier, verify_server_name};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, DigitallySignedStruct, Error, OtherError, RootCertStore, SignatureScheme};

/// Verifies as rustls does, and also accepts a server whose certificate is itself one of the user's roots.
///
/// `openssl req -x509` makes self-signed certificates that are marked as authorities. RFC 5280 lets no authority be a
/// server, so rustls refuses them even as a root. Other clients accept them, and that is safe: only the owner of the
/// trusted key can sign the handshake.
#[derive(Debug)]
pub struct Trust {
    by_root: Arc<WebPkiServerVerifier>,
    /// The roots that the user gave.
    own: Vec<CertificateDer<'static>>,
    takes_any_name: bool,
}

impl Trust {
    /// Trusts `roots`, of which `own` are the user's.
    pub fn new(
        roots: RootCertStore,
        own: Vec<CertificateDer<'static>>,
        provider: Arc<CryptoProvider>,
    ) -> Result<Trust, VerifierBuilderError> {
        let by_root = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider).build()?;
        Ok(Trust { by_root, own, takes_any_name: false })
    }

    /// Accepts a certificate whatever name it is for.
    pub fn of_any_name(self, takes_any_name: bool) -> Trust {
        Trust { takes_any_name, ..self }
    }

    /// A self-signed certificate, whose dates are known to be good.
    fn verify_own(&self, certificate: &CertificateDer<'_>, name: &ServerName<'_>) -> Result<ServerCertVerified, Error> {
        if !self.own.iter().any(|own| own == certificate) {
            return Err(CertificateError::UnknownIssuer.into());
        }
        verify_server_name(&ParsedCertificate::try_from(certificate)?, name)?;
        Ok(ServerCertVerified::assertion())
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
        let verdict = match self.by_root.verify_server_cert(certificate, intermediates, name, ocsp_response, now) {
            Err(error) if is_an_authority(&error) => self.verify_own(certificate, name),
            verdict => verdict,
        };
        match verdict {
            // The name is looked at last, when all else is verified.
            Err(Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) if self.takes_any_name => Ok(ServerCertVerified::assertion()),
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

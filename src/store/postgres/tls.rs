//! TLS to the server: always verified.

use std::path::Path;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{WebPkiServerVerifier, verify_server_name};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, OtherError, RootCertStore, SignatureScheme,
};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::address::{Encryption, Server};
use crate::store::{Result, StoreError};

/// What opens TLS as the server's address asks for it.
pub fn connector(server: &Server) -> Result<MakeRustlsConnect> {
    let fail = |reason: String| StoreError::Refused(format!("TLS to {server} cannot be set up: {reason}"));
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let (roots, own) = roots(server.root_certificate.as_deref()).map_err(fail)?;
    let by_root = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider))
        .build()
        .map_err(|error| fail(error.to_string()))?;
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| fail(error.to_string()))?;
    let verifier = Arc::new(Verifier { by_root, own, takes_any_name: server.encryption == Encryption::Authority });
    let config = builder.dangerous().with_custom_certificate_verifier(verifier).with_no_client_auth();
    Ok(MakeRustlsConnect::new(config))
}

/// The roots to trust, and those of them that a file names.
fn roots(file: Option<&Path>) -> std::result::Result<(RootCertStore, Vec<CertificateDer<'static>>), String> {
    let mut own = Vec::new();
    let mut store = RootCertStore::empty();
    match file {
        None => store.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned()),
        Some(file) if file == Path::new("system") => {
            store.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        }
        Some(file) => {
            let shown = file.display();
            let pem = std::fs::read(file).map_err(|error| format!("sslrootcert {shown}: {error}"))?;
            for certificate in CertificateDer::pem_slice_iter(&pem) {
                let certificate = certificate.map_err(|error| format!("sslrootcert {shown} is not PEM: {error:?}"))?;
                store.add(certificate.clone()).map_err(|error| format!("sslrootcert {shown}: {error}"))?;
                own.push(certificate);
            }
        }
    }
    if store.is_empty() { Err("there is no root certificate to trust".to_owned()) } else { Ok((store, own)) }
}

/// Verifies that a trusted root vouches for the certificate, and by `sslmode=verify-ca` no more than that. A certificate that
/// is itself a root of the file is accepted too: `openssl req -x509` makes those, and many servers have one.
#[derive(Debug)]
struct Verifier {
    by_root: Arc<WebPkiServerVerifier>,
    own: Vec<CertificateDer<'static>>,
    takes_any_name: bool,
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> std::result::Result<ServerCertVerified, Error> {
        match self.by_root.verify_server_cert(certificate, intermediates, name, ocsp_response, now) {
            // The name is looked at last, when all else is verified.
            Err(Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) if self.takes_any_name => Ok(ServerCertVerified::assertion()),
            // Said once its dates are known to be good. Only the owner of the trusted key can sign the handshake.
            Err(error) if is_an_authority(&error) && self.own.iter().any(|own| own == certificate) => {
                if !self.takes_any_name {
                    verify_server_name(&ParsedCertificate::try_from(certificate)?, name)?;
                }
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
    ) -> std::result::Result<HandshakeSignatureValid, Error> {
        self.by_root.verify_tls12_signature(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> std::result::Result<HandshakeSignatureValid, Error> {
        self.by_root.verify_tls13_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.by_root.supported_verify_schemes()
    }
}

/// Whether a certificate was refused for being an authority's, which RFC 5280 lets be no server.
fn is_an_authority(error: &Error) -> bool {
    matches!(error, Error::InvalidCertificate(CertificateError::Other(OtherError(inner)))
        if inner.to_string() == "CaUsedAsEndEntity")
}

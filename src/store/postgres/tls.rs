//! TLS to the server: always verified.

use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::address::{Encryption, Server};
use crate::store::{Result, StoreError};
use crate::trust::Trust;

/// What opens TLS as the server's address asks for it.
pub fn connector(server: &Server) -> Result<MakeRustlsConnect> {
    let fail = |reason: String| StoreError::Refused(format!("TLS to {server} cannot be set up: {reason}"));
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let (roots, own) = roots(server.root_certificate.as_deref()).map_err(fail)?;
    let trust = Trust::new(roots, own, Arc::clone(&provider)).map_err(|error| fail(error.to_string()))?;
    let trust = trust.of_any_name(server.encryption == Encryption::Authority);
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| fail(error.to_string()))?;
    let config = builder.dangerous().with_custom_certificate_verifier(Arc::new(trust)).with_no_client_auth();
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

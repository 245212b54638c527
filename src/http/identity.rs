//! Client certificates and their keys.

use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use rustls::{Error, InconsistentKeys};
use x509_cert::certificate::Version;
use x509_cert::der::Decode;

use super::egress::ClientPem;
use super::target::ClientError;
use crate::domain::time::Timestamp;

/// Reads a certificate and its key, and checks that they belong together.
pub fn certified_key(pem: &ClientPem, provider: &CryptoProvider) -> Result<CertifiedKey, ClientError> {
    let chain = certificates(&pem.certificate)?;
    let refused = |reason: &str| ClientError::ClientKey(reason.to_owned());
    let is_encrypted = |text: &str| text.contains("ENCRYPTED");
    let key = PrivateKeyDer::from_pem_slice(pem.key.bytes()).map_err(|_| match is_encrypted(&pem.key.expose()) {
        true => refused("it is protected by a passphrase; remove it: openssl pkey -in FILE -out key.pem"),
        false => refused("it holds no PEM private key (-----BEGIN PRIVATE KEY-----)"),
    })?;
    CertifiedKey::from_der(chain, key, provider).map_err(|error| match error {
        Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => {
            refused("it is not the key of the client certificate; give the pair that was issued together")
        }
        Error::InvalidCertificate(_) => ClientError::ClientCertificate(match version(&pem.certificate) {
            Ok(Version::V3) => "it is no certificate that TLS can present".to_owned(),
            Ok(_) => {
                "it is of an old version of X.509, and TLS takes version 3 alone; have it issued with an extension, \
                      such as keyUsage"
                    .to_owned()
            }
            Err(_) => "it cannot be read".to_owned(),
        }),
        _ => refused("it is not an RSA, ECDSA (P-256, P-384) or Ed25519 key"),
    })
}

/// Whether a client certificate and its key are usable at that time.
pub fn check_client(pem: &ClientPem, now: Timestamp) -> Result<(), ClientError> {
    certified_key(pem, &rustls::crypto::ring::default_provider())?;
    let (from, until) = validity(&pem.certificate)?;
    if now < from {
        return Err(ClientError::ClientCertificate(format!("it is not valid before {}", from.rfc3339())));
    }
    if now >= until {
        return Err(ClientError::ClientCertificate(format!("it expired at {}; give its successor", until.rfc3339())));
    }
    Ok(())
}

pub fn client_cert_expiry(pem: &str) -> Option<Timestamp> {
    validity(pem).ok().map(|(_, until)| until)
}

fn certificates(pem: &str) -> Result<Vec<CertificateDer<'static>>, ClientError> {
    let chain = CertificateDer::pem_slice_iter(pem.as_bytes()).collect::<Result<Vec<_>, _>>().unwrap_or_default();
    match chain.is_empty() {
        true => {
            Err(ClientError::ClientCertificate("it holds no PEM certificate (-----BEGIN CERTIFICATE-----)".to_owned()))
        }
        false => Ok(chain),
    }
}

fn first(pem: &str) -> Result<x509_cert::Certificate, ClientError> {
    let chain = certificates(pem)?;
    x509_cert::Certificate::from_der(&chain[0])
        .map_err(|_| ClientError::ClientCertificate("it cannot be read".to_owned()))
}

fn version(pem: &str) -> Result<Version, ClientError> {
    first(pem).map(|certificate| certificate.tbs_certificate.version)
}

fn validity(pem: &str) -> Result<(Timestamp, Timestamp), ClientError> {
    let validity = first(pem)?.tbs_certificate.validity;
    let time = |time: x509_cert::time::Time| {
        Timestamp::from_millis(i64::try_from(time.to_unix_duration().as_millis()).unwrap_or(i64::MAX))
    };
    Ok((time(validity.not_before), time(validity.not_after)))
}

/// The certificate and key as rustls needs them, parsed once per client.
pub fn shared(pem: Option<&ClientPem>) -> Result<Option<Arc<CertifiedKey>>, ClientError> {
    pem.map(|pem| certified_key(pem, &rustls::crypto::ring::default_provider()).map(Arc::new)).transpose()
}

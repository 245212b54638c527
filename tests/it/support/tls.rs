//! Certificates made on the spot, and the receiver's side of TLS.

use std::net::TcpStream;
use std::sync::Arc;

use rcgen::{Certificate, CertificateParams, KeyPair, date_time_ymd};
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig, ServerConnection, StreamOwned};

/// A key and its self-signed certificate.
#[derive(Clone)]
pub struct Identity {
    certificate: Certificate,
    key_pem: String,
    config: Arc<ServerConfig>,
}

impl Identity {
    /// For `localhost` and 127.0.0.1.
    pub fn local() -> Identity {
        Identity::for_names(&["localhost", "127.0.0.1"])
    }

    /// For other names, so that the receiver on loopback is the wrong one.
    pub fn for_names(names: &[&str]) -> Identity {
        Identity::new(&params(names))
    }

    /// For `localhost` and 127.0.0.1, until the year 2000.
    pub fn expired() -> Identity {
        let mut params = params(&["localhost", "127.0.0.1"]);
        params.not_after = date_time_ymd(2000, 1, 1);
        Identity::new(&params)
    }

    /// For `localhost` and 127.0.0.1, for the next five days of 2026-01-01.
    pub fn of_five_days() -> Identity {
        let mut params = params(&["localhost", "127.0.0.1"]);
        (params.not_before, params.not_after) = (date_time_ymd(2026, 1, 1), date_time_ymd(2026, 1, 6));
        Identity::new(&params)
    }

    /// The certificate as `--ca-cert` takes it.
    pub fn pem(&self) -> String {
        self.certificate.pem()
    }

    /// Its private key, which no option takes.
    pub fn key_pem(&self) -> &str {
        &self.key_pem
    }

    /// The same server, which lets in only clients that show one of these certificates.
    #[must_use]
    pub fn asking_for(mut self, clients: &[&Identity]) -> Identity {
        let mut roots = RootCertStore::empty();
        for client in clients {
            roots.add(client.certificate.der().clone()).unwrap();
        }
        let provider = Arc::new(ring::default_provider());
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider)).build();
        let key = PrivateKeyDer::from_pem_slice(self.key_pem.as_bytes()).unwrap();
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_client_cert_verifier(verifier.unwrap())
            .with_single_cert(vec![self.certificate.der().clone()], key);
        self.config = Arc::new(config.unwrap());
        self
    }

    /// Wraps a connection; the handshake comes with the first read.
    pub fn accept(&self, stream: TcpStream) -> StreamOwned<ServerConnection, TcpStream> {
        StreamOwned::new(ServerConnection::new(Arc::clone(&self.config)).unwrap(), stream)
    }

    fn new(params: &CertificateParams) -> Identity {
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        let chain = vec![certificate.der().clone()];
        let key_pem = key.serialize_pem();
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, key))
            .unwrap();
        Identity { certificate, key_pem, config: Arc::new(config) }
    }
}

fn params(names: &[&str]) -> CertificateParams {
    CertificateParams::new(names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>()).unwrap()
}

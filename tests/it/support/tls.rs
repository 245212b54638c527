//! Certificates made on the spot, and the receiver's side of TLS.

use std::net::TcpStream;
use std::sync::Arc;

use rcgen::{Certificate, CertificateParams, KeyPair, date_time_ymd};
use rustls::crypto::ring;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

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

    /// The certificate as `--ca-cert` takes it.
    pub fn pem(&self) -> String {
        self.certificate.pem()
    }

    /// Its private key, which no option takes.
    pub fn key_pem(&self) -> &str {
        &self.key_pem
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

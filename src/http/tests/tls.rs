//! TLS is verified, always; a webhook may add a root.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, date_time_ymd};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use super::receiver::{Receiver, read_request};
use super::{AMPLE, egress, error_of, open_policy, post, shared};
use crate::domain::attempt::ErrorType;
use crate::http::{Client, ClientError, Egress, check_ca_cert};

/// A certificate authority's PEM, and a server's certificate from it.
struct Issued {
    root_pem: String,
    config: Arc<ServerConfig>,
}

/// For the name given, signed by an authority made for it.
fn issued_for(name: &str) -> Issued {
    let authority_key = KeyPair::generate().unwrap();
    let mut authority = CertificateParams::new(Vec::new()).unwrap();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let root = authority.self_signed(&authority_key).unwrap();
    let issuer = Issuer::new(authority, authority_key);
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(vec![name.to_owned()]).unwrap().signed_by(&key, &issuer).unwrap();
    Issued { root_pem: root.pem(), config: server_config(certificate.der().clone(), &key) }
}

/// For the name given, signed by itself, and valid until the year given.
fn self_signed(name: &str, is_ca: IsCa, last_year: i32) -> Issued {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
    params.is_ca = is_ca;
    params.not_after = date_time_ymd(last_year, 1, 1);
    let certificate = params.self_signed(&key).unwrap();
    Issued { root_pem: certificate.pem(), config: server_config(certificate.der().clone(), &key) }
}

/// As `openssl req -x509` makes them: it calls itself an authority.
fn self_signed_authority(name: &str, last_year: i32) -> Issued {
    self_signed(name, IsCa::Ca(BasicConstraints::Unconstrained), last_year)
}

fn server_config(certificate: rustls::pki_types::CertificateDer<'static>, key: &KeyPair) -> Arc<ServerConfig> {
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .unwrap();
    Arc::new(config)
}

fn serve(config: &Arc<ServerConfig>, stream: TcpStream) {
    let mut stream = StreamOwned::new(ServerConnection::new(Arc::clone(config)).unwrap(), stream);
    while read_request(&mut stream).is_some() {
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").unwrap();
        stream.flush().unwrap();
    }
}

fn https(receiver: &Receiver) -> String {
    receiver.url().replace("http:", "https:")
}

fn client(ca_cert_pem: Option<&str>) -> Client {
    Client::new(&shared(4), &Egress { ca_cert: ca_cert_pem.map(str::to_owned), ..egress(&open_policy()) }).unwrap()
}

#[test]
fn an_unknown_issuer_is_refused_and_accepted_once_its_root_is_added() {
    let self_signed = self_signed("127.0.0.1", IsCa::NoCa, 4000);
    let authority = self_signed_authority("127.0.0.1", 4000);
    for issued in [issued_for("127.0.0.1"), self_signed, authority] {
        let config = Arc::clone(&issued.config);
        let receiver = Receiver::raw(move |stream| serve(&config, stream));
        let outcome = post(&client(None), &https(&receiver), AMPLE);
        assert_eq!(error_of(&outcome).0, ErrorType::TlsError, "{outcome:?}");
        assert!(error_of(&outcome).1.contains("UnknownIssuer"), "{outcome:?}");

        let trusting = client(Some(&issued.root_pem));
        for _ in 0..3 {
            let outcome = post(&trusting, &https(&receiver), AMPLE);
            assert_eq!(outcome.error, None);
            assert_eq!(outcome.answer.unwrap().body, b"ok");
        }
        assert_eq!(receiver.connections(), 2, "one refused, one kept alive");
    }
}

#[test]
fn an_added_root_is_not_a_licence_for_other_names_or_other_issuers() {
    let issued = issued_for("example.com");
    let config = Arc::clone(&issued.config);
    let receiver = Receiver::raw(move |stream| serve(&config, stream));
    let outcome = post(&client(Some(&issued.root_pem)), &https(&receiver), AMPLE);
    assert_eq!(error_of(&outcome).0, ErrorType::TlsError, "{outcome:?}");

    let outcome = post(&client(Some(&issued_for("127.0.0.1").root_pem)), &https(&receiver), AMPLE);
    assert_eq!(error_of(&outcome).0, ErrorType::TlsError, "{outcome:?}");
}

#[test]
fn a_self_signed_authority_is_trusted_for_its_own_names_and_dates_only() {
    let refusal = |shown: &Issued, added: &Issued| {
        let config = Arc::clone(&shown.config);
        let receiver = Receiver::raw(move |stream| serve(&config, stream));
        let outcome = post(&client(Some(&added.root_pem)), &https(&receiver), AMPLE);
        let (error_type, message) = error_of(&outcome);
        assert_eq!(error_type, ErrorType::TlsError, "{outcome:?}");
        message.to_owned()
    };
    let elsewhere = self_signed_authority("example.com", 4000);
    assert!(refusal(&elsewhere, &elsewhere).contains("not valid for name"), "{}", refusal(&elsewhere, &elsewhere));
    let expired = self_signed_authority("127.0.0.1", 2000);
    assert!(refusal(&expired, &expired).contains("expired"), "{}", refusal(&expired, &expired));
    let another = self_signed_authority("127.0.0.1", 4000);
    assert!(refusal(&another, &self_signed_authority("127.0.0.1", 4000)).contains("UnknownIssuer"));
}

#[test]
fn what_does_not_speak_tls_is_a_tls_error() {
    let plain = Receiver::raw(|mut stream| {
        let _ = stream.read(&mut [0; 1024]);
        let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n");
    });
    let closing = Receiver::raw(|mut stream| {
        let _ = stream.read(&mut [0; 16 * 1024]);
    });
    for receiver in [plain, closing] {
        let outcome = post(&client(None), &https(&receiver), AMPLE);
        assert_eq!(error_of(&outcome).0, ErrorType::TlsError, "{outcome:?}");
    }
}

#[test]
fn a_root_that_is_no_certificate_is_refused_when_it_is_given() {
    let broken = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    for pem in ["", "nonsense", "-----BEGIN CERTIFICATE-----\n!!\n-----END CERTIFICATE-----\n", broken] {
        let result = check_ca_cert(pem);
        assert!(matches!(result, Err(ClientError::CaCertificate(_))), "{pem:?}");
    }
    let key = KeyPair::generate().unwrap().serialize_pem();
    let error = check_ca_cert(&key).unwrap_err().to_string();
    assert!(!error.contains(&key[60..100]), "{error}");
}

//! Maps errors of HTTP and TLS to the error types of the log, each with a message of one line.

use std::io::{self, ErrorKind};
use std::time::Duration;

use rustls::{AlertDescription, CertificateError};

use super::local;
use super::target::Target;
use crate::domain::attempt::{AttemptError, ErrorType, LocalTrouble};
use crate::domain::duration;
use crate::domain::network::BlockedAddress;
use crate::domain::proxy::Proxy;

/// A host name that could not be resolved.
#[derive(Debug, thiserror::Error)]
#[error("cannot find the address of {host}: {reason}")]
pub struct LookUpError {
    pub host: String,
    pub reason: String,
}

/// The TLS handshake failed.
#[derive(Debug, thiserror::Error)]
#[error("the TLS handshake failed: {0}")]
pub struct HandshakeError(pub String);

/// The proxy failed. This says nothing about the receiver.
#[derive(Debug, thiserror::Error)]
#[error("the proxy {0}")]
pub struct ProxyFailure(String);

impl ProxyFailure {
    pub fn new(proxy: &Proxy, reason: &str) -> ProxyFailure {
        ProxyFailure(format!("{} failed: {reason}", proxy.place()))
    }
}

/// The proxy reports that it could not reach the receiver.
#[derive(Debug, thiserror::Error)]
#[error("by the proxy {0}")]
pub struct BeyondProxy(pub String);

/// The receiver had closed a keep-alive connection: it ended before the first byte of an answer.
#[derive(Debug, thiserror::Error)]
#[error("the receiver closed the kept-alive connection before it answered")]
pub struct StaleConnection;

impl StaleConnection {
    pub fn is(error: &ureq::Error) -> bool {
        matches!(error, ureq::Error::Other(inner) if inner.is::<StaleConnection>())
    }
}

/// The answer is longer than the limit.
#[derive(Debug, thiserror::Error)]
#[error("more than {limit} bytes came")]
pub struct AnswerTooLong {
    pub limit: usize,
}

impl AnswerTooLong {
    /// Whether reading a body ended with this error.
    pub fn is(error: &io::Error) -> bool {
        let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<ureq::Error>());
        matches!(inner, Some(ureq::Error::Other(inner)) if inner.is::<AnswerTooLong>())
    }
}

/// Whether no request was sent because no file descriptor was free. Closing idle connections can help.
pub fn is_out_of_files(error: &ureq::Error) -> bool {
    match error {
        ureq::Error::Io(error) => local::is_out_of_files(error),
        ureq::Error::Other(inner) => inner.is::<LocalTrouble>(),
        _ => false,
    }
}

/// Whether the receiver closed the connection, now or before the request.
pub fn is_hang_up(error: &ureq::Error) -> bool {
    matches!(error, ureq::Error::Io(error) if is_disconnect(error.kind())
        || matches!(error.kind(), ErrorKind::BrokenPipe | ErrorKind::NotConnected))
}

/// The error of an attempt without a status line.
pub fn before_answer(error: &ureq::Error, target: &Target, deadline: Duration) -> Result<AttemptError, LocalTrouble> {
    sort(error, target, deadline, "before it answered")
}

/// The error of an attempt whose answer has a 2xx status and is incomplete.
pub fn in_body(error: io::Error, target: &Target, deadline: Duration) -> Result<AttemptError, LocalTrouble> {
    match ureq::Error::from(error) {
        // The answer is shorter than its Content-Length.
        ureq::Error::Io(error) if is_disconnect(error.kind()) => Ok(AttemptError {
            error_type: ErrorType::ProtocolError,
            message: format!("{} closed the connection in the middle of its answer", target.place()),
        }),
        error => sort(&error, target, deadline, "in the middle of its answer"),
    }
}

fn sort(error: &ureq::Error, target: &Target, deadline: Duration, moment: &str) -> Result<AttemptError, LocalTrouble> {
    if let Some(trouble) = local_trouble(error) {
        return Err(trouble);
    }
    let place = target.place();
    let (error_type, message) = match error {
        ureq::Error::Timeout(_) => timeout(place, deadline),
        ureq::Error::Io(error) => sort_io(error, target, deadline, moment),
        ureq::Error::Other(inner) => match inner {
            inner if inner.is::<BlockedAddress>() => (ErrorType::BlockedAddress, inner.to_string()),
            inner if inner.is::<ProxyFailure>() => (ErrorType::ProxyError, inner.to_string()),
            inner if inner.is::<BeyondProxy>() => (ErrorType::ConnectionError, format!("cannot reach {place} {inner}")),
            inner if inner.is::<LookUpError>() => (ErrorType::DnsError, inner.to_string()),
            inner if inner.is::<HandshakeError>() => (ErrorType::TlsError, format!("{place}: {inner}")),
            inner if inner.is::<AnswerTooLong>() => {
                (ErrorType::ProtocolError, format!("{place} sent no whole answer: {inner}"))
            }
            inner if inner.is::<StaleConnection>() => (ErrorType::ConnectionError, format!("{place}: {inner}")),
            inner => (ErrorType::UnknownError, format!("{place}: {inner}")),
        },
        ureq::Error::HostNotFound => (ErrorType::DnsError, format!("cannot find the address of {place}")),
        ureq::Error::ConnectionFailed => (ErrorType::ConnectionError, format!("cannot connect to {place}")),
        ureq::Error::Tls(_) | ureq::Error::Rustls(_) | ureq::Error::Pem(_) | ureq::Error::TlsRequired => {
            (ErrorType::TlsError, format!("{place}: {error}"))
        }
        ureq::Error::LargeResponseHeader(_, limit) => {
            (ErrorType::ProtocolError, format!("{place} answered with a head of more than {limit} bytes"))
        }
        ureq::Error::Protocol(error) => {
            (ErrorType::ProtocolError, format!("what {place} answered is not HTTP: {error}"))
        }
        ureq::Error::BodyStalled => (ErrorType::ProtocolError, format!("the answer of {place} broke off")),
        error => (ErrorType::UnknownError, format!("{place}: {error}")),
    };
    Ok(AttemptError { error_type, message })
}

fn local_trouble(error: &ureq::Error) -> Option<LocalTrouble> {
    match error {
        ureq::Error::Io(error) => local::trouble(error),
        ureq::Error::Other(inner) => inner.downcast_ref::<LocalTrouble>().cloned(),
        _ => None,
    }
}

fn sort_io(error: &io::Error, target: &Target, deadline: Duration, moment: &str) -> (ErrorType, String) {
    let place = target.place();
    match error.kind() {
        ErrorKind::TimedOut | ErrorKind::WouldBlock => timeout(place, deadline),
        ErrorKind::ConnectionRefused => (ErrorType::ConnectionError, format!("{place} refused the connection")),
        ErrorKind::ConnectionReset | ErrorKind::ConnectionAborted | ErrorKind::BrokenPipe => {
            (ErrorType::ConnectionError, format!("{place} reset the connection {moment}"))
        }
        ErrorKind::UnexpectedEof => (ErrorType::ConnectionError, format!("{place} closed the connection {moment}")),
        // rustls reports invalid records with this kind.
        ErrorKind::InvalidData if target.is_tls() => (ErrorType::TlsError, format!("{place}: {}", tls_reason(error))),
        _ => (ErrorType::ConnectionError, format!("cannot reach {place}: {error}")),
    }
}

/// A receiver refuses a client certificate with an alert (RFC 8446 section 6.2).
pub fn tls_reason(error: &io::Error) -> String {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    match inner {
        Some(rustls::Error::AlertReceived(AlertDescription::CertificateRequired)) => {
            "the receiver asks for a client certificate; give one with --client-cert and --client-key".to_owned()
        }
        Some(rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer)) => {
            format!("{error}; --ca-cert or --system-roots trusts an authority of your own")
        }
        Some(rustls::Error::AlertReceived(AlertDescription::CertificateExpired)) => {
            "the receiver says that the client certificate expired".to_owned()
        }
        Some(rustls::Error::AlertReceived(
            alert @ (AlertDescription::UnknownCA
            | AlertDescription::BadCertificate
            | AlertDescription::UnsupportedCertificate
            | AlertDescription::CertificateRevoked
            | AlertDescription::CertificateUnknown
            | AlertDescription::DecryptError
            | AlertDescription::AccessDenied),
        )) => format!("the receiver does not accept the client certificate ({alert:?})"),
        _ => error.to_string(),
    }
}

fn timeout(place: &str, deadline: Duration) -> (ErrorType, String) {
    let deadline = duration::format(deadline);
    (ErrorType::Timeout, format!("{place} gave no complete answer within {deadline}"))
}

fn is_disconnect(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset | ErrorKind::ConnectionAborted)
}

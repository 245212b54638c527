//! Sorts what went wrong into the error types of the log, with one line for people.

use std::io::{self, ErrorKind};
use std::time::Duration;

use rustls::AlertDescription;

use super::local;
use super::target::Target;
use crate::domain::attempt::{AttemptError, ErrorType, LocalTrouble};
use crate::domain::duration;
use crate::domain::network::BlockedAddress;
use crate::domain::proxy::Proxy;

/// A name that could not be turned into an address.
#[derive(Debug, thiserror::Error)]
#[error("cannot find the address of {host}: {reason}")]
pub struct LookUpError {
    pub host: String,
    pub reason: String,
}

/// TLS could not be established.
#[derive(Debug, thiserror::Error)]
#[error("the TLS handshake failed: {0}")]
pub struct HandshakeError(pub String);

/// The proxy could not be used. It says nothing about the receiver.
#[derive(Debug, thiserror::Error)]
#[error("the proxy {0}")]
pub struct ProxyFailure(String);

impl ProxyFailure {
    pub fn new(proxy: &Proxy, reason: &str) -> ProxyFailure {
        ProxyFailure(format!("{} failed: {reason}", proxy.place()))
    }
}

/// The proxy says that it was the receiver that could not be reached.
#[derive(Debug, thiserror::Error)]
#[error("by the proxy {0}")]
pub struct BeyondProxy(pub String);

/// A kept-alive connection turned out to be closed before any byte of an answer came.
#[derive(Debug, thiserror::Error)]
#[error("the receiver closed the kept-alive connection before it answered")]
pub struct StaleConnection;

impl StaleConnection {
    pub fn is(error: &ureq::Error) -> bool {
        matches!(error, ureq::Error::Other(inner) if inner.is::<StaleConnection>())
    }
}

/// More came than one answer may take.
#[derive(Debug, thiserror::Error)]
#[error("more than {limit} bytes came")]
pub struct AnswerTooLong {
    pub limit: usize,
}

impl AnswerTooLong {
    /// Whether reading a body ended with this.
    pub fn is(error: &io::Error) -> bool {
        let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<ureq::Error>());
        matches!(inner, Some(ureq::Error::Other(inner)) if inner.is::<AnswerTooLong>())
    }
}

/// Whether no request was sent for want of a file descriptor: closing other connections can help.
pub fn is_out_of_files(error: &ureq::Error) -> bool {
    match error {
        ureq::Error::Io(error) => local::is_out_of_files(error),
        ureq::Error::Other(inner) => inner.is::<LocalTrouble>(),
        _ => false,
    }
}

/// Whether the receiver hung up, or had done so before.
pub fn is_hang_up(error: &ureq::Error) -> bool {
    matches!(error, ureq::Error::Io(error) if is_disconnect(error.kind())
        || matches!(error.kind(), ErrorKind::BrokenPipe | ErrorKind::NotConnected))
}

/// The error of an attempt that brought no status line.
pub fn before_answer(error: &ureq::Error, target: &Target, deadline: Duration) -> Result<AttemptError, LocalTrouble> {
    sort(error, target, deadline, "before it answered")
}

/// The error of an attempt whose answer began with a success and then broke off.
pub fn in_body(error: io::Error, target: &Target, deadline: Duration) -> Result<AttemptError, LocalTrouble> {
    match ureq::Error::from(error) {
        // The head announced more than came.
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
        // rustls reports what is wrong with a record this way.
        ErrorKind::InvalidData if target.is_tls() => (ErrorType::TlsError, format!("{place}: {}", tls_reason(error))),
        _ => (ErrorType::ConnectionError, format!("cannot reach {place}: {error}")),
    }
}

/// What a receiver has against the certificate of the client comes as an alert (RFC 8446 section 6.2).
pub fn tls_reason(error: &io::Error) -> String {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    match inner {
        Some(rustls::Error::AlertReceived(AlertDescription::CertificateRequired)) => {
            "the receiver asks for a client certificate; give one with --client-cert and --client-key".to_owned()
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

//! Connections through a proxy: a tunnel by CONNECT (RFC 9110 section 9.3.6) or SOCKS5 (RFC 1928), or requests in absolute form.
//!
//! ureq's proxy support would check the proxy's address like a receiver's and has deadlines of its own, so only its transports
//! are used.

use std::fmt;
use std::io::{self, Read, Write};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Instant;

use base64::{Engine, engine::general_purpose::STANDARD};
use ureq::Error;
use ureq::unversioned::transport::{Buffers, ConnectionDetails, LazyBuffers, NextTimeout, Transport, TransportAdapter};

use super::errors::{BeyondProxy, HandshakeError, ProxyFailure};
use super::local;
use super::look_up::{LookUpFailure, LookUps};
use super::refusal;
use super::socks::{self, Goal};
use super::tls::Tls;
use super::wire::Wire;
use crate::domain::attempt::LocalTrouble;
use crate::domain::proxy::{ProxyLogin, ProxyScheme};

/// The longest answer to CONNECT, in bytes.
const LONGEST_ANSWER: usize = 16 * 1024;

pub struct Gateway {
    pub login: ProxyLogin,
    /// Whether the proxy gets the host name. Otherwise it gets the address that the guard allowed.
    pub leaves_names: bool,
    pub look_ups: Arc<LookUps>,
    /// For a proxy with an https URL.
    pub tls: Tls,
}

impl Gateway {
    /// Connects to the receiver through the proxy, without TLS to the receiver.
    pub fn open(
        &self,
        details: &ConnectionDetails,
        buffers: &dyn Fn() -> LazyBuffers,
    ) -> Result<Box<dyn Transport>, Error> {
        self.way(details, buffers).map_err(|error| self.explain(error))
    }

    /// Whether the proxy forwards requests itself, without a tunnel: those of plain HTTP.
    pub fn reads_requests(&self, is_tls: bool) -> bool {
        self.login.proxy.is_http() && self.leaves_names && !is_tls
    }

    fn way(&self, details: &ConnectionDetails, buffers: &dyn Fn() -> LazyBuffers) -> Result<Box<dyn Transport>, Error> {
        let started = Instant::now();
        let left = || {
            let mut timeout = details.timeout;
            timeout.after = timeout.after.saturating_sub(started.elapsed()).into();
            timeout
        };
        let proxy = &self.login.proxy;
        let addresses = self.addresses(&left())?;
        let mut wire: Box<dyn Transport> = Box::new(Wire::connect(&addresses, left(), buffers())?);
        if proxy.scheme == ProxyScheme::Https {
            wire = Box::new(self.tls.open(wire, &proxy.host, details, left(), buffers())?);
        }
        let authority = details.uri.authority().ok_or(Error::HostNotFound)?;
        if self.reads_requests(details.needs_tls()) {
            let prefix = format!("http://{authority}");
            return Ok(Box::new(AbsoluteForm { wire, prefix, authorization: self.authorization(), is_at_start: true }));
        }
        let goal = self.goal(details)?;
        let mut wire = TransportAdapter::new(wire, Arc::clone(&details.current_time));
        wire.set_timeout(left());
        match proxy.scheme {
            ProxyScheme::Socks5 => socks::connect(&mut wire, &self.login, &goal)?,
            ProxyScheme::Http | ProxyScheme::Https => self.tunnel(&mut wire, &goal)?,
        }
        Ok(wire.into_inner())
    }

    /// The proxy's own addresses, which the guard does not check.
    fn addresses(&self, timeout: &NextTimeout) -> Result<Vec<SocketAddr>, Error> {
        let proxy = &self.login.proxy;
        if let Ok(address) = proxy.host.parse::<IpAddr>() {
            return Ok(vec![SocketAddr::new(address, proxy.port)]);
        }
        let found = self.look_ups.find(&proxy.host, *timeout.after).map_err(|failure| match failure {
            LookUpFailure::Local(trouble) => Error::Other(Box::new(trouble)),
            LookUpFailure::Name(reason) => self.failure(&format!("its name has no address: {reason}")),
            LookUpFailure::TimedOut => Error::Timeout(timeout.reason),
        })?;
        Ok(found.iter().map(|address| SocketAddr::new(*address, proxy.port)).collect())
    }

    /// An IPv4 address if there is one: not every proxy has IPv6.
    fn goal<'a>(&self, details: &'a ConnectionDetails) -> Result<Goal<'a>, Error> {
        if let Some(address) = details.addrs.iter().find(|address| address.is_ipv4()).or(details.addrs.first()) {
            return Ok(Goal::Address(*address));
        }
        let host = details.uri.host().ok_or(Error::HostNotFound)?;
        let default_port = if details.needs_tls() { 443 } else { 80 };
        Ok(Goal::Name(host, details.uri.port_u16().unwrap_or(default_port)))
    }

    fn tunnel(&self, wire: &mut TransportAdapter, goal: &Goal<'_>) -> Result<(), Error> {
        let mut request = format!("CONNECT {goal} HTTP/1.1\r\nHost: {goal}\r\n");
        if let Some(authorization) = self.authorization() {
            request.push_str(&authorization);
        }
        request.push_str("\r\n");
        wire.write_all(request.as_bytes())?;
        let mut answer = Vec::new();
        while !answer.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            wire.read_exact(&mut byte)?;
            answer.push(byte[0]);
            if answer.len() > LONGEST_ANSWER {
                return Err(self.failure(&format!("its answer has more than {LONGEST_ANSWER} bytes")));
            }
        }
        let mut headers = [httparse::EMPTY_HEADER; 100];
        let mut response = httparse::Response::new(&mut headers);
        match response.parse(&answer).map(|_| response.code) {
            Ok(Some(200..=299)) => Ok(()),
            Ok(Some(code)) => Err(self.refused(code, refusal::is_about_receiver(&response), goal)),
            Ok(None) | Err(_) => Err(self.failure("what it answered is not HTTP")),
        }
    }

    fn refused(&self, code: u16, is_about_receiver: bool, goal: &Goal<'_>) -> Error {
        let reason = ureq::http::StatusCode::from_u16(code).ok().and_then(|status| status.canonical_reason());
        let reason = reason.map(|reason| format!(" {reason}")).unwrap_or_default();
        let advice = match (code, goal) {
            // tinyproxy answers a wrong password with the first.
            (401 | 407, _) => self.login_advice(),
            (403, Goal::Address(_)) => "; it may let names through where it lets no addresses: --proxy-resolves",
            _ => "",
        };
        let told = format!("it answered {code}{reason} to CONNECT {goal}{advice}");
        match is_about_receiver {
            true => Error::Other(Box::new(BeyondProxy(format!("{}: {told}", self.login.proxy.place())))),
            false => self.failure(&told),
        }
    }

    fn login_advice(&self) -> &'static str {
        match self.login.password {
            Some(_) => "; it does not take this user and password",
            None => "; it wants a user and a password: --proxy http://USER@HOST:PORT and --proxy-password-env VAR",
        }
    }

    /// The error for a 407 answer to a request in absolute form.
    pub fn wants_login(&self) -> String {
        let advice = self.login_advice();
        ProxyFailure::new(&self.login.proxy, &format!("it answered 407 Proxy Authentication Required{advice}"))
            .to_string()
    }

    /// RFC 7617; a whole header line.
    fn authorization(&self) -> Option<String> {
        let user = self.login.proxy.user.as_deref()?;
        let mut pair = format!("{user}:").into_bytes();
        pair.extend_from_slice(self.login.password.as_ref().map_or(&[], |password| password.bytes()));
        Some(format!("Proxy-Authorization: Basic {}\r\n", STANDARD.encode(pair)))
    }

    fn failure(&self, reason: &str) -> Error {
        Error::Other(Box::new(ProxyFailure::new(&self.login.proxy, reason)))
    }

    /// The error of a connection attempt: the proxy's, unless it is local or the proxy reports one of the receiver.
    fn explain(&self, error: Error) -> Error {
        match error {
            Error::Other(inner) if inner.is::<HandshakeError>() => self.failure(&inner.to_string()),
            Error::Io(error) => match error.downcast::<Error>() {
                Ok(inner) => self.explain(inner),
                Err(error) => self.explain_io(error),
            },
            Error::Timeout(_) => self.failure("it gave no answer in time"),
            Error::Other(inner) if is_told(&*inner) => Error::Other(inner),
            error => self.failure(&error.to_string()),
        }
    }

    fn explain_io(&self, error: io::Error) -> Error {
        match error.kind() {
            _ if local::trouble(&error).is_some() => Error::Io(error),
            _ if error.get_ref().is_some_and(|inner| is_told(inner)) => match error.into_inner() {
                Some(inner) => Error::Other(inner),
                None => Error::ConnectionFailed,
            },
            io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock => self.failure("it gave no answer in time"),
            io::ErrorKind::ConnectionRefused => self.failure("it refused the connection"),
            io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe => {
                self.failure("it closed the connection")
            }
            _ => self.failure(&error.to_string()),
        }
    }
}

fn is_told(error: &(dyn std::error::Error + 'static)) -> bool {
    error.is::<ProxyFailure>() || error.is::<BeyondProxy>() || error.is::<LocalTrouble>()
}

impl fmt::Debug for Gateway {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gateway").field("login", &self.login).finish_non_exhaustive()
    }
}

/// A connection to a proxy that forwards plain HTTP. Each request has an absolute URL and the proxy's credentials.
#[derive(Debug)]
struct AbsoluteForm {
    wire: Box<dyn Transport>,
    /// The part of the URL before the path.
    prefix: String,
    authorization: Option<String>,
    /// Whether the next bytes written begin a request.
    is_at_start: bool,
}

impl AbsoluteForm {
    /// RFC 9112 section 3.2.2.
    fn rewritten(&self, head: &[u8]) -> Vec<u8> {
        let path = head.iter().position(|byte| *byte == b' ').map_or(0, |blank| blank + 1);
        let headers = head.windows(2).position(|end| end == b"\r\n").map_or(head.len(), |end| end + 2);
        let authorization = self.authorization.as_deref().unwrap_or_default();
        [&head[..path], self.prefix.as_bytes(), &head[path..headers], authorization.as_bytes(), &head[headers..]]
            .concat()
    }
}

impl Transport for AbsoluteForm {
    fn buffers(&mut self) -> &mut dyn Buffers {
        self.wire.buffers()
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), Error> {
        if !std::mem::take(&mut self.is_at_start) {
            return self.wire.transmit_output(amount, timeout);
        }
        let head = self.wire.buffers().output()[..amount].to_vec();
        let mut rest = &self.rewritten(&head)[..];
        while !rest.is_empty() {
            let output = self.wire.buffers().output();
            let (now, later) = rest.split_at(rest.len().min(output.len()));
            output[..now.len()].copy_from_slice(now);
            self.wire.transmit_output(now.len(), timeout)?;
            rest = later;
        }
        Ok(())
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, Error> {
        self.wire.await_input(timeout)
    }

    /// ureq calls this before it reuses the connection.
    fn is_open(&mut self) -> bool {
        self.is_at_start = true;
        self.wire.is_open()
    }
}

//! Sends raw bytes, each request on its own connection: for requests that are forwarded unchanged.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::pki_types::ServerName;
use rustls::{ClientConnection, StreamOwned};
use url::{Host, Url};

use super::egress::Egress;
use super::look_up::{LookUpFailure, LookUps};
use super::raw_answer::{self, RawAnswer};
use super::tls::Tls;
use crate::domain::network::{AddressPolicy, BlockedAddress};

/// How long one exchange may take, from the look-up to the last byte.
const DEADLINE: Duration = Duration::from_secs(30);

/// Which machines may be reached.
#[derive(Clone, Debug)]
pub enum Reach {
    /// Loopback addresses alone.
    ThisMachine,
    Beyond(AddressPolicy),
}

#[derive(Debug, thiserror::Error)]
pub enum DirectError {
    /// Another machine than this one, which is not allowed.
    #[error("{0} is not this machine")]
    NotThisMachine(String),
    #[error("{place} is {what}; HOOKCTL_ALLOW_NETWORKS could allow it")]
    Blocked { place: String, what: &'static str },
    #[error("cannot find the address of {host}: {reason}")]
    LookUp { host: String, reason: String },
    #[error("{place}: {reason}")]
    Exchange { place: String, reason: String },
}

impl DirectError {
    /// Whether the address was refused, rather than unreachable.
    pub fn is_refusal(&self) -> bool {
        matches!(self, DirectError::NotThisMachine(_) | DirectError::Blocked { .. })
    }
}

pub struct Direct {
    look_ups: Arc<LookUps>,
    tls: Tls,
    reach: Reach,
}

/// The addresses of a URL.
#[derive(Clone, Debug)]
pub struct Place {
    addresses: Vec<SocketAddr>,
    /// Host and port, for messages.
    name: String,
    pub is_this_machine: bool,
}

impl Direct {
    pub fn new(reach: Reach) -> Direct {
        // Developers' own certificate authorities are among the system's.
        let egress = Egress { system_roots: true, ..Egress::default() };
        let tls = Tls::new(&egress).expect("no certificate is added that could be wrong");
        Direct { look_ups: LookUps::new(), tls, reach }
    }

    /// Resolves the URL's host and checks every address.
    pub fn place(&self, url: &Url) -> Result<Place, DirectError> {
        let (host, port) = (url.host(), url.port_or_known_default().unwrap_or_default());
        let name = format!("{}:{port}", url.host_str().unwrap_or_default());
        let found: Vec<IpAddr> = match host {
            Some(Host::Ipv4(address)) => vec![address.into()],
            Some(Host::Ipv6(address)) => vec![address.into()],
            Some(Host::Domain(host)) => self.look_up(host)?,
            None => Vec::new(),
        };
        let is_this_machine = found.iter().all(|address| address.to_canonical().is_loopback());
        match &self.reach {
            Reach::ThisMachine if !is_this_machine => return Err(DirectError::NotThisMachine(name)),
            Reach::ThisMachine => {}
            Reach::Beyond(policy) => {
                let blocked =
                    |BlockedAddress { class, .. }| DirectError::Blocked { place: name.clone(), what: class.phrase() };
                found.iter().try_for_each(|address| policy.check(*address)).map_err(blocked)?;
            }
        }
        let addresses = found.into_iter().map(|address| SocketAddr::new(address, port)).collect();
        Ok(Place { addresses, name, is_this_machine })
    }

    /// Sends a request and reads its answer; by the `method` the answer has a body or none.
    pub fn send(&self, url: &Url, request: &[u8], method: &str) -> Result<RawAnswer, DirectError> {
        let place = self.place(url)?;
        let until = Instant::now() + DEADLINE;
        let failed = |error: io::Error| DirectError::Exchange { place: place.name.clone(), reason: explain(&error) };
        let stream = Timed { stream: connect(&place.addresses, until).map_err(failed)?, until };
        match url.scheme() {
            "https" => exchange(self.encrypted(url, stream).map_err(failed)?, request, method),
            _ => exchange(stream, request, method),
        }
        .map_err(failed)
    }

    fn look_up(&self, host: &str) -> Result<Vec<IpAddr>, DirectError> {
        let failed = |reason: String| DirectError::LookUp { host: host.to_owned(), reason };
        match self.look_ups.find(host, DEADLINE) {
            Ok(found) if found.is_empty() => Err(failed("the name has no address".to_owned())),
            Ok(found) => Ok(found.to_vec()),
            Err(LookUpFailure::Local(trouble)) => Err(failed(trouble.0)),
            Err(LookUpFailure::Name(reason)) => Err(failed(reason)),
            Err(LookUpFailure::TimedOut) => Err(failed("no answer in time".to_owned())),
        }
    }

    fn encrypted(&self, url: &Url, stream: Timed) -> io::Result<StreamOwned<ClientConnection, Timed>> {
        let host = url.host_str().unwrap_or_default().trim_start_matches('[').trim_end_matches(']').to_owned();
        let name = ServerName::try_from(host).map_err(io::Error::other)?;
        let config = self.tls.config().map_err(io::Error::other)?;
        Ok(StreamOwned::new(ClientConnection::new(config, name).map_err(io::Error::other)?, stream))
    }
}

fn connect(addresses: &[SocketAddr], until: Instant) -> io::Result<TcpStream> {
    let mut last = io::Error::from(ErrorKind::AddrNotAvailable);
    for address in addresses {
        match TcpStream::connect_timeout(address, left(until)?) {
            Ok(stream) => {
                stream.set_nodelay(true)?;
                return Ok(stream);
            }
            Err(error) => last = error,
        }
    }
    Err(last)
}

fn exchange(mut stream: impl Read + Write, request: &[u8], method: &str) -> io::Result<RawAnswer> {
    // A receiver may answer before it has read everything: its answer counts, not the reset.
    let sent = stream.write_all(request).and_then(|()| stream.flush());
    match (sent, raw_answer::read(&mut stream, method)) {
        (Err(error), Err(_)) => Err(error),
        (_, answer) => answer,
    }
}

/// A connection with one deadline for all reads and writes.
struct Timed {
    stream: TcpStream,
    until: Instant,
}

impl Read for Timed {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        self.stream.set_read_timeout(Some(left(self.until)?))?;
        self.stream.read(bytes)
    }
}

impl Write for Timed {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.stream.set_write_timeout(Some(left(self.until)?))?;
        self.stream.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }
}

fn left(until: Instant) -> io::Result<Duration> {
    match until.saturating_duration_since(Instant::now()) {
        left if left.is_zero() => Err(ErrorKind::TimedOut.into()),
        left => Ok(left),
    }
}

fn explain(error: &io::Error) -> String {
    match error.kind() {
        ErrorKind::TimedOut | ErrorKind::WouldBlock => {
            format!("no whole answer within {} s", DEADLINE.as_secs())
        }
        ErrorKind::ConnectionRefused => "it refused the connection".to_owned(),
        ErrorKind::ConnectionReset | ErrorKind::ConnectionAborted | ErrorKind::BrokenPipe => {
            "it reset the connection".to_owned()
        }
        ErrorKind::UnexpectedEof => "it closed the connection before its answer was whole".to_owned(),
        _ => error.to_string(),
    }
}

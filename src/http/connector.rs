//! Opens and reuses connections, and detects what ureq does not: a closed connection, and an endless answer.

use std::sync::Arc;
use std::time::Instant;

use ureq::Error;
use ureq::unversioned::transport::{Buffers, ConnectionDetails, Connector, LazyBuffers, NextTimeout, Transport};

use super::errors::{AnswerTooLong, StaleConnection, is_hang_up};
use super::gateway::Gateway;
use super::idle::{IdlePool, Key};
use super::tls::Tls;
use super::wire::Wire;

/// Connects to the addresses that the resolver allowed, through the proxy if there is one, with TLS for https.
///
/// It has its own pool of idle connections: ureq's pool belongs to one agent and cannot be limited for the whole process.
#[derive(Debug)]
pub struct GuardedConnector {
    pub tls: Tls,
    pub gateway: Option<Gateway>,
    pub idle: Arc<IdlePool>,
    /// The number of the client in the pool.
    pub client: u64,
}

impl GuardedConnector {
    fn open(&self, details: &ConnectionDetails) -> Result<Box<dyn Transport>, Error> {
        let buffers = || LazyBuffers::new(details.config.input_buffer_size(), details.config.output_buffer_size());
        let started = Instant::now();
        let wire: Box<dyn Transport> = match &self.gateway {
            Some(gateway) => gateway.open(details, &buffers)?,
            None => Box::new(Wire::connect(&details.addrs, details.timeout, buffers())?),
        };
        if !details.needs_tls() {
            return Ok(wire);
        }
        let host = details.uri.host().ok_or(Error::HostNotFound)?;
        let mut timeout = details.timeout;
        timeout.after = timeout.after.saturating_sub(started.elapsed()).into();
        Ok(Box::new(self.tls.open(wire, host, details, timeout, buffers())?))
    }
}

impl Connector for GuardedConnector {
    type Out = Line;

    /// A request whose `max_idle_age` is zero gets a new connection.
    fn connect(&self, details: &ConnectionDetails, _: Option<()>) -> Result<Option<Line>, Error> {
        let key = Key::new(self.client, details.uri);
        let reused = if details.config.max_idle_age().is_zero() { None } else { self.idle.take(&key) };
        let is_reused = reused.is_some();
        let transport = match reused {
            Some(transport) => transport,
            None => self.open(details)?,
        };
        let idle = Arc::clone(&self.idle);
        Ok(Some(Line { transport: Some(transport), key, idle, is_reused, received: 0, broken: None }))
    }
}

/// The limit on the bytes of one answer, with interim answers, head, chunk sizes and extensions, and trailers. It fits the
/// longest head, and twice the longest body that is kept.
const ANSWER_LIMIT: usize = 152 * 1024;

/// A connection for one request.
#[derive(Debug)]
pub struct Line {
    /// `None` once the connection is back in the pool.
    transport: Option<Box<dyn Transport>>,
    key: Key,
    idle: Arc<IdlePool>,
    is_reused: bool,
    /// Bytes of the answer read so far.
    received: usize,
    /// Why writing failed. There may be an answer all the same: a receiver may refuse a body before it has read it.
    broken: Option<Error>,
}

impl Line {
    fn transport(&mut self) -> &mut dyn Transport {
        self.transport.as_deref_mut().expect("ureq drops a connection that is not open")
    }

    /// The error for a closed connection; `None` after the first byte of an answer, which ureq handles.
    fn ended(&mut self) -> Option<Error> {
        match (self.received, self.is_reused) {
            (0, true) => Some(Error::Other(Box::new(StaleConnection))),
            (0, false) => self.broken.take(),
            _ => None,
        }
    }
}

impl Transport for Line {
    fn buffers(&mut self) -> &mut dyn Buffers {
        self.transport().buffers()
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), Error> {
        if self.broken.is_some() {
            return Ok(());
        }
        match self.transport().transmit_output(amount, timeout) {
            Err(error) if is_hang_up(&error) => {
                self.broken = Some(error);
                Ok(())
            }
            result => result,
        }
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, Error> {
        if self.received >= ANSWER_LIMIT {
            return Err(Error::Other(Box::new(AnswerTooLong { limit: ANSWER_LIMIT })));
        }
        let before = self.buffers().input().len();
        match self.transport().await_input(timeout) {
            Ok(true) => {
                self.received += self.buffers().input().len() - before;
                Ok(true)
            }
            Ok(false) => self.ended().map_or(Ok(false), Err),
            Err(error) if is_hang_up(&error) => Err(self.ended().unwrap_or(error)),
            Err(error) => Err(error),
        }
    }

    /// ureq calls this once, after a complete answer, to decide whether to pool the connection. Our pool takes it instead.
    fn is_open(&mut self) -> bool {
        if self.broken.is_none()
            && let Some(transport) = self.transport.take()
        {
            self.idle.put(self.key.clone(), transport);
        }
        false
    }

    fn is_tls(&self) -> bool {
        self.transport.as_ref().is_some_and(Transport::is_tls)
    }
}

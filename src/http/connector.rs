//! Opens connections, and notices when a kept-alive one turns out to be dead.

use std::time::Instant;

use ureq::Error;
use ureq::unversioned::transport::{Buffers, ConnectionDetails, Connector, LazyBuffers, NextTimeout, Transport};

use super::errors::{StaleConnection, is_hang_up};
use super::tls::TlsRoots;
use super::wire::Wire;

/// Connects to the addresses that the resolver let through, with TLS for https.
#[derive(Debug)]
pub struct GuardedConnector {
    roots: TlsRoots,
}

impl GuardedConnector {
    /// Trusts these roots.
    pub fn new(roots: TlsRoots) -> Self {
        Self { roots }
    }
}

impl Connector for GuardedConnector {
    type Out = Line;

    fn connect(&self, details: &ConnectionDetails, _: Option<()>) -> Result<Option<Line>, Error> {
        let buffers = || LazyBuffers::new(details.config.input_buffer_size(), details.config.output_buffer_size());
        let started = Instant::now();
        let wire = Wire::connect(&details.addrs, details.timeout, buffers())?;
        let transport: Box<dyn Transport> = if details.needs_tls() {
            let mut timeout = details.timeout;
            timeout.after = timeout.after.saturating_sub(started.elapsed()).into();
            Box::new(self.roots.open(wire, details, timeout, buffers())?)
        } else {
            Box::new(wire)
        };
        Ok(Some(Line { transport, exchange: Exchange::First, broken: None, was_probed: true }))
    }
}

/// A connection that knows whether it has served before and whether the answer under way has begun.
#[derive(Debug)]
pub struct Line {
    transport: Box<dyn Transport>,
    exchange: Exchange,
    /// Why writing failed. The answer may be there all the same: a receiver may refuse a body before it has read it.
    broken: Option<Error>,
    was_probed: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Exchange {
    /// The first request is on its way.
    First,
    /// A later request is on its way.
    Later,
    /// Bytes of an answer have come.
    Answered,
}

impl Line {
    /// The error for a connection that ended; `None` when bytes of the answer had come, which ureq judges.
    fn ended(&mut self) -> Option<Error> {
        match (self.exchange, self.broken.take()) {
            (Exchange::Later, _) => Some(Error::Other(Box::new(StaleConnection))),
            (Exchange::First, broken) => broken,
            (Exchange::Answered, _) => None,
        }
    }
}

impl Transport for Line {
    fn buffers(&mut self) -> &mut dyn Buffers {
        self.transport.buffers()
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), Error> {
        if self.exchange == Exchange::Answered {
            self.exchange = Exchange::Later;
        }
        if self.broken.is_some() {
            return Ok(());
        }
        match self.transport.transmit_output(amount, timeout) {
            Err(error) if is_hang_up(&error) => {
                self.broken = Some(error);
                Ok(())
            }
            result => result,
        }
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, Error> {
        match self.transport.await_input(timeout) {
            Ok(true) => {
                self.exchange = Exchange::Answered;
                self.was_probed = false;
                Ok(true)
            }
            Ok(false) => self.ended().map_or(Ok(false), Err),
            Err(error) if is_hang_up(&error) => Err(self.ended().unwrap_or(error)),
            Err(error) => Err(error),
        }
    }

    /// ureq asks when it puts a connection by and again when it takes it up: only the second answer matters.
    fn is_open(&mut self) -> bool {
        if self.broken.is_some() {
            return false;
        }
        if !self.was_probed {
            self.was_probed = true;
            return true;
        }
        self.transport.is_open()
    }

    fn is_tls(&self) -> bool {
        self.transport.is_tls()
    }
}

//! A TCP connection that applies the deadline of the attempt to every read and write.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use ureq::unversioned::transport::{Buffers, LazyBuffers, NextTimeout, Transport};
use ureq::{Error, Timeout};

use super::errors::is_hang_up;
use super::local;
use crate::log::{self, Field, Level};

/// Socket time-outs are rounded up to this step, so that they are set less often. An attempt ends at most this much late.
const STEP: Duration = Duration::from_millis(200);

/// Up to this size, head and body of a request are sent together, in one system call.
const TOGETHER: usize = 16 * 1024;

#[derive(Debug)]
pub struct Wire {
    stream: TcpStream,
    buffers: LazyBuffers,
    /// Written bytes that are sent before the answer is read.
    pending: Vec<u8>,
    read_timeout: Duration,
    write_timeout: Duration,
}

impl Wire {
    /// Connects to the first address that answers. Each one but the last gets half of the remaining time.
    pub fn connect(addresses: &[SocketAddr], timeout: NextTimeout, buffers: LazyBuffers) -> Result<Wire, Error> {
        let deadline = Deadline::new(timeout);
        let mut last_error = Error::ConnectionFailed;
        for (index, address) in addresses.iter().enumerate() {
            let left = deadline.left()?;
            let share = if index + 1 == addresses.len() { left } else { left / 2 };
            let connected = TcpStream::connect_timeout(address, share.max(Duration::from_millis(1)));
            log_connection(*address, connected.as_ref().err());
            match connected {
                Ok(stream) => {
                    stream.set_nodelay(true)?;
                    return Ok(Wire {
                        stream,
                        buffers,
                        pending: Vec::new(),
                        read_timeout: Duration::ZERO,
                        write_timeout: Duration::ZERO,
                    });
                }
                Err(error) if local::trouble(&error).is_some() => return Err(Error::Io(error)),
                Err(error) if error.kind() == ErrorKind::TimedOut => last_error = Error::Timeout(Timeout::Connect),
                Err(error) => last_error = Error::Io(error),
            }
        }
        Err(last_error)
    }

    /// Whether the connection is open and has no unread bytes.
    #[cfg(unix)]
    fn is_quiet(&self) -> bool {
        use rustix::io::Errno;
        use rustix::net::{RecvFlags, recv};
        matches!(recv(&self.stream, &mut [0], RecvFlags::PEEK | RecvFlags::DONTWAIT), Err(Errno::WOULDBLOCK))
    }

    #[cfg(not(unix))]
    fn is_quiet(&self) -> bool {
        let is_quiet = || matches!(self.stream.peek(&mut [0]), Err(error) if error.kind() == ErrorKind::WouldBlock);
        self.stream.set_nonblocking(true).is_ok() && is_quiet() && self.stream.set_nonblocking(false).is_ok()
    }

    fn flush(&mut self, deadline: &Deadline) -> Result<(), Error> {
        let pending = std::mem::take(&mut self.pending);
        let sent = self.send(&pending, deadline);
        self.pending = pending;
        self.pending.clear();
        sent
    }

    fn send(&mut self, mut output: &[u8], deadline: &Deadline) -> Result<(), Error> {
        while !output.is_empty() {
            let limit = in_steps(deadline.left()?);
            if limit != self.write_timeout {
                self.stream.set_write_timeout(Some(limit))?;
                self.write_timeout = limit;
            }
            match (&self.stream).write(output) {
                Ok(0) => return Err(io::Error::from(ErrorKind::WriteZero).into()),
                Ok(written) => output = &output[written..],
                Err(error) if is_worth_another_try(&error) => (),
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    fn receive(&mut self, deadline: &Deadline) -> Result<usize, Error> {
        let input = self.buffers.input_append_buf();
        let amount = loop {
            let limit = in_steps(deadline.left()?);
            if limit != self.read_timeout {
                self.stream.set_read_timeout(Some(limit))?;
                self.read_timeout = limit;
            }
            match (&self.stream).read(input) {
                Ok(amount) => break amount,
                Err(error) if is_worth_another_try(&error) => (),
                Err(error) => return Err(error.into()),
            }
        };
        self.buffers.input_appended(amount);
        Ok(amount)
    }
}

impl Transport for Wire {
    fn buffers(&mut self) -> &mut dyn Buffers {
        &mut self.buffers
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), Error> {
        if self.pending.len() + amount <= TOGETHER {
            self.pending.extend_from_slice(&self.buffers.output()[..amount]);
            return Ok(());
        }
        let deadline = Deadline::new(timeout);
        self.flush(&deadline)?;
        self.pending.extend_from_slice(&self.buffers.output()[..amount]);
        self.flush(&deadline)
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, Error> {
        let deadline = Deadline::new(timeout);
        if self.pending.is_empty() {
            return self.receive(&deadline).map(|amount| amount > 0);
        }
        match self.flush(&deadline) {
            // A receiver may answer before it has read everything: its answer counts, not the reset.
            Err(error) if is_hang_up(&error) => match self.receive(&deadline) {
                Ok(amount) if amount > 0 => Ok(true),
                _ => Err(error),
            },
            sent => sent.and_then(|()| self.receive(&deadline)).map(|amount| amount > 0),
        }
    }

    fn is_open(&mut self) -> bool {
        self.is_quiet()
    }
}

/// The deadline of one step of an attempt, on the monotonic clock.
struct Deadline {
    at: Option<Instant>,
    reason: Timeout,
}

impl Deadline {
    fn new(timeout: NextTimeout) -> Self {
        Self { at: Instant::now().checked_add(*timeout.after), reason: timeout.reason }
    }

    fn left(&self) -> Result<Duration, Error> {
        let left = self.at.map_or(Duration::MAX, |at| at.saturating_duration_since(Instant::now()));
        if left.is_zero() { Err(Error::Timeout(self.reason)) } else { Ok(left) }
    }
}

/// Rounded up to the next [`STEP`].
fn in_steps(left: Duration) -> Duration {
    let steps = left.as_millis() / STEP.as_millis() + 1;
    STEP.saturating_mul(u32::try_from(steps).unwrap_or(u32::MAX))
}

/// Whether to try again until the deadline: after a signal or a socket time-out.
fn is_worth_another_try(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::Interrupted | ErrorKind::WouldBlock | ErrorKind::TimedOut)
}

fn log_connection(address: SocketAddr, error: Option<&io::Error>) {
    if !log::is_on(Level::Debug) {
        return;
    }
    let (address, error) = (address.to_string(), error.map(ToString::to_string));
    let mut fields = vec![("address", Field::Text(&address))];
    fields.extend(error.as_deref().map(|error| ("error", Field::Text(error))));
    log::write(Level::Debug, "connection", &fields);
}

//! The bytes of one connection, buffered.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::{Duration, Instant};

/// How long a read or a write may stand still, idle keep-alive connections included.
const PATIENCE: Duration = Duration::from_secs(60);

/// How long and how much a refused sender may go on before the connection is cut.
const LINGER: Duration = Duration::from_millis(500);
const LINGER_BYTES: usize = 8 * 1024 * 1024;

/// One connection and what was read from it but not yet used.
pub struct Wire {
    stream: TcpStream,
    unread: Vec<u8>,
}

impl Wire {
    /// Takes over a connection; every read and write on it has a limit in time.
    pub fn new(stream: TcpStream) -> io::Result<Wire> {
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        Ok(Wire { stream, unread: Vec::new() })
    }

    /// What was read but not yet used.
    pub fn unread(&self) -> &[u8] {
        &self.unread
    }

    /// Waits for more bytes and returns how many came; 0 at the end.
    pub fn fill(&mut self) -> io::Result<usize> {
        let mut chunk = [0; 16 * 1024];
        loop {
            match self.stream.read(&mut chunk) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
                Ok(count) => {
                    self.unread.extend_from_slice(&chunk[..count]);
                    return Ok(count);
                }
            }
        }
    }

    /// Drops the first `count` of the unread bytes.
    pub fn consume(&mut self, count: usize) {
        self.unread.drain(..count.min(self.unread.len()));
    }

    /// Moves exactly `count` bytes to the end of `target`; an early end is `UnexpectedEof`.
    pub fn take(&mut self, count: usize, target: &mut Vec<u8>) -> io::Result<()> {
        let mut missing = count;
        loop {
            let now = missing.min(self.unread.len());
            target.extend(self.unread.drain(..now));
            missing -= now;
            if missing == 0 {
                return Ok(());
            }
            if self.fill()? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
    }

    pub fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes)
    }

    /// Ends the connection so that the sender can still read its answer: bytes that nobody reads would turn the close
    /// into a reset, which discards the answer (RFC 9112, section 9.6).
    pub fn close(mut self) {
        if self.stream.shutdown(Shutdown::Write).is_err() || self.stream.set_read_timeout(Some(LINGER)).is_err() {
            return;
        }
        let started = Instant::now();
        let mut read = 0;
        while read < LINGER_BYTES && started.elapsed() < LINGER {
            self.unread.clear();
            match self.fill() {
                Ok(count) if count > 0 => read += count,
                _ => return,
            }
        }
    }
}

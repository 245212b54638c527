//! The bytes of one connection, buffered.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::{Duration, Instant};

/// The time-out of a read or a write, and of an idle keep-alive connection.
const PATIENCE: Duration = Duration::from_secs(60);

/// How long and how much a refused sender may go on sending before the connection is closed.
const LINGER: Duration = Duration::from_millis(500);
const LINGER_BYTES: usize = 8 * 1024 * 1024;

pub struct Wire {
    stream: TcpStream,
    unread: Vec<u8>,
}

impl Wire {
    /// Takes over a connection and sets its time-outs.
    pub fn new(stream: TcpStream) -> io::Result<Wire> {
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        Ok(Wire { stream, unread: Vec::new() })
    }

    pub fn unread(&self) -> &[u8] {
        &self.unread
    }

    /// Reads more bytes and returns how many; 0 at the end.
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

    /// Drops the first `count` unread bytes.
    pub fn consume(&mut self, count: usize) {
        self.unread.drain(..count.min(self.unread.len()));
    }

    /// Moves exactly `count` bytes to the end of `target`; `UnexpectedEof` if there are fewer.
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

    /// Closes the connection so that the sender can still read its answer: closing with unread bytes would send a reset,
    /// which discards the answer (RFC 9112, section 9.6).
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

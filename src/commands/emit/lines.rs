//! The lines of a batch, read ahead on a thread, so that a slow writer delays neither deliveries nor a stop.

use std::io::{self, BufRead, BufReader, Read};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::Duration;

/// Lines are handed over in chunks of about so many bytes.
const CHUNK: usize = 64 * 1024;
/// The end of a line that is too long is looked for so far, in bytes: `/dev/zero` has none.
const FURTHEST: u64 = 64 * 1024 * 1024;
/// How many chunks are read ahead.
const AHEAD: usize = 4;

/// Lines that were read, or why there are none.
#[derive(Debug)]
pub(super) enum Next {
    /// Lines with their ends; of one longer than the longest only its beginning, which is longer than the longest too.
    Lines(Vec<Vec<u8>>),
    /// None so far.
    Idle,
    End,
}

#[derive(Debug)]
pub(super) struct Lines {
    chunks: Receiver<io::Result<Vec<Vec<u8>>>>,
}

impl Lines {
    /// Begins to read. Lines hold at most `longest` bytes.
    pub(super) fn of(input: impl Read + Send + 'static, longest: usize) -> io::Result<Lines> {
        let (sender, chunks) = sync_channel(AHEAD);
        std::thread::Builder::new().spawn(move || read(input, longest, &sender))?;
        Ok(Lines { chunks })
    }

    /// The next lines; waits for them no longer than `patience`.
    pub(super) fn next(&self, patience: Duration) -> io::Result<Next> {
        match self.chunks.recv_timeout(patience) {
            Ok(chunk) => chunk.map(Next::Lines),
            Err(RecvTimeoutError::Timeout) => Ok(Next::Idle),
            Err(RecvTimeoutError::Disconnected) => Ok(Next::End),
        }
    }
}

fn read(input: impl Read, longest: usize, chunks: &SyncSender<io::Result<Vec<Vec<u8>>>>) {
    let mut input = BufReader::with_capacity(CHUNK, input);
    loop {
        let chunk = read_chunk(&mut input, longest);
        let is_last = chunk.as_ref().map_or(true, Vec::is_empty);
        let is_empty = chunk.as_ref().is_ok_and(Vec::is_empty);
        if is_empty || chunks.send(chunk).is_err() || is_last {
            return;
        }
    }
}

/// Whole lines until the chunk is full, or the next line would have to be waited for. Empty at the end.
fn read_chunk(input: &mut BufReader<impl Read>, longest: usize) -> io::Result<Vec<Vec<u8>>> {
    let (mut lines, mut length) = (Vec::new(), 0);
    while lines.is_empty() || (length < CHUNK && !input.buffer().is_empty()) {
        let mut line = Vec::new();
        if input.by_ref().take(longest as u64 + 1).read_until(b'\n', &mut line)? == 0 {
            break;
        }
        if line.len() > longest && !line.ends_with(b"\n") {
            skip_line(input, FURTHEST)?;
        }
        length += line.len();
        lines.push(line);
    }
    Ok(lines)
}

fn skip_line(input: &mut BufReader<impl Read>, furthest: u64) -> io::Result<()> {
    let skipped = input.by_ref().take(furthest).skip_until(b'\n')?;
    if skipped as u64 == furthest {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "a line does not end; write one JSON object a line"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(input: &'static [u8], longest: usize) -> Vec<Vec<u8>> {
        let lines = Lines::of(input, longest).unwrap();
        let mut all = Vec::new();
        loop {
            match lines.next(Duration::from_secs(10)).unwrap() {
                Next::Lines(more) => all.extend(more),
                Next::Idle => panic!("nothing to wait for"),
                Next::End => return all,
            }
        }
    }

    #[test]
    fn every_line_comes_and_one_that_is_too_long_does_not_spoil_the_next() {
        assert_eq!(all(b"a\n\nbc", 10), [b"a\n".to_vec(), b"\n".to_vec(), b"bc".to_vec()]);
        assert_eq!(all(b"abcdefgh\nb\n", 3), [b"abcd".to_vec(), b"b\n".to_vec()]);
        assert!(all(b"", 3).is_empty());
    }

    #[test]
    fn a_line_without_an_end_is_given_up() {
        let skip = |input: &'static [u8]| skip_line(&mut BufReader::new(input), 4);
        assert!(skip(b"ab\nd").is_ok() && skip(b"ab").is_ok());
        assert_eq!(skip(b"abcdefgh").unwrap_err().kind(), io::ErrorKind::InvalidData);
    }

    #[test]
    fn a_writer_that_pauses_is_not_waited_for() {
        let (reader, _writer) = io::pipe().unwrap();
        let lines = Lines::of(reader, 10).unwrap();
        assert!(matches!(lines.next(Duration::from_millis(1)).unwrap(), Next::Idle));
    }
}

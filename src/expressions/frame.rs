//! What goes through the pipes: frames, each a kind, a length of four bytes, least first, and as many bytes.

use std::io::{self, Read};

use super::task::{LONGEST_BODY, Question, Task};

/// The longest frame: an event, an expression, and the length of that.
const LONGEST_FRAME: usize = LONGEST_BODY + 32 * 1024;

/// What the child says.
#[derive(Debug, PartialEq, Eq)]
pub enum Message {
    /// The expression was new, and is compiled: its evaluation begins now.
    Begun,
    Reply(Reply),
}

#[derive(Debug, PartialEq, Eq)]
pub enum Reply {
    Unwanted,
    Wanted,
    Body(Vec<u8>),
    Failed(String),
}

/// A frame of a task: the length of the expression, the expression, the event.
pub fn of_task(task: Task<'_>) -> Vec<u8> {
    let length = (task.expression.len() as u32).to_le_bytes();
    let kind = match task.question {
        Question::Filter => b'F',
        Question::Transform => b'T',
    };
    frame(kind, &[&length, task.expression.as_bytes(), task.event])
}

/// The task in the bytes of a frame.
pub fn task(kind: u8, bytes: &[u8]) -> Option<Task<'_>> {
    let question = match kind {
        b'F' => Question::Filter,
        b'T' => Question::Transform,
        _ => return None,
    };
    let (length, rest) = bytes.split_first_chunk()?;
    let (expression, event) = rest.split_at_checked(u32::from_le_bytes(*length) as usize)?;
    Some(Task { question, expression: std::str::from_utf8(expression).ok()?, event })
}

pub fn of_message(message: &Message) -> Vec<u8> {
    match message {
        Message::Begun => frame(b'C', &[]),
        Message::Reply(Reply::Unwanted) => frame(b'N', &[]),
        Message::Reply(Reply::Wanted) => frame(b'Y', &[]),
        Message::Reply(Reply::Body(body)) => frame(b'B', &[body]),
        Message::Reply(Reply::Failed(reason)) => frame(b'E', &[reason.as_bytes()]),
    }
}

pub fn message(kind: u8, bytes: Vec<u8>) -> Option<Message> {
    Some(match kind {
        b'C' => Message::Begun,
        b'N' => Message::Reply(Reply::Unwanted),
        b'Y' => Message::Reply(Reply::Wanted),
        b'B' => Message::Reply(Reply::Body(bytes)),
        b'E' => Message::Reply(Reply::Failed(String::from_utf8_lossy(&bytes).into_owned())),
        _ => return None,
    })
}

fn frame(kind: u8, parts: &[&[u8]]) -> Vec<u8> {
    let length: usize = parts.iter().map(|part| part.len()).sum();
    let mut frame = Vec::with_capacity(5 + length);
    frame.push(kind);
    frame.extend((length as u32).to_le_bytes());
    parts.iter().for_each(|part| frame.extend_from_slice(part));
    frame
}

/// The next frame, kind and bytes; `None` where the other side has closed its end.
pub fn read(input: &mut impl Read) -> io::Result<Option<(u8, Vec<u8>)>> {
    let mut head = [0; 5];
    match input.read_exact(&mut head[..1]) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        read => read?,
    }
    input.read_exact(&mut head[1..])?;
    let [kind, length @ ..] = head;
    let length = u32::from_le_bytes(length) as usize;
    if length > LONGEST_FRAME {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "a frame is too long"));
    }
    let mut bytes = vec![0; length];
    input.read_exact(&mut bytes)?;
    Ok(Some((kind, bytes)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let task = Task { question: Question::Transform, expression: "{é: .}", event: b"{\"a\":1.10}" };
        let bytes = of_task(task);
        let (kind, bytes) = read(&mut bytes.as_slice()).unwrap().unwrap();
        let found = super::task(kind, &bytes).unwrap();
        assert_eq!((found.question, found.expression, found.event), (task.question, task.expression, task.event));
        for reply in [Reply::Unwanted, Reply::Wanted, Reply::Body(vec![0, 255]), Reply::Failed("no".to_owned())] {
            let sent = Message::Reply(reply);
            let (kind, bytes) = read(&mut of_message(&sent).as_slice()).unwrap().unwrap();
            assert_eq!(message(kind, bytes), Some(sent));
        }
    }

    #[test]
    fn what_is_no_frame_is_an_error_and_the_end_is_the_end() {
        assert!(read(&mut [].as_slice()).unwrap().is_none());
        for bytes in [&b"T"[..], b"T\x05\0\0\0abc", b"T\xff\xff\xff\xff"] {
            assert!(read(&mut &*bytes).is_err(), "{bytes:?}");
        }
        for (kind, bytes) in
            [(b'T', &b"\x09\0\0\0abc"[..]), (b'T', b"\0"), (b'X', b"\0\0\0\0"), (b'F', b"\x01\0\0\0\xff")]
        {
            assert!(task(kind, bytes).is_none(), "{bytes:?}");
        }
    }
}

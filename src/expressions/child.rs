//! The child: it reads tasks from stdin, one after another, and writes what came of them to stdout.

use std::collections::HashMap;
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::time::{Duration, Instant};

use super::frame::{self, Message, Reply};
use super::task::{LONGEST, LONGEST_BODY, MEMORY, Question, Task};
use crate::domain::text::shortened;
use crate::jq::Stored;
use crate::process::{self, Confinement};

/// The most characters of an error: it repeats what the expression put into it, such as a whole event.
const LONGEST_MESSAGE: usize = 500;

/// How many expressions are kept compiled.
const MOST_KEPT: usize = 128;
/// What compiled expressions may take beside the memory of an evaluation, in bytes.
const KEPT_MEMORY: u64 = 128 * 1024 * 1024;

/// Serves the process that started this one, until that closes the pipe. The exit code.
pub fn serve() -> u8 {
    let mut child =
        Child { kept: HashMap::new(), confinement: process::confine(MEMORY + KEPT_MEMORY), busy: Duration::ZERO };
    child.confinement.allow_memory(MEMORY);
    match child.run(io::stdin().lock(), io::stdout().lock()) {
        Ok(()) => 0,
        Err(_) => 1,
    }
}

struct Child {
    kept: HashMap<String, Stored>,
    confinement: Confinement,
    /// How long it has evaluated: processor time is no more than that.
    busy: Duration,
}

impl Child {
    fn run(&mut self, input: impl Read, output: impl Write) -> io::Result<()> {
        let (mut input, mut output) = (BufReader::new(input), BufWriter::new(output));
        while let Some((kind, bytes)) = frame::read(&mut input)? {
            let task = frame::task(kind, &bytes).ok_or(io::ErrorKind::InvalidData)?;
            // Without a parent that could kill it, an evaluation ends by this limit.
            self.confinement.allow_seconds((self.busy + 4 * LONGEST).as_secs());
            let begun = Instant::now();
            let reply = match self.compile(task.expression, &mut output)? {
                Ok(stored) => reply(stored, task),
                Err(reason) => Reply::Failed(reason),
            };
            self.busy += begun.elapsed();
            output.write_all(&frame::of_message(&Message::Reply(reply)))?;
            // What is not sent yet would be lost with this process, and charged to the next expression that ends it.
            output.flush()?;
        }
        Ok(())
    }

    /// The expression, compiled anew where it is not kept.
    fn compile(&mut self, expression: &str, output: &mut impl Write) -> io::Result<Result<&Stored, String>> {
        if !self.kept.contains_key(expression) {
            if self.kept.len() >= MOST_KEPT {
                self.kept.clear();
            }
            match Stored::compile(expression) {
                Ok(stored) => self.kept.insert(expression.to_owned(), stored),
                Err(invalid) => return Ok(Err(invalid.to_string())),
            };
            self.confinement.allow_memory(MEMORY);
            output.write_all(&frame::of_message(&Message::Begun))?;
            output.flush()?;
        }
        Ok(Ok(&self.kept[expression]))
    }
}

fn reply(stored: &Stored, task: Task<'_>) -> Reply {
    match task.question {
        Question::Filter => match stored.decide(task.event) {
            Ok(true) => Reply::Wanted,
            Ok(false) => Reply::Unwanted,
            Err(error) => Reply::Failed(shortened(&error.to_string(), LONGEST_MESSAGE)),
        },
        Question::Transform => match stored.transform(task.event) {
            Ok(body) if body.len() > LONGEST_BODY => {
                Reply::Failed(format!("it gives {} bytes; the limit is {LONGEST_BODY}", body.len()))
            }
            Ok(body) => Reply::Body(body.into_bytes()),
            Err(error) => Reply::Failed(shortened(&error.to_string(), LONGEST_MESSAGE)),
        },
    }
}

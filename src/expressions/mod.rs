//! Running the expressions that are stored with webhooks. What is accepted can still take for ever, or all memory, and a stack
//! that overflows ends its process: so they run in a child of this program, which is started with the first of them, bounded
//! by the system, killed when one takes too long, and started again. docs/design/expressions.md says why.

mod child;
mod frame;
mod process;
mod task;

use std::sync::{Mutex, PoisonError};
use std::time::Instant;

pub use self::child::serve;
use self::frame::Reply;
use self::process::{Process, Waited};
pub use self::task::{COMMAND, Question, Task};
use self::task::{LONGEST, MEMORY};
use crate::domain::attempt::LocalTrouble;

/// How many evaluations are sent ahead of the one that is waited for, and how many bytes of them.
const AHEAD: usize = 256;
const BYTES_AHEAD: usize = 4 * 1024 * 1024;

/// What an expression made of an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    Unwanted,
    Wanted,
    Body(Vec<u8>),
}

/// The answer, or why there is none, in one line.
pub type Evaluated = Result<Answer, String>;

/// The child of this process, once there is one.
static CHILD: Mutex<Option<Process>> = Mutex::new(None);

/// Runs expressions, one after another; the results are in the order of the tasks. After the deadline there are no more of them,
/// but one in any case. An error is what this machine lacks to run them at all, and no fault of an expression.
pub fn evaluate(tasks: &[Task<'_>], deadline: Option<Instant>) -> Result<Vec<Evaluated>, LocalTrouble> {
    let mut child = CHILD.lock().unwrap_or_else(PoisonError::into_inner);
    let mut results = Vec::with_capacity(tasks.len());
    let (mut sent, mut bytes_ahead, mut has_died) = (0, 0, false);
    while results.len() < tasks.len() {
        if !results.is_empty() && deadline.is_some_and(|deadline| Instant::now() >= deadline) {
            // It is still at what was sent ahead.
            *child = None;
            break;
        }
        if child.is_none() {
            (sent, bytes_ahead) = (results.len(), 0);
            *child = Some(Process::start()?);
        }
        let Some(process) = child.as_mut() else { continue };
        while sent < tasks.len() && sent - results.len() < AHEAD && (sent == results.len() || bytes_ahead < BYTES_AHEAD)
        {
            bytes_ahead += tasks[sent].bytes();
            process.send(tasks[sent]);
            sent += 1;
        }
        match process.wait() {
            Waited::Reply(reply) => {
                bytes_ahead -= tasks[results.len()].bytes();
                results.push(evaluated(reply));
                has_died = false;
            }
            Waited::TookTooLong => {
                (*child, has_died) = (None, false);
                results.push(Err(format!("it took longer than {} s", LONGEST.as_secs())));
            }
            // Somebody else may have killed it: only the second time it is this expression's doing.
            Waited::Ended => {
                *child = None;
                if has_died {
                    results.push(Err(format!("it used up its memory of {} MiB, or its stack", MEMORY >> 20)));
                }
                has_died = !has_died;
            }
        }
    }
    Ok(results)
}

fn evaluated(reply: Reply) -> Evaluated {
    match reply {
        Reply::Unwanted => Ok(Answer::Unwanted),
        Reply::Wanted => Ok(Answer::Wanted),
        Reply::Body(body) => Ok(Answer::Body(body)),
        Reply::Failed(reason) => Err(reason),
    }
}

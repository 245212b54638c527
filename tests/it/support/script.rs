//! What the receiver does, connection by connection and request by request.

use std::sync::Arc;

use super::{Recorded, Reply};

/// The answers to a run of requests.
#[derive(Clone)]
pub enum Script {
    /// In turn; the last one repeats.
    InTurn(Vec<Reply>),
    /// As the request asks for; its `status` is not yet known. Must not ask the receiver anything: it waits meanwhile.
    Each(Arc<dyn Fn(&Recorded) -> Reply + Send + Sync>),
}

impl Script {
    /// Answers each request by what it is.
    pub fn each(answer: impl Fn(&Recorded) -> Reply + Send + Sync + 'static) -> Script {
        Script::Each(Arc::new(answer))
    }
}

impl From<u16> for Script {
    fn from(status: u16) -> Script {
        Script::InTurn(vec![Reply::Status(status)])
    }
}

impl From<Reply> for Script {
    fn from(reply: Reply) -> Script {
        Script::InTurn(vec![reply])
    }
}

impl From<Vec<Reply>> for Script {
    fn from(replies: Vec<Reply>) -> Script {
        assert!(!replies.is_empty(), "a script needs a reply");
        Script::InTurn(replies)
    }
}

impl<const N: usize> From<[Reply; N]> for Script {
    fn from(replies: [Reply; N]) -> Script {
        Script::from(Vec::from(replies))
    }
}

impl<const N: usize> From<[u16; N]> for Script {
    fn from(statuses: [u16; N]) -> Script {
        Script::from(statuses.map(Reply::Status).to_vec())
    }
}

/// What becomes of a new connection, before anything is read from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnConnect {
    /// Its requests are answered.
    Serve,
    /// It closes.
    Close,
    /// It is reset.
    Reset,
    /// It stays open, and nothing is read: a TLS handshake stalls too.
    Stall,
}

/// A script and how far it has come.
pub struct Turns {
    script: Script,
    next: usize,
}

impl Turns {
    /// From the beginning.
    pub fn new(script: Script) -> Turns {
        Turns { script, next: 0 }
    }

    /// The answer to the next request.
    pub fn reply(&mut self, request: &Recorded) -> Reply {
        match &self.script {
            Script::Each(answer) => answer(request),
            Script::InTurn(replies) => {
                let reply = replies[self.next.min(replies.len() - 1)].clone();
                self.next += 1;
                reply
            }
        }
    }
}

//! The state of a connection between two questions.

use std::cell::{Cell, RefCell};

use super::address::Server;
use super::cursor::Cursors;
use super::found::Found;
use super::link::Link;
use super::queue::Queued;
use super::settings::Access;

/// An open database on a server.
#[derive(Debug)]
pub struct Postgres {
    pub(super) runtime: tokio::runtime::Runtime,
    pub(super) server: Server,
    pub(super) access: Access,
    /// `None` after the connection was lost.
    pub(super) link: RefCell<Option<Link>>,
    /// What is sent with the next question.
    pub(super) queue: RefCell<Vec<Queued>>,
    pub(super) transaction: Cell<Transaction>,
    /// What was read of webhooks as deliveries were claimed for them, until it is asked for.
    pub(super) outgoing: RefCell<Option<Found>>,
    pub(super) cursors: Cursors,
}

/// How far a transaction is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Transaction {
    None,
    /// Its BEGIN is still in the queue.
    Queued,
    Begun,
    /// A statement failed: nothing but ROLLBACK is possible.
    Failed,
    /// Its COMMIT went with its last question, and was answered.
    Committed,
}

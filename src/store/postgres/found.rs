//! What a server answered about webhooks, unread: apart, because whoever reads it knows the store, and the engine keeps it.

use tokio_postgres::Row as ServerRow;

/// The answers, as the server gave them.
#[derive(Debug)]
pub struct Found {
    pub(super) ids: Vec<i64>,
    pub(super) webhooks: Vec<ServerRow>,
    pub(super) credentials: Vec<ServerRow>,
    pub(super) secrets: Vec<ServerRow>,
}

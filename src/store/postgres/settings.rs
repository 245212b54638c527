//! What holds for every session: where the tables are, and how long anything is waited for.

use std::time::Duration;

use super::address::{Server, Session};

/// What a connection is opened for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    Read,
    Write,
    /// To a database of an application, where hookctl's schema is not looked for.
    Application,
}

/// How long one statement may take: the longest reads a long log.
const STATEMENT: Duration = Duration::from_secs(300);
/// No time at all would mean to the server that locks are waited for without end.
const SHORTEST_WAIT: Duration = Duration::from_millis(1);
/// How long the server keeps the locks of a process that was stopped in a transaction.
const IDLE_IN_TRANSACTION: Duration = Duration::from_secs(60);
/// How long an answer is waited for, when the server does not end the statement itself.
pub const ANSWER: Duration = Duration::from_secs(330);

/// Names and values; times are in milliseconds.
fn settings(server: &Server, access: Access) -> Vec<(&'static str, String)> {
    let millis = |time: Duration| time.as_millis().to_string();
    let mut settings = vec![
        ("statement_timeout", millis(STATEMENT)),
        ("lock_timeout", millis(server.lock_timeout.max(SHORTEST_WAIT))),
        ("idle_in_transaction_session_timeout", millis(IDLE_IN_TRANSACTION)),
        // Compiling a plan takes longer than running it.
        ("jit", "off".to_owned()),
    ];
    if access != Access::Application {
        settings.push(("search_path", "hookctl,pg_temp".to_owned()));
    }
    if access == Access::Read {
        settings.push(("default_transaction_read_only", "on".to_owned()));
    }
    settings
}

/// What a new session is started with; the address's own options come last and count. A pooler takes none.
pub fn startup_options(server: &Server, access: Access) -> String {
    // A server that takes writes is looked for by asking this session whether it does.
    let is_asked_for = |name: &str| name != "default_transaction_read_only" || server.session == Session::Any;
    let ours = settings(server, access).into_iter().filter(|(name, _)| !server.is_pooled && is_asked_for(name));
    let mut options: Vec<String> = ours.map(|(name, value)| format!("-c {name}={value}")).collect();
    options.extend(Some(server.options.clone()).filter(|options| !options.is_empty()));
    options.join(" ")
}

/// A statement that sets the same for one transaction, whose session is a pooler's.
pub fn transaction_settings(server: &Server, access: Access) -> String {
    // The transaction has begun already.
    let ours = settings(server, access).into_iter().filter(|(name, _)| *name != "default_transaction_read_only");
    let set: Vec<String> = ours.map(|(name, value)| format!("set_config('{name}', '{value}', TRUE)")).collect();
    format!("SELECT {}", set.join(", "))
}

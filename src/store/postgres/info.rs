//! What there is to tell about the server.

use tokio_postgres::SimpleQueryMessage;

use super::address::Server;
use super::engine::Postgres;
use super::settings::Access;
use crate::store::{Result, Store};

/// The server as it sees this session.
#[derive(Clone, Debug)]
pub struct ServerInfo {
    pub version: String,
    pub role: String,
    /// The version of TLS and the cipher; `None` where the connection is not encrypted.
    pub encryption: Option<String>,
    /// Whether the server takes no writes: a replica.
    pub is_replica: bool,
    /// Who owns the schema; `None` where it is not there.
    pub schema_owner: Option<String>,
    /// Bytes of the schema's tables and indexes.
    pub size_bytes: u64,
}

const SERVER: &str = "SELECT current_setting('server_version'), current_user, pg_is_in_recovery(),
    (SELECT version || ', ' || cipher FROM pg_stat_ssl WHERE pid = pg_backend_pid() AND ssl),
    (SELECT pg_get_userbyid(nspowner) FROM pg_namespace WHERE nspname = 'hookctl'),
    (SELECT coalesce(sum(pg_total_relation_size(c.oid)), 0) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE n.nspname = 'hookctl' AND c.relkind = 'r')";

impl Store {
    /// Connects and asks, whether or not the schema is there.
    pub fn server_info(server: &Server) -> Result<ServerInfo> {
        let connected = Postgres::connect(server, Access::Read)?;
        let link = connected.link.borrow();
        let Some(link) = link.as_ref() else { return Err(connected.lost()) };
        let answer = connected.wait(link, link.client.simple_query(SERVER))?;
        let answer = answer.map_err(|error| connected.failed(link, &error))?;
        let row = answer.iter().find_map(|message| match message {
            SimpleQueryMessage::Row(row) => Some(row),
            _ => None,
        });
        let text = |column: usize| row.and_then(|row| row.get(column)).map(str::to_owned);
        Ok(ServerInfo {
            version: text(0).unwrap_or_default(),
            role: text(1).unwrap_or_default(),
            is_replica: text(2).as_deref() == Some("t"),
            encryption: text(3),
            schema_owner: text(4),
            size_bytes: text(5).and_then(|bytes| bytes.parse().ok()).unwrap_or_default(),
        })
    }
}

//! `hookctl db info` of a database on a server.

use anyhow::Result;
use serde::Serialize;

use super::content::Content;
use crate::commands::wording::size;
use crate::context::Context;
use crate::output::{Cell, Page, Text};
use crate::store::{Server, Store};

#[derive(Debug, Serialize)]
struct ServerView {
    server: String,
    exists: bool,
    server_version: String,
    role: String,
    encryption: Option<String>,
    is_replica: bool,
    schema: &'static str,
    schema_owner: Option<String>,
    schema_version: i64,
    size_bytes: u64,
    #[serde(flatten)]
    content: Content,
}

impl Page for ServerView {
    fn describe(&self, text: &mut Text) {
        text.field("Server", &self.server);
        text.field("PostgreSQL", &self.server_version);
        text.field("Role", &self.role);
        text.field("Encryption", self.encryption.as_deref().map_or_else(|| Cell::plain("none"), Cell::plain));
        if self.is_replica {
            text.field("Replica", Cell::warn("yes: it takes no writes"));
        }
        let owner = self.schema_owner.as_ref().map(|owner| format!("{}, of role {owner}", self.schema));
        text.field("Schema", owner.unwrap_or_else(|| format!("{} (not there yet)", self.schema)));
        text.field("Schema version", self.schema_version);
        text.field("Size", size(self.size_bytes));
        self.content.describe(text);
    }
}

/// Shows the server; `store` is the database on it, if there is one.
pub fn show(context: &mut Context, server: &Server, store: Option<Store>) -> Result<()> {
    let exists = store.is_some();
    let store = store.map_or_else(Store::empty, Ok)?;
    let (facts, info) = (Store::server_info(server)?, store.info(context.now())?);
    let rows = info.rows.into_iter().map(|(table, rows)| (table, if exists { rows } else { 0 }));
    let view = ServerView {
        server: server.to_string(),
        exists,
        server_version: facts.version,
        role: facts.role,
        encryption: facts.encryption,
        is_replica: facts.is_replica,
        schema: "hookctl",
        schema_owner: facts.schema_owner,
        schema_version: if exists { info.schema_version } else { 0 },
        size_bytes: facts.size_bytes,
        content: Content::load(context, &store, info.backlog, rows)?,
    };
    context.out.page(&view)
}

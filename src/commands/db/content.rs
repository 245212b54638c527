//! The contents of a database, as `hookctl db info` shows them.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::Result;
use serde::Serialize;

use super::files;
use crate::context::Context;
use crate::domain::time::Timestamp;
use crate::output::{Cell, Text};
use crate::store::{Backlog, Sealing, Store};

/// The part of `db info` that files and servers share.
#[derive(Debug, Serialize)]
pub struct Content {
    credentials: SealingView,
    rows: BTreeMap<&'static str, u64>,
    backlog: Backlog,
    oldest_due_at: Option<Timestamp>,
}

impl Content {
    /// `rows` counts the rows of each table.
    pub fn load(
        context: &Context,
        store: &Store,
        backlog: Backlog,
        rows: impl IntoIterator<Item = (&'static str, u64)>,
    ) -> Result<Content> {
        let credentials = SealingView::load(context, store)?;
        Ok(Content { credentials, rows: rows.into_iter().collect(), backlog, oldest_due_at: backlog.oldest_due })
    }

    pub fn describe(&self, text: &mut Text) {
        self.credentials.describe(text);
        text.blank();
        text.heading("Rows");
        for (table, rows) in &self.rows {
            text.field(table, *rows);
        }
        text.blank();
        text.heading("Backlog");
        text.field("Pending", self.backlog.pending);
        text.field("Retrying", self.backlog.retrying);
        text.field("Being attempted", self.backlog.claimed);
        text.field("Due now", self.backlog.due);
        text.time("Oldest due", self.oldest_due_at);
    }
}

/// How many secrets and credentials are encrypted or in clear, and the key file if there is one.
#[derive(Debug, Serialize)]
struct SealingView {
    encrypted: u64,
    in_clear: u64,
    key_file: Option<KeyFileView>,
}

#[derive(Debug, Serialize)]
struct KeyFileView {
    path: PathBuf,
    mode: Option<String>,
    #[serde(skip)]
    is_exposed: bool,
}

impl SealingView {
    fn load(context: &Context, store: &Store) -> Result<SealingView> {
        let Sealing { encrypted, in_clear } = store.sealing()?;
        let place = context.place()?;
        let key_file = context.key_file(place.file()).map(|(path, fault)| KeyFileView {
            mode: files::mode(&path),
            is_exposed: fault.is_some(),
            path,
        });
        Ok(SealingView { encrypted, in_clear, key_file })
    }

    fn describe(&self, text: &mut Text) {
        let told = match (self.encrypted, self.in_clear) {
            (0, _) => "in clear".to_owned(),
            (_, 0) => "encrypted".to_owned(),
            (encrypted, in_clear) => format!("{encrypted} encrypted, {in_clear} in clear"),
        };
        text.field("Credentials", told);
        let Some(KeyFileView { path, mode, is_exposed }) = &self.key_file else { return };
        let told = format!("{}, mode {}", path.display(), mode.as_deref().unwrap_or("unknown"));
        text.field(
            "Key",
            match is_exposed {
                true => Cell::warn(format!("{told} (others than its owner can read it)")),
                false => Cell::plain(told),
            },
        );
    }
}

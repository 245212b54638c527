//! `hookctl db info`

use std::path::PathBuf;

use anyhow::Result;
use clap::Args;
use serde::Serialize;

use super::content::Content;
use super::{files, server};
use crate::commands::wording::size;
use crate::context::Context;
use crate::new_file::folder_of;
use crate::output::{Cell, Page, Text};
use crate::store::{AccessFaultKind, Place, Store, access_faults, sidecar};

/// Show where the database is, its size and who has access, what is in it, and what waits
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  hookctl db info
  hookctl db info -o json | jq .backlog.due")]
pub struct Info {}

#[derive(Debug, Serialize)]
struct InfoView {
    path: PathBuf,
    exists: bool,
    size_bytes: u64,
    wal_bytes: u64,
    free_bytes: u64,
    mode: Option<String>,
    folder_mode: Option<String>,
    schema_version: i64,
    journal_mode: String,
    sqlite_version: &'static str,
    #[serde(flatten)]
    content: Content,
    #[serde(skip)]
    is_exposed: bool,
    #[serde(skip)]
    is_replaceable: bool,
}

impl Page for InfoView {
    fn describe(&self, text: &mut Text) {
        let mode = |mode: &Option<String>, is_exposed: bool| match mode {
            Some(mode) if is_exposed => Cell::warn(format!("{mode} (others than its owner have access)")),
            mode => Cell::from(mode.as_ref()),
        };
        let place = self.path.display().to_string();
        text.field("Path", if self.exists { place } else { format!("{place} (not there yet)") });
        text.field("Size", size(self.size_bytes));
        text.field("Write-ahead log", size(self.wal_bytes));
        text.field("Unused", size(self.free_bytes));
        text.field("Mode", mode(&self.mode, self.is_exposed));
        text.field("Folder's mode", mode(&self.folder_mode, self.is_replaceable));
        text.field("Schema version", self.schema_version);
        text.field(
            "Journal mode",
            match self.journal_mode.as_str() {
                "delete" => Cell::warn(
                    "delete: a rollback journal, which is slower; write-ahead logging was not available; \
                     the next command that writes tries again",
                ),
                mode => Cell::plain(mode),
            },
        );
        text.field("SQLite", self.sqlite_version);
        self.content.describe(text);
    }
}

impl Info {
    pub fn run(self, context: &mut Context) -> Result<()> {
        let place = context.place()?;
        let store = context.store_if_any()?;
        let path = match place {
            Place::Server(server) => return server::show(context, &server, store),
            Place::File(path) => path,
        };
        let store = store.map_or_else(Store::empty, Ok)?;
        let (info, file) = (store.info(context.now())?, store.file_info()?);
        let faults = access_faults(&path);
        let view = InfoView {
            is_exposed: faults.iter().any(|fault| matches!(fault.kind, AccessFaultKind::Exposed { .. })),
            is_replaceable: faults.iter().any(|fault| matches!(fault.kind, AccessFaultKind::Replaceable { .. })),
            exists: path.exists(),
            size_bytes: files::size(&path),
            wal_bytes: files::size(&sidecar(&path, "-wal")),
            free_bytes: file.free_bytes,
            mode: files::mode(&path),
            folder_mode: files::mode(folder_of(&path)),
            path,
            schema_version: info.schema_version,
            journal_mode: file.journal_mode,
            sqlite_version: file.sqlite_version,
            content: Content::load(context, &store, info.backlog, info.rows)?,
        };
        context.out.page(&view)
    }
}

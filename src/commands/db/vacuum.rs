//! `hookctl db vacuum`

use std::path::PathBuf;

use anyhow::Result;
use clap::Args;
use serde::Serialize;

use super::files;
use crate::commands::wording::size;
use crate::context::Context;
use crate::output::{Page, Text};

/// Give unused space back to the file system
///
/// Rewrites the file: the disk needs as much free space as the file's size, and other commands wait meanwhile. Useful
/// after a large prune.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  hookctl delivery prune --older-than 30d --yes && hookctl db vacuum")]
pub struct Vacuum {}

#[derive(Debug, Serialize)]
struct VacuumView {
    path: PathBuf,
    size_before_bytes: u64,
    size_bytes: u64,
}

impl Page for VacuumView {
    fn describe(&self, text: &mut Text) {
        text.field("Before", size(self.size_before_bytes));
        text.field("Now", size(self.size_bytes));
    }
}

impl Vacuum {
    pub fn run(self, context: &mut Context) -> Result<()> {
        context.refuse_if_read_only()?;
        let path = files::existing(
            context,
            "a server does it by itself (autovacuum); `VACUUM FULL` gives space back at once",
        )?;
        let store = context.store_to_write()?;
        let size_before_bytes = files::size(&path);
        store.vacuum()?;
        let view = VacuumView { size_bytes: files::size(&path), path, size_before_bytes };
        context.out.page(&view)
    }
}

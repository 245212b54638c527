//! `hookctl db backup`

use std::path::PathBuf;

use anyhow::Result;
use clap::Args;
use serde::Serialize;

use super::files;
use crate::commands::replace_file::{refuse_database, refuse_missing_folder};
use crate::commands::wording::size;
use crate::context::Context;
use crate::error::{Failure, Kind};
use crate::output::{Page, Text};
use crate::store::StoreError;

/// Copy the database into a new file, while others go on writing
///
/// The copy is the database as it was at one moment, in one file that only its owner can read; it holds the secrets.
/// An existing file is not overwritten.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  hookctl db backup hookctl-$(date +%F).db")]
pub struct Backup {
    /// The new file
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

#[derive(Debug, Serialize)]
struct BackupView {
    path: PathBuf,
    size_bytes: u64,
}

impl Page for BackupView {
    fn describe(&self, text: &mut Text) {
        text.field("Backup", self.path.display().to_string());
        text.field("Size", size(self.size_bytes));
    }
}

impl Backup {
    pub fn run(self, context: &mut Context) -> Result<()> {
        files::existing(context, "save it with `pg_dump -n hookctl`; `db copy FILE` makes a file of it")?;
        refuse_database(context, "FILE", &self.file)?;
        if self.file.symlink_metadata().is_ok() {
            return Err(Failure::new(Kind::Failed, format!("{} is there already", self.file.display()))
                .hint("name a new file; a backup overwrites nothing")
                .into());
        }
        refuse_missing_folder("FILE", &self.file)?;
        let store = context.store_to_read()?;
        let progress = context.out.progress("Backing up", Some(0));
        store.back_up(&self.file, |done, total| progress.set_of(done, total)).map_err(unwritable)?;
        progress.finish();
        let view = BackupView { size_bytes: files::size(&self.file), path: self.file };
        context.out.page(&view)
    }
}

/// The store's error about the copy, as one about the backup.
fn unwritable(error: StoreError) -> anyhow::Error {
    match error {
        StoreError::CannotOpen { path, reason } => {
            Failure::new(Kind::Failed, format!("cannot write {}: {reason}", path.display()))
                .hint("name another file for the backup")
                .into()
        }
        error => error.into(),
    }
}

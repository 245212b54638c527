//! `hookctl db restore`

use std::path::PathBuf;

use anyhow::Result;
use clap::Args;
use serde::Serialize;

use crate::commands::wording::counted;
use crate::context::Context;
use crate::error::{Failure, Kind};
use crate::output::{Page, Text};
use crate::store::{Info, Store, StoreError, is_database_file};

/// Replace the database by a backup; the old file is kept beside it
///
/// The backup is checked first. The new file has the owner, group and mode of the old one. Asks, or needs --yes, when
/// there is a database. Refused while another process has the database open. Deliveries that wait in the backup are
/// sent by the next drain, also those that were delivered after it was taken: receivers can drop duplicates by the
/// event id.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  hookctl db restore hookctl-2026-01-31.db --yes")]
pub struct Restore {
    /// The backup
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

#[derive(Debug, Serialize)]
struct RestoreView {
    path: PathBuf,
    restored_from: PathBuf,
    kept: Option<PathBuf>,
    webhooks: u64,
    deliveries: u64,
    due: u64,
}

impl Page for RestoreView {
    fn describe(&self, text: &mut Text) {
        text.field("Database", self.path.display().to_string());
        text.field("Restored from", self.restored_from.display().to_string());
        text.field("The old file is", self.kept.as_ref().map(|kept| kept.display().to_string()));
        text.field("Webhooks", self.webhooks);
        text.field("Deliveries", self.deliveries);
        text.field("Due now", self.due);
    }
}

impl Restore {
    pub fn run(self, context: &mut Context) -> Result<()> {
        context.refuse_if_read_only()?;
        let target = context.database_file(
            "restore a dump with `pg_restore`; `--db FILE db copy URL` fills an empty database from a file",
        )?;
        if is_database_file(&target, &self.file) {
            return Err(Failure::option("FILE", "it is the database itself").into());
        }
        let now = context.now();
        let (backup, info) = self.verified(context)?;
        let rows = |table: &str| info.rows.iter().find(|(name, _)| *name == table).map_or(0, |(_, rows)| *rows);
        if target.exists() {
            context.confirm(&format!(
                "Replace {} with {} ({}, {})?",
                target.display(),
                self.file.display(),
                counted(rows("webhooks"), "webhook", "webhooks"),
                counted(rows("deliveries"), "delivery", "deliveries")
            ))?;
        }
        let stamp = now.rfc3339().replace([':', '.'], "-");
        let progress = context.out.progress("Restoring", Some(0));
        let restored = backup.restore_to(&target, &stamp, |done, total| progress.set_of(done, total));
        let restored = restored.map_err(|error| match error {
            StoreError::Busy => anyhow::Error::from(
                Failure::new(Kind::Busy, "another process has the database open")
                    .hint("stop drains and other hookctl processes, then run it again; nothing was changed"),
            ),
            error => error.into(),
        })?;
        progress.finish();
        Store::open(&target, context.busy_timeout())?;
        let view = RestoreView {
            webhooks: rows("webhooks"),
            deliveries: rows("deliveries"),
            due: info.backlog.due,
            path: target,
            restored_from: self.file,
            kept: restored.kept,
        };
        context.out.page(&view)
    }

    /// The opened backup, after its checks.
    fn verified(&self, context: &mut Context) -> Result<(Store, Info)> {
        let shown = self.file.display();
        let opened = Store::open_to_copy(&self.file, context.busy_timeout()).map_err(|error| match error {
            error @ (StoreError::NotOurs { .. } | StoreError::Directory(_) | StoreError::CannotOpen { .. }) => {
                Failure::new(Kind::Failed, format!("FILE: {error}"))
                    .hint("name a file that `hookctl db backup` made; nothing was restored")
                    .into()
            }
            error => anyhow::Error::from(error),
        })?;
        let Some(backup) = opened else {
            return Err(Failure::option("FILE", format!("{shown} is not there, or is empty")).into());
        };
        if let Some(finding) = backup.check_backup(context.now())?.into_iter().next() {
            return Err(Failure::new(
                Kind::Failed,
                format!("{shown} is damaged ({}): {}", finding.check.name(), finding.message),
            )
            .hint("nothing was restored; use another backup")
            .into());
        }
        let info = backup.info(context.now())?;
        Ok((backup, info))
    }
}

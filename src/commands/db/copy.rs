//! `hookctl db copy`

use std::ffi::OsString;

use anyhow::Result;
use clap::Args;
use serde::Serialize;

use crate::commands::wording::counted;
use crate::context::Context;
use crate::error::{Failure, Kind};
use crate::output::{Page, Text};
use crate::store::{CopiedTable, Place, Store, is_database_file};

/// Copy everything into another database: from a file to a server, and back
///
/// The copy is the database as it was at one moment; others may write to it meanwhile, but what they write then is
/// not in the copy: stop what emits and drains first. The copy is read back, counted and compared. Ids, claims and
/// counters stay the same. A target that is not empty is refused.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  hookctl --db hookctl.db db copy postgres://app@db.example/hooks
  hookctl db copy hookctl.db  # HOOKCTL_DB names a server")]
pub struct Copy {
    /// The database to fill: the path of a file, or postgres://user@host/database
    #[arg(value_name = "PATH|URL")]
    target: OsString,
    /// Say what would be copied; write nothing
    #[arg(long)]
    dry_run: bool,
}

#[derive(Debug, Serialize)]
struct CopyView {
    from: String,
    to: String,
    dry_run: bool,
    rows: u64,
    tables: Vec<TableView>,
}

#[derive(Debug, Serialize)]
struct TableView {
    table: &'static str,
    rows: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    sha256: Option<String>,
}

impl Page for CopyView {
    fn describe(&self, text: &mut Text) {
        text.field("From", &self.from);
        text.field("To", &self.to);
        text.blank();
        text.heading(if self.dry_run { "Rows to copy" } else { "Rows, read back and the same" });
        for table in &self.tables {
            text.field(table.table, table.rows);
        }
    }
}

impl Copy {
    pub fn run(self, context: &mut Context) -> Result<()> {
        if !self.dry_run {
            context.refuse_if_read_only()?;
        }
        let (from, to) = (context.place()?, context.place_of("PATH|URL", &self.target, true)?);
        refuse_same(&from, &to)?;
        let Some(source) = context.store_if_any()? else {
            return Err(Failure::new(Kind::Failed, format!("there is no database at {from}"))
                .hint("name the one to copy with --db or HOOKCTL_DB")
                .into());
        };
        refuse_waiting(&source, &from)?;
        let mut view =
            CopyView { from: from.to_string(), to: to.to_string(), dry_run: self.dry_run, rows: 0, tables: Vec::new() };
        let found = source.info(context.now())?.rows;
        view.rows = found.iter().map(|(_, rows)| rows).sum();
        if self.dry_run {
            if let Some(target) = Store::open_place_read_only(&to, context.busy_timeout())? {
                refuse_used(&target, &to)?;
            }
            view.tables = found.into_iter().map(|(table, rows)| TableView { table, rows, sha256: None }).collect();
        } else {
            let target = match &to {
                Place::File(path) => Store::open(path, context.busy_timeout())?,
                Place::Server(server) => Store::open_server(server, context.settings.now)?,
            };
            refuse_used(&target, &to)?;
            let progress = context.out.progress("Copying", Some(view.rows));
            let copied = source.copy_to(&target, context.now(), &mut |rows| progress.inc(rows))?;
            progress.finish();
            view.rows = copied.iter().map(|table| table.rows).sum();
            view.tables = copied.into_iter().map(TableView::from).collect();
        }
        let line = format!("{} copied from {from} to {to}", counted(view.rows, "row", "rows"));
        match self.dry_run {
            true => context.out.page(&view),
            false => context.out.report(&view, &line),
        }
    }
}

impl From<CopiedTable> for TableView {
    fn from(CopiedTable { table, rows, sha256 }: CopiedTable) -> TableView {
        TableView { table, rows, sha256: Some(hex::encode(sha256)) }
    }
}

fn refuse_same(from: &Place, to: &Place) -> Result<(), Failure> {
    let is_same = match (from, to) {
        (Place::File(from), Place::File(to)) => is_database_file(from, to),
        _ => from.to_string() == to.to_string(),
    };
    match is_same {
        true => Err(Failure::option("PATH|URL", "it is the database itself")),
        false => Ok(()),
    }
}

/// Rows of hookctl's own outbox are no events yet and are not copied.
fn refuse_waiting(source: &Store, place: &Place) -> Result<()> {
    let is_waiting = source.own_outbox().map_or(Ok(false), |outbox| outbox.is_waiting())?;
    if !is_waiting {
        return Ok(());
    }
    Err(Failure::new(Kind::Failed, format!("events of hookctl.emit wait in {place}, and would not be copied"))
        .hint("take them in with `hookctl drain`")
        .into())
}

fn refuse_used(target: &Store, place: &Place) -> Result<()> {
    if target.is_untouched()? {
        return Ok(());
    }
    Err(Failure::new(Kind::Failed, format!("{place} is not empty"))
        .hint("nothing was copied; name a new file, or a database without hookctl's schema")
        .into())
}

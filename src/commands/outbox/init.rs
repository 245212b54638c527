//! `hookctl outbox init`

use std::ffi::OsString;

use anyhow::Result;
use clap::Args;
use serde::Serialize;

use super::source::{self, patience};
use crate::context::Context;
use crate::error::Failure;
use crate::store::{Place, init_outbox, outbox_statements};

/// Make the table that an application writes events into
///
/// It is hookctl_outbox, in the application's own database: on a server in the current schema. Nothing else is
/// changed there, and an existing table is kept. Who runs this owns the table; the application needs the right to
/// insert, hookctl to select, update and delete.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  hookctl outbox init app.db
  hookctl outbox init --print app.db                           # for a migration
  hookctl outbox init --notify postgres://app@db.example/shop")]
pub struct Init {
    /// Show the statements; change nothing
    #[arg(long)]
    print: bool,
    /// On a server: wake drains that watch, by a trigger and NOTIFY. It costs transactions that insert: `hookctl help outbox`
    #[arg(long)]
    notify: bool,
    /// The application's database: a SQLite file, or postgres://user@host/database
    #[arg(value_name = "SOURCE")]
    source: OsString,
}

#[derive(Debug, Serialize)]
struct InitView {
    source: String,
    made: bool,
    notify: bool,
}

impl Init {
    pub fn run(self, context: &mut Context) -> Result<()> {
        let place = source::place(context, &self.source)?;
        if self.notify && place.file().is_some() {
            return Err(Failure::option("--notify", "a file wakes nobody; drain looks into it again and again").into());
        }
        if self.print {
            context.out.plain(outbox_statements(&place, self.notify).as_bytes())?;
            return Ok(());
        }
        context.refuse_if_read_only()?;
        let is_new_file = matches!(&place, Place::File(path) if !path.exists());
        let made = init_outbox(&place, self.notify, patience(context))
            .map_err(|error| source::failure(&place.to_string(), error))?;
        if is_new_file {
            context.out.announce(&format!("made {place}"));
        }
        let source = place.to_string();
        let has = if made { "has an outbox now" } else { "has an outbox already" };
        let quoted = shell_words::quote(&source);
        let line = format!("{source} {has}; `hookctl drain --outbox {quoted}` takes its events in");
        context.out.report(&InitView { source, made, notify: self.notify }, &line)
    }
}

//! `hookctl outbox status`

use std::ffi::OsString;

use anyhow::Result;
use clap::Args;
use serde::Serialize;

use super::source;
use super::standing::{self, OutboxView, Outboxes};
use crate::commands::wording::more;
use crate::context::Context;
use crate::error::{Failure, Kind};
use crate::output::{Cell, Look, Page, Row, Text};
use crate::store::{Rejection, Use};

/// How many events wait in an outbox, since when, and which were rejected
///
/// Without SOURCE it lists the outboxes of HOOKCTL_OUTBOX or the profile, and the rows of hookctl.emit on the server
/// of --db.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  hookctl outbox status app.db
  hookctl outbox status app.db -o json | jq .rejected")]
pub struct Status {
    /// The application's database: a SQLite file, or postgres://user@host/database
    #[arg(value_name = "SOURCE")]
    source: Option<OsString>,
}

/// How many rejected rows are shown.
const MOST_SHOWN: u32 = 20;

#[derive(Debug, Serialize)]
struct StatusView {
    #[serde(flatten)]
    outbox: OutboxView,
    /// The first of them.
    rejections: Vec<Rejection>,
}

impl Row for Rejection {
    const COLUMNS: &'static [&'static str] = &["row", "event", "type", "reason"];

    fn cells(&self, _: &Look) -> Vec<Cell> {
        vec![
            Cell::number(self.id),
            self.event_id.shown().into(),
            self.event_type.shown().into(),
            self.reason.shown().into(),
        ]
    }
}

impl Page for StatusView {
    fn describe(&self, text: &mut Text) {
        text.field("Outbox", &self.outbox.source);
        text.field("Waiting", Cell::number(self.outbox.waiting));
        let oldest = text.look().ago(self.outbox.oldest);
        text.field("Oldest", oldest);
        text.field("Rejected", Cell::number(self.outbox.rejected));
        if self.rejections.is_empty() {
            return;
        }
        text.blank();
        text.heading("Rejected rows");
        text.rows(&self.rejections);
        let shown = self.rejections.len() as u64;
        if self.outbox.rejected > shown {
            text.line(Cell::dim(more((self.outbox.rejected - shown) as usize)));
        }
    }
}

impl Status {
    pub fn run(self, context: &mut Context) -> Result<()> {
        match &self.source {
            Some(source) => show(context, source),
            None => list(context),
        }
    }
}

fn show(context: &mut Context, source: &OsString) -> Result<()> {
    let place = source::place(context, source)?;
    let outbox = source::open(context, &place, Use::Look)?;
    let name = place.to_string();
    let read = OutboxView::of(name.clone(), &outbox)
        .and_then(|view| Ok(StatusView { outbox: view, rejections: outbox.rejections(MOST_SHOWN)? }));
    let view = read.map_err(|error| source::failure(&name, error))?;
    context.out.page(&view)
}

fn list(context: &mut Context) -> Result<()> {
    let store = context.store_if_any()?;
    let Outboxes { views, failures } = standing::all(context, store.as_ref(), &[])?;
    let none = match failures.is_empty() {
        true => "no outbox is named: give SOURCE, or set HOOKCTL_OUTBOX",
        false => "no outbox could be read",
    };
    context.out.list(views.into_iter().map(Ok), none)?;
    match failures.as_slice() {
        [] => Ok(()),
        failures => Err(Failure::new(Kind::Failed, failures.join("; ")).into()),
    }
}

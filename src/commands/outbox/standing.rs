//! How outboxes stand, for the commands that watch.

use std::ffi::OsString;

use serde::Serialize;

use super::source::{self, OWN};
use crate::commands::wording::counted;
use crate::context::Context;
use crate::domain::time::Timestamp;
use crate::error::Failure;
use crate::output::{Cell, Look, Row};
use crate::store::{Outbox, Place, Standing, Store, StoreError, Use};

/// How many rows of an outbox wait, since when, and how many were refused.
#[derive(Clone, Debug, Serialize)]
pub struct OutboxView {
    pub source: String,
    pub waiting: u64,
    pub oldest: Option<Timestamp>,
    pub rejected: u64,
}

impl OutboxView {
    pub fn of(source: String, outbox: &Outbox<'_>) -> Result<OutboxView, StoreError> {
        let Standing { waiting, oldest, rejected } = outbox.standing()?;
        Ok(OutboxView { source, waiting, oldest: oldest.and_then(|found| found.time()), rejected })
    }

    /// `app.db: 3 events wait, the oldest since 5 minutes ago; 1 is rejected`.
    pub fn told(&self, look: &Look) -> Cell {
        let waiting = match (self.waiting, self.oldest) {
            (0, _) => "nothing waits".to_owned(),
            (waiting, None) => counted(waiting, "event waits", "events wait"),
            (waiting, Some(oldest)) => {
                format!(
                    "{}, the oldest since {}",
                    counted(waiting, "event waits", "events wait"),
                    look.relative(oldest)
                )
            }
        };
        let source = &self.source;
        match self.rejected {
            0 => Cell::plain(format!("{source}: {waiting}")),
            rejected => Cell::bad(format!("{source}: {waiting}; {}", counted(rejected, "is rejected", "are rejected"))),
        }
    }
}

impl Row for OutboxView {
    const COLUMNS: &'static [&'static str] = &["source", "waiting", "oldest", "rejected"];

    fn cells(&self, look: &Look) -> Vec<Cell> {
        let rejected =
            if self.rejected == 0 { Cell::number(self.rejected) } else { Cell::bad(self.rejected.to_string()) };
        vec![Cell::name(&self.source), Cell::number(self.waiting), look.ago(self.oldest), rejected]
    }
}

/// The state of outboxes, and the failures of those that cannot be read.
#[derive(Debug, Default, Serialize)]
pub struct Outboxes {
    #[serde(rename = "outboxes")]
    pub views: Vec<OutboxView>,
    #[serde(rename = "outbox_failures")]
    pub failures: Vec<String>,
}

/// The database's own outbox if it has one, and those that are given, else those that HOOKCTL_OUTBOX or the profile names.
pub fn all(context: &Context, store: Option<&Store>, given: &[OsString]) -> anyhow::Result<Outboxes> {
    let mut all = Outboxes::default();
    if let Some(own) = store.and_then(Store::own_outbox) {
        all.views.push(OutboxView::of(OWN.to_owned(), &own)?);
    }
    for place in source::places(context, given)? {
        match look(context, &place) {
            Ok(view) => all.views.push(view),
            Err(failure) => all.failures.push(failure.message),
        }
    }
    Ok(all)
}

fn look(context: &Context, place: &Place) -> Result<OutboxView, Failure> {
    let outbox = source::open(context, place, Use::Look)?;
    let name = place.to_string();
    OutboxView::of(name.clone(), &outbox).map_err(|error| source::failure(&name, error))
}

//! Where an outbox is: an application's database, or the one that events are taken into.

use std::ffi::OsString;
use std::time::Duration;

use anyhow::Result;
use clap::Args;

use crate::context::Context;
use crate::error::{Failure, Kind};
use crate::store::{Outbox, Place, Store, StoreError, Use};

/// An application that is in the middle of its own work is waited for no longer than this.
const PATIENCE: Duration = Duration::from_secs(2);

/// How hookctl's own outbox is named, which `hookctl.emit` writes into.
pub const OWN: &str = "hookctl.emit";

/// The place that SOURCE names.
pub fn place(context: &Context, source: &OsString) -> Result<Place> {
    context.place_of("SOURCE", source, true)
}

/// The outboxes that --outbox names, else HOOKCTL_OUTBOX, else the profile.
pub fn places(context: &Context, given: &[OsString]) -> Result<Vec<Place>> {
    if !given.is_empty() {
        return given.iter().map(|source| context.place_of("--outbox", source, true)).collect();
    }
    let option = if context.settings.are_outboxes_of_profile { "outbox of the profile" } else { "HOOKCTL_OUTBOX" };
    context.settings.outboxes.iter().map(|source| context.place_of(option, source, false)).collect()
}

pub fn patience(context: &Context) -> Duration {
    context.busy_timeout().min(PATIENCE)
}

/// Opens the outbox at a place.
pub fn open(context: &Context, place: &Place, access: Use) -> Result<Outbox<'static>, Failure> {
    Outbox::open(place, access, patience(context)).map_err(|error| failure(&place.to_string(), error))
}

/// The rejected rows that a command is about.
#[derive(Args, Debug)]
pub struct RejectedRows {
    /// Only this row, by its id [repeatable]
    #[arg(long = "row", value_name = "ID", value_parser = row_id)]
    pub rows: Vec<i64>,
    /// The application's database [default: the rows of hookctl.emit on the server of --db]
    #[arg(value_name = "SOURCE")]
    source: Option<OsString>,
}

fn row_id(text: &str) -> Result<i64, String> {
    text.parse().map_err(|_| format!("'{text}' is not the id of a row: use a whole number, such as 17"))
}

impl RejectedRows {
    /// Changes them in the outbox that SOURCE names, or else in the database's own; returns how many.
    pub fn change(
        &self,
        context: &mut Context,
        act: impl FnOnce(&Outbox<'_>) -> Result<usize, StoreError>,
    ) -> Result<u64> {
        let Some(source) = &self.source else {
            let store = context.store_to_write()?;
            let outbox = own(&store)?;
            self.check(OWN, outbox.first_not_rejected(&self.rows)?)?;
            return Ok(act(&outbox)? as u64);
        };
        let place = place(context, source)?;
        let (outbox, name) = (open(context, &place, Use::Change)?, place.to_string());
        let trouble = |error| failure(&name, error);
        self.check(&name, outbox.first_not_rejected(&self.rows).map_err(trouble)?)?;
        Ok(act(&outbox).map_err(trouble)? as u64)
    }

    fn check(&self, name: &str, missing: Option<i64>) -> Result<(), Failure> {
        let Some(row) = missing else { return Ok(()) };
        let source = self.source.as_ref().map_or(String::new(), |_| format!(" {}", shell_words::quote(name)));
        Err(Failure::new(Kind::NotFound, format!("--row: outbox {name} has no rejected row {row}"))
            .hint(format!("nothing was changed; `hookctl outbox status{source}` lists them")))
    }
}

fn own(store: &Store) -> Result<Outbox<'_>, Failure> {
    store.own_outbox().ok_or_else(|| {
        Failure::invalid("SOURCE is missing: the database is a file, which has no outbox of its own")
            .hint("name the application's database")
    })
}

/// What is wrong with an outbox, not with the database.
pub fn failure(source: &str, error: StoreError) -> Failure {
    let kind = match error {
        StoreError::Busy | StoreError::Again | StoreError::Unavailable(_) => Kind::Busy,
        _ => Kind::Failed,
    };
    let hint = match error {
        StoreError::NoOutbox { missing_table: true, .. } => Some("`hookctl outbox init SOURCE` makes it"),
        StoreError::CannotOpen { .. } | StoreError::Directory(_) => Some("name the application's database"),
        StoreError::Refused(_) | StoreError::ReadOnly(_) => Some(
            "hookctl must be able to log in and to read, update and delete rows: GRANT SELECT, UPDATE, DELETE ON hookctl_outbox",
        ),
        StoreError::NoKey | StoreError::WrongKey => Some(
            "name the file with the key by HOOKCTL_KEY_FILE; until then rows with credentials wait, and those behind them",
        ),
        _ => None,
    };
    let message = match &error {
        StoreError::Busy => "another process kept it locked".to_owned(),
        StoreError::NoOutbox { reason, .. }
        | StoreError::CannotOpen { reason, .. }
        | StoreError::ReadOnly(reason)
        | StoreError::Corrupt(reason)
        | StoreError::Other(reason) => reason.clone(),
        error => error.to_string(),
    };
    // Most errors of a server name it.
    let is_named = source.contains("://") && message.contains(source);
    let what = if is_named { "outbox".to_owned() } else { format!("outbox {source}") };
    let failure = Failure::new(kind, format!("{what}: {message}"));
    hint.map_or(failure.clone(), |hint| failure.hint(hint))
}

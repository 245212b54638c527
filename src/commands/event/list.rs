//! `hookctl event list`

use anyhow::Result;
use clap::Args;
use clap::builder::NonEmptyStringValueParser;

use crate::commands::arguments::{self, Moment};
use crate::commands::candidates::Candidates;
use crate::commands::paging::{self, Limit};
use crate::context::Context;
use crate::domain::event_type;
use crate::domain::owner::Owner;
use crate::error::Failure;
use crate::store::{EventFilter, EventRow};

/// List events, newest first
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  hookctl event list --type invoice.paid --since 1d
  hookctl event list --entity invoice:42
  hookctl event list -o jsonl")]
pub struct List {
    /// Only this event type, or pattern
    #[arg(long = "type", aliases = ["event-type", "event"], value_name = "TYPE", add = Candidates::EventTypes)]
    event_type: Option<String>,
    /// Only those emitted for this owner; none for those of no owner
    #[arg(long, value_name = "OWNER", value_parser = arguments::owner)]
    owner: Option<Owner>,
    /// Only those about this entity, or about all of a type
    #[arg(long, value_name = "TYPE[:ID]", value_parser = arguments::entity)]
    entity: Option<(String, Option<String>)>,
    /// Only those with this key
    #[arg(long, value_name = "KEY", value_parser = NonEmptyStringValueParser::new())]
    key: Option<String>,
    /// Only the one with this event id
    #[arg(long, value_name = "ID", add = Candidates::Events)]
    event_id: Option<String>,
    /// Accepted at this time or later: a time, or 2h for two hours ago
    #[arg(long, value_name = "TIME", value_parser = arguments::moment)]
    since: Option<Moment>,
    /// Accepted before this time
    #[arg(long, value_name = "TIME", value_parser = arguments::moment)]
    until: Option<Moment>,
    #[command(flatten)]
    limit: Limit,
    /// Only those older than this event: the next page
    #[arg(long, value_name = "ID")]
    before: Option<String>,
}

impl List {
    pub fn run(self, context: &mut Context) -> Result<()> {
        if let Some(event_type) = &self.event_type {
            event_type::check_pattern(event_type).map_err(|error| Failure::option("--type", error))?;
        }
        let store = context.store_to_read()?;
        if let Some(id) = &self.event_id {
            context.event(&store, id)?;
        }
        let now = context.now();
        let filter = EventFilter {
            event_type: self.event_type,
            owner: self.owner,
            subject: store.subject(self.entity, self.key)?,
            event_id: self.event_id,
            since: self.since.map(|moment| moment.resolve(now)),
            until: self.until.map(|moment| moment.resolve(now)),
            before: None,
            limit: None,
        };
        let empty = match filter == EventFilter::default() && self.before.is_none() {
            true => "no events yet; `hookctl emit TYPE --data JSON` makes one",
            false => "no events match; see the newest with `hookctl event list`",
        };
        let before = match &self.before {
            Some(id) => Some(context.event(&store, id)?.id),
            None => None,
        };
        let limit = self.limit.rows(&context.out);
        let rows = paging::rows(
            before,
            limit,
            |row: &EventRow| row.id,
            |before, limit| Ok(store.events(&EventFilter { before, limit: Some(limit), ..filter.clone() })?),
        );
        let count = |most| Ok(store.count_events(&EventFilter { before, limit: Some(most), ..filter.clone() })?);
        paging::show(context, limit, rows, empty, count)
    }
}

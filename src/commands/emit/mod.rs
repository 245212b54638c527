//! `hookctl emit`

pub mod batch;
mod content;
mod dry_run;
mod lines;
mod view;

use std::time::Duration;

use anyhow::Result;
use clap::Args;

pub use content::{failure, json_argument};

pub use self::view::EmitView;
use crate::commands::arguments;
use crate::commands::candidates::Candidates;
use crate::commands::catalogue::warn_of_unknown_type;
use crate::context::{Context, Exit};
use crate::delivery::{Engine, accept};
use crate::domain::delivery::Status;
use crate::domain::webhook::check_owner;
use crate::error::{Failure, Kind};
use crate::store::Accepted;

/// Take an event in and deliver it to the webhooks that want it
///
/// The event and its deliveries are stored, durably and together, before the first request is sent: what was accepted is
/// delivered, now or by the next `hookctl drain`. A failed delivery is retried by drain and is no failure of emit, unless
/// --strict is given.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  hookctl emit invoice.paid --data '{\"amount\":\"12.50\"}' --entity invoice:42
  hookctl emit task.created --payload event.json --event-id task-7-created
  cat event.json | hookctl emit task.created --data - -w crm --strict
  hookctl emit --batch events.jsonl --enqueue  # one {\"type\":…,\"data\":…} a line
  hookctl emit invoice.paid --dry-run          # who would get it

Exit status:
  5         an attempt failed, with --strict
  6         the event id was used before with another payload
  129       stopped by SIGHUP, when its terminal closes; as below
  130, 143  stopped by Ctrl-C or SIGTERM; what was accepted stays due")]
pub struct Emit {
    /// The event type, such as invoice.paid
    #[arg(value_name = "TYPE", add = Candidates::EventTypes, required_unless_present = "batch")]
    event_type: Option<String>,
    /// The data: JSON, @FILE, or - for stdin; sent inside the envelope
    #[arg(long, value_name = "JSON", conflicts_with = "payload", help_heading = "Content")]
    data: Option<String>,
    /// Send the bytes of this file, or of stdin with -, as they are, without an envelope
    #[arg(long, value_name = "FILE", conflicts_with_all = ["user", "entity", "action", "description"], help_heading = "Content")]
    payload: Option<String>,
    /// Who did it: JSON, @FILE, or -
    #[arg(long, value_name = "JSON", help_heading = "Content")]
    user: Option<String>,
    /// What it is about
    #[arg(long, value_name = "TYPE:ID[:NAME]", help_heading = "Content")]
    entity: Option<String>,
    /// What was done
    #[arg(long, value_name = "ACTION", help_heading = "Content")]
    action: Option<String>,
    /// One line about it, for people
    #[arg(long, value_name = "TEXT", help_heading = "Content")]
    description: Option<String>,
    /// The event's id; the same id and content again is a duplicate, which sends nothing
    #[arg(long, value_name = "ID", help_heading = "Content")]
    event_id: Option<String>,
    /// Drop the event when the same type and content was accepted within this time
    #[arg(long, value_name = "DURATION", value_parser = arguments::duration)]
    dedupe: Option<Duration>,
    /// Only to this webhook, if it wants the event [repeatable]
    #[arg(short, long = "webhook", value_name = "WEBHOOK", add = Candidates::Webhooks)]
    webhooks: Vec<String>,
    /// Only to this owner's webhooks
    #[arg(long, value_name = "OWNER")]
    owner: Option<String>,
    /// Store only; the next drain sends
    #[arg(long)]
    enqueue: bool,
    /// Exit with 5 when an attempt failed; with --batch also when a line was rejected
    #[arg(long)]
    strict: bool,
    /// Show which webhooks would get it, and why not the others; store and send nothing
    #[arg(long)]
    dry_run: bool,
    /// Requests at once
    #[arg(long, value_name = "N", default_value = "16", value_parser = arguments::concurrency)]
    concurrency: usize,
    /// Read events from a file, or stdin with -: one JSON object a line with type, data or payload, event_id, user,
    /// entity, action, description, owner
    #[arg(long, value_name = "FILE", conflicts_with_all = ["event_type", "data", "payload", "user", "entity", "action", "description", "event_id", "dry_run"])]
    batch: Option<String>,
}

impl Emit {
    /// Runs the command.
    pub fn run(self, context: &mut Context) -> Result<Exit> {
        if let Some(owner) = &self.owner {
            check_owner(owner).map_err(|error| Failure::option("--owner", error))?;
        }
        if let Some(file) = &self.batch {
            return batch::run(&self, file, context);
        }
        let Some(event_type) = &self.event_type else { return Err(Failure::invalid("TYPE is missing").into()) };
        let draft = content::draft(&self, event_type)?;
        if self.dry_run {
            return dry_run::run(&self, event_type, context);
        }
        context.refuse_if_read_only()?;
        let mut random = context.random()?;
        let event = draft.into_event(context.now(), random.next_u128()).map_err(failure)?;
        let store = context.store_to_write()?;
        let named = context.webhook_ids(&store, &self.webhooks)?;
        let intakes = store.transaction(|| accept(&store, [&event], &store.subscribers()?, &named, self.dedupe))?;
        let intake = intakes.into_iter().next().expect("one answer to one event");
        let (event_row, is_duplicate) = match intake.accepted {
            Accepted::New(row) => (row, false),
            Accepted::Duplicate(row) => (row, true),
            Accepted::Conflict => return Err(conflict(&event.event_id).into()),
        };
        warn_of_unknown_type(context, &store, event_type)?;
        if is_duplicate {
            context.out.notice("the same event was accepted before; nothing was sent");
        } else if intake.deliveries.is_empty() {
            context.out.notice(&format!(
                "no active webhook wants {event_type}; the event is stored (`hookctl emit {event_type} --dry-run` tells why)"
            ));
        }
        let mut stopped = None;
        if !self.enqueue && !intake.deliveries.is_empty() {
            let stop = context.stop_on_signals()?;
            let concurrency = self.concurrency.min(intake.deliveries.len());
            let mut engine = Engine::new(&store, context.engine_setup(concurrency, &stop), random);
            engine.add_deliveries(intake.deliveries);
            engine.run(|_| ())?;
            stopped = stop.exit();
        }
        let view = EmitView::load(&store, event_row, is_duplicate)?;
        let has_failed = !is_duplicate && view.has_failed();
        context.out.outcome(&view)?;
        Ok(match stopped {
            Some(exit) => exit,
            None if self.strict && has_failed => Exit::NOT_DELIVERED,
            None => Exit::DONE,
        })
    }
}

fn conflict(event_id: &str) -> Failure {
    Failure::new(Kind::Conflict, format!("--event-id: '{event_id}' was used before with another payload"))
        .hint(format!("see `hookctl event show {event_id}`; an event never changes, use a new id"))
}

/// Whether a delivery's attempt failed, as `--strict` sees it.
fn is_failure(status: Status) -> bool {
    matches!(status, Status::Retrying | Status::Failed)
}

//! The options of `emit`.

use std::time::Duration;

use clap::Args;

use crate::commands::arguments;
use crate::commands::candidates::Candidates;
use crate::domain::custom_headers;
use crate::domain::owner::Owner;
use crate::jq::Expression;

/// Accept an event and deliver it to the webhooks subscribed to it
///
/// The event and its deliveries are stored, durably and together, before the first request is sent: what was accepted is
/// delivered, now or by the next `hookctl drain`. A failed delivery is retried by drain and is no failure of emit, unless
/// --strict is given.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  hookctl emit invoice.paid --data '{\"amount\":\"12.50\"}' --entity invoice:42
  hookctl emit task.created --payload event.json --event-id task-7-created
  hookctl emit invoice.paid --example --set '.amount = \"12.50\"'
  cat event.json | hookctl emit task.created --data - -w crm --strict
  hookctl emit invoice.paid -H 'X-Request-Id: 7f3' --data '{}'
  hookctl emit --batch events.jsonl --enqueue  # one {\"type\":…,\"data\":…} a line
  hookctl emit invoice.paid --dry-run          # who would get it

Exit status:
  5         not every delivery ended in success, with --strict
  6         the event id was used before with another payload
  65        lines were rejected, with --batch; the others were taken
  129       stopped by SIGHUP (the terminal closed), otherwise as SIGINT
  130, 143  stopped by Ctrl-C or SIGTERM; what was accepted stays due")]
pub struct Emit {
    /// The event type, such as invoice.paid
    #[arg(value_name = "TYPE", add = Candidates::EventTypes, required_unless_present = "batch")]
    pub(super) event_type: Option<String>,
    /// The data: JSON, @FILE, or - for stdin; sent inside the envelope. The schema of the type, if it has one, must accept it
    #[arg(long, value_name = "JSON", conflicts_with = "payload", help_heading = "Content")]
    pub(super) data: Option<String>,
    /// Send the bytes of this file, or of stdin with -, as they are, without an envelope; they are not validated
    #[arg(long, value_name = "FILE", conflicts_with_all = ["user", "entity", "action", "description"], help_heading = "Content")]
    pub(super) payload: Option<String>,
    /// Fill what no option gives from the example of the type, as `hookctl event-type show` has it
    #[arg(long, conflicts_with = "payload", help_heading = "Content")]
    pub(super) example: bool,
    /// Edit the data by a jq expression, whose one result is the new data [repeatable]
    #[arg(long, value_name = "JQ", value_parser = Expression::parse, conflicts_with = "payload", help_heading = "Content")]
    pub(super) set: Vec<Expression>,
    /// Who did it: JSON, @FILE, or -
    #[arg(long, value_name = "JSON", help_heading = "Content")]
    pub(super) user: Option<String>,
    /// What it is about
    #[arg(long, value_name = "TYPE:ID[:NAME]", help_heading = "Content")]
    pub(super) entity: Option<String>,
    /// What was done
    #[arg(long, value_name = "ACTION", help_heading = "Content")]
    pub(super) action: Option<String>,
    /// One line about it, for people
    #[arg(long, value_name = "TEXT", help_heading = "Content")]
    pub(super) description: Option<String>,
    /// The event's id; the same id and content again is a duplicate, which sends nothing
    #[arg(long, value_name = "ID", help_heading = "Content")]
    pub(super) event_id: Option<String>,
    /// Its ordering key, such as customer-7; a webhook with --ordered=key keeps the order of each key, and lists find
    /// it by the key
    #[arg(long, value_name = "KEY")]
    pub(super) key: Option<String>,
    /// Drop the event when the same type and content was accepted within this time
    #[arg(long, value_name = "DURATION", value_parser = arguments::duration)]
    pub(super) dedupe: Option<Duration>,
    /// A header that every receiver of it gets; a webhook's own header of that name wins [repeatable]
    #[arg(short = 'H', long = "header", value_name = "NAME: VALUE", value_parser = custom_headers::parse_line)]
    pub(super) headers: Vec<(String, String)>,
    /// Only to this webhook, if it subscribes to the event [repeatable]
    #[arg(short, long = "webhook", value_name = "WEBHOOK", add = Candidates::Webhooks)]
    pub(super) webhooks: Vec<String>,
    /// Only to this owner's webhooks; without it, to those of every owner
    #[arg(long, value_name = "OWNER", value_parser = arguments::owner)]
    pub(super) owner: Option<Owner>,
    /// Store only; the next drain sends
    #[arg(long)]
    pub(super) enqueue: bool,
    /// Exit with 5 unless every delivery ended in success; an event without a delivery is not delivered either
    #[arg(long, conflicts_with = "enqueue")]
    pub(super) strict: bool,
    /// Show which webhooks would get it, and why not the others; store and send nothing
    #[arg(long)]
    pub(super) dry_run: bool,
    /// Requests at once
    #[arg(long, value_name = "N", default_value = "16", value_parser = arguments::concurrency)]
    pub(super) concurrency: usize,
    /// Read events from a file, or stdin with -: one JSON object a line with type, data or payload, event_id, key, user,
    /// entity, action, description, owner, headers
    #[arg(long, value_name = "FILE", conflicts_with_all = ["event_type", "data", "example", "set", "payload", "user", "entity", "action", "description", "event_id", "key", "headers", "dry_run"])]
    pub(super) batch: Option<String>,
}

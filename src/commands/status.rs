//! `hookctl status`

use std::time::{Duration, Instant};

use anyhow::Result;
use clap::Args;
use serde::Serialize;

use super::arguments;
use super::outbox::standing::{self, Outboxes};
use super::scope;
use super::webhook::view::state_cell;
use super::wording::{counted, more, size};
use crate::context::{Context, Exit};
use crate::domain::owner::Owner;
use crate::domain::statistics::Measures;
use crate::domain::time::Timestamp;
use crate::domain::webhook::{Condition, State, Webhook};
use crate::output::{Cell, Look, Page, Row, Text};
use crate::store::{FailedAttempt, LastDrain, Place, Store, WebhookFilter, Window};

/// Show what waits, and what fails and why, on one screen
///
/// With the counts of the last hour, the last failures, the last drain and the database.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  hookctl status
  hookctl status --watch         # again every 2 seconds, until stopped
  hookctl status -o json | jq .webhooks_not_well")]
pub struct Status {
    /// Only this owner's webhooks; none for webhooks without an owner
    #[arg(long, value_name = "OWNER", value_parser = arguments::owner)]
    owner: Option<Owner>,
    /// Show it again after each pause, until stopped [default pause: 2s]
    #[arg(long, value_name = "DURATION", num_args = 0..=1, default_missing_value = "2s", value_parser = arguments::duration)]
    watch: Option<Duration>,
}

/// The period of the counts.
const LATELY: Duration = Duration::from_secs(3_600);
/// The most webhooks and failures on the screen.
const MOST_ROWS: usize = 8;
const MOST_FAILURES: u64 = 5;

#[derive(Debug, Serialize)]
struct StatusView {
    at: Timestamp,
    waiting: u64,
    due: u64,
    oldest_due_at: Option<Timestamp>,
    webhooks: u64,
    active_webhooks: u64,
    webhooks_not_well: Vec<NotWell>,
    last_hour: LastHour,
    last_failures: Vec<FailedAttempt>,
    last_drain: Option<LastDrain>,
    #[serde(flatten)]
    outboxes: Outboxes,
    /// Null where there is none yet.
    database: Option<DatabasePart>,
    /// Where it is, or would be.
    #[serde(skip)]
    place: String,
}

#[derive(Clone, Debug, Serialize)]
struct DatabasePart {
    place: String,
    /// Of the file; null on a server.
    size_bytes: Option<u64>,
}

/// A webhook with a problem.
#[derive(Debug, Serialize)]
struct NotWell {
    webhook: String,
    state: State,
    condition: Option<Condition>,
    /// Failed attempts since the last success.
    failures: u32,
    failing_since: Option<Timestamp>,
    waiting: u64,
    reason: Option<String>,
    delivery_id: Option<i64>,
}

#[derive(Clone, Copy, Debug, Serialize)]
struct LastHour {
    attempts: u64,
    failed_attempts: u64,
    deliveries: u64,
    successful_deliveries: u64,
    failed_deliveries: u64,
}

impl From<&Measures> for LastHour {
    fn from(measures: &Measures) -> LastHour {
        LastHour {
            attempts: measures.attempts,
            failed_attempts: measures.failed_attempts,
            deliveries: measures.deliveries(),
            successful_deliveries: measures.successful,
            failed_deliveries: measures.failed,
        }
    }
}

impl Row for NotWell {
    const COLUMNS: &'static [&'static str] = &["webhook", "state", "since", "waiting", "reason", "look"];
    const SPARE: &'static [&'static str] = &["look"];

    fn cells(&self, look: &Look) -> Vec<Cell> {
        vec![
            Cell::name(&self.webhook),
            not_well_cell(self.state, self.condition),
            look.ago(self.failing_since),
            Cell::number(self.waiting),
            self.reason.clone().into(),
            self.delivery_id.map(|id| Cell::id(format!("hookctl delivery show {id}"))).into(),
        ]
    }
}

/// As in the list of webhooks; a webhook with any failure is not shown as healthy.
fn not_well_cell(state: State, condition: Option<Condition>) -> Cell {
    match (state, condition) {
        (State::Active, None) => Cell::warn("some failed"),
        (state, condition) => state_cell(state, condition),
    }
}

impl Page for StatusView {
    fn describe(&self, text: &mut Text) {
        let waiting = match (self.waiting, self.due) {
            (0, _) => Cell::good("nothing"),
            (waiting, 0) => Cell::plain(format!("{}, none due", counted(waiting, "delivery", "deliveries"))),
            (waiting, due) => {
                let oldest = self.oldest_due_at.map(|due| text.look().relative(due)).unwrap_or_default();
                let told = counted(waiting, "delivery", "deliveries");
                Cell::warn(format!("{told}, {due} due, the oldest since {oldest}"))
            }
        };
        text.field("Waiting", waiting);
        let well = self.webhooks - self.webhooks_not_well.len() as u64;
        let told = format!("{}: {well} well, {} not", self.webhooks, self.webhooks_not_well.len());
        text.field("Webhooks", if self.webhooks_not_well.is_empty() { Cell::plain(told) } else { Cell::bad(told) });
        self.describe_hour(text);
        let drain = match self.last_drain {
            None => Cell::warn("never; run `hookctl drain` from cron"),
            Some(drain) => {
                let ago = text.look().relative(drain.ended_at);
                Cell::plain(format!("{ago}, {} attempted, {} delivered", drain.attempted, drain.succeeded))
            }
        };
        text.field("Last drain", drain);
        for outbox in &self.outboxes.views {
            let told = outbox.told(text.look());
            text.field("Outbox", told);
        }
        for failure in &self.outboxes.failures {
            text.field("Outbox", Cell::bad(failure));
        }
        let database = self.database.as_ref().map(|database| match database.size_bytes {
            Some(bytes) => format!("{}, {}", database.place, size(bytes)),
            None => database.place.clone(),
        });
        text.field(
            "Database",
            database.map_or_else(|| Cell::bad(format!("there is none at {}", self.place)), Cell::plain),
        );
        if !self.webhooks_not_well.is_empty() {
            text.blank();
            text.heading("Webhooks that are not well");
            text.rows(self.webhooks_not_well.iter().take(MOST_ROWS));
            if let Some(left @ 1..) = self.webhooks_not_well.len().checked_sub(MOST_ROWS) {
                text.line(Cell::dim(format!("{}; `hookctl webhook list` has them all", more(left))));
            }
        }
        if !self.last_failures.is_empty() {
            text.blank();
            text.heading("Last failures");
            text.rows(&self.last_failures);
        }
    }
}

impl StatusView {
    fn describe_hour(&self, text: &mut Text) {
        let hour = self.last_hour;
        let attempts = match (hour.attempts, hour.failed_attempts) {
            (0, _) => Cell::plain("no attempt"),
            (attempts, 0) => Cell::good(format!("{}, none failed", counted(attempts, "attempt", "attempts"))),
            (attempts, failed) => {
                let told = format!("{}, {failed} failed", counted(attempts, "attempt", "attempts"));
                if failed == attempts { Cell::bad(told) } else { Cell::warn(told) }
            }
        };
        text.field("Last hour", attempts);
        if hour.deliveries > 0 {
            let told = format!(
                "{}, {} delivered so far, {} failed",
                counted(hour.deliveries, "delivery", "deliveries"),
                hour.successful_deliveries,
                hour.failed_deliveries
            );
            text.field("Created", if hour.failed_deliveries > 0 { Cell::bad(told) } else { Cell::plain(told) });
        }
    }
}

impl Status {
    pub fn run(self, context: &mut Context) -> Result<Exit> {
        let Some(pause) = self.watch else {
            let view = self.look(context)?;
            context.out.page(&view)?;
            return Ok(Exit::DONE);
        };
        let stop = context.stop_on_signals()?;
        while !stop.is_asked() {
            let view = self.look(context)?;
            context.out.screen(&view)?;
            stop.wait_until(Instant::now().checked_add(pause.max(Duration::from_millis(200))));
        }
        Ok(stop.exit().unwrap_or(Exit::DONE))
    }

    fn look(&self, context: &mut Context) -> Result<StatusView> {
        let place = context.place()?;
        let found = context.store_if_any()?;
        let size_bytes = match &place {
            Place::File(path) => std::fs::metadata(path).ok().map(|file| file.len()),
            Place::Server(_) => None,
        };
        let database = found.is_some().then(|| DatabasePart { place: place.to_string(), size_bytes });
        let store = found.map_or_else(Store::empty, Ok)?;
        let mut view = store.snapshot(|| self.find(context, &store, database))?;
        view.outboxes = standing::all(context, Some(&store), &[])?;
        view.place = place.to_string();
        Ok(view)
    }

    fn find(&self, context: &Context, store: &Store, database: Option<DatabasePart>) -> Result<StatusView> {
        let now = context.now();
        let meant = scope::resolve(context, store, &[], self.owner.as_ref())?;
        let filter = WebhookFilter { owner: self.owner.clone(), ..WebhookFilter::default() };
        let webhooks = store.webhooks(&filter)?;
        let mut states = store.webhook_states(now)?;
        states.retain(|state| meant.is_empty() || meant.contains(&state.webhook_id));
        let waiting = |id: i64| {
            let state = states.iter().find(|state| state.webhook_id == id);
            state.map_or(0, |state| (state.pending + state.retrying) as u64)
        };
        let mut not_well = Vec::new();
        for webhook in &webhooks {
            not_well.extend(NotWell::of(store, webhook, waiting(webhook.id), now)?);
        }
        let window = Window { since: now.minus(LATELY), webhooks: meant };
        let mut measures = Measures::default();
        store.each_delivery(&window, |delivery| measures.add_delivery(delivery))?;
        store.each_attempt(&window, |attempt| measures.add_attempt(attempt))?;
        Ok(StatusView {
            at: now,
            waiting: states.iter().map(|state| (state.pending + state.retrying) as u64).sum(),
            due: states.iter().map(|state| state.due as u64).sum(),
            oldest_due_at: states.iter().filter_map(|state| state.oldest_due_at).min(),
            webhooks: webhooks.len() as u64,
            active_webhooks: webhooks.iter().filter(|webhook| webhook.health.state() == State::Active).count() as u64,
            webhooks_not_well: not_well,
            last_hour: (&measures).into(),
            last_failures: store.last_failures(&window, MOST_FAILURES)?,
            last_drain: store.last_drain()?,
            outboxes: Outboxes::default(),
            database,
            place: String::new(),
        })
    }
}

impl NotWell {
    /// `None` for a webhook that is active and whose last attempt succeeded.
    fn of(store: &Store, webhook: &Webhook, waiting: u64, now: Timestamp) -> Result<Option<NotWell>> {
        let health = &webhook.health;
        let (state, condition) = (health.state(), health.condition(now));
        if state == State::Active && condition.is_none() && health.failing_since.is_none() {
            return Ok(None);
        }
        let failed = match health.failing_since {
            Some(_) => store.last_failed_delivery(webhook.id)?,
            None => None,
        };
        let error = failed.as_ref().and_then(|delivery| delivery.error_message.clone());
        Ok(Some(NotWell {
            webhook: webhook.settings.name.clone(),
            state,
            condition,
            failures: health.failures,
            failing_since: health.failing_since,
            waiting,
            reason: error.or_else(|| health.disabled_reason.clone()),
            delivery_id: failed.map(|delivery| delivery.id),
        }))
    }
}

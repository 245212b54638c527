//! `hookctl drain`

use std::ffi::OsString;
use std::time::{Duration, Instant};

use anyhow::Result;
use clap::Args;
use serde::Serialize;

use super::outbox::intake::{Intake, Taken};
use super::outbox::source::{self, OWN};
use super::outbox::standing::{self, OutboxView, Outboxes};
use super::pruning::Pruning;
use super::sending::{self, Sending, Tally, broken_off};
use super::wording::counted;
use super::{arguments, held_back};
use crate::commands::candidates::Candidates;
use crate::context::{Context, Exit};
use crate::delivery::{Summary, wait_out};
use crate::domain::time::Timestamp;
use crate::error::{Failure, Kind};
use crate::output::{Cell, Look, Row};
use crate::signals::Stop;
use crate::store::{Due, DueQuery, LastDrain, Removed, Retention, Store, StoreError};

/// Attempt every delivery that is due, then stop; run it from cron
///
/// Due are deliveries that were never attempted, retries whose time has come, and attempts whose process died.
/// Several drains at once share the work; nothing is sent twice for one claim. When nothing is left to send, it
/// prunes the log as `hookctl db policy` says. With --watch each attempt is logged on stderr, as with -v, unless
/// --quiet or HOOKCTL_LOG=off.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  hookctl drain
  hookctl drain --max-time 4m -q  # from cron, every five minutes
  hookctl drain -w crm --all      # also retries whose time has not come
  hookctl drain --watch 5s        # run until stopped
  hookctl drain --outbox app.db   # first take in its events
  hookctl drain --dry-run         # what is due, by webhook

Exit status:
  1         the encryption key is missing, or an outbox could not be read; what
            needed neither was sent
  5         an attempt failed, with --strict
  65        rows of an outbox were rejected and stay there
  129       stopped by SIGHUP (the terminal closed), otherwise as SIGINT
  130, 143  stopped by Ctrl-C or SIGTERM; results are kept, the rest stays due")]
pub struct Drain {
    /// Attempt at most N deliveries
    #[arg(long, value_name = "N", value_parser = arguments::at_least_one)]
    limit: Option<u64>,
    /// Requests at once
    #[arg(long, value_name = "N", default_value = "16", value_parser = arguments::concurrency)]
    concurrency: usize,
    /// Start no new attempt after this time
    #[arg(long, value_name = "DURATION", value_parser = arguments::duration)]
    max_time: Option<Duration>,
    /// Only this webhook's deliveries [repeatable]
    #[arg(short, long = "webhook", value_name = "WEBHOOK", add = Candidates::Webhooks)]
    webhooks: Vec<String>,
    /// Also retries whose time has not come
    #[arg(long)]
    all: bool,
    /// Run until stopped, looking again after each pause [default pause: 5s]
    #[arg(long, value_name = "DURATION", num_args = 0..=1, default_missing_value = "5s", value_parser = arguments::duration, conflicts_with = "dry_run")]
    watch: Option<Duration>,
    /// First take in events from an application's outbox, a SQLite file or postgres://user@host/database; see
    /// `hookctl help outbox` [repeatable] [env: HOOKCTL_OUTBOX]
    #[arg(long = "outbox", value_name = "SOURCE")]
    outboxes: Vec<OsString>,
    /// Exit with 5 when an attempt failed
    #[arg(long)]
    strict: bool,
    /// Show what is due, by webhook, and how much waits in outboxes; take in and send nothing
    #[arg(long)]
    dry_run: bool,
}

/// The state of a running drain.
struct Run<'a> {
    webhooks: Vec<i64>,
    deadline: Option<Instant>,
    intake: Intake<'a>,
    /// Whether the outboxes may hold more events than were taken in so far.
    is_taking_in: bool,
    /// When the outboxes were last looked at.
    looked: Instant,
    /// When this drain was last recorded for `hookctl status`.
    noted: Option<Instant>,
    /// Whether the missing key of the database was reported.
    is_told: bool,
    /// Whether it looked again instead of sleeping.
    looked_again: bool,
}

/// How a sweep ended.
enum Swept {
    GoesOn,
    /// With the error about webhooks that were left out, if there are any.
    Over(Option<anyhow::Error>),
}

impl Run<'_> {
    fn is_late(&self) -> bool {
        self.deadline.is_some_and(|deadline| Instant::now() >= deadline)
    }

    fn is_over(&self, sending: &Sending<'_>) -> bool {
        sending.stop.is_asked() || self.is_late()
    }
}

/// How often a drain looks at the outboxes while it sends.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// How long after falling asleep a drain looks again, for a transaction that was committing just then.
const LOOK_ONCE_MORE: Duration = Duration::from_millis(300);

/// The shortest pause between two sweeps with `--watch`.
const SHORTEST_PAUSE: Duration = Duration::from_millis(50);

#[derive(Clone, Debug, Serialize)]
pub struct DrainView {
    #[serde(flatten)]
    tally: Tally,
    /// Events from outboxes.
    taken_in: u64,
    /// Rows of outboxes that were refused.
    rejected: u64,
    deferred: u64,
    remaining_due: u64,
    duration_ms: u64,
}

impl DrainView {
    fn line(&self) -> String {
        let seconds = self.duration_ms as f64 / 1_000.0;
        let mut line = format!("{} attempted in {seconds:.1}s: {}", self.tally.claimed, self.tally.told());
        if self.taken_in > 0 {
            line += &format!("; {} taken in", counted(self.taken_in, "event", "events"));
        }
        if self.rejected > 0 {
            line += &format!("; {} rejected", counted(self.rejected, "row", "rows"));
        }
        if self.deferred > 0 {
            line += &format!("; {} held back", self.deferred);
        }
        if self.remaining_due > self.deferred {
            line += &format!("; {} still due", self.remaining_due - self.deferred);
        }
        line
    }
}

#[derive(Debug, Serialize)]
struct DueRow {
    webhook: String,
    due: u64,
}

impl Row for DueRow {
    const COLUMNS: &'static [&'static str] = &["webhook", "due"];

    fn cells(&self, _: &Look) -> Vec<Cell> {
        vec![Cell::id(&self.webhook), Cell::number(self.due)]
    }
}

/// How often a drain with `--watch` is recorded.
const NOTED_EVERY: Duration = Duration::from_secs(60);

/// Records the drain for `hookctl status`. Its attempts are recorded already, so a failure loses only this record.
fn note(context: &Context, store: &Store, tally: Tally) {
    let (attempted, succeeded) = (tally.claimed as i64, tally.succeeded as i64);
    let drain = LastDrain { ended_at: context.now(), attempted, succeeded };
    let _ = store.transaction(|| store.record_drain(drain));
}

impl Drain {
    pub fn run(self, context: &mut Context) -> Result<Exit> {
        if self.dry_run {
            return self.show_due(context);
        }
        if self.watch.is_some() && context.settings.verbose.is_none() {
            context.out.log_attempts();
        }
        context.refuse_if_read_only()?;
        let places = source::places(context, &self.outboxes)?;
        let store = context.store_to_write()?;
        let webhooks = context.webhook_ids(&store, &self.webhooks)?;
        let started = Instant::now();
        let mut options = sending::options(context, self.concurrency)?;
        options.limit = self.limit;
        options.deadline = self.max_time.and_then(|length| started.checked_add(length));
        options.waits_for_rate = true;
        let deadline = options.deadline;
        let mut sending = Sending::new(context, &store, options)?;
        let mut run = Run {
            webhooks,
            deadline,
            intake: Intake::new(&store, places),
            is_taking_in: false,
            looked: Instant::now(),
            noted: None,
            is_told: false,
            looked_again: false,
        };
        let drained = self.sweeps(context, &store, &mut run, &mut sending);
        let Taken { taken_in, rejected } = run.intake.taken();
        let webhooks = run.webhooks.as_slice();
        let tally = sending.tally();
        let told = drained.and_then(|locked_out| {
            let query = DueQuery { now: context.now(), webhooks, with_retries: false, with_idle: true };
            let due = store.due_by_webhook(&query)?;
            let remaining_due: u64 = due.iter().filter(|row| row.is_sent()).map(|row| row.due).sum();
            let held_back = if remaining_due == 0 { Vec::new() } else { sending.engine.held_back(webhooks)? };
            let deferred = held_back.iter().map(|held| held.count).sum::<u64>().min(remaining_due);
            let duration_ms = started.elapsed().as_millis() as u64;
            let view = DrainView { tally, taken_in, rejected, deferred, remaining_due, duration_ms };
            Ok((view, locked_out, held_back, due))
        });
        let recorded = counted(tally.claimed, "attempt is", "attempts are");
        let (view, locked_out, held_back, due) =
            told.map_err(|error| broken_off(error, &format!("{recorded} recorded ({})", tally.told())))?;
        context.out.report(&view, &view.line())?;
        held_back::tell(context, &held_back, &due);
        if let Some(exit) = sending.stop.exit() {
            return Ok(exit);
        }
        if let Some(error) = locked_out {
            return Err(error);
        }
        self.report_failures(context, &run.intake)?;
        let exit = sending.exit(!self.strict || tally.not_delivered() == 0);
        Ok(if rejected > 0 { Exit::REJECTED } else { exit })
    }

    /// Fails if an outbox could not be read or changed. With `--watch` that was reported when it happened.
    fn report_failures(&self, context: &mut Context, intake: &Intake<'_>) -> Result<()> {
        let mut failures = intake.failures();
        let Some(first) = failures.next() else { return Ok(()) };
        if self.watch.is_none() {
            failures.for_each(|failure| context.out.alarm(&failure.message));
        }
        Err(first.clone().into())
    }

    /// Returns the error about webhooks that the last sweep left out because the database's key is missing.
    fn sweeps(
        &self,
        context: &mut Context,
        store: &Store,
        run: &mut Run<'_>,
        sending: &mut Sending<'_>,
    ) -> Result<Option<anyhow::Error>> {
        let mut lost: Option<Instant> = None;
        loop {
            match self.sweep(context, store, run, sending) {
                Ok(Swept::Over(locked_out)) => return Ok(locked_out),
                Ok(Swept::GoesOn) => lost = None,
                Err(error) => {
                    let since = *lost.get_or_insert_with(Instant::now);
                    let may_wait = self.watch.is_some() && !run.is_over(sending);
                    if !may_wait || !error.downcast_ref().is_some_and(|error| wait_out(error, since)) {
                        return Err(error);
                    }
                }
            }
        }
    }

    /// Takes in from the outboxes and sends what is due, once; then sleeps, with `--watch`.
    fn sweep(
        &self,
        context: &mut Context,
        store: &Store,
        run: &mut Run<'_>,
        sending: &mut Sending<'_>,
    ) -> Result<Swept> {
        if self.all {
            let now = context.now();
            store.transaction(|| store.make_all_due(now, &run.webhooks))?;
        }
        let before = sending.engine.summary();
        sending.engine.drain(&run.webhooks);
        self.take_in(context, run, sending)?;
        let due = store.count_due(context.now(), &run.webhooks)?;
        self.send(context, run, sending, before, due)?;
        let locked_out = sending.locked_out()?;
        if let (Some(error), Some(_), false) = (&locked_out, self.watch, run.is_told) {
            context.out.warning(&format!("{error:#}"));
        }
        run.is_told = locked_out.is_some();
        store.erase_deleted(Duration::ZERO);
        let is_over = run.is_over(sending) || self.limit.is_some_and(|limit| sending.engine.summary().claimed >= limit);
        if is_over || self.watch.is_none() || run.noted.is_none_or(|noted| noted.elapsed() >= NOTED_EVERY) {
            run.noted = Some(Instant::now());
            note(context, store, sending.tally());
        }
        let Some(pause) = self.watch.filter(|_| !is_over) else {
            prune(context, store, &sending.stop, later(LONGEST_PRUNE, run.deadline));
            return Ok(Swept::Over(locked_out));
        };
        self.sleep(context, store, run, sending, pause).map(|()| Swept::GoesOn)
    }

    /// Sleeps until there may be work, or the pause is over. The log is kept short meanwhile.
    fn sleep(
        &self,
        context: &mut Context,
        store: &Store,
        run: &mut Run<'_>,
        sending: &Sending<'_>,
        pause: Duration,
    ) -> Result<()> {
        let sleep = store.fall_asleep(context.now().plus_millis(pause.as_millis() as i64))?;
        let pause = pause.max(SHORTEST_PAUSE);
        let began = Instant::now();
        prune(context, store, &sending.stop, later(pause, run.deadline));
        run.intake.listen();
        // Only once: rows that another process holds would be found again each time.
        if !run.looked_again && run.intake.is_own_waiting()? {
            run.looked_again = true;
            return Ok(());
        }
        run.looked_again = false;
        let is_over = || run.intake.has_rung() || run.is_over(sending);
        let (left, asleep) = (pause.saturating_sub(began.elapsed()), Instant::now());
        sleep.wait(left.min(LOOK_ONCE_MORE), is_over)?;
        if asleep.elapsed() >= LOOK_ONCE_MORE && !is_over() && !run.intake.is_own_waiting()? {
            sleep.wait(left.saturating_sub(asleep.elapsed()), is_over)?;
        }
        Ok(())
    }

    /// Takes in what is in the outboxes, and sends meanwhile.
    fn take_in(&self, context: &mut Context, run: &mut Run<'_>, sending: &mut Sending<'_>) -> Result<()> {
        run.intake.begin();
        while !run.is_over(sending) && run.intake.take_groups(context, self.watch.is_some())? {
            sending.engine.turn()?;
        }
        (run.is_taking_in, run.looked) = (false, Instant::now());
        Ok(())
    }

    /// Sends what is due, and takes in new events meanwhile, so that a slow receiver does not delay them.
    fn send(
        &self,
        context: &mut Context,
        run: &mut Run<'_>,
        sending: &mut Sending<'_>,
        before: Summary,
        due: u64,
    ) -> Result<()> {
        let (tells, stop) = (self.watch.is_some(), sending.stop.clone());
        sending.run_beside(context, "Draining", before, due, |context| {
            let is_time = run.is_taking_in || run.looked.elapsed() >= LOOK_AGAIN || run.intake.has_rung();
            if !is_time || run.is_late() || stop.is_asked() {
                return Ok(());
            }
            if !run.is_taking_in {
                run.intake.begin();
            }
            run.is_taking_in = match run.intake.take_groups(context, tells) {
                // The engine waits for the server to come back, to record what is in flight.
                Err(error) if matches!(error.downcast_ref(), Some(StoreError::Unavailable(_))) => false,
                taken => taken?,
            };
            run.looked = Instant::now();
            Ok(())
        })
    }

    fn show_due(&self, context: &mut Context) -> Result<Exit> {
        let store = context.store_to_read()?;
        let webhooks = context.webhook_ids(&store, &self.webhooks)?;
        let query = DueQuery { now: context.now(), webhooks: &webhooks, with_retries: self.all, with_idle: true };
        let (sent, idle): (Vec<_>, Vec<_>) = store.due_by_webhook(&query)?.into_iter().partition(Due::is_sent);
        let Outboxes { views, failures } = standing::all(context, Some(&store), &self.outboxes)?;
        held_back::tell(context, &[], &idle);
        let due: u64 = sent.iter().map(|row| row.due).sum();
        let rows = sent.into_iter().map(|row| Ok(DueRow { webhook: row.webhook, due: row.due }));
        context.out.list(rows, "nothing is due; `hookctl delivery list` shows what waits for its next try")?;
        if let Some(limit) = self.limit.filter(|limit| *limit < due) {
            context.out.notice(&format!("of these no more than {limit} would be sent (--limit)"));
        }
        for OutboxView { source, waiting, .. } in views.iter().filter(|view| view.waiting > 0 || view.source != OWN) {
            let waiting = counted(*waiting, "row waits", "rows wait");
            context.out.notice(&format!("{waiting} in the outbox {source}, to be taken in first"));
        }
        match failures.as_slice() {
            [] => Ok(Exit::DONE),
            failures => Err(Failure::new(Kind::Failed, failures.join("; ")).into()),
        }
    }
}

/// How long a drain applies the policy at most before it ends.
const LONGEST_PRUNE: Duration = Duration::from_secs(10);
/// How long after a policy was fully applied it is applied again, in milliseconds.
const POLICY_INTERVAL_MS: i64 = 60_000;

/// After `length`, but no later than the deadline.
fn later(length: Duration, deadline: Option<Instant>) -> Option<Instant> {
    [Instant::now().checked_add(length), deadline].into_iter().flatten().min()
}

/// Prunes the log. All attempts are recorded by then, so a failure is a warning, and the next drain continues.
fn prune(context: &mut Context, store: &Store, stop: &Stop, end: Option<Instant>) {
    match apply_policy(store, stop, end, context.now()) {
        Ok(Removed { deliveries: 0, events: 0 }) => {}
        Ok(Removed { deliveries, events }) => {
            let told = counted(deliveries, "delivery", "deliveries");
            context.out.diagnostic(1, &format!("pruned by the policy: {told}, {}", counted(events, "event", "events")));
        }
        Err(error) => context.out.warning(&format!("the log was not pruned as `hookctl db policy` says: {error:#}")),
    }
}

fn apply_policy(store: &Store, stop: &Stop, end: Option<Instant>, now: Timestamp) -> Result<Removed> {
    let Retention { policy, applied_at, .. } = store.retention()?;
    let is_fresh = applied_at.is_some_and(|at| (0..POLICY_INTERVAL_MS).contains(&now.millis_since(at)));
    let mut pruning = Pruning::new(store, stop, end);
    if policy.is_off() || is_fresh || pruning.is_cut() {
        return Ok(Removed::default());
    }
    pruning.apply(policy, now)?;
    if !pruning.is_cut() {
        store.transaction(|| store.note_policy_applied(now))?;
    }
    store.erase_deleted(Duration::ZERO);
    Ok(pruning.removed)
}

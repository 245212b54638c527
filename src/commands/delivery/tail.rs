//! `hookctl delivery tail`

use std::collections::VecDeque;
use std::time::Duration;

use anyhow::Result;
use clap::Args;

use super::filter::Filters;
use super::view::status_cell;
use crate::commands::arguments;
use crate::context::{Context, Exit};
use crate::domain::attempt::{ErrorType, Trigger};
use crate::output::{Cell, Look, Row};
use crate::signals::Stop;
use crate::store::{DeliveryFilter, LoggedAttempt, Store, StoreError};

/// The interval of polling the log.
const PAUSE: Duration = Duration::from_millis(200);
/// How many attempts are read at once.
const PAGE: u64 = 200;

/// Follow the log as attempts end
///
/// Prints one line for each attempt of any process, from now on, until Ctrl-C. --status, --error-type and --status-code
/// apply to the outcome of the attempt.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  hookctl delivery tail
  hookctl delivery tail -w crm --status failed,retrying
  hookctl delivery tail --last 20 -o jsonl")]
pub struct Tail {
    #[command(flatten)]
    filters: Filters,
    /// Begin with the last N attempts in the log
    #[arg(long, value_name = "N", value_parser = arguments::at_least_one)]
    last: Option<u64>,
}

impl Row for LoggedAttempt {
    const COLUMNS: &'static [&'static str] = &["time", "id", "webhook", "event", "try", "status", "result", "took"];
    const SPARE: &'static [&'static str] = &["took"];
    const HELD: &'static [(u16, bool)] =
        &[(8, false), (5, false), (12, true), (14, true), (3, false), (9, false), (16, false), (7, false)];

    fn cells(&self, _: &Look) -> Vec<Cell> {
        vec![
            Cell::dim(self.completed_at.date_time().format("%H:%M:%S").to_string()),
            Cell::number(self.delivery_id),
            Cell::name(&self.webhook),
            Cell::plain(&self.event_type),
            match self.trigger {
                Trigger::Test => Cell::plain("test"),
                _ => Cell::number(self.number),
            },
            status_cell(self.status),
            match (self.response_status_code, self.error_type) {
                (Some(code), None) => Cell::good(code.to_string()),
                (Some(code), Some(ErrorType::HttpError)) => Cell::bad(code.to_string()),
                (_, error_type) => error_type.map(|error_type| Cell::bad(error_type.as_str())).into(),
            },
            Cell::number(format!("{}ms", self.duration_ms)),
        ]
    }
}

impl Tail {
    pub fn run(self, context: &mut Context) -> Result<Exit> {
        let stop = context.stop_on_signals()?;
        let store = context.store_if_any()?;
        let filter = match &store {
            Some(store) => self.filters.resolve(context, store)?,
            None => self.filters.resolve(context, &Store::empty()?)?,
        };
        let Some(store) = store.map_or_else(|| wait_for_store(context, &stop), |store| Ok(Some(store)))? else {
            return Ok(stop.exit().unwrap_or(Exit::DONE));
        };
        let after = store.last_attempt_row()?;
        let mut waiting = VecDeque::new();
        if let Some(last) = self.last {
            waiting.extend(store.last_logged_attempts(&filter, after, last)?);
        }
        context.out.notice("following the log of attempts; Ctrl-C ends");
        let follower = Follower { store, filter, after, waiting, stop: stop.clone() };
        context.out.follow(follower)?;
        Ok(stop.exit().unwrap_or(Exit::DONE))
    }
}

/// Waits until the database exists; `None` if a signal came first.
fn wait_for_store(context: &mut Context, stop: &Stop) -> Result<Option<Store>> {
    context.out.notice("there is no database yet; waiting for it");
    while !stop.is_asked() {
        std::thread::sleep(PAUSE);
        if let Some(store) = context.store_if_any()? {
            return Ok(Some(store));
        }
    }
    Ok(None)
}

/// Yields attempts in the order of recording, until a signal.
struct Follower {
    store: Store,
    filter: DeliveryFilter,
    /// The last row read.
    after: i64,
    waiting: VecDeque<LoggedAttempt>,
    stop: Stop,
}

impl Iterator for Follower {
    type Item = Result<LoggedAttempt>;

    fn next(&mut self) -> Option<Result<LoggedAttempt>> {
        while !self.stop.is_asked() {
            if let Some(attempt) = self.waiting.pop_front() {
                return Some(Ok(attempt));
            }
            match self.look() {
                // Another process may be recovering or restoring the file.
                Ok(()) | Err(StoreError::Busy | StoreError::Again) => {}
                Err(error) => return Some(Err(error.into())),
            }
            if self.waiting.is_empty() {
                std::thread::sleep(PAUSE);
            }
        }
        None
    }
}

impl Follower {
    fn look(&mut self) -> Result<(), StoreError> {
        let upto = self.store.last_attempt_row()?;
        if upto <= self.after {
            // The newest rows may have been deleted; their ids are used again.
            self.after = upto;
            return Ok(());
        }
        let attempts = self.store.logged_attempts(&self.filter, self.after, upto, PAGE)?;
        self.after = match attempts.last() {
            Some(last) if attempts.len() as u64 == PAGE => last.row,
            _ => upto,
        };
        self.waiting.extend(attempts);
        Ok(())
    }
}

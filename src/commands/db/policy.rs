//! `hookctl db policy`

use std::time::Duration;

use anyhow::Result;
use clap::Args;
use serde::Serialize;

use crate::commands::arguments;
use crate::commands::wording::{counted, size};
use crate::context::Context;
use crate::domain::duration;
use crate::domain::policy::parse_size;
use crate::domain::time::Timestamp;
use crate::error::Failure;
use crate::output::{Cell, Page, Text};
use crate::store::Retention;

/// Show or set how long finished deliveries are kept; drain deletes what is older
///
/// It is off until it is set. `hookctl drain` applies it when nothing is left to send, in short steps, for 10 seconds
/// at most or, with --watch, for as long as it pauses. Deliveries are deleted with their attempts, and the content of
/// an event with its last delivery; its id and fingerprint are remembered, so that the same event again is a
/// duplicate. Waiting deliveries are kept. The file does not shrink, its space is used again: `hookctl db vacuum`
/// returns it to the file system.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  hookctl db policy --keep 30d --keep-failed 90d
  hookctl db policy --max-size 2G
  hookctl db policy --max-size off
  hookctl db policy --off")]
pub struct Policy {
    /// Keep finished deliveries for this long after their last attempt; off keeps them forever
    #[arg(long, value_name = "DURATION", value_parser = keep)]
    keep: Option<Setting>,
    /// Keep those that ended as failed for this long instead; off: as the others
    #[arg(long, value_name = "DURATION", value_parser = keep)]
    keep_failed: Option<Setting>,
    /// Delete the oldest finished deliveries while the database is larger, such as 500M or 2G; off for no limit
    #[arg(long, value_name = "SIZE", value_parser = max_size)]
    max_size: Option<Setting>,
    /// Stop deleting: remove the policy
    #[arg(long, conflicts_with_all = ["keep", "keep_failed", "max_size"])]
    off: bool,
}

/// A value to set; `None` unsets it.
#[derive(Clone, Copy, Debug)]
struct Setting(Option<i64>);

#[derive(Debug, Serialize)]
struct PolicyView {
    keep_seconds: Option<i64>,
    keep_failed_seconds: Option<i64>,
    max_size_bytes: Option<i64>,
    applied_at: Option<Timestamp>,
    pruned_deliveries: u64,
    pruned_events: u64,
}

impl Page for PolicyView {
    fn describe(&self, text: &mut Text) {
        let length = |seconds: i64| Cell::plain(duration::format(Duration::from_secs(seconds.unsigned_abs())));
        let kept = |seconds: Option<i64>| seconds.map_or(Cell::dim("for ever"), length);
        text.field("Keep", kept(self.keep_seconds));
        text.field("Keep failed", kept(self.keep_failed_seconds.or(self.keep_seconds)));
        text.field(
            "Max size",
            self.max_size_bytes.map_or(Cell::dim("none"), |bytes| size(bytes.unsigned_abs()).into()),
        );
        text.time("Applied", self.applied_at);
        let deliveries = counted(self.pruned_deliveries, "delivery", "deliveries");
        text.field("Pruned so far", format!("{deliveries}, {}", counted(self.pruned_events, "event", "events")));
    }
}

impl Policy {
    pub fn run(self, context: &mut Context) -> Result<()> {
        let given = [self.keep, self.keep_failed, self.max_size];
        let store = match self.off || given.iter().any(Option::is_some) {
            true => context.store_to_write()?,
            false => context.store_to_read()?,
        };
        if matches!(self.max_size, Some(Setting(Some(_)))) && store.used_bytes()?.is_none() {
            return Err(Failure::option("--max-size", "a server's tables do not shrink when rows are deleted")
                .hint("say how long to keep finished deliveries: --keep 30d")
                .into());
        }
        let Retention { mut policy, .. } = store.retention()?;
        let values = [&mut policy.keep_ms, &mut policy.keep_failed_ms, &mut policy.max_bytes];
        for (value, given) in values.into_iter().zip(given) {
            if self.off {
                *value = None;
            }
            if let Some(Setting(setting)) = given {
                *value = setting;
            }
        }
        if self.off || given.iter().any(Option::is_some) {
            store.transaction(|| store.set_policy(policy))?;
        }
        let Retention { policy, applied_at, pruned } = store.retention()?;
        context.out.page(&PolicyView {
            keep_seconds: policy.keep_ms.map(|millis| millis / 1_000),
            keep_failed_seconds: policy.keep_failed_ms.map(|millis| millis / 1_000),
            max_size_bytes: policy.max_bytes,
            applied_at,
            pruned_deliveries: pruned.deliveries,
            pruned_events: pruned.events,
        })
    }
}

/// A length of time, or `off`.
fn keep(text: &str) -> Result<Setting, String> {
    if text == "off" {
        return Ok(Setting(None));
    }
    match arguments::duration(text)?.as_secs() {
        0 => Err("must be at least 1s; off takes it away".to_owned()),
        seconds => Ok(Setting(Some(seconds.saturating_mul(1_000).min(i64::MAX as u64) as i64))),
    }
}

/// A size, or `off`.
fn max_size(text: &str) -> Result<Setting, String> {
    match text {
        "off" => Ok(Setting(None)),
        text => parse_size(text).map(|bytes| Setting(Some(bytes))).map_err(|error| error.to_string()),
    }
}

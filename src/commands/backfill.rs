//! Delivers past events, in portions. A backfill that was interrupted can be repeated: no webhook gets an event twice.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;

use anyhow::Result;

use super::reshaping::{self, Reshaping};
use crate::delivery::{Case, Shaped, sends, shape, shape_hastily};
use crate::domain::event_type;
use crate::domain::time::Timestamp;
use crate::domain::webhook::Shape;
use crate::store::{EventFilter, Past, Store, StoreError, Subscriber};

/// How many rows of events one transaction covers, so that the lock is held for a short time.
const PART: i64 = 10_000;
/// The same if expressions are evaluated: payloads and bodies are in memory then.
const SHAPED_PART: i64 = 100;

/// Which of the matching events a webhook gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Those that it subscribes to and has no delivery of.
    Missing,
    /// All; those that it had are delivered again.
    Everything,
}

#[derive(Debug)]
pub struct Backfill {
    pasts: Vec<Past>,
    scope: Scope,
    /// Rows of events, oldest first.
    parts: Vec<RangeInclusive<i64>>,
}

/// How much a backfill would deliver.
#[derive(Debug, Default)]
pub struct Preview {
    pub events: u64,
    pub deliveries: u64,
    /// By the webhook's name.
    pub by_webhook: BTreeMap<String, u64>,
    /// The row of the last matching event.
    last: Option<i64>,
}

impl Backfill {
    /// The events that match `filter`, for these webhooks.
    pub fn by_filter(store: &Store, webhooks: Vec<Subscriber>, filter: EventFilter, scope: Scope) -> Result<Backfill> {
        let span = if webhooks.is_empty() { None } else { store.span_of_events(&filter)? };
        let size = part_size(&webhooks);
        let parts = span.map(|(first, last)| (first..=last).step_by(size as usize).map(move |start| (start, last)));
        let parts = parts.into_iter().flatten().map(|(start, last)| start..=last.min(start + size - 1)).collect();
        Backfill::new(store, webhooks, filter, scope, parts)
    }

    /// The events in these rows.
    pub fn by_rows(store: &Store, webhooks: Vec<Subscriber>, rows: &[i64], scope: Scope) -> Result<Backfill> {
        let rows: BTreeSet<i64> = rows.iter().copied().collect();
        let parts = rows.into_iter().map(|row| row..=row).collect();
        Backfill::new(store, webhooks, EventFilter::default(), scope, parts)
    }

    /// The missing events that match `filter` in the rows from `first` on, in one portion.
    pub fn from_row(store: &Store, webhooks: Vec<Subscriber>, filter: EventFilter, first: i64) -> Result<Backfill> {
        Backfill::new(store, webhooks, filter, Scope::Missing, vec![first..=i64::MAX])
    }

    fn new(
        store: &Store,
        webhooks: Vec<Subscriber>,
        filter: EventFilter,
        scope: Scope,
        parts: Vec<RangeInclusive<i64>>,
    ) -> Result<Backfill> {
        let mut types = store.types_of_events()?;
        if let Some(pattern) = &filter.event_type {
            types.retain(|name| event_type::matches(pattern, name));
        }
        let past = |webhook: Subscriber| {
            let is_wanted = |name: &&String| scope == Scope::Everything || event_type::wants(&webhook.events, name);
            let types: Vec<String> = types.iter().filter(is_wanted).cloned().collect();
            Past::new(webhook, types, filter.clone())
        };
        Ok(Backfill { pasts: webhooks.into_iter().map(past).collect(), scope, parts })
    }

    /// Evaluates the webhooks' expressions for the events of one portion. It runs before the transaction, because it may take
    /// long.
    pub fn prepare(&self, store: &Store, part: &RangeInclusive<i64>) -> Result<Prepared> {
        self.prepare_by(store, part, |cases| Ok(shape(cases)?))
    }

    /// The same within the transaction, for few events and with a short time limit.
    pub fn prepare_hastily(&self, store: &Store, part: &RangeInclusive<i64>) -> Result<Prepared> {
        self.prepare_by(store, part, |cases| Ok(shape_hastily(cases)?))
    }

    fn prepare_by(
        &self,
        store: &Store,
        part: &RangeInclusive<i64>,
        shape: impl Fn(&[Case<'_>]) -> Result<Vec<Shaped>>,
    ) -> Result<Prepared> {
        let prepare = |past: &Past| {
            if past.webhook.shape.is_plain() {
                return Ok(None);
            }
            let had = match self.scope {
                Scope::Missing => Vec::new(),
                Scope::Everything => {
                    store.delivered_events(past, part)?.into_iter().map(|(_, delivery)| delivery).collect()
                }
            };
            let missing = store.missing_events(past, part)?;
            let is_filtered = self.scope == Scope::Missing;
            Ok(Some(Anew {
                missing: shaped_events(store, &missing, &past.webhook.shape, is_filtered, &shape)?,
                had: reshaping::evaluate(store, &had, false)?,
            }))
        };
        Ok(Prepared(self.pasts.iter().map(prepare).collect::<Result<_>>()?))
    }

    /// Counts events and deliveries, of the oldest `limit` events.
    pub fn preview(&self, store: &Store, limit: Option<u64>) -> Result<Preview> {
        let mut preview = Preview::default();
        let most = limit.unwrap_or(u64::MAX);
        for part in &self.parts {
            let mut events = BTreeSet::new();
            let mut by_webhook = Vec::new();
            for past in &self.pasts {
                let mut rows = match past.webhook.shape.filter.is_some() && self.scope == Scope::Missing {
                    true => self.wanted_events(store, past, part)?,
                    false => store.missing_events(past, part)?,
                };
                if self.scope == Scope::Everything {
                    rows.extend(store.delivered_events(past, part)?.into_iter().map(|(event, _)| event));
                }
                events.extend(rows.iter().copied());
                by_webhook.push((&past.webhook.name, rows));
            }
            let left = usize::try_from(most - preview.events).unwrap_or(usize::MAX);
            let last = events.iter().take(left).next_back().copied();
            preview.events += events.len().min(left) as u64;
            for (name, rows) in by_webhook {
                let count = rows.iter().filter(|row| Some(**row) <= last).count() as u64;
                preview.deliveries += count;
                if count > 0 {
                    *preview.by_webhook.entry(name.clone()).or_default() += count;
                }
            }
            preview.last = last.or(preview.last);
            if preview.events == most {
                break;
            }
        }
        Ok(preview)
    }

    /// The missing events that the filter accepts or fails on.
    fn wanted_events(&self, store: &Store, past: &Past, part: &RangeInclusive<i64>) -> Result<Vec<i64>> {
        let rows = store.missing_events(past, part)?;
        let shape_of_filter = Shape { filter: past.webhook.shape.filter.clone(), ..Shape::default() };
        let mut wanted = Vec::new();
        for rows in rows.chunks(SHAPED_PART as usize) {
            let shaped = shaped_events(store, rows, &shape_of_filter, true, &|cases| Ok(shape(cases)?))?;
            wanted.extend(shaped.into_iter().map(|(row, _)| row));
        }
        Ok(wanted)
    }

    /// Restricts the backfill to the events that a preview counted.
    #[must_use]
    pub fn up_to(mut self, preview: &Preview) -> Backfill {
        let last = preview.last.unwrap_or(i64::MIN);
        self.parts.retain(|part| *part.start() <= last);
        if let Some(part) = self.parts.last_mut() {
            *part = *part.start()..=last.min(*part.end());
        }
        self
    }

    /// The portions, one for each transaction.
    pub fn parts(&self) -> &[RangeInclusive<i64>] {
        &self.parts
    }

    /// Creates the deliveries of one portion in the caller's transaction; returns how many are new or due again.
    pub fn carry_out_part(
        &self,
        store: &Store,
        part: &RangeInclusive<i64>,
        prepared: &Prepared,
        now: Timestamp,
    ) -> Result<u64, StoreError> {
        let mut count = 0;
        for (past, anew) in self.pasts.iter().zip(&prepared.0) {
            let had = match self.scope {
                Scope::Missing => Vec::new(),
                Scope::Everything => store.delivered_events(past, part)?,
            };
            count += match anew {
                None => store.deliver_missing(past, part, now)?,
                Some(anew) => anew.deliver(store, past, now)?,
            };
            if !had.is_empty() {
                let had: Vec<i64> = had.into_iter().map(|(_, delivery)| delivery).collect();
                count += match anew {
                    None => store.retry_deliveries(&had, now)?.due,
                    Some(anew) => anew.had.retry(store, &had, now)?.0.due,
                }
                .len() as u64;
            }
        }
        Ok(count)
    }
}

/// The size of a portion for these webhooks, in rows of events.
pub fn part_size(webhooks: &[Subscriber]) -> i64 {
    if webhooks.iter().all(|webhook| webhook.shape.is_plain()) { PART } else { SHAPED_PART }
}

/// The results of a shape for events, without those that its filter refuses.
fn shaped_events(
    store: &Store,
    rows: &[i64],
    of: &Shape,
    is_filtered: bool,
    shape: &impl Fn(&[Case<'_>]) -> Result<Vec<Shaped>>,
) -> Result<Vec<(i64, Shaped)>> {
    let events = store.past_events(rows)?;
    let cases: Vec<Case<'_>> =
        events.iter().map(|event| Case { shape: of, event: event.parts(), is_filtered }).collect();
    let shaped = rows.iter().copied().zip(shape(&cases)?);
    Ok(shaped.filter(|(_, shaped)| *shaped != Shaped::Unwanted).collect())
}

/// The results of each webhook's expressions for a portion; `None` if it has none.
#[derive(Debug)]
pub struct Prepared(Vec<Option<Anew>>);

#[derive(Debug)]
struct Anew {
    /// Rows of events with their results.
    missing: Vec<(i64, Shaped)>,
    had: Reshaping,
}

impl Anew {
    fn deliver(&self, store: &Store, past: &Past, now: Timestamp) -> Result<u64, StoreError> {
        let mut bodies = Vec::new();
        let events: Vec<_> = self.missing.iter().map(|(row, shaped)| (*row, sends(shaped, &mut bodies))).collect();
        store.deliver_shaped(past, &events, &bodies, now)
    }
}

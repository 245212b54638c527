//! Taking events out of outboxes, for `drain`: in groups, each accepted before it is deleted from its outbox.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::Result;

use super::source::{self, OWN, failure};
use crate::context::Context;
use crate::delivery::{AcceptOptions, Schemas, accept, accept_durably};
use crate::domain::event::NewEvent;
use crate::domain::outbox_row::OutboxRow;
use crate::error::Failure;
use crate::store::{Accepted, Outbox, Place, Store, StoreError, Use, Verdict, ring_for_outbox};

/// What was done with rows.
#[derive(Clone, Copy, Debug, Default)]
pub struct Taken {
    /// Events that are new.
    pub taken_in: u64,
    pub rejected: u64,
}

/// The outboxes that a drain takes events in from.
pub struct Intake<'a> {
    store: &'a Store,
    sources: Vec<Source<'a>>,
    taken: Taken,
    schemas: Schemas,
    /// Set when a server has notified of new rows.
    has_rung: Arc<AtomicBool>,
}

struct Source<'a> {
    name: String,
    place: Option<Place>,
    /// `None` until it is opened, and after it failed.
    outbox: Option<Outbox<'a>>,
    /// The last row that this sweep has looked at.
    after: i64,
    /// Whether this sweep is done with it.
    is_done: bool,
    is_listened_to: bool,
    failure: Option<Failure>,
}

/// What went wrong while rows were taken in.
enum Trouble {
    /// With the outbox.
    Outbox(StoreError),
    /// With the database that events are taken into, or with this machine.
    Here(anyhow::Error),
}

impl From<StoreError> for Trouble {
    fn from(error: StoreError) -> Trouble {
        Trouble::Outbox(error)
    }
}

struct Refused {
    row: i64,
    event_type: String,
    reason: String,
}

impl<'a> Intake<'a> {
    /// Nothing is opened yet.
    pub fn new(store: &'a Store, places: Vec<Place>) -> Intake<'a> {
        let own = store.own_outbox().map(|outbox| Source::new(OWN.to_owned(), None, Some(outbox)));
        let named = places.into_iter().map(|place| Source::new(place.to_string(), Some(place), None));
        Intake {
            store,
            sources: own.into_iter().chain(named).collect(),
            taken: Taken::default(),
            schemas: Schemas::default(),
            has_rung: Arc::default(),
        }
    }

    pub fn taken(&self) -> Taken {
        self.taken
    }

    /// What is wrong with outboxes that could not be read or changed in the last sweep.
    pub fn failures(&self) -> impl Iterator<Item = &Failure> {
        self.sources.iter().filter_map(|source| source.failure.as_ref())
    }

    /// Begins a sweep over all outboxes.
    pub fn begin(&mut self) {
        self.has_rung.store(false, Ordering::Release);
        for source in &mut self.sources {
            (source.after, source.is_done) = (i64::MIN, false);
        }
    }

    /// Takes one group out of each outbox that this sweep is not done with; returns whether there was any. An outbox that
    /// fails does not delay the others: it is tried again in the next sweep.
    pub fn take_groups(&mut self, context: &mut Context, tell: bool) -> Result<bool> {
        let mut was_any = false;
        for source in self.sources.iter_mut().filter(|source| !source.is_done) {
            match source.take_group(context, self.store, &self.schemas, &mut self.taken) {
                Ok(last) => {
                    source.failure = None;
                    source.is_done = last.is_none();
                    source.after = last.unwrap_or(source.after);
                    was_any |= last.is_some();
                }
                Err(Trouble::Here(error)) => match error.downcast::<StoreError>() {
                    // A row with a credential waits for the key, and those behind it.
                    Ok(error) if error.is_of_key() => source.fail(context, error, tell),
                    Ok(error) => return Err(error.into()),
                    Err(error) => return Err(error),
                },
                Err(Trouble::Outbox(error)) => source.fail(context, error, tell),
            }
        }
        Ok(was_any)
    }

    /// Has servers that notify of new rows wake this thread from its sleep.
    pub fn listen(&mut self) {
        for source in self.sources.iter_mut().filter(|source| !source.is_listened_to && source.outbox.is_some()) {
            let Some(Place::Server(server)) = &source.place else { continue };
            let (ringer, has_rung) = (self.store.ringer(), Arc::clone(&self.has_rung));
            let ring = move || {
                has_rung.store(true, Ordering::Release);
                ringer.ring();
            };
            // Whatever fails here, the outbox is polled.
            source.is_listened_to = ring_for_outbox(server, ring).is_ok();
        }
    }

    /// Whether a server has notified of new rows since the last sweep began.
    pub fn has_rung(&self) -> bool {
        self.has_rung.load(Ordering::Acquire)
    }

    /// Whether `hookctl.emit` left something: asked once those who emit know that this process sleeps.
    pub fn is_own_waiting(&self) -> Result<bool, StoreError> {
        self.store.own_outbox().map_or(Ok(false), |outbox| outbox.is_waiting())
    }
}

impl<'a> Source<'a> {
    fn new(name: String, place: Option<Place>, outbox: Option<Outbox<'a>>) -> Source<'a> {
        Source { name, place, outbox, after: 0, is_done: false, is_listened_to: false, failure: None }
    }

    fn fail(&mut self, context: &mut Context, error: StoreError, tell: bool) {
        let failure = failure(&self.name, error);
        if tell && self.failure.as_ref() != Some(&failure) {
            context.out.alarm(&failure.message);
        }
        (self.failure, self.is_done) = (Some(failure), true);
        if self.place.is_some() {
            self.outbox = None;
        }
    }

    /// Returns the last row of the group; `None` if nothing is left.
    fn take_group(
        &mut self,
        context: &mut Context,
        store: &Store,
        schemas: &Schemas,
        taken: &mut Taken,
    ) -> Result<Option<i64>, Trouble> {
        if self.outbox.is_none() {
            let Some(place) = &self.place else { return Ok(None) };
            self.outbox = Some(Outbox::open(place, Use::Change, source::patience(context))?);
        }
        let Some(outbox) = &self.outbox else { return Ok(None) };
        let (mut refused, mut new) = (Vec::new(), 0);
        let last = outbox.take(self.after, |rows| {
            let judged = judge(context, store, schemas, rows, outbox.is_own());
            let (accepted, verdicts) = judged.map_err(Trouble::Here)?;
            new = accepted;
            refused = rows.iter().zip(&verdicts).filter_map(|(row, verdict)| Refused::of(row, verdict)).collect();
            Ok::<_, Trouble>(verdicts)
        });
        let last = match last {
            Err(Trouble::Outbox(error)) if outbox.is_own() => return Err(Trouble::Here(error.into())),
            last => last?,
        };
        taken.taken_in += new;
        taken.rejected += refused.len() as u64;
        if new > 0 {
            context.out.diagnostic(1, &format!("taken in from the outbox {}: {new}", self.name));
        }
        for Refused { row, event_type, reason } in refused {
            context.out.alarm(&format!("outbox {}: row {row}{event_type} rejected: {reason}", self.name));
        }
        Ok(last)
    }
}

impl Refused {
    fn of(row: &OutboxRow, verdict: &Verdict) -> Option<Refused> {
        let Verdict::Rejected(reason) = verdict else { return None };
        let event_type = row.event_type.shown().map_or_else(String::new, |event_type| format!(" ({event_type})"));
        Some(Refused { row: row.id, event_type, reason: reason.clone() })
    }
}

/// Accepts the events of rows: in the transaction that deletes them, or durably before that. How many are new, and what becomes
/// of the rows, or of the first of them.
fn judge(
    context: &Context,
    store: &Store,
    schemas: &Schemas,
    rows: &[OutboxRow],
    is_in_transaction: bool,
) -> Result<(u64, Vec<Verdict>)> {
    let now = context.now();
    let events: Vec<Result<NewEvent, String>> = rows.iter().map(|row| row.event(now)).collect();
    let good: Vec<&NewEvent> = events.iter().flatten().collect();
    let options = AcceptOptions { schemas: Some(schemas), ..AcceptOptions::default() };
    let intakes = match is_in_transaction {
        _ if good.is_empty() => Vec::new(),
        true => accept(store, good, AcceptOptions { subscribers: &store.subscribers()?, ..options })?,
        false => accept_durably(store, &good, AcceptOptions { is_last: true, ..options }, |_| Ok(()))?.1,
    };
    let new = intakes.iter().filter(|intake| matches!(intake.accepted, Accepted::New(_))).count();
    let mut intakes = intakes.into_iter();
    let verdicts = events.into_iter().map_while(|event| match event {
        Err(reason) => Some(Verdict::Rejected(reason)),
        Ok(event) => Some(match intakes.next()?.accepted {
            Accepted::Conflict => Verdict::Rejected(format!(
                "event_id: '{}' was used before with another payload or owner",
                event.event_id
            )),
            Accepted::Refused(reason) => Verdict::Rejected(format!("data: {reason}")),
            Accepted::New(_) | Accepted::Duplicate(_) => Verdict::Taken,
        }),
    });
    Ok((new as u64, verdicts.collect()))
}

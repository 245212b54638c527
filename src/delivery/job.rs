//! What passes between the coordinator and the workers: a claimed delivery, and how its attempt ended.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;
use std::time::Instant;

use super::prepared::{NotSent, Prepared, failed, millis};
use crate::clock::Clock;
use crate::domain::attempt::{Attempt, ErrorType, LocalTrouble};
use crate::domain::event::NewEvent;
use crate::store::{Claimed, EventHeaders, Payload, Store, StoreError};

/// One claimed delivery with all that sending it needs.
#[derive(Clone, Debug)]
pub(super) struct Job {
    pub claimed: Claimed,
    /// Shared by the deliveries of one event.
    pub payload: Arc<Payload>,
    pub webhook: Arc<Prepared>,
    /// It must not begin after this: its lease could end under way.
    pub start_before: Instant,
    /// It is the one request that tests whether a receiver behind an open breaker is back.
    pub is_probe: bool,
}

/// A job that a worker, or the end of the run, is done with.
#[derive(Debug)]
pub(super) struct EndedJob {
    pub job: Job,
    pub ending: Ending,
}

#[derive(Debug)]
pub(super) enum Ending {
    Attempted(Attempt),
    /// With an attempt that was cut off because the program was asked to stop: due again at once, and no retry is used up.
    Interrupted(Attempt),
    /// Not sent: this machine lacked a file, memory or a thread.
    Local(LocalTrouble),
    /// Not sent: its event has a header that is encrypted with a key that is not there.
    Locked(StoreError),
    /// Not sent: its lease had become too short, or the run ended before.
    Unsent,
}

impl From<NotSent> for Ending {
    fn from(reason: NotSent) -> Ending {
        match reason {
            NotSent::Local(trouble) => Ending::Local(trouble),
            NotSent::Locked(error) => Ending::Locked(error),
        }
    }
}

impl EndedJob {
    pub(super) fn unsent(job: Job) -> EndedJob {
        EndedJob { job, ending: Ending::Unsent }
    }

    /// The attempt that it brought, which is to be recorded.
    pub(super) fn attempt(&self) -> Option<&Attempt> {
        match &self.ending {
            Ending::Attempted(attempt) | Ending::Interrupted(attempt) => Some(attempt),
            Ending::Local(_) | Ending::Locked(_) | Ending::Unsent => None,
        }
    }

    /// Whether the receiver answered, whatever the status.
    pub(super) fn is_answered(&self) -> bool {
        matches!(&self.ending, Ending::Attempted(attempt) if attempt.outcome.answer.is_some())
    }

    /// Whether it was attempted and failed.
    pub(super) fn is_failure(&self) -> bool {
        matches!(&self.ending, Ending::Attempted(attempt) if attempt.outcome.error.is_some())
    }
}

/// Deliveries of an event that was just stored, with what each sends: the event's payload or a body of its own.
pub(super) fn with_payloads(
    store: &Store,
    claimed: Vec<Claimed>,
    event: &NewEvent,
) -> Result<Vec<(Claimed, Arc<Payload>)>, StoreError> {
    let own = Arc::new(Payload {
        event_id: event.event_id.clone(),
        event_type: event.event_type.clone(),
        bytes: event.payload.clone(),
        headers: EventHeaders::of(event),
    });
    let mut by_body = HashMap::from([(None, own)]);
    let with_payload = |claimed: Claimed| {
        let payload = match by_body.entry(claimed.body_id) {
            Entry::Occupied(known) => Arc::clone(known.get()),
            Entry::Vacant(place) => Arc::clone(place.insert(Arc::new(store.load_payload(claimed.sent())?))),
        };
        Ok((claimed, payload))
    };
    claimed.into_iter().map(with_payload).collect()
}

/// The attempt that was under way when the program had to stop.
pub(super) fn cut_off(job: &Job, since: Instant, clock: Clock) -> Attempt {
    let duration_ms = millis(since.elapsed());
    let completed_at = clock.now();
    Attempt {
        number: job.claimed.attempt_number,
        trigger: job.claimed.trigger,
        started_at: if clock.is_fixed() { completed_at } else { completed_at.plus_millis(-duration_ms) },
        completed_at,
        duration_ms,
        outcome: failed(
            ErrorType::UnknownError,
            "cut off: hookctl was asked to stop before the answer came; the receiver may have seen the request"
                .to_owned(),
        ),
    }
}

//! What the engine promises, at places that no receiver and no signal reaches.

mod claimer;
mod claiming;
mod gates;
mod lanes;
mod life;
mod queue;
mod recorder;
mod run;
mod worker;

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::job::{EndedJob, Job};
use super::prepared::{Clients, Prepared, failed};
use super::recorder::settle;
use super::run::{Gates, RunOptions, Summary};
use super::step::{Expected, Step};
use super::{AcceptOptions, accept};
use crate::clock::Clock;
use crate::domain::attempt::{Answer, Attempt, AttemptError, ErrorType, Outcome, Trigger};
use crate::domain::event::NewEvent;
use crate::domain::time::Timestamp;
use crate::domain::webhook::Settings;
use crate::random::Random;
use crate::signals::Stop;
use crate::store::{
    ClaimCost, Claimed, EventHeaders, GroupChange, LaneClaim, LaneClaimed, Lease, Payload, Store, Wanted,
};

/// The moment at which the tests begin.
const NOW: Timestamp = Timestamp::START;

/// A webhook of that name, stored with settings that `change` makes of the usual ones.
fn stored(store: &Store, name: &str, change: impl FnOnce(&mut Settings)) -> i64 {
    let mut settings = Settings {
        name: name.to_owned(),
        url: "https://crm.example/".to_owned(),
        events: vec!["*".to_owned()],
        disable_after_ms: 0,
        ..Settings::default()
    };
    change(&mut settings);
    store.insert_webhook(&settings, true, None, NOW).unwrap()
}

/// A stored webhook made ready.
fn prepared(store: &Store, id: i64) -> Arc<Prepared> {
    let outgoing = store.outgoing(&[id], NOW).unwrap().remove(0);
    Arc::new(Prepared::new(outgoing, &mut Clients::new(crate::http::Surroundings::default(), 1)).unwrap())
}

/// A webhook, stored and made ready.
fn webhook(store: &Store) -> Arc<Prepared> {
    prepared(store, stored(store, "crm", |_| ()))
}

fn event(id: &str, payload: Vec<u8>) -> NewEvent {
    NewEvent {
        event_id: id.to_owned(),
        event_type: "a.b".to_owned(),
        payload,
        fingerprint: [0; 16],
        owner: None,
        about: None,
        entity_type: None,
        entity_id: None,
        key: None,
        data: None,
        headers: Vec::new(),
        created_at: NOW,
    }
}

/// Accepts events with payloads of that many bytes; the deliveries, webhook and delivery.
fn emit(store: &Store, events: std::ops::Range<usize>, bytes: usize) -> Vec<(i64, i64)> {
    let events: Vec<NewEvent> = events.map(|number| event(&format!("e-{number}"), vec![b'x'; bytes])).collect();
    accept_all(store, &events)
}

/// The deliveries that webhooks get of events, webhook and delivery.
fn accept_all(store: &Store, events: &[NewEvent]) -> Vec<(i64, i64)> {
    let subscribers = store.subscribers().unwrap();
    let options = AcceptOptions { subscribers: &subscribers, ..AcceptOptions::default() };
    let intakes = accept(store, events, options).unwrap();
    intakes.into_iter().flat_map(|intake| intake.deliveries).collect()
}

/// How a run in a test is done.
fn options(concurrency: usize) -> RunOptions {
    RunOptions {
        concurrency,
        surroundings: crate::http::Surroundings::default(),
        clock: Clock::new(Some(NOW)),
        stop: Stop::default(),
        limit: None,
        deadline: None,
        gates: Gates::Respect,
        waits_for_rate: false,
    }
}

/// A claimed delivery of a webhook that was never stored.
fn claimed(id: i64, webhook_id: i64) -> Claimed {
    Claimed {
        id,
        webhook_id,
        body_id: None,
        event_row: id,
        attempt_number: 1,
        retry_count: 0,
        trigger: Trigger::Scheduled,
        is_test: false,
        token: id,
    }
}

/// An attempt that was answered with that status.
fn answered(job: &Job, status: u16) -> Attempt {
    let error = (status >= 300).then(|| AttemptError { error_type: ErrorType::HttpError, message: status.to_string() });
    let answer = Some(Answer { status, ..Answer::default() });
    attempted(job, Outcome { answer, error, resent: false })
}

fn timed_out(job: &Job) -> Attempt {
    attempted(job, failed(ErrorType::Timeout, "late".to_owned()))
}

fn attempted(job: &Job, outcome: Outcome) -> Attempt {
    Attempt {
        number: job.claimed.attempt_number,
        trigger: job.claimed.trigger,
        started_at: NOW,
        completed_at: NOW,
        duration_ms: 0,
        outcome,
    }
}

/// A claimed delivery, about to be sent.
fn job(claimed: Claimed, webhook: &Arc<Prepared>) -> Job {
    Job {
        payload: Arc::new(Payload {
            event_id: format!("e-{}", claimed.event_row),
            event_type: "a.b".to_owned(),
            bytes: Vec::new(),
            headers: EventHeaders::default(),
        }),
        claimed,
        webhook: Arc::clone(webhook),
        start_before: Instant::now() + Duration::from_secs(60),
        is_probe: false,
    }
}

/// Records results as one transaction of a run does.
fn record_group(store: &Store, random: &mut Random, now: Timestamp, group: &[EndedJob]) -> Summary {
    let mut step = Step::locked(store, random, Clock::new(Some(now)), group, &[], Expected::Nothing).unwrap();
    let recorded = settle(&mut step, group);
    recorded.store_announcements(&mut step).unwrap();
    let change = GroupChange {
        is_expected: false,
        results: &recorded.results,
        released: &recorded.released,
        now,
        attempt_counts: &recorded.attempt_counts,
        ended: &recorded.ended,
        states: &step.states.changes(),
        lanes: &[],
        bytes: 0,
    };
    store.commit_group(&change).unwrap();
    recorded.summary
}

/// Claims these deliveries of a webhook, as far as they are due.
fn claim(store: &Store, webhook_id: i64, listed: &[i64], lease: Lease) -> LaneClaimed {
    let lane = LaneClaim {
        webhook_id,
        wanted: Wanted::Listed(listed),
        most: listed.len(),
        at_once: None,
        is_counted: false,
        lease,
        cost: ClaimCost::default(),
    };
    store.claim_lanes(&[lane], usize::MAX).unwrap().remove(0)
}

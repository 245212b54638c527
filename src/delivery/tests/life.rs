//! The life of a delivery: whatever happens in whatever order, it is where product rules say that it can be.

use std::sync::Arc;

use proptest::prelude::*;

use super::{accept_all, claim, event, job, record_group, webhook};
use crate::delivery::job::{EndedJob, Ending, Job};
use crate::delivery::prepared::{Prepared, failed};
use crate::domain::attempt::{Answer, Attempt, AttemptError, ErrorType, Outcome};
use crate::domain::delivery::Status;
use crate::domain::event::NewEvent;
use crate::domain::retry::LONGEST_DELAY_MS;
use crate::domain::time::Timestamp;
use crate::random::Random;
use crate::store::{DeliveryRow, Lease, Store};

/// A lease, in milliseconds.
const LEASE_MS: i64 = 50_000;

/// What can happen to a delivery. Results belong to any process that once claimed it, however long ago.
#[derive(Clone, Copy, Debug)]
enum Step {
    Claim,
    Answered(u16),
    TimedOut,
    CutOff,
    Unsent,
    Cancelled,
    RetriedByHand,
    Waited(i64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => Just(Step::Claim),
        4 => prop::sample::select(vec![200_u16, 301, 410, 429, 500]).prop_map(Step::Answered),
        1 => Just(Step::TimedOut),
        1 => Just(Step::CutOff),
        1 => Just(Step::Unsent),
        1 => Just(Step::Cancelled),
        2 => Just(Step::RetriedByHand),
        2 => prop::sample::select(vec![0_i64, 1_000, LEASE_MS, LONGEST_DELAY_MS]).prop_map(Step::Waited),
    ]
}

struct World {
    store: Store,
    webhook: Arc<Prepared>,
    random: Random,
    now: Timestamp,
    delivery: i64,
    /// Whoever claimed it and has not told yet how it went, with the end of its lease.
    claims: Vec<(Job, Timestamp)>,
}

impl World {
    fn new() -> World {
        let store = Store::empty().unwrap();
        let webhook = webhook(&store);
        let now = Timestamp::from_millis(1_767_225_600_000);
        let event = NewEvent { created_at: now, ..event("e-1", b"{}".to_vec()) };
        let delivery = accept_all(&store, &[event])[0].1;
        World { store, webhook, random: Random::new().unwrap(), now, delivery, claims: Vec::new() }
    }

    fn row(&self) -> DeliveryRow {
        self.store.delivery(self.delivery).unwrap().unwrap()
    }

    fn go(&mut self, step: Step) {
        match step {
            Step::Claim => {
                let token = self.random.next_token();
                let lease = Lease { now: self.now, until: self.now.plus_millis(LEASE_MS), token };
                let claimed = claim(&self.store, self.webhook.webhook_id, &[self.delivery], lease);
                for (claimed, _) in claimed.deliveries {
                    let under_way = self.claims.iter().filter(|(_, until)| *until > self.now).count();
                    assert_eq!(under_way, 0, "nobody else sends it while the lease of a claim holds");
                    self.claims.push((job(claimed, &self.webhook), lease.until));
                }
            }
            Step::Answered(status) => {
                let error = (status >= 300)
                    .then(|| AttemptError { error_type: ErrorType::HttpError, message: status.to_string() });
                let answer = Some(Answer { status, ..Answer::default() });
                self.end(Ending::Attempted, Outcome { answer, error, resent: false });
            }
            Step::TimedOut => self.end(Ending::Attempted, failed(ErrorType::Timeout, "late".to_owned())),
            Step::CutOff => self.end(Ending::Interrupted, failed(ErrorType::UnknownError, "cut off".to_owned())),
            Step::Unsent => self.end(|_| Ending::Unsent, Outcome::default()),
            Step::Cancelled => drop(self.store.cancel_deliveries(&[self.delivery]).unwrap()),
            Step::RetriedByHand => drop(self.store.retry_deliveries(&[self.delivery], self.now).unwrap()),
            Step::Waited(millis) => self.now = self.now.plus_millis(millis),
        }
    }

    /// The process that claimed it first tells how it went.
    fn end(&mut self, ending: impl Fn(Attempt) -> Ending, outcome: Outcome) {
        if self.claims.is_empty() {
            return;
        }
        let (job, _) = self.claims.remove(0);
        let attempt = Attempt {
            number: job.claimed.attempt_number,
            trigger: job.claimed.trigger,
            started_at: self.now,
            completed_at: self.now,
            duration_ms: 0,
            outcome,
        };
        record_group(&self.store, &mut self.random, self.now, &[EndedJob { job, ending: ending(attempt) }]);
    }
}

/// Whether product rules let a delivery go from one status to the other.
fn may_follow(before: Status, after: Status, step: Step) -> bool {
    use Status::{Cancelled, Failed, Pending, Retrying, Success};
    match (before, after) {
        _ if before == after => true,
        (Pending | Retrying, Success | Failed) | (Pending, Retrying) => {
            matches!(step, Step::Answered(_) | Step::TimedOut | Step::CutOff)
        }
        (Pending | Retrying, Cancelled) => matches!(step, Step::Cancelled),
        // It was under way when it was cancelled, and was delivered after all.
        (Cancelled, Success) => matches!(step, Step::Answered(200)),
        (Success | Failed | Cancelled, Retrying) | (Cancelled, Pending) => matches!(step, Step::RetriedByHand),
        _ => false,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn whatever_happens_to_a_delivery_it_is_where_it_can_be_and_its_log_and_counters_tell_the_truth(
        steps in prop::collection::vec(step(), 0..40),
    ) {
        let mut world = World::new();
        let mut before = world.row();
        for step in steps {
            world.go(step);
            let after = world.row();
            prop_assert!(may_follow(before.status, after.status, step), "{before:?}\n{step:?}\n{after:?}");
            prop_assert_eq!(after.status.is_open(), after.due_at.is_some(), "{:?}", &after);
            let waits = after.due_at.map_or(0, |due| due.millis_since(world.now));
            prop_assert!(waits <= LONGEST_DELAY_MS, "{after:?}");
            prop_assert!(after.attempt_count - before.attempt_count <= 1, "{after:?}");
            prop_assert!(after.retry_count <= world.webhook.settings.retry.limit(), "{after:?}");
            let attempts = world.store.attempts(world.delivery).unwrap();
            let numbers: Vec<u32> = attempts.iter().map(|attempt| attempt.number).collect();
            prop_assert_eq!(numbers, (1..=after.attempt_count).collect::<Vec<_>>());
            let counters = world.store.webhook(after.webhook_id).unwrap().unwrap().counters;
            let truth = (1, i64::from(after.status == Status::Success), i64::from(after.status == Status::Failed));
            prop_assert_eq!((counters.total, counters.successful, counters.failed), truth, "{:?}", &after);
            before = after;
        }
    }
}

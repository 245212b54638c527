//! What a worker does when the code that it runs fails.

use std::sync::mpsc::channel;

use super::{claimed, job, webhook};
use crate::clock::Clock;
use crate::delivery::fairness::WorkerShares;
use crate::delivery::job::Ending;
use crate::delivery::send_queue::SendQueue;
use crate::delivery::workers::work;
use crate::domain::attempt::{Attempt, ErrorType, Outcome, Trigger};
use crate::domain::time::Timestamp;
use crate::store::Store;

#[test]
fn a_panic_costs_a_worker_its_attempt_and_not_the_ones_after_it() {
    let webhook = webhook(&Store::empty().unwrap());
    let (queue, clock) = (SendQueue::new(WorkerShares::new(1)), Clock::new(Some(Timestamp::START)));
    queue.push((1..=3).map(|id| job(claimed(id, webhook.webhook_id), &webhook)).collect());
    queue.close();
    let (sender, results) = channel();
    work(&queue, &sender, clock, |job| {
        assert_ne!(job.claimed.id, 2, "the second one fails on purpose");
        Ok(Attempt {
            number: 1,
            trigger: Trigger::Scheduled,
            started_at: clock.now(),
            completed_at: clock.now(),
            duration_ms: 0,
            outcome: Outcome::default(),
        })
    });
    let error_types: Vec<(i64, Option<ErrorType>)> = results
        .try_iter()
        .map(|ended| match ended.ending {
            Ending::Attempted(attempt) => (ended.job.claimed.id, attempt.outcome.error.map(|error| error.error_type)),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(error_types, [(1, None), (2, Some(ErrorType::UnknownError)), (3, None)]);
    assert_eq!(queue.queued(), 0, "nothing is left over");
}

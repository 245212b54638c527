//! The fairness rule: how a run's workers are shared among webhooks.

use crate::domain::webhook::DEFAULT_CONCURRENCY;

/// Shares a fixed number of workers among webhooks.
///
/// - A webhook whose `--concurrency` was given never has more requests in flight than that.
/// - While only one webhook has deliveries due, it may use every worker.
/// - While several have, each holds at most half of the workers, and at most 8; one whose receiver has not answered in this
///   run, or whose last attempt timed out, at most an eighth: workers that wait for its time-outs are not free for others.
/// - While several have, those with requests in flight together leave a quarter of the workers, at least one, to webhooks
///   with none: a new event does not wait for slow receivers.
#[derive(Clone, Copy, Debug)]
pub(super) struct WorkerShares {
    workers: usize,
}

/// A webhook that asks for one more worker.
#[derive(Clone, Copy, Debug)]
pub(super) struct Demand {
    /// Its `--concurrency`, where one was given.
    pub concurrency: Option<u32>,
    /// Workers that it has.
    pub holds: usize,
    /// Whether its last attempt in this run did not time out.
    pub is_prompt: bool,
}

impl WorkerShares {
    pub(super) fn new(workers: usize) -> WorkerShares {
        WorkerShares { workers }
    }

    pub(super) fn workers(self) -> usize {
        self.workers
    }

    /// Whether a webhook may have one more worker. `held` is how many all webhooks have together, `is_shared` whether several
    /// have deliveries due.
    pub(super) fn may_start(self, demand: Demand, held: usize, is_shared: bool) -> bool {
        let most = match (is_shared, demand.is_prompt) {
            (true, false) => self.most_unheard(demand.concurrency),
            (_, true) | (false, false) => self.most(demand.concurrency, is_shared),
        };
        let leaves_reserve = !is_shared || demand.holds == 0 || held + self.reserve() < self.workers;
        demand.holds < most && leaves_reserve
    }

    /// How many workers a webhook with this `--concurrency` may have while its receiver answers.
    pub(super) fn most(self, concurrency: Option<u32>, is_shared: bool) -> usize {
        let share = match is_shared {
            true => (self.workers / 2).min(DEFAULT_CONCURRENCY as usize),
            false => self.workers,
        };
        at_most(concurrency, share)
    }

    /// Workers reserved for webhooks with no requests in flight, while several have deliveries due.
    pub(super) fn reserve(self) -> usize {
        (self.workers / 4).max(1)
    }

    fn most_unheard(self, concurrency: Option<u32>) -> usize {
        at_most(concurrency, (self.workers / 8).min(DEFAULT_CONCURRENCY as usize))
    }
}

/// A share of the workers: at least one, at most the given concurrency.
fn at_most(concurrency: Option<u32>, share: usize) -> usize {
    concurrency.map_or(share, |given| share.min(given as usize)).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prompt(holds: usize) -> Demand {
        Demand { concurrency: None, holds, is_prompt: true }
    }

    #[test]
    fn alone_a_webhook_may_hold_every_worker_and_no_more_than_it_was_given() {
        let shares = WorkerShares::new(16);
        assert!(shares.may_start(prompt(15), 15, false));
        assert!(!shares.may_start(prompt(16), 16, false));
        let given = |holds| Demand { concurrency: Some(3), holds, is_prompt: true };
        assert!(shares.may_start(given(2), 2, false));
        assert!(!shares.may_start(given(3), 3, false));
        assert!(!shares.may_start(given(3), 3, true));
    }

    #[test]
    fn beside_others_a_webhook_holds_at_most_half_of_the_workers_and_at_most_eight() {
        for (workers, most) in [(1, 1), (2, 1), (3, 1), (4, 2), (8, 4), (16, 8), (64, 8), (512, 8)] {
            let shares = WorkerShares::new(workers);
            assert_eq!(shares.most(None, true), most, "{workers} workers");
            assert!(!shares.may_start(prompt(most), most, true), "{workers} workers");
        }
        assert_eq!(WorkerShares::new(64).most(Some(20), true), 8);
        assert_eq!(WorkerShares::new(64).most(Some(20), false), 20);
    }

    #[test]
    fn beside_others_a_webhook_that_was_not_heard_holds_an_eighth() {
        let silent = |holds| Demand { concurrency: None, holds, is_prompt: false };
        for (workers, most) in [(4, 1), (8, 1), (16, 2), (64, 8), (512, 8)] {
            let shares = WorkerShares::new(workers);
            assert!(shares.may_start(silent(most - 1), most - 1, true), "{workers} workers");
            assert!(!shares.may_start(silent(most), most, true), "{workers} workers");
            assert!(shares.may_start(silent(most), most, false), "alone, {workers} workers");
        }
    }

    #[test]
    fn webhooks_with_requests_in_flight_leave_a_quarter_to_those_with_none() {
        for (workers, reserve) in [(1, 1), (2, 1), (4, 1), (8, 2), (16, 4), (64, 16)] {
            let shares = WorkerShares::new(workers);
            assert_eq!(shares.reserve(), reserve, "{workers} workers");
            assert!(!shares.may_start(prompt(1), workers - reserve, true), "{workers} workers");
            assert!(
                shares.may_start(prompt(0), workers - 1, true),
                "one with none takes the reserve, {workers} workers"
            );
        }
        assert!(WorkerShares::new(16).may_start(prompt(7), 11, true), "up to the reserve");
        assert!(WorkerShares::new(16).may_start(prompt(15), 15, false), "alone, nothing is left to others");
    }
}

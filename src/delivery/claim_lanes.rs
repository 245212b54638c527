//! Which webhooks have deliveries to claim (a lane for each), and in which order they claim.

use std::collections::{BTreeMap, HashSet, VecDeque};
use std::time::{Duration, Instant};

use super::job::{EndedJob, Job};
use crate::domain::time::Timestamp;
use crate::domain::webhook::Order;
use crate::store::{LaneClaimed, Store, StoreError, Wanted};

/// How often a drain looks for webhooks with deliveries due while it has other work.
const REFRESH: Duration = Duration::from_millis(500);

/// The webhooks that have deliveries to claim.
#[derive(Debug, Default)]
pub(super) struct ClaimLanes {
    lanes: BTreeMap<i64, ClaimLane>,
    /// The webhook that claimed first in this turn.
    first: i64,
    /// The first webhook for which there was no room in this turn. It claims first in the next one.
    denied: Option<i64>,
    /// Set if everything due is to be sent, not given deliveries.
    draining: Option<Draining>,
}

/// What to claim for one webhook.
#[derive(Debug, Default)]
pub(super) struct ClaimLane {
    /// Given deliveries, oldest first; `None`: whatever is due.
    listed: Option<VecDeque<i64>>,
    /// Those of the given deliveries that wait for an older one with the same ordering key.
    behind: HashSet<i64>,
    /// How often the receiver answered in the last group: three times as many may be claimed ahead. Without answers none may,
    /// or too much would be sent before its breaker opens.
    pub recent: usize,
    /// When its rate limit allows the next request.
    pub rate_wait: Option<Instant>,
}

#[derive(Debug)]
struct Draining {
    /// Whose deliveries; empty: those of all webhooks.
    webhooks: HashSet<i64>,
    refreshed: Option<Instant>,
}

impl ClaimLane {
    /// What to claim next.
    pub(super) fn wanted(&self, order: Order) -> Wanted<'_> {
        match (&self.listed, order) {
            (None, Order::None) => Wanted::Due,
            (None, Order::Webhook) => Wanted::Head,
            (None, Order::Key) => Wanted::InFront,
            (Some(listed), Order::None) => Wanted::Listed(listed.as_slices().0),
            (Some(listed), Order::Webhook) => Wanted::HeadIfListed(listed.as_slices().0),
            (Some(listed), Order::Key) => Wanted::ListedInFront(listed.as_slices().0),
        }
    }

    /// Whether all remaining deliveries wait for older ones with the same ordering key.
    pub(super) fn waits_in_line(&self) -> bool {
        self.listed.as_ref().is_some_and(VecDeque::is_empty)
    }
}

impl ClaimLanes {
    /// Adds deliveries, given as webhook and delivery.
    pub(super) fn add(&mut self, deliveries: impl IntoIterator<Item = (i64, i64)>) {
        for (webhook_id, delivery_id) in deliveries {
            let lane = self.lanes.entry(webhook_id).or_default();
            lane.listed.get_or_insert_default().push_back(delivery_id);
        }
    }

    /// Claims everything that is or becomes due, for these webhooks, or for all if none is named.
    pub(super) fn drain(&mut self, webhooks: &[i64]) {
        self.draining = Some(Draining { webhooks: webhooks.iter().copied().collect(), refreshed: None });
    }

    /// Puts deliveries back whose claims were released. A drain finds them by itself.
    pub(super) fn want_again<'a>(&mut self, jobs: impl IntoIterator<Item = &'a Job>) {
        if self.draining.is_none() {
            self.add(jobs.into_iter().map(|job| (job.claimed.webhook_id, job.claimed.id)));
        }
    }

    pub(super) fn clear(&mut self) {
        self.lanes.clear();
        self.draining = None;
    }

    /// For a drain: looks for webhooks with deliveries due, at most every [`REFRESH`] unless there is nothing else to do. True
    /// if the lanes are up to date.
    pub(super) fn refresh(&mut self, store: &Store, now: Timestamp, is_idle: bool) -> Result<bool, StoreError> {
        let Some(draining) = &mut self.draining else { return Ok(true) };
        let is_fresh = draining.refreshed.is_some_and(|at| at.elapsed() < REFRESH);
        if is_fresh && !(self.lanes.is_empty() && is_idle) {
            return Ok(false);
        }
        draining.refreshed = Some(Instant::now());
        store.check_in_place()?; // a drain that watches would wait for ever on a file that is gone
        let (mut due, is_clock_behind) = store.due_webhooks_by_clock(now)?;
        if is_clock_behind {
            store.transaction(|| store.mend_clock(now))?;
            due = store.due_webhooks(now)?;
        }
        for id in due {
            if draining.webhooks.is_empty() || draining.webhooks.contains(&id) {
                self.lanes.entry(id).or_default();
            }
        }
        Ok(true)
    }

    /// The webhooks in the order in which they claim in this turn.
    pub(super) fn turns(&mut self) -> Vec<i64> {
        self.first = self.denied.take().unwrap_or(self.first);
        let after = self.lanes.range(self.first..);
        after.chain(self.lanes.range(..self.first)).map(|(id, _)| *id).collect()
    }

    /// Notes a webhook for which there was no room in this turn.
    pub(super) fn deny(&mut self, id: i64) {
        self.denied.get_or_insert(id);
    }

    pub(super) fn get(&self, id: i64) -> Option<&ClaimLane> {
        self.lanes.get(&id)
    }

    pub(super) fn get_mut(&mut self, id: i64) -> Option<&mut ClaimLane> {
        let lane = self.lanes.get_mut(&id)?;
        if let Some(listed) = &mut lane.listed {
            listed.make_contiguous();
        }
        Some(lane)
    }

    pub(super) fn remove(&mut self, id: i64) {
        self.lanes.remove(&id);
    }

    /// Notes deliveries that became the heads of their lines: given ones may be claimed now; a drain looks at their webhooks.
    pub(super) fn move_up(&mut self, deliveries: &[(i64, i64)]) {
        for (webhook_id, id) in deliveries {
            if let Some(lane) = self.lanes.get_mut(webhook_id) {
                if lane.behind.remove(id) {
                    lane.listed.get_or_insert_default().push_back(*id);
                }
            } else if let Some(draining) = &self.draining
                && (draining.webhooks.is_empty() || draining.webhooks.contains(webhook_id))
            {
                self.lanes.entry(*webhook_id).or_default();
            }
        }
    }

    /// Removes what was claimed from a lane, and the lane if nothing is left.
    pub(super) fn take_out(&mut self, id: i64, claimed: &LaneClaimed) {
        if claimed.is_full {
            return;
        }
        let Some(lane) = self.lanes.get_mut(&id) else { return };
        lane.behind.extend(&claimed.behind);
        // Deliveries that moved up in the same transaction were appended to the list.
        let has_more = claimed.tried > 0 && lane.listed.as_ref().is_some_and(|listed| listed.len() > claimed.tried);
        if claimed.is_exhausted && lane.behind.is_empty() && !has_more {
            self.lanes.remove(&id);
            return;
        }
        let Some(listed) = lane.listed.as_mut() else { return };
        match claimed.head {
            Some(head) => listed.retain(|delivery| *delivery > head),
            None => drop(listed.drain(..claimed.tried)),
        }
    }

    /// Counts the answers of each receiver in a group.
    pub(super) fn note_answers(&mut self, group: &[EndedJob]) {
        for lane in self.lanes.values_mut() {
            lane.recent = 0;
        }
        for ended in group.iter().filter(|ended| ended.is_answered()) {
            if let Some(lane) = self.lanes.get_mut(&ended.job.claimed.webhook_id) {
                lane.recent += 1;
            }
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.lanes.is_empty()
    }

    /// Whether at least two webhooks have deliveries to claim or in flight.
    pub(super) fn is_shared_with(&self, mut in_flight: impl Iterator<Item = i64>) -> bool {
        match self.lanes.len() {
            0 => in_flight.nth(1).is_some(),
            1 => in_flight.any(|id| !self.lanes.contains_key(&id)),
            _ => true,
        }
    }

    /// How many given deliveries are neither claimed nor given up.
    pub(super) fn backlog(&self) -> usize {
        self.lanes.values().filter_map(|lane| lane.listed.as_ref()).map(VecDeque::len).sum()
    }

    /// How long until the first rate limit allows a request; `None` if no lane waits for one.
    pub(super) fn rate_wait(&self) -> Option<Duration> {
        let first = self.lanes.values().filter_map(|lane| lane.rate_wait).min()?;
        Some(first.saturating_duration_since(Instant::now()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_moves_up_as_the_rest_of_a_list_is_claimed_is_claimed_next() {
        let mut lanes = ClaimLanes::default();
        lanes.add([(7, 1), (7, 2), (7, 3)]);
        let first_two = LaneClaimed { tried: 2, behind: vec![2], ..LaneClaimed::default() };
        lanes.take_out(7, &first_two);
        // One transaction: 1 ended, so 2 is the head now, and 3, the rest of the list, was tried.
        lanes.move_up(&[(7, 2)]);
        lanes.take_out(7, &LaneClaimed { tried: 1, is_exhausted: true, ..LaneClaimed::default() });
        let left = lanes.get_mut(7).map(|lane| lane.wanted(Order::Key));
        assert!(matches!(left, Some(Wanted::ListedInFront([2]))), "{left:?}");
        lanes.take_out(7, &LaneClaimed { tried: 1, is_exhausted: true, ..LaneClaimed::default() });
        assert!(lanes.get(7).is_none());
    }
}

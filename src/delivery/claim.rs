//! What is claimed next: for which webhooks, and how much, so that workers never idle, none is starved, and no webhook gets
//! more than its state lets through.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::engine::{Engine, Gates, LEASE_MARGIN, LONGEST_QUEUED, LONGEST_RATE_WAIT, PREPARED_FOR};
use super::prepared::Prepared;
use super::queue::{Job, LaneLimits};
use crate::domain::breaker::Passage;
use crate::domain::time::Timestamp;
use crate::domain::webhook::{Counters, DEFAULT_CONCURRENCY, Health};
use crate::store::{Claimed, Lease, Payload, StoreError};

/// A webhook never has more than this claimed ahead of its workers.
const MOST_AHEAD: usize = 768;

/// No more is claimed while payloads of so many bytes are in flight: memory stays bounded whatever their size.
const MOST_BYTES: usize = 8 * 1024 * 1024;

/// What a webhook's state lets through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Passing {
    /// So many.
    Some(usize),
    /// One, to see whether the receiver is back.
    Probe,
    /// Nothing in this run.
    Nothing,
    /// Nothing until its rate limit lets go.
    After(Duration),
}

impl Engine<'_> {
    /// How many more may be claimed, of all webhooks.
    pub(super) fn room(&self) -> usize {
        let in_flight: usize = self.in_flight.values().sum();
        let ahead = (3 * self.last_group).min(MOST_AHEAD);
        let room = (2 * self.setup.concurrency + ahead).saturating_sub(in_flight);
        match self.setup.limit {
            Some(limit) => room.min(limit.saturating_sub(self.summary.claimed + in_flight as u64) as usize),
            None => room,
        }
    }

    /// Claims what the workers need next, into `jobs`. Runs in the caller's transaction.
    pub(super) fn claim(&mut self, jobs: &mut Vec<(Job, LaneLimits)>) -> Result<(), StoreError> {
        let room = self.room();
        let is_shared = self.lanes.len() > 1;
        let turns: Vec<i64> = {
            let (before, after): (Vec<i64>, Vec<i64>) = self.lanes.keys().partition(|id| **id < self.next_lane);
            after.into_iter().chain(before).collect()
        };
        let share = room.div_ceil(turns.len().max(1));
        for id in turns {
            if jobs.len() >= room || self.bytes_in_flight >= MOST_BYTES {
                self.next_lane = id;
                break;
            }
            let most = if is_shared { share } else { room };
            self.claim_lane(id, most.min(room - jobs.len()), is_shared, jobs)?;
        }
        Ok(())
    }

    /// Forgets claims whose transaction came to nothing.
    pub(super) fn unclaim(&mut self, jobs: Vec<(Job, LaneLimits)>) {
        let jobs: Vec<Job> = jobs.into_iter().map(|(job, _)| job).collect();
        for job in &jobs {
            self.leave_flight(job);
        }
        if self.draining.is_none() {
            self.add_deliveries(jobs.iter().map(|job| (job.claimed.webhook_id, job.claimed.id)));
        }
    }

    /// Claims up to `most` of one webhook's deliveries; drops its lane when there is nothing more to claim in it.
    fn claim_lane(
        &mut self,
        id: i64,
        most: usize,
        is_shared: bool,
        jobs: &mut Vec<(Job, LaneLimits)>,
    ) -> Result<(), StoreError> {
        let now = self.setup.clock.now();
        let Some((mut health, version)) = self.store.health(id)? else {
            self.lanes.remove(&id);
            return Ok(());
        };
        let Some(webhook) = self.prepare(id, version, now)? else { return Ok(()) };
        let limits = self.limits(&webhook);
        let in_flight = self.in_flight.get(&id).copied().unwrap_or(0);
        let Some(lane) = self.lanes.get_mut(&id) else { return Ok(()) };
        let at_once = if is_shared { limits.shared } else { limits.alone };
        let ahead = match webhook.settings.rate_limit {
            // What waits here has its token already, and would go in one burst when the receiver gets quicker.
            Some(_) => 0,
            None => at_once + (3 * lane.recent).min(MOST_AHEAD),
        };
        let most = most.min((at_once + ahead).saturating_sub(in_flight));
        lane.rate_wait = None;
        if most == 0 || (webhook.settings.is_ordered && in_flight > 0) {
            return Ok(());
        }
        let passing = match self.setup.gates {
            Gates::Ignore => Passing::Some(most),
            Gates::Respect => passing(&webhook, &health, now, self.setup.clock.now_us(), most),
        };
        let most = match passing {
            Passing::Some(count) => count,
            Passing::Probe if in_flight == 0 => 1,
            Passing::Probe => return Ok(()),
            Passing::After(wait)
                if self.setup.waits_for_rate && wait <= LONGEST_RATE_WAIT && !self.setup.clock.is_fixed() =>
            {
                lane.rate_wait = Some(Instant::now() + wait);
                return Ok(());
            }
            // What is under way, a probe above all, may open the way for the rest.
            Passing::After(_) | Passing::Nothing if in_flight > 0 => return Ok(()),
            Passing::After(_) | Passing::Nothing => {
                self.lanes.remove(&id);
                return Ok(());
            }
        };
        let lease_ms = (webhook.timeout() + LEASE_MARGIN).as_millis() as i64;
        let lease = Lease { now, until: now.plus_millis(lease_ms), token: self.random.next_token() };
        let claimed = self.claim_from(id, &webhook, lease, most)?;
        if claimed.is_empty() {
            return Ok(());
        }
        self.charge(id, &mut health, &webhook, lease, passing, claimed.len())?;
        let start_before = Instant::now() + LONGEST_QUEUED;
        let is_probe = passing == Passing::Probe;
        for claimed in claimed {
            if self.bytes_in_flight >= MOST_BYTES {
                self.store.release(&claimed, now)?;
                if self.draining.is_none() {
                    self.add_deliveries([(id, claimed.id)]);
                }
                continue;
            }
            let payload = self.payload(&claimed)?;
            self.bytes_in_flight += payload.bytes.len();
            *self.in_flight.entry(id).or_default() += 1;
            jobs.push((Job { claimed, payload, webhook: Arc::clone(&webhook), start_before, is_probe }, limits));
        }
        Ok(())
    }

    /// The claims themselves, from the lane's list or from what is due; an exhausted lane goes.
    fn claim_from(
        &mut self,
        id: i64,
        webhook: &Prepared,
        lease: Lease,
        most: usize,
    ) -> Result<Vec<Claimed>, StoreError> {
        let Some(lane) = self.lanes.get_mut(&id) else { return Ok(Vec::new()) };
        let mut claimed = Vec::new();
        let keeps_order = webhook.settings.is_ordered && self.setup.gates == Gates::Respect;
        let is_exhausted = match &mut lane.wanted {
            None if keeps_order => {
                claimed.extend(self.store.claim_head(id, lease)?);
                claimed.is_empty()
            }
            None => {
                claimed = self.store.claim_due(id, lease, most as u32)?;
                claimed.len() < most
            }
            Some(wanted) if keeps_order => {
                let head = self.store.ordered_head(id)?;
                wanted.retain(|delivery| head.is_some_and(|head| *delivery >= head));
                if let Some(at) = wanted.iter().position(|delivery| Some(*delivery) == head) {
                    wanted.remove(at);
                    claimed.extend(self.store.claim_head(id, lease)?);
                }
                claimed.is_empty()
            }
            Some(wanted) => {
                while claimed.len() < most
                    && let Some(delivery) = wanted.pop_front()
                {
                    claimed.extend(self.store.claim_one(delivery, lease)?);
                }
                wanted.is_empty()
            }
        };
        if is_exhausted {
            self.lanes.remove(&id);
        }
        Ok(claimed)
    }

    /// Writes what the claims cost the webhook: a probe that is out, tokens of its rate limit.
    fn charge(
        &self,
        id: i64,
        health: &mut Health,
        webhook: &Prepared,
        lease: Lease,
        passing: Passing,
        count: usize,
    ) -> Result<(), StoreError> {
        let rate_limit = if self.setup.gates == Gates::Respect { webhook.settings.rate_limit } else { None };
        if let Some(limit) = rate_limit {
            health.rate_next_us = limit.take(health.rate_next_us, self.setup.clock.now_us(), count as u32);
        }
        if passing == Passing::Probe {
            health.breaker = health.breaker.with_probe(lease.until);
        }
        if rate_limit.is_some() || passing == Passing::Probe {
            self.store.save_health(id, health, Counters::default())?;
        }
        Ok(())
    }

    /// The webhook made ready; again when its settings or secrets changed. `None` when it is gone.
    fn prepare(&mut self, id: i64, version: i64, now: Timestamp) -> Result<Option<Arc<Prepared>>, StoreError> {
        if let Some((prepared, at)) = self.prepared.get(&id)
            && prepared.version == version
            && at.elapsed() < PREPARED_FOR
        {
            return Ok(Some(Arc::clone(prepared)));
        }
        let Some(webhook) = self.store.webhook(id)? else {
            self.lanes.remove(&id);
            return Ok(None);
        };
        let prepared = Arc::new(Prepared::new(self.store, webhook, &mut self.clients, now)?);
        self.prepared.insert(id, (Arc::clone(&prepared), Instant::now()));
        Ok(Some(prepared))
    }

    /// How many workers a webhook may hold: half of them while others have something due, and then no more than its
    /// concurrency; a concurrency that was set by hand holds always. One whose receiver was not heard yet holds an eighth, and
    /// leaves the rest to the others: all the workers that wait for its time-outs are lost to them for so long.
    fn limits(&self, webhook: &Prepared) -> LaneLimits {
        let workers = self.setup.concurrency;
        let own = webhook.settings.concurrency.map(|own| own as usize);
        LaneLimits {
            alone: own.unwrap_or(workers).min(workers).max(1),
            shared: own.unwrap_or(DEFAULT_CONCURRENCY as usize).min(workers / 2).max(1),
            unopposed: own.unwrap_or(DEFAULT_CONCURRENCY as usize).min(workers).max(1),
            unheard: own.unwrap_or(DEFAULT_CONCURRENCY as usize).min(workers / 8).max(1),
        }
    }

    /// A claimed delivery's payload; deliveries of one event share it.
    fn payload(&mut self, claimed: &Claimed) -> Result<Arc<Payload>, StoreError> {
        if let Some((row, payload)) = &self.last_payload
            && *row == claimed.event_row
        {
            return Ok(Arc::clone(payload));
        }
        let payload = Arc::new(self.store.load_payload(claimed.event_row)?);
        self.last_payload = Some((claimed.event_row, Arc::clone(&payload)));
        Ok(payload)
    }
}

impl Engine<'_> {
    /// How many due deliveries, of all webhooks or of these, are held back by the state of their webhook.
    pub fn count_held_back(&mut self, webhooks: &[i64]) -> Result<u64, StoreError> {
        let now = self.setup.clock.now();
        let mut held_back = 0;
        for id in self.store.due_webhooks(now)? {
            let Some((health, version)) = self.store.health(id)? else { continue };
            if !(webhooks.is_empty() || webhooks.contains(&id)) {
                continue;
            }
            let Some(webhook) = self.prepare(id, version, now)? else { continue };
            let is_waiting = match passing(&webhook, &health, now, self.setup.clock.now_us(), 1) {
                Passing::Nothing | Passing::After(_) => true,
                Passing::Some(_) | Passing::Probe => webhook.settings.is_ordered,
            };
            if is_waiting {
                held_back += self.store.count_due(now, &[id])?;
            }
        }
        Ok(held_back)
    }
}

/// What a webhook's state lets through of `wanted`.
fn passing(webhook: &Prepared, health: &Health, now: Timestamp, now_us: i64, wanted: usize) -> Passing {
    if health.pause(now).is_some() {
        return Passing::Nothing;
    }
    let available = match webhook.settings.rate_limit {
        Some(limit) => match limit.available(health.rate_next_us, now_us, wanted as u32) {
            0 => return Passing::After(Duration::from_micros(limit.wait_us(health.rate_next_us, now_us) as u64)),
            available => available as usize,
        },
        None => wanted,
    };
    match health.breaker.passage(now) {
        Passage::Probe => Passing::Probe,
        Passage::Open(_) | Passage::Closed => Passing::Some(available),
    }
}

/// Whether a webhook's state lets nothing through at `now`.
pub(super) fn is_blocked(webhook: &Prepared, health: &Health, now: Timestamp) -> bool {
    match passing(webhook, health, now, 0, 1) {
        Passing::Nothing | Passing::Probe => true,
        Passing::Some(_) | Passing::After(_) => false,
    }
}

//! What is claimed next: for which webhooks, and how much, so that no worker idles, none is starved, and no webhook gets more
//! than its state lets through.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::claim_lanes::ClaimLanes;
use super::fairness::WorkerShares;
use super::in_flight::InFlight;
use super::job::Job;
use super::passage::Passage;
use super::prepared::{Clients, Prepared};
use super::room::{MOST_AHEAD, Room};
use super::run::{Gates, RunOptions};
use super::step::Step;
use super::webhook_cache::WebhookCache;
use crate::clock::Clock;
use crate::domain::time::Timestamp;
use crate::store::{LaneClaim, LaneClaimed, Lease, Store, StoreError};

/// A lease ends this long after the attempt's deadline.
const LEASE_MARGIN: Duration = Duration::from_secs(20);
/// A claim that no worker began after this long is given back: the rest of its lease must hold the whole attempt.
const LONGEST_QUEUED: Duration = Duration::from_secs(15);
/// A run waits for a rate limit that allows the next request within this.
const LONGEST_RATE_WAIT: Duration = Duration::from_secs(2);
/// Lanes whose states are read, and whose deliveries are claimed, in one call.
const LANES_AT_ONCE: usize = 64;

/// Decides what is claimed, and claims it.
#[derive(Debug)]
pub(super) struct Claimer {
    pub lanes: ClaimLanes,
    webhooks: WebhookCache,
    shares: WorkerShares,
    gates: Gates,
    waits_for_rate: bool,
}

/// What a lane may claim now, and how.
#[derive(Debug)]
struct Terms {
    webhook: Arc<Prepared>,
    most: usize,
    is_probe: bool,
    lease: Lease,
}

impl Claimer {
    pub(super) fn new(options: &RunOptions, shares: WorkerShares) -> Claimer {
        Claimer {
            lanes: ClaimLanes::default(),
            webhooks: WebhookCache::new(Clients::new(options.networks.clone(), options.concurrency)),
            shares,
            gates: options.gates,
            waits_for_rate: options.waits_for_rate,
        }
    }

    /// Claims what the workers need next, into `jobs`. Runs in the step's transaction.
    pub(super) fn claim(
        &mut self,
        step: &mut Step<'_>,
        in_flight: &InFlight,
        mut room: Room,
        jobs: &mut Vec<Job>,
    ) -> Result<(), StoreError> {
        let turns = self.lanes.turns();
        let share = room.share(turns.len());
        let mut first_denied = None;
        for lanes in turns.chunks(LANES_AT_ONCE) {
            let has_room = |id: &i64| room.most(share, in_flight.of(*id)) > 0;
            step.states.load(step.store, lanes.iter().copied().filter(has_room))?;
            let (mut planned, mut agreed) = (room, Vec::new());
            for id in lanes.iter().copied() {
                match planned.most(share, in_flight.of(id)) {
                    0 => _ = first_denied.get_or_insert(id),
                    most => {
                        let terms = self.terms(step, id, most, turns.len() > 1, in_flight.of(id))?;
                        planned.take(terms.as_ref().map_or(0, |terms| terms.most), 0);
                        agreed.extend(terms);
                    }
                }
            }
            let claimed = self.claim_lanes(step.store, &agreed, room.bytes())?;
            for (terms, claimed) in agreed.into_iter().zip(claimed) {
                let id = terms.webhook.webhook_id;
                if claimed.is_full && in_flight.of(id) == 0 {
                    self.lanes.remove(id); // other processes send as much as may be sent at once
                }
                self.lanes.take_out(id, &claimed);
                self.charge(step, &terms, claimed.deliveries.len());
                room.take(claimed.deliveries.len(), claimed.bytes());
                jobs.extend(terms.jobs(claimed));
            }
        }
        if let Some(id) = first_denied {
            self.lanes.begin_at(id);
        }
        Ok(())
    }

    /// What a lane may claim of `most`; `None` is nothing now. A lane that can claim nothing in this run is dropped.
    fn terms(
        &mut self,
        step: &mut Step<'_>,
        id: i64,
        most: usize,
        is_shared: bool,
        in_flight: usize,
    ) -> Result<Option<Terms>, StoreError> {
        let now = step.now();
        let Some(state) = step.states.get(id) else {
            self.lanes.remove(id);
            return Ok(None);
        };
        let Some(webhook) = self.webhooks.get(step.store, id, state.version, now)? else {
            self.lanes.remove(id);
            return Ok(None);
        };
        let Some(lane) = self.lanes.get_mut(id) else { return Ok(None) };
        lane.rate_wait = None;
        let most_of_lane = most_of_lane(self.shares, &webhook, lane.recent, is_shared);
        let most = most.min(most_of_lane.saturating_sub(in_flight));
        if most == 0 || (webhook.settings.is_ordered && in_flight > 0) {
            return Ok(None);
        }
        let passage = match self.gates {
            Gates::Ignore => Passage::UpTo(most),
            Gates::Respect => Passage::of(&state.health, webhook.settings.rate_limit, step.clock, most),
        };
        let (most, is_probe) = match passage {
            Passage::UpTo(most) => (most, false),
            Passage::Probe if in_flight == 0 => (1, true),
            Passage::Probe => return Ok(None),
            Passage::After(wait) if self.waits_for_rate && wait <= LONGEST_RATE_WAIT && !step.clock.is_fixed() => {
                lane.rate_wait = Some(Instant::now() + wait);
                return Ok(None);
            }
            // What is under way, a probe above all, may open the way for the rest.
            Passage::After(_) | Passage::Closed if in_flight > 0 => return Ok(None),
            Passage::After(_) | Passage::Closed => {
                self.lanes.remove(id);
                return Ok(None);
            }
        };
        let lease = Lease { now, until: lease_end(&webhook, now), token: step.random.next_token() };
        Ok(Some(Terms { webhook, most, is_probe, lease }))
    }

    fn claim_lanes(&self, store: &Store, agreed: &[Terms], bytes: usize) -> Result<Vec<LaneClaimed>, StoreError> {
        let claims: Vec<LaneClaim<'_>> = agreed
            .iter()
            .filter_map(|terms| {
                let keeps_order = terms.webhook.settings.is_ordered && self.gates == Gates::Respect;
                Some(LaneClaim {
                    webhook_id: terms.webhook.webhook_id,
                    wanted: self.lanes.get(terms.webhook.webhook_id)?.wanted(keeps_order),
                    most: terms.most,
                    at_once: terms.webhook.settings.concurrency.filter(|_| self.gates == Gates::Respect),
                    lease: terms.lease,
                })
            })
            .collect();
        store.claim_lanes(&claims, bytes)
    }

    /// Notes what the claims cost the webhook: a probe that is out, tokens of its rate limit.
    fn charge(&self, step: &mut Step<'_>, terms: &Terms, count: usize) {
        let rate_limit = terms.webhook.settings.rate_limit.filter(|_| self.gates == Gates::Respect);
        if count == 0 || (rate_limit.is_none() && !terms.is_probe) {
            return;
        }
        let now_us = step.clock.now_us();
        let Some(state) = step.states.change(terms.webhook.webhook_id) else { return };
        if let Some(limit) = rate_limit {
            state.health.rate_next_us = limit.take(state.health.rate_next_us, now_us, count as u32);
        }
        if terms.is_probe {
            state.health.breaker = state.health.breaker.with_probe(terms.lease.until);
        }
    }

    /// Gives up what the last run left behind and this one may not need: to be called while nothing is in flight.
    pub(super) fn tidy(&mut self) {
        self.webhooks.tidy();
    }

    /// The version of the settings by which a webhook's deliveries were claimed.
    pub(super) fn claimed_version(&self, webhook_id: i64) -> Option<i64> {
        self.webhooks.version(webhook_id)
    }

    /// How many due deliveries, of all webhooks or of these, are held back by the state of their webhook.
    pub(super) fn count_held_back(&mut self, store: &Store, clock: Clock, webhooks: &[i64]) -> Result<u64, StoreError> {
        let now = clock.now();
        let due: Vec<i64> = store.due_webhooks(now)?;
        let due: Vec<i64> = due.into_iter().filter(|id| webhooks.is_empty() || webhooks.contains(id)).collect();
        let mut held_back = 0;
        for (id, health, version) in store.healths(&due)? {
            let Some(webhook) = self.webhooks.get(store, id, version, now)? else { continue };
            let is_full = match webhook.settings.concurrency {
                Some(at_once) => store.count_claims(id, now, lease_end(&webhook, now))? >= at_once as usize,
                None => false,
            };
            let is_waiting = match Passage::of(&health, webhook.settings.rate_limit, clock, 1) {
                Passage::Closed | Passage::After(_) => true,
                Passage::UpTo(_) | Passage::Probe => webhook.settings.is_ordered || is_full,
            };
            if is_waiting {
                held_back += store.count_due(now, &[id])?;
            }
        }
        Ok(held_back)
    }
}

impl Terms {
    fn jobs(self, claimed: LaneClaimed) -> impl Iterator<Item = Job> {
        let Terms { webhook, is_probe, .. } = self;
        let start_before = Instant::now() + LONGEST_QUEUED;
        claimed.deliveries.into_iter().map(move |(claimed, payload)| {
            let webhook = Arc::clone(&webhook);
            Job { claimed, payload, webhook, start_before, is_probe }
        })
    }
}

/// When a claim that is made now ends by itself.
fn lease_end(webhook: &Prepared, now: Timestamp) -> Timestamp {
    now.plus_millis((webhook.timeout() + LEASE_MARGIN).as_millis() as i64)
}

/// How many of a webhook's deliveries may be in flight: those that its workers send, and, where its receiver answers, some
/// ahead. `recent` is how often it answered in the last group.
fn most_of_lane(shares: WorkerShares, webhook: &Prepared, recent: usize, is_shared: bool) -> usize {
    let at_once = shares.most(webhook.settings.concurrency, is_shared);
    match (webhook.settings.rate_limit, webhook.settings.concurrency) {
        // What waits here has its token already, and would go in one burst when the receiver gets quicker; and a concurrency
        // that was given counts claims, those of other processes too.
        (Some(_), _) | (_, Some(_)) => at_once,
        (None, None) => 2 * at_once + (3 * recent).min(MOST_AHEAD),
    }
}

//! What is claimed next: for which webhooks, and how much, so that no worker idles, none is starved, and no webhook gets more
//! than its state lets through.

use std::collections::BTreeSet;
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
use crate::domain::webhook::{Health, Order, Pause};
use crate::store::{
    ClaimCost, Claimed, LEASE_MARGIN_MS, LaneClaim, LaneClaimed, Lease, Payload, RateCost, StateRead, Store, StoreError,
};

/// A claim that no worker began after this long is given back: the rest of its lease must hold the whole attempt.
const LONGEST_QUEUED: Duration = Duration::from_secs(15);
/// A run waits for a rate limit that allows the next request within this.
const LONGEST_RATE_WAIT: Duration = Duration::from_secs(2);
/// At least so many lanes claim in one transaction, where there are as many.
const LANES_AT_ONCE: usize = 64;

/// Decides what is claimed.
#[derive(Debug)]
pub(super) struct Claimer {
    pub lanes: ClaimLanes,
    webhooks: WebhookCache,
    shares: WorkerShares,
    gates: Gates,
    waits_for_rate: bool,
    locked_out: LockedOut,
}

/// Why the due deliveries of a webhook are not sent now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hold {
    Pause(Pause),
    RateLimit,
    /// One goes at a time, and that one failed or is under way.
    Order,
    /// As many are under way as may be at once.
    Concurrency,
    /// The database's key is not there.
    Key,
}

/// Due deliveries of a webhook that are not sent now.
#[derive(Clone, Debug)]
pub struct HeldBack {
    /// Its name; empty where it cannot be read without the database's key.
    pub webhook: String,
    pub count: u64,
    pub hold: Hold,
}

/// Lanes that claim in one transaction, in their order.
#[derive(Clone, Copy, Debug)]
pub(super) struct Turns<'a> {
    pub lanes: &'a [i64],
    /// How many lanes there are in the whole turn.
    pub all: usize,
}

/// What a lane may claim now, and how.
#[derive(Debug)]
pub(super) struct Terms {
    webhook: Arc<Prepared>,
    most: usize,
    lease: Lease,
    cost: ClaimCost,
}

/// Webhooks whose credentials are encrypted with a key that is not there: their deliveries stay due.
#[derive(Debug, Default)]
struct LockedOut {
    webhooks: BTreeSet<i64>,
    reason: Option<StoreError>,
}

impl LockedOut {
    fn add(&mut self, webhook_id: i64, reason: StoreError) {
        self.webhooks.insert(webhook_id);
        self.reason.get_or_insert(reason);
    }
}

impl Claimer {
    pub(super) fn new(options: &RunOptions, shares: WorkerShares) -> Claimer {
        Claimer {
            lanes: ClaimLanes::default(),
            webhooks: WebhookCache::new(Clients::new(options.surroundings.clone(), options.concurrency)),
            shares,
            gates: options.gates,
            waits_for_rate: options.waits_for_rate,
            locked_out: LockedOut::default(),
        }
    }

    /// Those of these lanes that may find room, so that their states are needed.
    pub(super) fn with_room(&self, turns: &Turns<'_>, in_flight: &InFlight, room: Room) -> Vec<i64> {
        let share = room.share(turns.all);
        turns.lanes.iter().copied().filter(|id| room.most(share, in_flight.of(*id)) > 0).collect()
    }

    /// What the lanes may claim, as far as there is room.
    pub(super) fn plan(
        &mut self,
        step: &mut Step<'_>,
        turns: &Turns<'_>,
        in_flight: &InFlight,
        mut room: Room,
    ) -> Result<Vec<Terms>, StoreError> {
        let share = room.share(turns.all);
        self.make_ready(step, turns, in_flight, room)?;
        let mut plan = Vec::new();
        for id in turns.lanes.iter().copied() {
            match room.most(share, in_flight.of(id)) {
                0 => self.lanes.deny(id),
                most => {
                    let terms = self.terms(step, id, most, turns.all > 1, in_flight.of(id))?;
                    room.take(terms.as_ref().map_or(0, |terms| terms.most), 0);
                    plan.extend(terms);
                }
            }
        }
        Ok(plan)
    }

    /// Makes those webhooks ready at once that may claim and are not.
    fn make_ready(
        &mut self,
        step: &Step<'_>,
        turns: &Turns<'_>,
        in_flight: &InFlight,
        room: Room,
    ) -> Result<(), StoreError> {
        let is_stale = |id: &i64| step.states.get(*id).is_some_and(|state| !self.webhooks.is_ready(*id, state.version));
        let stale: Vec<i64> = self.with_room(turns, in_flight, room).into_iter().filter(is_stale).collect();
        if stale.is_empty() {
            return Ok(());
        }
        self.webhooks.load(step.store, &stale, step.now()).map(drop)
    }

    /// The plan as the store takes it.
    pub(super) fn claims<'a>(&'a self, plan: &'a [Terms]) -> Vec<LaneClaim<'a>> {
        let claim = |terms: &'a Terms| {
            let settings = &terms.webhook.settings;
            let order = if self.gates == Gates::Respect { settings.order } else { Order::None };
            Some(LaneClaim {
                webhook_id: terms.webhook.webhook_id,
                wanted: self.lanes.get(terms.webhook.webhook_id)?.wanted(order),
                most: terms.most,
                at_once: settings.concurrency.filter(|_| self.gates == Gates::Respect),
                is_counted: settings.concurrency.is_some(),
                lease: terms.lease,
                cost: terms.cost,
            })
        };
        plan.iter().filter_map(claim).collect()
    }

    /// Deliveries that were claimed as they were stored, as jobs, and the states of their webhooks; those whose webhook was
    /// deleted since are left out.
    pub(super) fn ready(
        &mut self,
        store: &Store,
        now: Timestamp,
        claimed: Vec<(Claimed, Arc<Payload>)>,
    ) -> Result<(Vec<Job>, Vec<StateRead>), StoreError> {
        let mut webhooks: Vec<i64> = claimed.iter().map(|(claimed, _)| claimed.webhook_id).collect();
        webhooks.sort_unstable();
        webhooks.dedup();
        let states = self.webhooks.load(store, &webhooks, now)?;
        let start_before = Instant::now() + LONGEST_QUEUED;
        let mut jobs = Vec::with_capacity(claimed.len());
        for (claimed, payload) in claimed {
            if let Some(webhook) = self.webhooks.prepared(claimed.webhook_id)? {
                jobs.push(Job { claimed, payload, webhook, start_before, is_probe: false });
            }
        }
        Ok((jobs, states))
    }

    /// Takes what was claimed by a plan out of its lanes, as jobs.
    pub(super) fn take(&mut self, plan: Vec<Terms>, claimed: Vec<LaneClaimed>, in_flight: &InFlight) -> Vec<Job> {
        let mut jobs = Vec::new();
        for (terms, claimed) in plan.into_iter().zip(claimed) {
            let id = terms.webhook.webhook_id;
            if claimed.is_full && in_flight.of(id) == 0 {
                self.lanes.remove(id); // other processes send as much as may be sent at once
            }
            self.lanes.take_out(id, &claimed);
            jobs.extend(terms.jobs(claimed));
        }
        jobs
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
        let webhook = match self.webhooks.get(step.store, id, state.version, now) {
            Err(error) if error.is_of_key() => {
                if self.gates == Gates::Ignore || state.health.pause(now).is_none() {
                    self.locked_out.add(id, error);
                }
                None
            }
            webhook => webhook?,
        };
        let Some(webhook) = webhook else {
            self.lanes.remove(id);
            return Ok(None);
        };
        let Some(lane) = self.lanes.get_mut(id) else { return Ok(None) };
        lane.rate_wait = None;
        let most_of_lane = most_of_lane(self.shares, &webhook, lane.recent, is_shared);
        let most = most.min(most_of_lane.saturating_sub(in_flight));
        if lane.waits_in_line() {
            // Only what is in flight may let them go.
            if in_flight == 0 {
                self.lanes.remove(id);
            }
            return Ok(None);
        }
        if most == 0 || (webhook.settings.order == Order::Webhook && in_flight > 0) {
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
        let rate_limit = webhook.settings.rate_limit.filter(|_| self.gates == Gates::Respect);
        let rate = rate_limit.map(|limit| RateCost {
            start_us: limit.start(state.health.rate_next_us, step.clock.now_us()),
            each_us: limit.interval_us(),
        });
        Ok(Some(Terms { webhook, most, lease, cost: ClaimCost { rate, is_probe } }))
    }

    /// Gives up what the last run left behind and this one may not need: to be called while nothing is in flight.
    pub(super) fn tidy(&mut self) {
        self.webhooks.tidy();
    }

    /// A delivery of this webhook was left out, as the database's key is not there.
    pub(super) fn lock_out(&mut self, webhook_id: i64, reason: StoreError) {
        self.locked_out.add(webhook_id, reason);
    }

    /// The webhooks that were left out since this was last asked, as the database's key for them is not there, and why.
    pub(super) fn take_locked_out(&mut self) -> Option<(BTreeSet<i64>, StoreError)> {
        let LockedOut { webhooks, reason } = std::mem::take(&mut self.locked_out);
        Some((webhooks, reason?))
    }

    /// The version of the settings by which a webhook's deliveries were claimed.
    pub(super) fn claimed_version(&self, webhook_id: i64) -> Option<i64> {
        self.webhooks.version(webhook_id)
    }

    /// The due deliveries, of all webhooks or of these, that are not sent now, by webhook.
    pub(super) fn held_back(
        &mut self,
        store: &Store,
        clock: Clock,
        webhooks: &[i64],
    ) -> Result<Vec<HeldBack>, StoreError> {
        let now = clock.now();
        let due: Vec<i64> = store.due_webhooks(now)?;
        let due: Vec<i64> = due.into_iter().filter(|id| webhooks.is_empty() || webhooks.contains(id)).collect();
        let mut held_back = Vec::new();
        for (id, health, version) in store.healths(&due)? {
            let (webhook, hold) = match self.webhooks.get(store, id, version, now) {
                Err(error) if error.is_of_key() => (String::new(), Some(Hold::Key)),
                webhook => match webhook? {
                    Some(webhook) => (webhook.settings.name.clone(), hold(store, &webhook, &health, clock)?),
                    None => continue,
                },
            };
            if let Some(hold) = hold {
                held_back.push(HeldBack { webhook, count: store.count_due(now, &[id])?, hold });
            }
        }
        Ok(held_back)
    }
}

/// What holds back the due deliveries of a webhook; `None` for those that the next drain sends.
fn hold(store: &Store, webhook: &Prepared, health: &Health, clock: Clock) -> Result<Option<Hold>, StoreError> {
    let (now, settings) = (clock.now(), &webhook.settings);
    if let Some(pause) = health.pause(now) {
        return Ok(Some(Hold::Pause(pause)));
    }
    if let Passage::After(_) = Passage::of(health, settings.rate_limit, clock, 1) {
        return Ok(Some(Hold::RateLimit));
    }
    if settings.order.is_kept() {
        return Ok(Some(Hold::Order));
    }
    let Some(at_once) = settings.concurrency else { return Ok(None) };
    let is_full = store.count_claims(webhook.webhook_id, now, lease_end(webhook, now))? >= at_once as usize;
    Ok(is_full.then_some(Hold::Concurrency))
}

/// Of the lanes that are still to claim in a turn, how many claim in one transaction: those that can use up the room.
pub(super) fn lanes_at_once(room: Room) -> usize {
    room.lanes().max(LANES_AT_ONCE)
}

impl Terms {
    fn jobs(self, claimed: LaneClaimed) -> impl Iterator<Item = Job> {
        let Terms { webhook, cost: ClaimCost { is_probe, .. }, .. } = self;
        let start_before = Instant::now() + LONGEST_QUEUED;
        claimed.deliveries.into_iter().map(move |(claimed, payload)| {
            let webhook = Arc::clone(&webhook);
            Job { claimed, payload, webhook, start_before, is_probe }
        })
    }
}

/// When a claim that is made now ends by itself.
fn lease_end(webhook: &Prepared, now: Timestamp) -> Timestamp {
    now.plus_millis(webhook.timeout().as_millis() as i64 + LEASE_MARGIN_MS)
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

//! The two accesses of one turn of the engine: a read that locks, and a write.

use super::claims::{Claimed, LaneClaim, LaneClaimed};
use super::metrics::AttemptCount;
use super::results::{AttemptResult, ClaimStanding};
use super::value::values;
use super::webhook_state::{HealthChange, StateRead};
use super::{Engine, Result, Store};
use crate::domain::time::Timestamp;

/// What a turn needs to decide, locked until its transaction ends.
#[derive(Debug, Default)]
pub struct LockedGroup {
    /// Whether the claims hold, in their order.
    pub standings: Vec<ClaimStanding>,
    /// Those of webhooks that were deleted are left out.
    pub states: Vec<StateRead>,
    /// Whether the claims were not looked at, but are thought to hold.
    pub is_expected: bool,
}

/// The changes of a turn.
#[derive(Debug)]
pub struct GroupChange<'a> {
    /// Whether these claims were not looked at: see [`Store::lock_states`].
    pub is_expected: bool,
    /// Results whose claims hold.
    pub results: &'a [AttemptResult<'a>],
    pub released: &'a [&'a Claimed],
    /// When released deliveries are due.
    pub now: Timestamp,
    pub attempt_counts: &'a [AttemptCount],
    pub states: &'a [HealthChange<'a>],
    /// Deliveries finished by these results: the next one of each line may be claimed then.
    pub ended: &'a [i64],
    pub lanes: &'a [LaneClaim<'a>],
    /// Claiming stops once the payloads have this many bytes.
    pub bytes: usize,
}

#[derive(Debug, Default)]
pub struct GroupDone {
    /// For each lane.
    pub claimed: Vec<LaneClaimed>,
    /// Deliveries that waited for others and are now the heads of their lines: webhook and delivery.
    pub moved_up: Vec<(i64, i64)>,
}

impl Store {
    /// Reads and locks claims and states of webhooks. First in a write transaction.
    pub fn lock_group(&self, claims: &[&Claimed], webhooks: &[i64]) -> Result<LockedGroup> {
        match &self.engine {
            Engine::Sqlite(_) => {
                let (states, standings) = (self.healths(webhooks)?, self.claim_standings(claims)?);
                Ok(LockedGroup { states, standings, is_expected: false })
            }
            Engine::Postgres(server) => server.lock_group(claims, webhooks),
        }
    }

    /// The same where all claims are thought to hold. On a server they are not looked at: [`Store::commit_group`] fails with
    /// [`StoreError::Again`] where one that is recorded or released does not hold, or was cancelled.
    pub fn lock_states(&self, claims: &[&Claimed], webhooks: &[i64]) -> Result<LockedGroup> {
        match &self.engine {
            Engine::Sqlite(_) => self.lock_group(claims, webhooks),
            Engine::Postgres(server) => {
                let locked = server.lock_group(&[], webhooks)?;
                Ok(LockedGroup { standings: vec![ClaimStanding::Held; claims.len()], is_expected: true, ..locked })
            }
        }
    }

    /// The same where these are also thought to be the states of all webhooks. On a server this asks nothing: the transaction
    /// fails with [`StoreError::Again`] where it is not so.
    pub fn expect_group(&self, claims: &[&Claimed], states: &[StateRead]) -> Result<LockedGroup> {
        match &self.engine {
            Engine::Sqlite(_) => {
                let webhooks: Vec<i64> = states.iter().map(|(id, ..)| *id).collect();
                self.lock_group(claims, &webhooks)
            }
            Engine::Postgres(server) => {
                server.queue_expectations(states);
                let standings = vec![ClaimStanding::Held; claims.len()];
                Ok(LockedGroup { states: states.to_vec(), standings, is_expected: true })
            }
        }
    }

    /// Writes the changes of a turn, and claims. Last in a write transaction.
    pub fn commit_group(&self, change: &GroupChange<'_>) -> Result<GroupDone> {
        match &self.engine {
            Engine::Sqlite(_) => {
                self.record_results(change.results)?;
                self.release(change.released, change.now)?;
            }
            Engine::Postgres(server) => server.queue_results(change),
        }
        self.count_attempts(change.attempt_counts)?;
        self.save_healths(change.states)?;
        if let Engine::Postgres(server) = &self.engine {
            return server.claim_and_commit(change);
        }
        let moved_up = self.move_up(change.ended)?;
        let claimed = self.claim_lanes(change.lanes, change.bytes)?;
        self.charge_lanes(change.lanes, &claimed)?;
        Ok(GroupDone { claimed, moved_up })
    }

    /// Writes the cost of claims into the states of webhooks.
    fn charge_lanes(&self, lanes: &[LaneClaim<'_>], claimed: &[LaneClaimed]) -> Result<()> {
        let charged = lanes.iter().zip(claimed).filter(|(lane, claimed)| lane.cost.is_any() && claimed.count() > 0);
        self.execute_each(
            "UPDATE webhook_state SET rate_next_us = coalesce($1, rate_next_us),
                breaker_open_until = coalesce($2, breaker_open_until),
                breaker_probing = CASE WHEN $2 IS NULL THEN breaker_probing ELSE TRUE END
             WHERE webhook_id = $3",
            charged.map(|(lane, claimed)| {
                let next_us = lane.cost.rate.map(|rate| rate.after(claimed.count()));
                values![next_us, lane.cost.is_probe.then_some(lane.lease.until), lane.webhook_id]
            }),
        )
    }
}

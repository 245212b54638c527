//! What one write transaction of a run reads and changes.

use super::job::EndedJob;
use super::webhook_states::WebhookStates;
use crate::clock::Clock;
use crate::domain::time::Timestamp;
use crate::random::Random;
use crate::store::{ClaimStanding, Claimed, LockedGroup, StateRead, Store, StoreError};

/// What is taken for granted instead of being read; the transaction fails where it is not so.
#[derive(Clone, Copy, Debug)]
pub(super) enum Expected<'a> {
    Nothing,
    /// The claims of the group hold.
    Claims,
    /// And the webhooks of the group are in these states.
    ClaimsAndStates(&'a [StateRead]),
}

impl<'a> Expected<'a> {
    pub(super) fn of(expects: bool, known: Option<&'a [StateRead]>) -> Expected<'a> {
        match known {
            _ if !expects => Expected::Nothing,
            None => Expected::Claims,
            Some(known) => Expected::ClaimsAndStates(known),
        }
    }
}

#[derive(Debug)]
pub(super) struct Step<'a> {
    pub store: &'a Store,
    pub random: &'a mut Random,
    pub clock: Clock,
    pub states: WebhookStates,
    /// Whether the claims of the group still hold, in its order.
    pub standings: Vec<ClaimStanding>,
    /// Whether they were not looked at, but are thought to hold.
    pub is_expected: bool,
}

impl<'a> Step<'a> {
    /// Reads and locks, until the transaction ends, the claims of a group of results and the states of their webhooks and of
    /// those that may claim. Where claims are expected to hold, they need not be read: see [`Store::lock_states`].
    pub(super) fn locked(
        store: &'a Store,
        random: &'a mut Random,
        clock: Clock,
        group: &[EndedJob],
        claiming: &[i64],
        expected: Expected<'_>,
    ) -> Result<Step<'a>, StoreError> {
        let claims: Vec<&Claimed> = group.iter().map(|ended| &ended.job.claimed).collect();
        let mut webhooks: Vec<i64> =
            claims.iter().map(|claimed| claimed.webhook_id).chain(claiming.iter().copied()).collect();
        webhooks.sort_unstable();
        webhooks.dedup();
        let locked = match expected {
            Expected::Nothing => store.lock_group(&claims, &webhooks)?,
            Expected::Claims | Expected::ClaimsAndStates(_) => store.lock_states(&claims, &webhooks)?,
        };
        Ok(Step::of(store, random, clock, locked))
    }

    /// The same for a group whose claims are thought to hold, and whose webhooks are thought to be in these states. See
    /// [`Store::expect_group`].
    pub(super) fn expecting(
        store: &'a Store,
        random: &'a mut Random,
        clock: Clock,
        group: &[EndedJob],
        known: &[StateRead],
    ) -> Result<Step<'a>, StoreError> {
        let claims: Vec<&Claimed> = group.iter().map(|ended| &ended.job.claimed).collect();
        let locked = store.expect_group(&claims, known)?;
        Ok(Step::of(store, random, clock, locked))
    }

    fn of(store: &'a Store, random: &'a mut Random, clock: Clock, locked: LockedGroup) -> Step<'a> {
        let LockedGroup { states, standings, is_expected } = locked;
        Step { store, random, clock, states: WebhookStates::new(states), standings, is_expected }
    }

    /// Finds out which results, of those whose claims no longer hold, are recorded already.
    pub(super) fn find_recorded(&mut self, group: &[EndedJob]) -> Result<(), StoreError> {
        let lost = self.standings.iter_mut().zip(group).filter(|(standing, _)| **standing == ClaimStanding::Lost);
        let (standings, attempts): (Vec<_>, Vec<_>) =
            lost.filter_map(|(standing, ended)| Some((standing, (&ended.job.claimed, ended.attempt()?)))).unzip();
        for (standing, status) in standings.into_iter().zip(self.store.recorded(&attempts)?) {
            *standing = status.map_or(ClaimStanding::Lost, ClaimStanding::Recorded);
        }
        Ok(())
    }

    pub(super) fn now(&self) -> Timestamp {
        self.clock.now()
    }
}

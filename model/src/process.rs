//! A process that takes in events or drains: what it has in memory.

use crate::database::{Outcome, Ticket};

/// A claim that no worker has begun after so many ticks is given back.
pub const LONGEST_QUEUED: u8 = 1;
/// An attempt ends after so many ticks.
pub const DEADLINE: u8 = 1;

/// A claim, and what the process knows of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Claim {
    pub ticket: Ticket,
    /// Ticks since the claim, on the monotonic clock.
    pub age: u8,
    /// Ticks since the request went out.
    pub sent_for: u8,
    /// Whether the process was stopped, or the clock jumped, since the claim.
    pub is_disturbed: bool,
    /// Whether the lease promises nothing any longer: the clock jumped.
    pub is_void: bool,
}

/// How far it is with its one claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Phase {
    Idle,
    /// In the queue of the workers.
    Queued(Claim),
    /// A worker has found it young enough and sends it next.
    Begun(Claim),
    Sent(Claim),
    Ended(Claim, Outcome),
}

impl Phase {
    pub fn claim(&self) -> Option<&Claim> {
        match self {
            Phase::Idle => None,
            Phase::Queued(claim) | Phase::Begun(claim) | Phase::Sent(claim) | Phase::Ended(claim, _) => Some(claim),
        }
    }

    fn claim_mut(&mut self) -> Option<&mut Claim> {
        match self {
            Phase::Idle => None,
            Phase::Queued(claim) | Phase::Begun(claim) | Phase::Sent(claim) | Phase::Ended(claim, _) => Some(claim),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Process {
    pub phase: Phase,
    /// Stopped (`SIGSTOP`, a machine asleep): it does nothing while time goes on.
    pub is_stopped: bool,
}

impl Process {
    pub fn new() -> Process {
        Process { phase: Phase::Idle, is_stopped: false }
    }

    pub fn disturb(&mut self) {
        if let Some(claim) = self.phase.claim_mut() {
            claim.is_disturbed = true;
        }
    }

    pub fn void_lease(&mut self) {
        if let Some(claim) = self.phase.claim_mut() {
            claim.is_void = true;
        }
    }

    /// Whether a tick may pass before its next step: what runs begins, records and ends an attempt in time.
    pub fn lets_time_pass(&self) -> bool {
        self.is_stopped
            || match &self.phase {
                Phase::Idle | Phase::Queued(_) => true,
                Phase::Sent(claim) => claim.sent_for < DEADLINE,
                Phase::Begun(_) | Phase::Ended(..) => false,
            }
    }

    pub fn tick(&mut self) {
        let is_sent = matches!(self.phase, Phase::Sent(_));
        if let Some(claim) = self.phase.claim_mut() {
            claim.age = (claim.age + 1).min(LONGEST_QUEUED + 1);
            if is_sent {
                claim.sent_for = (claim.sent_for + 1).min(DEADLINE + 1);
            }
        }
    }
}

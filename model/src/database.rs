//! What is in the file, and the transactions that change it.

use crate::Guards;

/// From a claim to the end of its lease: more than the longest wait in the queue and the longest attempt.
pub const LEASE: i8 = 3;
/// From a failure to the retry.
pub const DELAY: i8 = 1;
/// How long the breaker stays open.
const PAUSE: i8 = 1;
const MOST_RETRIES: u8 = 1;
const FAILURES_TO_OPEN: u8 = 2;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Status {
    Pending,
    Retrying,
    Success,
    Failed,
    Cancelled,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Delivery {
    pub status: Status,
    /// When it is due; while it is claimed, when the lease ends.
    pub due: Option<i8>,
    pub token: Option<u8>,
    /// Of one that was cancelled during its attempt: when the lease ends.
    pub lease_until: Option<i8>,
    /// Known to be behind an open one of its line: it is not looked at when something is claimed.
    pub is_behind: bool,
    pub retries: u8,
    pub attempts: u8,
    /// The numbers of the attempts in the log.
    pub log: Vec<u8>,
    /// Whether the receiver has answered a request of it with a success. Not in the file: for the properties.
    pub received: bool,
}

impl Delivery {
    fn new(now: i8) -> Delivery {
        Delivery {
            status: Status::Pending,
            due: Some(now),
            token: None,
            lease_until: None,
            is_behind: false,
            retries: 0,
            attempts: 0,
            log: Vec::new(),
            received: false,
        }
    }

    pub fn is_open(&self) -> bool {
        matches!(self.status, Status::Pending | Status::Retrying)
    }
}

/// What deliveries have made of the webhook.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Health {
    pub failures: u8,
    pub failing_since: Option<i8>,
    /// While the breaker is open: until when nothing goes; then one probe.
    pub open_until: Option<i8>,
    pub succeeded: u8,
    pub failed: u8,
}

impl Health {
    fn settle(&mut self, is_success: bool, now: i8) {
        if is_success {
            *self = Health { succeeded: self.succeeded, failed: self.failed, ..Health::default() };
            return;
        }
        self.failing_since.get_or_insert(now);
        self.failures = (self.failures + 1).min(FAILURES_TO_OPEN);
        if self.failures == FAILURES_TO_OPEN {
            self.open_until = Some(now + PAUSE);
        }
    }

    fn count(&mut self, status: Status) {
        match status {
            Status::Success => self.succeeded += 1,
            Status::Failed => self.failed += 1,
            Status::Pending | Status::Retrying | Status::Cancelled => {}
        }
    }

    fn uncount(&mut self, status: Status) {
        match status {
            Status::Success => self.succeeded -= 1,
            Status::Failed => self.failed -= 1,
            Status::Pending | Status::Retrying | Status::Cancelled => {}
        }
    }
}

/// How an attempt ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    Success,
    Failure,
    /// Cut off because the process was asked to stop.
    Interrupted,
}

/// What a claim gives its process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Ticket {
    pub delivery: usize,
    pub token: u8,
    pub number: u8,
    pub retries: u8,
    /// When its lease ends, by the clock.
    pub until: i8,
    pub is_probe: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Database {
    pub deliveries: Vec<Delivery>,
    /// All deliveries are one line: one at a time, in their order.
    pub is_line: bool,
    pub is_active: bool,
    pub health: Health,
    /// What the health would be if only results whose claim held had been counted. Not in the file: for the properties.
    pub true_health: Health,
    /// Tokens given so far; none is given twice.
    pub tokens: u8,
}

impl Database {
    pub fn new(is_line: bool) -> Database {
        Database {
            deliveries: Vec::new(),
            is_line,
            is_active: true,
            health: Health::default(),
            true_health: Health::default(),
            tokens: 0,
        }
    }

    /// An event and its delivery, in one transaction.
    pub fn accept(&mut self, now: i8) {
        self.deliveries.push(Delivery::new(now));
    }

    fn change_health(&mut self, change: impl Fn(&mut Health)) {
        change(&mut self.health);
        change(&mut self.true_health);
    }

    /// Whether the webhook's state lets a claim through.
    fn is_let_through(&self, now: i8) -> bool {
        self.is_active && self.health.open_until.is_none_or(|until| until <= now)
    }

    pub fn may_claim(&self, delivery: usize, now: i8, guards: Guards) -> bool {
        let row = &self.deliveries[delivery];
        self.is_let_through(now)
            && row.due.is_some_and(|due| due <= now)
            && (!self.is_line || (!row.is_behind && self.is_next(delivery, now, guards)))
    }

    fn is_head(&self, delivery: usize) -> bool {
        self.deliveries[..delivery].iter().all(|row| row.due.is_none())
    }

    /// Whether it is the head of the line, and no other of it is under way: retried by hand it may come before one that is.
    fn is_next(&self, delivery: usize, now: i8, guards: Guards) -> bool {
        let is_under_way = |(at, row): (usize, &Delivery)| {
            at != delivery && row.token.is_some() && row.due.or(row.lease_until).is_some_and(|until| until > now)
        };
        self.is_head(delivery) && !(guards.waits_for_others && self.deliveries.iter().enumerate().any(is_under_way))
    }

    /// Whether it is found behind another when something is to be claimed.
    pub fn may_be_marked(&self, delivery: usize, now: i8) -> bool {
        let row = &self.deliveries[delivery];
        self.is_line && !row.is_behind && row.due.is_some_and(|due| due <= now) && !self.is_head(delivery)
    }

    pub fn mark(&mut self, delivery: usize) {
        self.deliveries[delivery].is_behind = true;
    }

    /// Whoever is the head of the line now is behind nobody.
    fn move_up(&mut self, guards: Guards) {
        if let Some(head) = self.deliveries.iter_mut().find(|row| row.due.is_some()).filter(|_| guards.moves_up) {
            head.is_behind = false;
        }
    }

    pub fn claim(&mut self, delivery: usize, now: i8) -> Ticket {
        self.tokens += 1;
        let (token, until) = (self.tokens, now + LEASE);
        let is_probe = self.health.open_until.is_some();
        if is_probe {
            self.change_health(|health| health.open_until = Some(until));
        }
        let row = &mut self.deliveries[delivery];
        (row.due, row.token) = (Some(until), Some(token));
        Ticket { delivery, token, number: row.attempts + 1, retries: row.retries, until, is_probe }
    }

    fn holds(&self, ticket: &Ticket) -> bool {
        self.deliveries[ticket.delivery].token == Some(ticket.token)
    }

    /// Gives a claim back unused.
    pub fn release(&mut self, ticket: &Ticket, now: i8, guards: Guards) {
        let holds = self.holds(ticket);
        if ticket.is_probe && (holds || !guards.settles_after_token) {
            self.health.open_until = Some(now);
            if holds {
                self.true_health.open_until = Some(now);
            }
        }
        if holds || !guards.matches_token {
            let row = &mut self.deliveries[ticket.delivery];
            row.due = row.due.map(|_| now);
            row.token = None;
        }
    }

    /// Writes what an attempt brought, if its claim holds.
    pub fn record(&mut self, ticket: &Ticket, outcome: Outcome, now: i8, guards: Guards) {
        let holds = self.holds(ticket);
        let settle = |health: &mut Health| match outcome {
            Outcome::Interrupted if ticket.is_probe => health.open_until = Some(now),
            Outcome::Interrupted => {}
            Outcome::Success | Outcome::Failure => health.settle(outcome == Outcome::Success, now),
        };
        if holds || !guards.settles_after_token {
            settle(&mut self.health);
        }
        let is_taken = holds || (!guards.matches_token && self.deliveries[ticket.delivery].token.is_some());
        if !is_taken {
            return;
        }
        if !holds && guards.settles_after_token {
            settle(&mut self.health); // the guard on the token is out: whatever comes is taken for its result
        }
        settle(&mut self.true_health);
        let row = &mut self.deliveries[ticket.delivery];
        (row.status, row.due, row.retries) = match outcome {
            Outcome::Success => (Status::Success, None, ticket.retries),
            _ if row.status == Status::Cancelled => (Status::Cancelled, None, ticket.retries),
            Outcome::Interrupted => (Status::Retrying, Some(now), ticket.retries),
            Outcome::Failure if ticket.retries < MOST_RETRIES => {
                (Status::Retrying, Some(now + DELAY), ticket.retries + 1)
            }
            Outcome::Failure => (Status::Failed, None, ticket.retries),
        };
        row.token = None;
        row.attempts = ticket.number;
        row.log.push(ticket.number);
        let (status, has_ended) = (row.status, row.due.is_none());
        self.change_health(|health| health.count(status));
        if has_ended {
            self.move_up(guards);
        }
    }

    /// Makes a delivery due by hand. False when it is being attempted. One that was cancelled meanwhile is open again, and due when
    /// its claim ends.
    pub fn retry_by_hand(&mut self, delivery: usize, now: i8, guards: Guards) -> bool {
        let row = &mut self.deliveries[delivery];
        if row.token.is_some() && row.due.is_some_and(|due| due > now) {
            return false;
        }
        let before = row.status;
        row.status = if row.attempts == 0 { Status::Pending } else { Status::Retrying };
        (row.retries, row.is_behind) = (0, false);
        let until = row.lease_until.filter(|until| row.due.is_none() && row.token.is_some() && *until > now);
        // A lease that ends later is that of a clock ahead of this one.
        match until.filter(|until| guards.keeps_lease && *until <= now + LEASE) {
            Some(until) => row.due = Some(until),
            None => (row.due, row.token) = (Some(now), None),
        }
        self.change_health(|health| health.uncount(before));
        true
    }

    pub fn cancel(&mut self, delivery: usize, guards: Guards) {
        let row = &mut self.deliveries[delivery];
        row.lease_until = row.due.filter(|_| row.token.is_some());
        (row.status, row.due) = (Status::Cancelled, None);
        self.move_up(guards);
    }

    pub fn enable(&mut self) {
        self.is_active = true;
        self.change_health(|health| {
            *health = Health { succeeded: health.succeeded, failed: health.failed, ..Health::default() };
        });
    }

    /// Shortens what a clock ahead of this one set.
    pub fn mend_clock(&mut self, now: i8) {
        for row in &mut self.deliveries {
            let longest = match (row.token, row.attempts) {
                (Some(_), _) => LEASE,
                (None, 0) => 0,
                (None, _) => DELAY,
            };
            row.due = row.due.map(|due| due.min(now + longest));
        }
        let most = LEASE.max(PAUSE);
        self.change_health(|health| {
            // The program leaves it as it is and takes one that is further away than any that is set for over.
            health.open_until = health.open_until.map(|until| if until > now + most { now } else { until });
        });
    }
}

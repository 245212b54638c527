//! What may happen next, and what must hold whatever happens.

use stateright::{Model, Property};

use crate::database::{DELAY, Database, LEASE, Outcome, Status};
use crate::process::{Claim, LONGEST_QUEUED, Phase, Process};

/// What keeps the protocol right. Each can be taken out, to see that the properties miss it.
#[derive(Clone, Copy, Debug)]
pub struct Guards {
    /// A result is written, and a claim given back, only where the token is still the claim's.
    pub matches_token: bool,
    /// The webhook's state is changed only by a result whose token was found to match.
    pub settles_after_token: bool,
    /// A claim that waited too long for a worker is not sent.
    pub checks_age: bool,
    /// Due times that a clock ahead has set are shortened.
    pub mends_clock: bool,
    /// A delivery that is cancelled during its attempt and retried is not claimed before the lease of that attempt ends.
    pub keeps_lease: bool,
    /// When a delivery ends, the next of its line is taken for behind no longer.
    pub moves_up: bool,
    /// The head of a line is not claimed while another of it is under way.
    pub waits_for_others: bool,
}

impl Guards {
    pub const ALL: Guards = Guards {
        matches_token: true,
        settles_after_token: true,
        checks_age: true,
        mends_clock: true,
        keeps_lease: true,
        moves_up: true,
        waits_for_others: true,
    };
}

/// How much of what may happen does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Scenario {
    pub events: usize,
    pub claims: u8,
    pub ticks: u8,
    pub kills: u8,
    pub stops: u8,
    pub jumps: u8,
    /// Retries, cancellations, and switches of the webhook, by hand.
    pub hands: u8,
    /// The deliveries are one line.
    pub is_line: bool,
}

/// Two processes, one webhook, one file.
#[derive(Clone, Debug)]
pub struct Protocol {
    pub guards: Guards,
    pub scenario: Scenario,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct State {
    pub clock: i8,
    pub database: Database,
    pub processes: [Process; 2],
    /// What may still happen.
    left: Scenario,
    /// A claim was given while the lease of another of that delivery, or of its line, held.
    is_claimed_twice: bool,
    /// A request began, or ended, outside its lease, in a process that nothing had disturbed.
    is_sent_late: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    Emit,
    /// A delivery is found behind another and marked.
    Mark(usize),
    Claim(usize, usize),
    Begin(usize),
    Send(usize),
    Answer(usize, Outcome),
    Record(usize),
    Release(usize),
    Tick,
    Kill(usize),
    Stop(usize),
    Resume(usize),
    Jump(i8),
    RetryByHand(usize),
    Cancel(usize),
    Disable,
    Enable,
}

impl Model for Protocol {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        vec![State {
            clock: 0,
            database: Database::new(self.scenario.is_line),
            processes: [Process::new(); 2],
            left: self.scenario,
            is_claimed_twice: false,
            is_sent_late: false,
        }]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        let State { database, left, .. } = state;
        for (id, process) in state.processes.iter().enumerate() {
            if left.kills > 0 && process.phase != Phase::Idle {
                actions.push(Action::Kill(id));
            }
            if process.is_stopped {
                actions.push(Action::Resume(id));
                continue;
            }
            if left.stops > 0 && process.phase != Phase::Idle {
                actions.push(Action::Stop(id));
            }
            match &process.phase {
                Phase::Idle if left.claims > 0 => {
                    let due = (0..database.deliveries.len()).filter(|at| database.may_claim(*at, state.clock, self.guards));
                    actions.extend(due.map(|at| Action::Claim(id, at)));
                }
                Phase::Idle => {}
                Phase::Queued(_) => actions.extend([Action::Begin(id), Action::Release(id)]),
                Phase::Begun(_) => actions.push(Action::Send(id)),
                Phase::Sent(_) => {
                    let outcomes = [Outcome::Success, Outcome::Failure, Outcome::Interrupted];
                    actions.extend(outcomes.map(|outcome| Action::Answer(id, outcome)));
                }
                Phase::Ended(..) => actions.push(Action::Record(id)),
            }
        }
        let behind = (0..database.deliveries.len()).filter(|at| database.may_be_marked(*at, state.clock));
        actions.extend(behind.map(Action::Mark));
        if left.events > 0 {
            actions.push(Action::Emit);
        }
        if left.ticks > 0 && state.processes.iter().all(Process::lets_time_pass) {
            actions.push(Action::Tick);
        }
        if left.jumps > 0 {
            actions.extend([Action::Jump(LEASE + 1), Action::Jump(-LEASE - 1)]);
        }
        if left.hands > 0 {
            for (at, delivery) in database.deliveries.iter().enumerate() {
                actions.push(Action::RetryByHand(at));
                if delivery.is_open() {
                    actions.push(Action::Cancel(at));
                }
            }
            actions.push(if database.is_active { Action::Disable } else { Action::Enable });
        }
    }

    fn next_state(&self, last: &State, action: Action) -> Option<State> {
        let mut state = last.clone();
        state.step(action, self.guards).then_some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always("no event is lost", |model: &Protocol, state: &State| {
                state.is_all_delivered_in_the_end(model.guards)
            }),
            Property::always("one request for a claim while leases hold", |_, state: &State| !state.is_claimed_twice),
            Property::always("what nothing disturbs is sent and answered within its lease", |_, state: &State| {
                !state.is_sent_late
            }),
            Property::always("a late result has no effect", |_, state: &State| {
                state.database.health == state.database.true_health
            }),
            Property::always("the log is whole", |_, state: &State| {
                state.database.deliveries.iter().all(|row| {
                    row.log.len() == usize::from(row.attempts)
                        && (1..).zip(&row.log).all(|(number, found)| number == *found)
                })
            }),
            Property::always("counters tell the truth", |_, state: &State| {
                let count = |status| state.database.deliveries.iter().filter(|row| row.status == status).count();
                usize::from(state.database.health.succeeded) == count(Status::Success)
                    && usize::from(state.database.health.failed) == count(Status::Failed)
            }),
            Property::always("what is a success was received", |_, state: &State| {
                state.database.deliveries.iter().all(|row| row.status != Status::Success || row.received)
            }),
            Property::always("an open delivery is due or claimed, a finished one is neither", |_, state: &State| {
                state.database.deliveries.iter().all(|row| row.is_open() == row.due.is_some())
            }),
        ]
    }
}

impl State {
    /// Does it; false when it cannot be done.
    fn step(&mut self, action: Action, guards: Guards) -> bool {
        let now = self.clock;
        match action {
            Action::Emit => {
                self.left.events -= 1;
                self.database.accept(now);
            }
            Action::Mark(delivery) => self.database.mark(delivery),
            Action::Claim(id, delivery) => self.claim(id, delivery, guards),
            Action::Begin(id) => {
                let Phase::Queued(claim) = self.processes[id].phase else { return false };
                if guards.checks_age && claim.age > LONGEST_QUEUED {
                    return false;
                }
                self.processes[id].phase = Phase::Begun(claim);
            }
            Action::Send(id) => {
                let Phase::Begun(claim) = self.processes[id].phase else { return false };
                self.is_sent_late |= self.is_outside_lease(&claim);
                self.processes[id].phase = Phase::Sent(claim);
            }
            Action::Answer(id, outcome) => {
                let Phase::Sent(claim) = self.processes[id].phase else { return false };
                self.is_sent_late |= self.is_outside_lease(&claim);
                self.database.deliveries[claim.ticket.delivery].received |= outcome == Outcome::Success;
                self.processes[id].phase = Phase::Ended(claim, outcome);
            }
            Action::Record(id) => {
                let Phase::Ended(claim, outcome) = self.processes[id].phase else { return false };
                self.database.record(&claim.ticket, outcome, now, guards);
                self.processes[id].phase = Phase::Idle;
            }
            Action::Release(id) => {
                let Phase::Queued(claim) = self.processes[id].phase else { return false };
                self.database.release(&claim.ticket, now, guards);
                self.processes[id].phase = Phase::Idle;
            }
            Action::Tick => {
                self.left.ticks -= 1;
                self.clock += 1;
                self.processes.iter_mut().for_each(Process::tick);
            }
            Action::Kill(id) => {
                self.left.kills -= 1;
                self.processes[id] = Process::new();
            }
            Action::Stop(id) => {
                self.left.stops -= 1;
                self.processes[id].is_stopped = true;
                self.processes[id].disturb();
            }
            Action::Resume(id) => self.processes[id].is_stopped = false,
            Action::Jump(by) => {
                self.left.jumps -= 1;
                self.clock += by;
                self.processes.iter_mut().for_each(Process::disturb);
                self.processes.iter_mut().for_each(|process| process.void_lease());
            }
            Action::RetryByHand(delivery) => {
                self.left.hands -= 1;
                return self.database.retry_by_hand(delivery, now, guards);
            }
            Action::Cancel(delivery) => {
                self.left.hands -= 1;
                self.database.cancel(delivery, guards);
            }
            Action::Disable => {
                self.left.hands -= 1;
                self.database.is_active = false;
            }
            Action::Enable => {
                self.left.hands -= 1;
                self.database.enable();
            }
        }
        true
    }

    fn claim(&mut self, id: usize, delivery: usize, guards: Guards) {
        let now = self.clock;
        if guards.mends_clock {
            self.database.mend_clock(now);
            if !self.database.may_claim(delivery, now, guards) {
                return;
            }
        }
        let is_line = self.database.is_line;
        let others = self.processes.iter().filter_map(|process| process.phase.claim()).filter(|claim| !claim.is_void);
        self.is_claimed_twice |=
            others.map(|claim| claim.ticket).any(|ticket| (is_line || ticket.delivery == delivery) && ticket.until > now);
        self.left.claims -= 1;
        let ticket = self.database.claim(delivery, now);
        self.processes[id].phase =
            Phase::Queued(Claim { ticket, age: 0, sent_for: 0, is_disturbed: false, is_void: false });
    }

    fn is_outside_lease(&self, claim: &Claim) -> bool {
        !claim.is_disturbed && self.clock >= claim.ticket.until
    }

    /// Whether drains that nothing disturbs deliver all that is not failed or cancelled, whatever state they find: every
    /// process is gone, the webhook enabled, its receiver well.
    fn is_all_delivered_in_the_end(&self, guards: Guards) -> bool {
        let mut database = self.database.clone();
        database.enable();
        let mut now = self.clock;
        // A lease, then a retry's delay, and each once more.
        for _ in 0..=2 * (LEASE + DELAY) {
            if guards.mends_clock {
                database.mend_clock(now);
            }
            for delivery in 0..database.deliveries.len() {
                if database.may_be_marked(delivery, now) {
                    database.mark(delivery);
                }
                if database.may_claim(delivery, now, guards) {
                    let ticket = database.claim(delivery, now);
                    database.deliveries[delivery].received = true;
                    database.record(&ticket, Outcome::Success, now, guards);
                }
            }
            now += 1;
        }
        database.deliveries.iter().all(|row| !row.is_open())
    }
}

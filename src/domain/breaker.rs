//! The breaker: a receiver that cannot be reached is left alone for a while.

use super::time::Timestamp;

/// So many failures to connect, or time-outs, in a row open the breaker.
pub const FAILURES_TO_OPEN: u32 = 5;

/// The first pause, in milliseconds; each failed probe doubles it.
pub const FIRST_PAUSE_MS: i64 = 60_000;

/// No pause is longer than this: one hour, in milliseconds.
pub const LONGEST_PAUSE_MS: i64 = 3_600_000;

/// A webhook's breaker as the database keeps it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Breaker {
    /// Failures to connect and time-outs since the last answer.
    pub failures: u32,
    /// Set while open: until when nothing is sent; from then on one probe may go.
    pub open_until: Option<Timestamp>,
    /// How long the last pause was, in milliseconds; 0 while closed.
    pub pause_ms: i64,
    /// Whether the one probe is under way; `open_until` is then the end of its lease.
    pub probing: bool,
}

/// What the breaker lets through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Passage {
    Closed,
    /// Nothing until then.
    Open(Timestamp),
    /// One request, to see whether the receiver is back.
    Probe,
}

impl Breaker {
    /// What it lets through at `now`.
    pub fn passage(self, now: Timestamp) -> Passage {
        match self.open_until {
            None => Passage::Closed,
            Some(until) if now < until && until.millis_since(now) <= LONGEST_PAUSE_MS => Passage::Open(until),
            Some(_) => Passage::Probe,
        }
    }

    /// The breaker while a probe is under way: nothing else goes until `lease_until`. The store writes it so as it claims the
    /// probe.
    #[cfg(test)]
    #[must_use]
    pub fn with_probe(self, lease_until: Timestamp) -> Breaker {
        Breaker { open_until: Some(lease_until), probing: true, ..self }
    }

    /// The breaker after a success: closed.
    #[must_use]
    pub fn after_success(self) -> Breaker {
        Breaker::default()
    }

    /// The breaker after an answer that was no success. The receiver can be reached, so a row of failures ends; but only a
    /// success closes an open breaker.
    #[must_use]
    pub fn after_refusal(self, now: Timestamp) -> Breaker {
        match (self.open_until, self.probing) {
            (None, _) => Breaker::default(),
            (Some(_), true) => self.with_longer_pause(now),
            (Some(_), false) => self,
        }
    }

    /// The breaker after a failure to connect or a time-out. What was already under way when it opened says nothing new.
    #[must_use]
    pub fn after_no_answer(self, now: Timestamp) -> Breaker {
        let counted = Breaker { failures: self.failures.saturating_add(1), ..self };
        match (self.open_until, self.probing) {
            (None, _) if counted.failures < FAILURES_TO_OPEN => counted,
            (Some(_), false) => counted,
            (None, _) | (Some(_), true) => counted.with_longer_pause(now),
        }
    }

    /// The breaker made to let a probe through at once, as a retry by hand does.
    #[must_use]
    pub fn with_probe_allowed(self, now: Timestamp) -> Breaker {
        Breaker { open_until: self.open_until.map(|until| until.min(now)), probing: false, ..self }
    }

    fn with_longer_pause(self, now: Timestamp) -> Breaker {
        let pause_ms = self.pause_ms.saturating_mul(2).clamp(FIRST_PAUSE_MS, LONGEST_PAUSE_MS);
        Breaker { open_until: Some(now.plus_millis(pause_ms)), pause_ms, probing: false, ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_millis(seconds * 1_000)
    }

    fn opened() -> Breaker {
        (0..5).fold(Breaker::default(), |breaker, _| breaker.after_no_answer(at(0)))
    }

    #[test]
    fn the_fifth_failure_in_a_row_opens_it_for_a_minute() {
        let four = (0..4).fold(Breaker::default(), |breaker, _| breaker.after_no_answer(at(0)));
        assert_eq!(four.passage(at(0)), Passage::Closed);
        assert_eq!(opened().passage(at(59)), Passage::Open(at(60)));
        assert_eq!(opened().passage(at(60)), Passage::Probe);
    }

    #[test]
    fn an_answer_of_any_kind_breaks_the_row() {
        let four = (0..4).fold(Breaker::default(), |breaker, _| breaker.after_no_answer(at(0)));
        assert_eq!(four.after_refusal(at(0)).after_no_answer(at(0)).passage(at(0)), Passage::Closed);
    }

    #[test]
    fn each_failed_probe_doubles_the_pause_up_to_an_hour() {
        let mut breaker = opened();
        let mut pauses = Vec::new();
        for _ in 0..8 {
            breaker = breaker.with_probe(at(100)).after_no_answer(at(0));
            pauses.push(breaker.pause_ms / 60_000);
        }
        assert_eq!(pauses, [2, 4, 8, 16, 32, 60, 60, 60]);
    }

    #[test]
    fn what_was_under_way_when_it_opened_does_not_lengthen_the_pause() {
        assert_eq!(opened().after_no_answer(at(3)).open_until, opened().open_until);
    }

    #[test]
    fn one_probe_at_a_time_and_a_lost_one_holds_nothing_past_its_lease() {
        let probing = opened().with_probe(at(110));
        assert_eq!(probing.passage(at(70)), Passage::Open(at(110)));
        assert_eq!(probing.passage(at(110)), Passage::Probe);
    }

    #[test]
    fn only_a_success_closes_it() {
        let probing = opened().with_probe(at(110));
        assert_eq!(probing.after_refusal(at(61)).passage(at(62)), Passage::Open(at(181)));
        assert_eq!(probing.after_success(), Breaker::default());
    }

    #[test]
    fn a_clock_set_back_does_not_keep_it_open() {
        let breaker = (0..5).fold(Breaker::default(), |breaker, _| breaker.after_no_answer(at(1_000_000)));
        assert_eq!(breaker.passage(at(5)), Passage::Probe);
    }
}

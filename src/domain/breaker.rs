//! The circuit breaker: nothing is sent for a while to a receiver that cannot be reached or fails every request.

use super::time::Timestamp;

/// Consecutive failures to connect, or time-outs, that open the breaker.
pub const FAILURES_TO_OPEN: u32 = 5;

/// Consecutive failed attempts of any kind that open it.
pub const ANY_FAILURES_TO_OPEN: u32 = 10;

/// The first pause, in milliseconds; each failed probe doubles it.
pub const FIRST_PAUSE_MS: i64 = 60_000;

/// The longest pause: one hour, in milliseconds.
pub const LONGEST_PAUSE_MS: i64 = 3_600_000;

/// The state of a webhook's breaker, as stored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Breaker {
    /// Failures to connect and time-outs since the last answer; 0 if it is open because of other failures.
    pub failures: u32,
    /// Set while open: nothing is sent before this time; then one probe may be.
    pub open_until: Option<Timestamp>,
    /// The length of the last pause in milliseconds; 0 while closed.
    pub pause_ms: i64,
    /// Whether a probe is in flight; `open_until` is then the end of its lease.
    pub probing: bool,
}

/// What the breaker allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Passage {
    Closed,
    /// Nothing before this time.
    Open(Timestamp),
    /// One request, to find out whether the receiver works again.
    Probe,
}

impl Breaker {
    /// What it allows at `now`.
    pub fn passage(self, now: Timestamp) -> Passage {
        match self.open_until {
            None => Passage::Closed,
            Some(until) if now < until && until.millis_since(now) <= LONGEST_PAUSE_MS => Passage::Open(until),
            Some(_) => Passage::Probe,
        }
    }

    /// The breaker while a probe is in flight: nothing else is sent before `lease_until`. The store writes the same when it
    /// claims the probe.
    #[cfg(test)]
    #[must_use]
    pub fn with_probe(self, lease_until: Timestamp) -> Breaker {
        Breaker { open_until: Some(lease_until), probing: true, ..self }
    }

    #[must_use]
    pub fn after_success(self) -> Breaker {
        Breaker::default()
    }

    /// Whether it is open because the receiver does not answer.
    pub fn is_open_on_connecting(self) -> bool {
        self.open_until.is_some() && self.failures > 0
    }

    /// The breaker after an answer that was not a success, the last of `row` consecutive failures. The receiver can be
    /// reached, but only a success closes an open breaker.
    #[must_use]
    pub fn after_refusal(self, row: u32, now: Timestamp) -> Breaker {
        match (self.open_until, self.probing) {
            (None, _) if row < ANY_FAILURES_TO_OPEN => Breaker::default(),
            (None, _) | (Some(_), true) => Breaker { failures: 0, ..self }.with_longer_pause(now),
            // The request was sent before the breaker opened.
            (Some(_), false) => self,
        }
    }

    /// The breaker after a failure to connect or a time-out, the last of `row` consecutive failures.
    #[must_use]
    pub fn after_no_answer(self, row: u32, now: Timestamp) -> Breaker {
        let counted = Breaker { failures: self.failures.saturating_add(1), ..self };
        match (self.open_until, self.probing) {
            (Some(_), false) => self,
            (Some(_), true) => counted.with_longer_pause(now),
            (None, _) if counted.failures >= FAILURES_TO_OPEN => counted.with_longer_pause(now),
            (None, _) if row >= ANY_FAILURES_TO_OPEN => Breaker { failures: 0, ..self }.with_longer_pause(now),
            (None, _) => counted,
        }
    }

    /// The breaker with its pause ended, so that a probe may be sent at once: for a retry by hand.
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
        unanswered(5, 0)
    }

    /// After this many failures to connect at that second.
    fn unanswered(count: u32, second: i64) -> Breaker {
        (1..=count).fold(Breaker::default(), |breaker, row| breaker.after_no_answer(row, at(second)))
    }

    #[test]
    fn the_fifth_failure_in_a_row_opens_it_for_a_minute() {
        assert_eq!(unanswered(4, 0).passage(at(0)), Passage::Closed);
        assert_eq!(opened().passage(at(59)), Passage::Open(at(60)));
        assert_eq!(opened().passage(at(60)), Passage::Probe);
    }

    #[test]
    fn an_answer_ends_the_row_of_failures_to_connect() {
        let mixed = unanswered(4, 0).after_refusal(5, at(0)).after_no_answer(6, at(0));
        assert_eq!(mixed.passage(at(0)), Passage::Closed);
    }

    #[test]
    fn the_tenth_failure_of_any_kind_opens_it_too() {
        let refused = (1..=9).fold(Breaker::default(), |breaker, row| breaker.after_refusal(row, at(0)));
        assert_eq!(refused.passage(at(0)), Passage::Closed);
        for tenth in [refused.after_refusal(10, at(0)), refused.after_no_answer(10, at(0))] {
            assert_eq!((tenth.passage(at(0)), tenth.is_open_on_connecting()), (Passage::Open(at(60)), false));
        }
        assert!(opened().is_open_on_connecting());
        let mixed = (7..=10).fold(refused, |breaker, row| breaker.after_no_answer(row, at(0)));
        assert_eq!(
            (mixed.passage(at(0)), mixed.is_open_on_connecting()),
            (Passage::Open(at(60)), false),
            "four are few"
        );
    }

    #[test]
    fn the_last_probe_says_why_it_is_open() {
        let refused = opened().with_probe(at(100)).after_refusal(6, at(61));
        assert!(!refused.is_open_on_connecting());
        assert!(refused.with_probe(at(200)).after_no_answer(7, at(181)).is_open_on_connecting());
    }

    #[test]
    fn each_failed_probe_doubles_the_pause_up_to_an_hour() {
        let mut breaker = opened();
        let mut pauses = Vec::new();
        for _ in 0..8 {
            breaker = breaker.with_probe(at(100)).after_no_answer(9, at(0));
            assert!(!breaker.probing);
            pauses.push(breaker.pause_ms / 60_000);
        }
        assert_eq!(pauses, [2, 4, 8, 16, 32, 60, 60, 60]);
    }

    #[test]
    fn the_longest_pause_is_kept_to_its_end() {
        let longest = Breaker { pause_ms: LONGEST_PAUSE_MS, ..opened() }.with_probe(at(100)).after_no_answer(9, at(0));
        assert_eq!(longest.passage(at(0)), Passage::Open(at(3_600)));
        assert_eq!(longest.passage(at(3_600)), Passage::Probe);
    }

    #[test]
    fn what_was_under_way_when_it_opened_does_not_lengthen_the_pause() {
        assert_eq!(opened().after_no_answer(6, at(3)), opened());
        assert_eq!(opened().after_refusal(6, at(3)), opened());
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
        assert_eq!(probing.after_refusal(6, at(61)).passage(at(62)), Passage::Open(at(181)));
        assert_eq!(probing.after_success(), Breaker::default());
    }

    #[test]
    fn a_clock_set_back_does_not_keep_it_open() {
        let breaker = unanswered(5, 1_000_000);
        assert_eq!(breaker.passage(at(5)), Passage::Probe);
    }
}

//! A rate limit per webhook. Its state is one number, which all processes share.

use serde::{Deserialize, Serialize};

use super::text::whole_number;

/// At most `count` requests in each `period_ms`, evenly spaced, with a burst of a tenth of the count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct RateLimit {
    pub count: u32,
    /// The period: a second, a minute or an hour, in milliseconds.
    pub period_ms: i64,
}

/// A clock set back by less than this does not reset the limit, in microseconds.
const CLOCK_TOLERANCE_US: i64 = 60_000_000;

#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("not a rate limit; write a number from 1 to 100000 and a unit: 10/s, 600/m, 5000/h, or 'off'")]
pub struct RateLimitError;

impl TryFrom<String> for RateLimit {
    type Error = RateLimitError;

    fn try_from(text: String) -> Result<RateLimit, RateLimitError> {
        RateLimit::parse(&text)
    }
}

impl From<RateLimit> for String {
    fn from(limit: RateLimit) -> String {
        limit.text()
    }
}

impl RateLimit {
    /// Reads `10/s`, `600/m` or `5000/h`.
    pub fn parse(text: &str) -> Result<RateLimit, RateLimitError> {
        let (count, unit) = text.split_once('/').ok_or(RateLimitError)?;
        let count = whole_number(count).filter(|count| (1..=100_000).contains(count)).ok_or(RateLimitError)?;
        let period_ms = match unit {
            "s" => 1_000,
            "m" => 60_000,
            "h" => 3_600_000,
            _ => return Err(RateLimitError),
        };
        Ok(RateLimit { count, period_ms })
    }

    /// How it is written: `10/s`.
    pub fn text(self) -> String {
        let unit = match self.period_ms {
            1_000 => "s",
            60_000 => "m",
            _ => "h",
        };
        format!("{}/{unit}", self.count)
    }

    /// How many requests may be sent at `now_us`, at most `wanted`. `next_us` is the stored number: the time at which the
    /// bucket is full again, in microseconds since 1970 (the theoretical arrival time of the generic cell rate algorithm).
    pub fn available(self, next_us: i64, now_us: i64, wanted: u32) -> u32 {
        let start = self.start(next_us, now_us);
        let room = now_us + self.burst_us() - start;
        if room < 0 { 0 } else { ((room / self.interval_us()) as u32 + 1).min(wanted) }
    }

    /// The stored number, corrected for `now_us`, to which requests are added.
    pub fn start(self, next_us: i64, now_us: i64) -> i64 {
        let empty = now_us + self.burst_us() + self.interval_us();
        // The bucket is never emptier than empty. A number far in the future comes from a clock that was ahead and is dropped:
        // the bucket would stay empty until that time.
        if next_us > empty + CLOCK_TOLERANCE_US { now_us } else { next_us.clamp(now_us, empty) }
    }

    /// What each request adds to the stored number.
    pub fn interval_us(self) -> i64 {
        (self.period_ms * 1_000 / i64::from(self.count)).max(1)
    }

    /// Microseconds from `now_us` until the next request may be sent; 0 if it may be sent now.
    pub fn wait_us(self, next_us: i64, now_us: i64) -> i64 {
        (self.start(next_us, now_us) - self.burst_us() - now_us).max(0)
    }

    fn burst_us(self) -> i64 {
        self.interval_us() * i64::from((self.count / 10).max(1) - 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn take(limit: RateLimit, next_us: i64, now_us: i64, taken: u32) -> i64 {
        limit.start(next_us, now_us) + limit.interval_us() * i64::from(taken)
    }

    #[test]
    fn it_reads_what_it_writes() {
        for text in ["1/s", "50/s", "600/m", "5000/h"] {
            assert_eq!(RateLimit::parse(text).unwrap().text(), text);
        }
        for text in ["", "10", "0/s", "-1/s", "+1/s", "1e3/s", "10/d", "/s", "100001/s", "10/s "] {
            assert_eq!(RateLimit::parse(text), Err(RateLimitError), "{text}");
        }
    }

    #[test]
    fn no_second_sees_more_than_the_rate_and_a_tenth() {
        let limit = RateLimit::parse("50/s").unwrap();
        let (mut next, mut sent) = (0, Vec::new());
        for now in (0..6_000_000_i64).step_by(1_000).map(|us| us + 1_000_000) {
            let taken = limit.available(next, now, 1_000);
            next = if taken > 0 { take(limit, next, now, taken) } else { next };
            sent.extend(std::iter::repeat_n(now, taken as usize));
        }
        assert!((300..=306).contains(&sent.len()), "{}", sent.len());
        for start in &sent {
            let within = sent.iter().filter(|at| (*start..*start + 1_000_000).contains(*at)).count();
            assert!(within <= 56, "{within}");
        }
    }

    #[test]
    fn a_clock_set_back_does_not_stall_it() {
        let limit = RateLimit::parse("1/s").unwrap();
        let next = take(limit, 0, 1_000_000_000_000, 1);
        assert!(limit.wait_us(next, 5_000_000) <= 1_000_000);
        // Nobody took anything meanwhile, so the number that is kept is still the one from the future.
        for now in [5_000_000, 6_000_000, 7_000_000] {
            assert_eq!(limit.available(next, now, 10), 1, "at {now}");
        }
    }
}

//! When a failed delivery is tried again.

use std::sync::LazyLock;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{duration, seconds};

/// The longest delay between two attempts: 24 hours, in milliseconds.
pub const LONGEST_DELAY_MS: i64 = 24 * 3_600_000;

/// The most retries that a webhook may ask for.
pub const MOST_RETRIES: u32 = 100;

/// The presets of `--retry-schedule` that are lists of delays.
pub const PRESETS: [(&str, &str); 2] =
    [("standard", "5s,5m,30m,2h,5h,10h,14h,20h,24h"), ("svix", "5s,5m,30m,2h,5h,10h,10h")];

/// The preset that is a formula.
const TIMETRACKER: &str = "timetracker";

/// How often and after which delays a webhook's deliveries are retried.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct RetryPolicy {
    /// Retries after the first attempt; ignored with a schedule.
    pub max_retries: u32,
    /// The delay before the first retry in milliseconds; it doubles with each. Ignored with a schedule.
    #[serde(rename = "retry_delay_seconds", with = "seconds")]
    pub delay_ms: i64,
    /// The delay before each retry, in milliseconds, if they are given one by one.
    #[serde(rename = "retry_schedule", with = "schedule")]
    pub schedule: Option<Vec<i64>>,
}

/// The schedule `standard`. If it is removed, TimeTracker's numbers apply.
impl Default for RetryPolicy {
    fn default() -> RetryPolicy {
        // Every webhook that is read begins with it.
        static STANDARD: LazyLock<RetryPolicy> =
            LazyLock::new(|| RetryPolicy::preset("standard").expect("the preset is a constant that a test reads"));
        STANDARD.clone()
    }
}

/// A schedule in JSON: `["5s", "5m"]`.
mod schedule {
    use serde::de::{Deserialize, Deserializer, Error};
    use serde::ser::{Serialize, Serializer};

    use super::{duration, parse_delay};

    #[expect(clippy::ref_option, reason = "serde hands over a reference")]
    pub fn serialize<S: Serializer>(delays: &Option<Vec<i64>>, serializer: S) -> Result<S::Ok, S::Error> {
        let texts = |delays: &Vec<i64>| delays.iter().map(|delay| duration::of_millis(*delay)).collect::<Vec<_>>();
        delays.as_ref().map(texts).serialize(serializer)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Vec<i64>>, D::Error> {
        let texts = Option::<Vec<String>>::deserialize(deserializer)?;
        let delays = texts.map(|texts| texts.iter().map(|text| parse_delay(text)).collect::<Result<_, _>>());
        delays.transpose().map_err(D::Error::custom)
    }
}

impl RetryPolicy {
    /// TimeTracker's: three retries, from one minute.
    pub fn timetracker() -> RetryPolicy {
        RetryPolicy { max_retries: 3, delay_ms: 60_000, schedule: None }
    }

    /// The policy of `5s,5m,30m` or of a preset's name.
    pub fn preset(text: &str) -> Result<RetryPolicy, ScheduleError> {
        match text {
            TIMETRACKER => Ok(RetryPolicy::timetracker()),
            list => Ok(RetryPolicy { schedule: Some(parse_schedule(list)?), ..RetryPolicy::timetracker() }),
        }
    }

    /// From the first attempt to the last, in milliseconds, without jitter.
    pub fn span_ms(&self) -> i64 {
        self.delays().iter().sum()
    }

    /// How many retries there are.
    pub fn limit(&self) -> u32 {
        self.schedule.as_ref().map_or(self.max_retries, |delays| delays.len() as u32)
    }

    /// The delay before retry `retry` (counting from 0) in milliseconds, without jitter: `delay × 2^n`, at most 24 h;
    /// or the schedule's. `None` when the retries are used up.
    pub fn delay(&self, retry: u32) -> Option<i64> {
        if retry >= self.limit() {
            return None;
        }
        let delay = match &self.schedule {
            Some(delays) => delays.get(retry as usize).copied()?,
            None => self.delay_ms.saturating_mul(1_i64.checked_shl(retry.min(40)).unwrap_or(i64::MAX)),
        };
        Some(delay.clamp(0, LONGEST_DELAY_MS))
    }

    /// The delay before retry `retry` with jitter: `jitter` in −1.0..=1.0 moves it by up to ten per cent either way.
    /// The cap of 24 h holds after the jitter too.
    pub fn delay_with_jitter(&self, retry: u32, jitter: f64) -> Option<i64> {
        let delay = self.delay(retry)?;
        let moved = delay as f64 * 0.1 * jitter.clamp(-1.0, 1.0);
        Some((delay + moved as i64).clamp(0, LONGEST_DELAY_MS))
    }

    /// All delays in order, in milliseconds, without jitter.
    pub fn delays(&self) -> Vec<i64> {
        (0..self.limit()).map_while(|retry| self.delay(retry)).collect()
    }
}

/// Why a retry schedule is refused.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum ScheduleError {
    #[error("'{0}' is {1}, or a preset: timetracker, standard, svix")]
    Item(String, duration::DurationError),
    #[error("'{0}' is longer than 24h, the longest delay there is")]
    TooLong(String),
    #[error("there are {0} delays; the limit is {MOST_RETRIES}")]
    TooMany(usize),
}

/// Reads `5s,5m,30m`, or the name of a preset that is a list, into delays.
fn parse_schedule(text: &str) -> Result<Vec<i64>, ScheduleError> {
    let list = PRESETS.iter().find(|(name, _)| *name == text).map_or(text, |(_, list)| list);
    let delays = list.split(',').map(|item| parse_delay(item.trim())).collect::<Result<Vec<i64>, _>>()?;
    if delays.len() > MOST_RETRIES as usize {
        return Err(ScheduleError::TooMany(delays.len()));
    }
    Ok(delays)
}

fn parse_delay(item: &str) -> Result<i64, ScheduleError> {
    let delay = duration::parse(item).map_err(|error| ScheduleError::Item(item.to_owned(), error))?;
    if delay > Duration::from_millis(LONGEST_DELAY_MS as u64) {
        return Err(ScheduleError::TooLong(item.to_owned()));
    }
    Ok(delay.as_millis() as i64)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn exponential(max_retries: u32, delay_ms: i64) -> RetryPolicy {
        RetryPolicy { max_retries, delay_ms, schedule: None }
    }

    #[test]
    fn by_default_it_tries_for_three_days_and_timetracker_for_seven_minutes() {
        let default = RetryPolicy::default();
        assert_eq!((default.limit(), default.span_ms()), (9, ((75 * 60 + 35) * 60 + 5) * 1_000));
        assert_eq!(RetryPolicy::timetracker().delays(), [60_000, 120_000, 240_000]);
        assert_eq!(RetryPolicy::preset("timetracker"), Ok(RetryPolicy::timetracker()));
    }

    #[test]
    fn a_schedule_takes_the_place_of_the_formula() {
        assert_eq!(RetryPolicy::preset("5s,5m,1h").unwrap().delays(), [5_000, 300_000, 3_600_000]);
        assert_eq!(parse_schedule("standard").unwrap().len(), 9);
        assert_eq!(parse_schedule("svix").unwrap().len(), 7);
    }

    #[test]
    fn a_schedule_that_is_no_list_of_durations_is_refused() {
        for text in ["", "5s,", "5x", "-5s", "25h", "5s;5m", "standard,5s"] {
            assert!(parse_schedule(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_schedule_has_at_most_a_hundred_delays_of_at_most_a_day() {
        let of = |count: usize| parse_schedule(&vec!["1s"; count].join(","));
        assert_eq!(of(100).unwrap().len(), 100);
        assert_eq!(of(101), Err(ScheduleError::TooMany(101)));
        assert_eq!(of(250), Err(ScheduleError::TooMany(250)));
        assert_eq!(parse_schedule("24h"), Ok(vec![LONGEST_DELAY_MS]));
        assert_eq!(parse_schedule("1441m"), Err(ScheduleError::TooLong("1441m".to_owned())));
        assert_eq!(parse_schedule("30h"), Err(ScheduleError::TooLong("30h".to_owned())));
    }

    #[test]
    fn jitter_moves_the_delay_by_ten_per_cent_at_its_ends() {
        let delays = [-1.0, 0.0, 1.0].map(|jitter| exponential(1, 60_000).delay_with_jitter(0, jitter));
        assert_eq!(delays, [Some(54_000), Some(60_000), Some(66_000)]);
        assert_eq!(exponential(1, 60_000).delay_with_jitter(1, 1.0), None);
    }

    proptest! {
        #[test]
        fn no_number_in_a_database_makes_a_delay_that_overflows_or_passes_the_cap(
            max_retries in any::<u32>(), delay in any::<i64>(), retry in any::<u32>(), jitter in any::<f64>(),
            schedule in prop::option::of(prop::collection::vec(any::<i64>(), 0..4)),
        ) {
            let policy = RetryPolicy { max_retries, delay_ms: delay, schedule };
            let delays = [policy.delay(retry), policy.delay_with_jitter(retry, jitter)];
            prop_assert_eq!(delays[0].is_some(), delays[1].is_some());
            prop_assert!(delays.iter().flatten().all(|delay| (0..=LONGEST_DELAY_MS).contains(delay)), "{delays:?}");
        }

        #[test]
        fn delays_never_shrink_overflow_or_pass_the_cap(retries in 0..=100_u32, delay in 0..=LONGEST_DELAY_MS) {
            let delays = exponential(retries, delay).delays();
            prop_assert_eq!(delays.len(), retries as usize);
            prop_assert!(delays.is_sorted());
            prop_assert!(delays.iter().all(|delay| (0..=LONGEST_DELAY_MS).contains(delay)));
        }

        #[test]
        fn jitter_stays_within_ten_per_cent(retry in 0..20_u32, delay in 1_000..=60_000_i64, jitter in -1.0..=1.0_f64) {
            let policy = exponential(20, delay);
            let plain = policy.delay(retry).unwrap();
            let jittered = policy.delay_with_jitter(retry, jitter).unwrap();
            prop_assert!((jittered - plain).abs() <= plain / 10 + 1);
            prop_assert!(jittered <= LONGEST_DELAY_MS);
        }
    }
}

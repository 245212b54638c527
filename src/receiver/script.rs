//! The script of answers.

use std::time::Duration;

use crate::domain::text::whole_number;

/// How the receiver answers. The default is always 200, at once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Script {
    /// The status codes of the first, second, … request over all connections; the last one repeats; empty means 200.
    pub respond: Vec<u16>,
    /// How long to wait before each response.
    pub delay: Duration,
    /// The `Retry-After` of every answer that is not a 2xx; rounded up to whole seconds.
    pub retry_after: Option<Duration>,
}

impl Script {
    /// The status code for the n-th request, counted from 1.
    pub fn status(&self, number: u64) -> u16 {
        let index = usize::try_from(number.saturating_sub(1)).unwrap_or(usize::MAX);
        self.respond.get(index).or(self.respond.last()).copied().unwrap_or(200)
    }

    /// `Retry-After` in seconds for that status code, if it has one (RFC 9110, section 10.2.3).
    pub fn retry_after_seconds(&self, status: u16) -> Option<u64> {
        match status {
            200..=299 => None,
            _ => self.retry_after.map(|wait| wait.as_secs() + u64::from(wait.subsec_nanos() > 0)),
        }
    }
}

/// Parses a final status code, 200 to 999; 1xx codes are interim (RFC 9110, section 15.2).
pub fn parse_status(text: &str) -> Result<u16, String> {
    whole_number(text)
        .filter(|status| text.len() == 3 && is_final(*status))
        .ok_or_else(|| "a status code to answer with is a number from 200 to 999".to_owned())
}

/// Whether it is a final status code of three digits.
pub fn is_final(status: u16) -> bool {
    (200..=999).contains(&status)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_in_turn_and_repeats_the_last() {
        let script = Script { respond: vec![500, 503, 200], ..Script::default() };
        assert_eq!([1, 2, 3, 4, u64::MAX].map(|number| script.status(number)), [500, 503, 200, 200, 200]);
    }

    #[test]
    fn answers_200_without_a_list() {
        assert_eq!(Script::default().status(1), 200);
    }

    #[test]
    fn retry_after_goes_with_failures_alone_and_is_rounded_up() {
        let script = Script { retry_after: Some(Duration::from_millis(1500)), ..Script::default() };
        assert_eq!(
            [200, 299, 302, 429, 503].map(|status| script.retry_after_seconds(status)),
            [None, None, Some(2), Some(2), Some(2)]
        );
    }

    #[test]
    fn a_status_is_three_digits_from_200() {
        for good in ["200", "302", "599", "999"] {
            assert_eq!(parse_status(good), Ok(good.parse().unwrap()));
        }
        for bad in ["", "100", "199", "1000", "+200", "0200", "20", "2e2", "two", " 200", "-200"] {
            assert!(parse_status(bad).is_err(), "{bad:?}");
        }
    }
}

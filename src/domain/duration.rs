//! Durations as people write them: `30s`, `5m`, `2h`, `7d`, or plain seconds.

use std::time::Duration;

/// Why a text is not a duration.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("not a duration; write 30s, 5m, 2h, 7d, 250ms, or a number of seconds")]
pub struct DurationError;

/// Reads `250ms`, `30s`, `5m`, `2h`, `7d`, `1w`, or whole seconds without a unit. No sign, blank, fraction or exponent.
pub fn parse(text: &str) -> Result<Duration, DurationError> {
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (number, unit) = text.split_at(digits);
    let number: u64 = number.parse().map_err(|_| DurationError)?;
    let unit_millis = match unit {
        "ms" => 1,
        "" | "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        "w" => 604_800_000,
        _ => return Err(DurationError),
    };
    number.checked_mul(unit_millis).map(Duration::from_millis).ok_or(DurationError)
}

/// Writes a duration in the largest unit that holds it exactly: 90 s is `90s`, 7,200 s is `2h`.
pub fn format(duration: Duration) -> String {
    let millis = duration.as_millis();
    match millis {
        0 => "0s".to_owned(),
        m if m % 86_400_000 == 0 => format!("{}d", m / 86_400_000),
        m if m % 3_600_000 == 0 => format!("{}h", m / 3_600_000),
        m if m % 60_000 == 0 => format!("{}m", m / 60_000),
        m if m % 1_000 == 0 => format!("{}s", m / 1_000),
        m => format!("{m}ms"),
    }
}

/// The same for a duration in milliseconds.
pub fn of_millis(millis: i64) -> String {
    format(Duration::from_millis(millis.unsigned_abs()))
}

/// Rounded down to its `most` largest units: with one `1h`, with two `1h5m`; below a second in `ms`.
pub fn rough(length: Duration, most: usize) -> String {
    let mut left = length.as_secs();
    let mut parts = Vec::new();
    for (unit, size) in [("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1)] {
        if left >= size && parts.len() < most {
            parts.push(format!("{}{unit}", left / size));
            left %= size;
        }
    }
    if parts.is_empty() { format!("{}ms", length.as_millis()) } else { parts.concat() }
}

/// A measured duration in at most five characters: `12ms`, `1.2s`, `48s`, `9.1m`.
pub fn measured(millis: u64) -> String {
    let seconds = millis as f64 / 1_000.0;
    match millis {
        0..1_000 => format!("{millis}ms"),
        1_000..10_000 => format!("{seconds:.1}s"),
        10_000..100_000 => format!("{seconds:.0}s"),
        _ => format!("{:.1}m", seconds / 60.0),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn each_unit_is_read() {
        for (text, millis) in [("250ms", 250), ("90", 90_000), ("30s", 30_000), ("5m", 300_000), ("2h", 7_200_000)] {
            assert_eq!(parse(text), Ok(Duration::from_millis(millis)), "{text}");
        }
        assert_eq!(parse("1w"), parse("7d"));
    }

    #[test]
    fn what_is_no_duration_is_refused() {
        for text in
            ["", "s", "-1s", "+1s", "1.5h", "1e3", " 1s", "1 s", "1s ", "1S", "5min", "1h30m", "99999999999999d", "٣s"]
        {
            assert_eq!(parse(text), Err(DurationError), "{text}");
        }
    }

    #[test]
    fn lengths_for_people_are_short() {
        let rough = |seconds, most| rough(Duration::from_secs(seconds), most);
        assert_eq!([0, 59, 3_900, 90_000].map(|seconds| rough(seconds, 1)), ["0ms", "59s", "1h", "1d"]);
        assert_eq!([5, 90, 3_905, 90_001].map(|seconds| rough(seconds, 2)), ["5s", "1m30s", "1h5m", "1d1h"]);
        assert_eq!([0, 999, 1_234, 12_345, 3_600_000].map(measured), ["0ms", "999ms", "1.2s", "12s", "60.0m"]);
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_as_the_same(millis in 0..=u64::MAX / 1_000) {
            let duration = Duration::from_millis(millis);
            prop_assert_eq!(parse(&format(duration)), Ok(duration));
        }

        #[test]
        fn no_text_panics(text in "[0-9]{0,25}[a-zA-Zé٣ .+-]{0,3}") {
            if let Ok(duration) = parse(&text) {
                prop_assert_eq!(parse(&format(duration)), Ok(duration));
            }
        }
    }
}

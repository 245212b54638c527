//! Lengths of time as people write them: `30s`, `5m`, `2h`, `7d`, or plain seconds.

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

//! Relative times: `3m ago`, `in 59s`.

use std::time::Duration;

use crate::domain::duration;
use crate::domain::time::Timestamp;

/// `time` relative to `now`: `just now`, `42s ago`, `in 5h`, `29d ago`; from 30 days on the date in UTC.
pub fn relative_time(time: Timestamp, now: Timestamp) -> String {
    let seconds = now.millis_since(time) / 1000;
    let distance = match seconds.unsigned_abs() {
        0 => return "just now".to_owned(),
        s if s < 30 * 86_400 => duration::rough(Duration::from_secs(s), 1),
        _ => return time.date_time().format("%Y-%m-%d").to_string(),
    };
    if seconds > 0 { format!("{distance} ago") } else { format!("in {distance}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances_are_said_in_their_largest_whole_unit() {
        let now = Timestamp::parse_rfc3339("2026-03-31T12:00:00Z").unwrap();
        let cases = [
            (0, "just now"),
            (-999, "just now"),
            (999, "just now"),
            (-1_000, "1s ago"),
            (-42_000, "42s ago"),
            (59_000, "in 59s"),
            (-60_000, "1m ago"),
            (-3_599_000, "59m ago"),
            (-5 * 3_600_000, "5h ago"),
            (3 * 3_600_000, "in 3h"),
            (-2 * 86_400_000, "2d ago"),
            (-29 * 86_400_000, "29d ago"),
            (-30 * 86_400_000, "2026-03-01"),
            (30 * 86_400_000, "2026-04-30"),
        ];
        for (offset, expected) in cases {
            assert_eq!(relative_time(now.plus_millis(offset), now), expected);
        }
    }
}

//! How long the log of finished deliveries is kept.

use super::delivery::Status;
use super::text::whole_number;
use super::time::Timestamp;

/// What is pruned automatically; `None` is nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Policy {
    /// How long finished deliveries are kept.
    pub keep_ms: Option<i64>,
    /// How long failed deliveries are kept, if that differs.
    pub keep_failed_ms: Option<i64>,
    /// The oldest deliveries are pruned while there are more than this.
    pub max_bytes: Option<i64>,
}

impl Policy {
    pub fn is_off(self) -> bool {
        self == Policy::default()
    }

    /// Which statuses are pruned if they ended before which time.
    pub fn by_age(self, now: Timestamp) -> Vec<(Vec<Status>, Timestamp)> {
        let before = |keep: Option<i64>| keep.map(|keep| now.plus_millis(-keep));
        let others = before(self.keep_ms).map(|before| (vec![Status::Success, Status::Cancelled], before));
        let failed = before(self.keep_failed_ms.or(self.keep_ms)).map(|before| (vec![Status::Failed], before));
        others.into_iter().chain(failed).collect()
    }
}

#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("not a size of at least 1M; write 500M, 2G, or a number of bytes")]
pub struct SizeError;

/// Reads `500M`, `2G`, `1T` or a number of bytes; a unit is 1024 times the one before it.
pub fn parse_size(text: &str) -> Result<i64, SizeError> {
    let (digits, exponent) = match text.char_indices().last() {
        Some((end, unit)) if unit.is_ascii_alphabetic() => {
            let exponent = "KMGT".find(unit.to_ascii_uppercase()).ok_or(SizeError)? as u32 + 1;
            (&text[..end], exponent)
        }
        _ => (text, 0),
    };
    let number: i64 = whole_number(digits).ok_or(SizeError)?;
    number.checked_mul(1024_i64.pow(exponent)).filter(|bytes| *bytes >= 1024 * 1024).ok_or(SizeError)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_units_of_1024() {
        let mib = 1024 * 1024;
        for (text, bytes) in [("1M", mib), ("2g", 2048 * mib), ("1048576", mib), ("2048K", 2 * mib), ("1T", mib * mib)]
        {
            assert_eq!(parse_size(text), Ok(bytes), "{text}");
        }
        for text in ["", "G", "1", "1023K", "-1G", "1.5G", "2GB", "9999999999999T", "1X", "é"] {
            assert_eq!(parse_size(text), Err(SizeError), "{text}");
        }
    }

    #[test]
    fn failed_deliveries_may_be_kept_longer() {
        let now = Timestamp::from_millis(1_000);
        let policy = Policy { keep_ms: Some(100), ..Policy::default() };
        let ages = |policy: Policy| policy.by_age(now).iter().map(|(_, before)| before.millis()).collect::<Vec<_>>();
        assert_eq!(ages(policy), [900, 900]);
        assert_eq!(ages(Policy { keep_failed_ms: Some(300), ..policy }), [900, 700]);
        assert_eq!(ages(Policy { keep_failed_ms: Some(300), ..Policy::default() }), [700]);
        assert_eq!(ages(Policy { max_bytes: Some(1), ..Policy::default() }), [0_i64; 0]);
    }
}

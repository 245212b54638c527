//! A histogram of durations: quantiles of any number of them in constant memory.

/// Durations below this have a bucket each, in milliseconds.
const EXACT_BELOW: u64 = 256;
/// Buckets for each doubling above: none is wider than 1/128 of the durations in it.
const STEPS: u64 = 128;

/// How often each duration occurred. Exact below 256 ms, within 0.4 per cent above; the longest is always exact.
#[derive(Clone, Debug, Default)]
pub struct Histogram {
    /// Up to the bucket of the longest duration: some hundred entries, about 2,000 for an hour.
    counts: Vec<u64>,
    total: u64,
    longest: u64,
}

impl Histogram {
    /// Counts a duration in milliseconds; a negative one, from a clock set back, counts as 0.
    pub fn add(&mut self, millis: i64) {
        let millis = u64::try_from(millis).unwrap_or(0);
        let bucket = bucket_of(millis);
        if self.counts.len() <= bucket {
            self.counts.resize(bucket + 1, 0);
        }
        self.counts[bucket] += 1;
        self.total += 1;
        self.longest = self.longest.max(millis);
    }

    /// The duration in milliseconds that this share of all (0.0 to 1.0) does not exceed, by nearest rank; `None` if there
    /// are none.
    pub fn quantile(&self, share: f64) -> Option<u64> {
        let rank = ((share * self.total as f64).ceil() as u64).max(1);
        let mut seen = 0;
        let bucket = self.counts.iter().position(|count| {
            seen += count;
            seen >= rank
        })?;
        Some(middle_of(bucket).min(self.longest))
    }

    /// The longest, in milliseconds; `None` when there is none.
    pub fn longest(&self) -> Option<u64> {
        (self.total > 0).then_some(self.longest)
    }
}

fn bucket_of(millis: u64) -> usize {
    if millis < EXACT_BELOW {
        return millis as usize;
    }
    let doublings = u64::from(millis.ilog2()) - 8;
    let step = (millis >> (doublings + 1)) - STEPS;
    (EXACT_BELOW + doublings * STEPS + step) as usize
}

fn middle_of(bucket: usize) -> u64 {
    let bucket = bucket as u64;
    if bucket < EXACT_BELOW {
        return bucket;
    }
    let (doublings, step) = ((bucket - EXACT_BELOW) / STEPS, (bucket - EXACT_BELOW) % STEPS);
    let width = 1 << (doublings + 1);
    (STEPS + step) * width + width / 2
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(lengths: impl IntoIterator<Item = i64>) -> Histogram {
        let mut histogram = Histogram::default();
        lengths.into_iter().for_each(|length| histogram.add(length));
        histogram
    }

    #[test]
    fn quantiles_are_the_nearest_rank() {
        let histogram = of(1..=100);
        assert_eq!(histogram.quantile(0.5), Some(50));
        assert_eq!(histogram.quantile(0.9), Some(90));
        assert_eq!(histogram.quantile(0.99), Some(99));
        assert_eq!(histogram.quantile(1.0), Some(100));
        assert_eq!(of([7]).quantile(0.5), Some(7));
    }

    #[test]
    fn nothing_counted_has_no_quantile() {
        assert_eq!(Histogram::default().quantile(0.5), None);
        assert_eq!(Histogram::default().longest(), None);
    }

    #[test]
    fn long_ones_are_right_within_half_a_per_cent_and_the_longest_exactly() {
        for length in [255, 256, 257, 511, 512, 1_000, 12_345, 59_999, 3_600_000, 1 << 40] {
            let told = of([length, i64::MAX]).quantile(0.5).unwrap();
            assert!(told.abs_diff(length as u64) * 250 <= length as u64, "{length} is told as {told}");
            assert_eq!(of([length]).quantile(0.5), Some(told.min(length as u64)));
            assert_eq!(of([length]).longest(), Some(length as u64));
        }
    }

    #[test]
    fn every_length_has_a_bucket_above_those_before_it() {
        let buckets: Vec<usize> = (0..5_000).map(bucket_of).collect();
        assert!(buckets.windows(2).all(|pair| pair[0] <= pair[1] && pair[1] - pair[0] <= 1), "{buckets:?}");
        assert_eq!(of([-5]).quantile(0.5), Some(0));
    }
}

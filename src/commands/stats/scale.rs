//! The vertical scale of a chart.

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Scale {
    /// Linear, from 0 to `most`.
    Linear { most: f64 },
    /// Logarithmic, from one power of ten to another, so that milliseconds are visible beside half a minute.
    Powers {
        /// The exponent at the bottom.
        low: i32,
        /// The exponent at the top.
        high: i32,
    },
}

impl Scale {
    /// From 0 to a round number of at least `highest`.
    pub fn linear(highest: f64) -> Scale {
        if highest <= 1.0 {
            return Scale::Linear { most: 1.0 };
        }
        let power = 10_f64.powf(highest.log10().floor());
        let steps = [1.0, 2.0, 4.0, 6.0, 8.0, 10.0];
        let most = steps.into_iter().map(|step| step * power).find(|step| *step >= highest);
        Scale::Linear { most: most.unwrap_or(10.0 * power) }
    }

    /// Powers of ten around both values; values below 1 count as 1.
    pub fn powers(lowest: f64, highest: f64) -> Scale {
        let low = lowest.max(1.0).log10().floor() as i32;
        let high = highest.max(1.0).log10().ceil() as i32;
        Scale::Powers { low, high: high.max(low + 1) }
    }

    /// The height of a value, from 0.0 at the bottom to 1.0 at the top.
    pub fn share(self, value: f64) -> f64 {
        let share = match self {
            Scale::Linear { most } => value / most,
            Scale::Powers { low, high } => (value.max(1.0).log10() - f64::from(low)) / f64::from(high - low),
        };
        share.clamp(0.0, 1.0)
    }

    /// The values with a mark, from the bottom to the top.
    pub fn marks(self) -> Vec<f64> {
        match self {
            Scale::Linear { most } => vec![0.0, most / 2.0, most],
            Scale::Powers { low, high } => (low..=high).map(|exponent| 10_f64.powi(exponent)).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn linear_scales_end_in_round_numbers() {
        let ends = [0.0, 1.0, 3.0, 7.0, 10.0, 11.0, 850.0].map(|highest| Scale::linear(highest).marks()[2].to_string());
        assert_eq!(ends, ["1", "1", "4", "8", "10", "20", "1000"]);
    }

    #[test]
    fn powers_of_ten_hold_the_lowest_and_the_highest() {
        assert_eq!(Scale::powers(80.0, 30_000.0), Scale::Powers { low: 1, high: 5 });
        assert_eq!(Scale::powers(0.0, 0.0), Scale::Powers { low: 0, high: 1 });
        let scale = Scale::powers(10.0, 1_000.0);
        assert_eq!(scale.marks(), [10.0, 100.0, 1_000.0]);
        let shares = [1.0, 10.0, 100.0, 1_000.0, 9_999.0].map(|value| scale.share(value).to_string());
        assert_eq!(shares, ["0", "0", "0.5", "1", "1"]);
    }
}

//! The one source of randomness.

/// Random numbers: secrets straight from the system's generator, the rest (jitter, ids, claim tokens) from a fast generator
/// that the system's seeds once.
#[derive(Debug)]
pub struct Random {
    state: u64,
}

impl Random {
    /// Seeds a generator from the system's.
    pub fn new() -> Result<Random, getrandom::Error> {
        Ok(Random { state: getrandom::u64()? })
    }

    /// 32 bytes from the system's generator, for a secret.
    pub fn secret_bytes() -> Result<[u8; 32], getrandom::Error> {
        let mut bytes = [0; 32];
        getrandom::fill(&mut bytes)?;
        Ok(bytes)
    }

    /// The next 64 random bits (SplitMix64, Steele, Lea and Flood 2014).
    pub fn next_u64(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// The next 128 random bits.
    pub fn next_u128(&mut self) -> u128 {
        (u128::from(self.next_u64()) << 64) | u128::from(self.next_u64())
    }

    /// A positive number that fits a database integer.
    pub fn next_token(&mut self) -> i64 {
        (self.next_u64() >> 1) as i64
    }

    /// A number in −1.0..=1.0, evenly spread.
    pub fn next_jitter(&mut self) -> f64 {
        (self.next_u64() >> 11) as f64 / (1_u64 << 52) as f64 - 1.0
    }
}

//! Chance that can be had again: random numbers and moments from a seed that is printed.

use std::time::Duration;

/// Where random choices of a test come from.
pub struct Chance(fastrand::Rng);

impl Chance {
    /// Starts from `ITHACA_SEED`, or from a new seed, and prints it with what it is for.
    ///
    /// # Errors
    /// When `ITHACA_SEED` is not a number.
    pub fn seeded(what: &str) -> anyhow::Result<Self> {
        let seed = match std::env::var("ITHACA_SEED") {
            Ok(text) => text.parse()?,
            Err(_) => fastrand::u64(..1_000_000),
        };
        eprintln!("{what}: ITHACA_SEED={seed}");
        Ok(Self(fastrand::Rng::with_seed(seed)))
    }

    /// A number from 0 to `below`, without it.
    pub fn number(&mut self, below: usize) -> usize {
        self.0.usize(..below.max(1))
    }

    /// One or the other, each as often.
    pub fn coin(&mut self) -> bool {
        self.0.bool()
    }

    /// Returns after a random time, at most `longest`.
    pub async fn moment(&mut self, longest: Duration) {
        tokio::time::sleep(longest.mul_f64(self.0.f64())).await;
    }
}

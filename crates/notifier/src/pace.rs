//! How fast a sink may work: a burst, then a steady rate. Pure: the clock is handed in.

use std::time::{Duration, Instant};

/// A bucket of permits that fills at a steady rate and holds what one second brings.
#[derive(Debug)]
pub(crate) struct Pace {
    interval: Duration,
    burst: u32,
    /// When the bucket would be empty had every permit been taken at the steady rate.
    spent_until: Option<Instant>,
}

impl Pace {
    /// At most `per_second` permits a second, as many at once after a pause.
    pub(crate) fn new(per_second: u32) -> Self {
        let per_second = per_second.max(1);
        Self { interval: Duration::from_secs(1) / per_second, burst: per_second, spent_until: None }
    }

    /// Takes a permit; returns how long to wait before it may be used.
    pub(crate) fn take(&mut self, now: Instant) -> Duration {
        let start = self.spent_until.map_or(now, |until| until.max(now));
        let spent = start + self.interval;
        self.spent_until = Some(spent);
        spent.saturating_duration_since(now + self.interval * self.burst)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_passes_at_once_and_then_the_rate_holds() {
        let start = Instant::now();
        let mut pace = Pace::new(4);
        let waits: Vec<u128> = (0..7).map(|_| pace.take(start).as_millis()).collect();
        assert_eq!(waits, [0, 0, 0, 0, 250, 500, 750]);
    }

    #[test]
    fn a_pause_fills_the_bucket_again_but_not_over_its_rim() {
        let start = Instant::now();
        let mut pace = Pace::new(2);
        for _ in 0..4 {
            pace.take(start);
        }
        let later = start + Duration::from_secs(60);
        let waits: Vec<u128> = (0..3).map(|_| pace.take(later).as_millis()).collect();
        assert_eq!(waits, [0, 0, 500]);
    }
}

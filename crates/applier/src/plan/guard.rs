//! The deletion guard: pruning much of an application, or of an ApplicationSet, at once waits for somebody's word.
//!
//! What comes in: how many objects, or Applications, would go, of how many. What goes out: whether that may be a mistake.
//! A wrong path or an empty folder in a commit is one typo; it should not be an outage.

use clap::Args;

/// From when on pruning waits for a confirmation.
#[derive(Args, Clone, Copy, Debug, PartialEq, Eq)]
pub struct Guard {
    /// Pruning more objects of one Application, or more Applications of one ApplicationSet, than this at once may wait for
    /// a confirmation
    #[arg(long = "prune-guard-objects", env = "ITHACA_PRUNE_GUARD_OBJECTS", default_value_t = 10)]
    pub objects: usize,
    /// It waits where they are more than this share of all of them, in percent; 100 never waits
    #[arg(long = "prune-guard-percent", env = "ITHACA_PRUNE_GUARD_PERCENT", default_value_t = 50)]
    pub percent: usize,
}

impl Default for Guard {
    fn default() -> Self {
        Self { objects: 10, percent: 50 }
    }
}

impl Guard {
    /// Whether so many of so many may not go without a word.
    pub fn holds(self, doomed: usize, all: usize) -> bool {
        doomed > self.objects && doomed * 100 > all * self.percent
    }

    /// Whether nothing ever waits.
    pub fn is_off(self) -> bool {
        self.percent >= 100
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_than_half_and_more_than_ten_wait() {
        let guard = Guard::default();
        assert!(!guard.holds(10, 10));
        assert!(guard.holds(11, 21));
        assert!(!guard.holds(11, 22));
        assert!(!Guard { percent: 100, ..guard }.holds(500, 500));
    }
}

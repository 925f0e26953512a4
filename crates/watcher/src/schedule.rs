//! When a repository is asked next: pure decisions on given times.
//!
//! One call at a time for each repository; requests that come while one runs are served by the next.
//! A remote that fails is asked again sooner than usual, ever less often, until it answers.

use std::time::{Duration, Instant};

/// How often repositories are asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// The time between two calls; zero means only when there is a reason.
    pub interval: Duration,
    /// The most that is added to the interval by chance, so that not all are asked at once.
    pub jitter: Duration,
}

/// The first wait after a failure.
const FIRST_RETRY: Duration = Duration::from_secs(3);
/// The longest wait after failures where there is no interval.
const LONGEST_RETRY: Duration = Duration::from_secs(120);

/// The calls to one repository.
#[derive(Clone, Debug, Default)]
pub struct Schedule {
    running: bool,
    due: Option<Instant>,
    failures: u32,
    last_started: Option<Instant>,
}

impl Schedule {
    /// Asks for a call no later than `at`.
    pub fn request(&mut self, at: Instant) {
        self.due = Some(self.due.map_or(at, |due| due.min(at)));
    }

    /// Starts a call if one is due and none runs.
    pub fn start(&mut self, now: Instant) -> bool {
        if self.running || self.due.is_none_or(|due| due > now) {
            return false;
        }
        self.running = true;
        self.due = None;
        self.last_started = Some(now);
        true
    }

    /// A call ended. `chance` is between 0 and 1.
    pub fn finish(&mut self, now: Instant, is_ok: bool, policy: &Policy, chance: f64) {
        self.running = false;
        self.failures = if is_ok { 0 } else { self.failures.saturating_add(1) };
        let longest = if policy.interval.is_zero() { LONGEST_RETRY } else { policy.interval };
        let wait = match self.failures {
            0 if policy.interval.is_zero() => return,
            0 => policy.interval + policy.jitter.mul_f64(chance.clamp(0.0, 1.0)),
            failures => FIRST_RETRY.saturating_mul(1 << (failures - 1).min(16)).min(longest),
        };
        self.request(now + wait);
    }

    /// When the next call is due; None while one runs or where there is no reason for one.
    pub fn next(&self) -> Option<Instant> {
        if self.running { None } else { self.due }
    }

    /// When the last call was started.
    pub fn last_started(&self) -> Option<Instant> {
        self.last_started
    }

    /// Whether a call runs.
    pub fn is_running(&self) -> bool {
        self.running
    }

    /// Whether the last call failed.
    pub fn is_failing(&self) -> bool {
        self.failures > 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const POLICY: Policy = Policy { interval: Duration::from_secs(120), jitter: Duration::from_secs(60) };

    fn waits(outcomes: &[bool], policy: &Policy) -> Vec<u64> {
        let mut now = Instant::now();
        let mut schedule = Schedule::default();
        let mut waits = Vec::new();
        for is_ok in outcomes {
            schedule.request(now);
            assert!(schedule.start(now));
            schedule.finish(now, *is_ok, policy, 0.5);
            let next = schedule.next().expect("a next call");
            waits.push(next.duration_since(now).as_secs());
            now = next;
        }
        waits
    }

    #[test]
    fn a_remote_is_asked_once_an_interval_and_some_chance() {
        assert_eq!(waits(&[true, true], &POLICY), [150, 150]);
    }

    #[test]
    fn a_failing_remote_is_asked_ever_less_often() {
        assert_eq!(waits(&[false, false, false, true], &POLICY), [3, 6, 12, 150]);
        assert_eq!(waits(&[false; 8], &POLICY)[7], 120);
    }

    #[test]
    fn without_an_interval_only_reasons_count() {
        let policy = Policy { interval: Duration::ZERO, ..POLICY };
        let now = Instant::now();
        let mut schedule = Schedule::default();
        schedule.request(now);
        assert!(schedule.start(now));
        schedule.finish(now, true, &policy, 0.0);
        assert_eq!(schedule.next(), None);
        assert_eq!(waits(&[false], &policy), [3]);
    }

    #[test]
    fn requests_during_a_call_are_served_by_one_more() {
        let now = Instant::now();
        let mut schedule = Schedule::default();
        schedule.request(now);
        assert!(schedule.start(now));
        schedule.request(now);
        schedule.request(now);
        assert!(!schedule.start(now));
        assert_eq!(schedule.next(), None);
        schedule.finish(now, true, &POLICY, 0.0);
        assert!(schedule.start(now));
        schedule.finish(now, true, &POLICY, 0.0);
        assert!(!schedule.start(now));
    }
}

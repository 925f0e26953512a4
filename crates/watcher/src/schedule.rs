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
    /// The time after which each application is rendered anew though nothing changed; zero means never.
    pub hard: Duration,
}

impl Policy {
    /// The policy for a repository whose Applications ask for these intervals; `None` is one that leaves it to this
    /// policy. The shortest counts, and zero is longer than any.
    pub fn shortest(&self, asked: impl IntoIterator<Item = Option<Duration>>) -> Self {
        let policy = |asked: Option<Duration>| match asked {
            // A short interval is not to be made long by chance.
            Some(interval) => Self { interval, jitter: self.jitter.min(interval / 2), ..*self },
            None => *self,
        };
        let timed = asked.into_iter().map(policy).filter(|policy| !policy.interval.is_zero());
        let none = Self { interval: Duration::ZERO, jitter: Duration::ZERO, ..*self };
        timed.min_by_key(|policy| policy.interval).unwrap_or(none)
    }
}

/// The first wait after a failure.
const FIRST_RETRY: Duration = Duration::from_secs(3);
/// The longest wait after failures, where the interval is not longer.
const LONGEST_RETRY: Duration = Duration::from_secs(120);
/// The longest that a remote is left alone because it asks for it.
const LONGEST_HOLD: Duration = Duration::from_secs(3600);

/// The calls to one repository.
#[derive(Clone, Debug, Default)]
pub struct Schedule {
    running: bool,
    due: Option<Instant>,
    /// Until then the remote wants to be left alone, whatever the reason for a call.
    held_until: Option<Instant>,
    failures: u32,
    last_started: Option<Instant>,
}

/// How a call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// With an answer.
    Answered,
    /// With a failure, and how long the remote wants to be left alone, if it says so.
    Failed(Option<Duration>),
}

impl Schedule {
    /// Asks for a call no later than `at`.
    pub fn request(&mut self, at: Instant) {
        self.due = Some(self.due.map_or(at, |due| due.min(at)));
    }

    /// Starts a call if one is due and none runs.
    pub fn start(&mut self, now: Instant) -> bool {
        if self.next().is_none_or(|next| next > now) {
            return false;
        }
        self.running = true;
        self.due = None;
        self.held_until = None;
        self.last_started = Some(now);
        true
    }

    /// A call ended. `chance` is between 0 and 1.
    pub fn finish(&mut self, now: Instant, ended: Ended, policy: &Policy, chance: f64) {
        self.running = false;
        let chance = chance.clamp(0.0, 1.0);
        let wait = match ended {
            Ended::Answered => {
                self.failures = 0;
                if policy.interval.is_zero() {
                    return;
                }
                policy.interval + policy.jitter.mul_f64(chance)
            }
            Ended::Failed(hold) => {
                self.failures = self.failures.saturating_add(1);
                self.held_until = hold.map(|hold| now + hold.min(LONGEST_HOLD));
                let longest = policy.interval.max(LONGEST_RETRY);
                let doubled = FIRST_RETRY.saturating_mul(1 << (self.failures - 1).min(16));
                // Many that failed at once are not to come back at once.
                doubled.min(longest).mul_f64(0.75 + chance / 2.0)
            }
        };
        self.request(now + wait);
    }

    /// Brings the next call forward to what a new policy makes of it; one that is due earlier stays.
    pub fn bring_forward(&mut self, now: Instant, policy: &Policy) {
        if !self.running && !policy.interval.is_zero() {
            self.request(now + policy.interval + policy.jitter);
        }
    }

    /// Leaves the remote alone no longer: it asked somebody else for it.
    pub fn release(&mut self) {
        self.held_until = None;
    }

    /// Whether the remote is left alone because it asked for it.
    pub fn is_held(&self, now: Instant) -> bool {
        self.held_until.is_some_and(|until| until > now)
    }

    /// When the next call is due; None while one runs or where there is no reason for one.
    pub fn next(&self) -> Option<Instant> {
        let due = self.due.filter(|_| !self.running)?;
        Some(self.held_until.map_or(due, |until| until.max(due)))
    }

    /// When the last call was started.
    pub fn last_started(&self) -> Option<Instant> {
        self.last_started
    }

    /// Whether a call runs.
    pub fn is_running(&self) -> bool {
        self.running
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const POLICY: Policy =
        Policy { interval: Duration::from_secs(120), jitter: Duration::from_secs(60), hard: Duration::ZERO };

    fn waits(outcomes: &[bool], policy: &Policy) -> Vec<u64> {
        let mut now = Instant::now();
        let mut schedule = Schedule::default();
        let mut waits = Vec::new();
        for is_ok in outcomes {
            schedule.request(now);
            assert!(schedule.start(now));
            let ended = if *is_ok { Ended::Answered } else { Ended::Failed(None) };
            schedule.finish(now, ended, policy, 0.5);
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
        let often = Policy { interval: Duration::from_secs(5), ..POLICY };
        assert_eq!(
            waits(&[false; 8], &often)[7],
            120,
            "a short interval is no reason to press a remote that fails"
        );
        let seldom = Policy { interval: Duration::from_secs(600), ..POLICY };
        assert_eq!(waits(&[false; 12], &seldom)[11], 600);
    }

    #[test]
    fn many_that_failed_at_once_come_back_one_by_one() {
        let wait = |chance| {
            let (now, mut schedule) = (Instant::now(), Schedule::default());
            schedule.request(now);
            assert!(schedule.start(now));
            schedule.finish(now, Ended::Failed(None), &POLICY, chance);
            schedule.next().expect("a next call").duration_since(now).as_millis()
        };
        assert_eq!([wait(0.0), wait(0.5), wait(1.0)], [2_250, 3_000, 3_750]);
    }

    #[test]
    fn a_remote_that_wants_to_be_left_alone_is_whatever_the_reason() {
        let (now, mut schedule) = (Instant::now(), Schedule::default());
        let hold = |schedule: &mut Schedule, hold| {
            schedule.request(now);
            assert!(schedule.start(now));
            schedule.finish(now, Ended::Failed(Some(Duration::from_secs(hold))), &POLICY, 0.5);
        };
        hold(&mut schedule, 60);
        schedule.request(now);
        let before = now + Duration::from_secs(59);
        assert!(schedule.is_held(before) && !schedule.start(before));
        assert_eq!(schedule.next(), Some(now + Duration::from_secs(60)));
        assert!(!schedule.is_held(now + Duration::from_secs(60)));
        assert!(schedule.start(now + Duration::from_secs(60)));
        let mut liar = Schedule::default();
        hold(&mut liar, 1_000_000);
        assert_eq!(liar.next(), Some(now + LONGEST_HOLD));
    }

    #[test]
    fn the_shortest_interval_of_a_repositorys_applications_counts() {
        let seconds = |asked: &[Option<u64>]| {
            let asked = asked.iter().map(|asked| asked.map(Duration::from_secs));
            let Policy { interval, jitter, .. } = POLICY.shortest(asked);
            (interval.as_secs(), jitter.as_secs())
        };
        assert_eq!(seconds(&[None, None]), (120, 60));
        assert_eq!(seconds(&[Some(600), None]), (120, 60));
        assert_eq!(seconds(&[Some(600), Some(900)]), (600, 60));
        assert_eq!(seconds(&[Some(10), None]), (10, 5));
        assert_eq!(seconds(&[Some(0), Some(600)]), (600, 60));
        assert_eq!(seconds(&[Some(0), Some(0)]), (0, 0));
    }

    #[test]
    fn a_shorter_interval_brings_the_next_call_forward_and_a_longer_one_delays_none() {
        let (now, mut schedule) = (Instant::now(), Schedule::default());
        let next = |schedule: &Schedule| schedule.next().map(|next| next.duration_since(now).as_secs());
        let policy = |interval, jitter| Policy {
            interval: Duration::from_secs(interval),
            jitter: Duration::from_secs(jitter),
            ..POLICY
        };
        schedule.request(now);
        assert!(schedule.start(now));
        schedule.bring_forward(now, &policy(10, 5));
        schedule.finish(now, Ended::Answered, &POLICY, 0.0);
        assert_eq!(next(&schedule), Some(120), "what runs takes the new interval as it ends");
        for (interval, jitter, expected) in [(0, 5, 120), (600, 5, 120), (20, 5, 25), (120, 60, 25)] {
            schedule.bring_forward(now, &policy(interval, jitter));
            assert_eq!(next(&schedule), Some(expected), "{interval}");
        }
    }

    #[test]
    fn without_an_interval_only_reasons_count() {
        let policy = Policy { interval: Duration::ZERO, ..POLICY };
        let now = Instant::now();
        let mut schedule = Schedule::default();
        schedule.request(now);
        assert!(schedule.start(now));
        schedule.finish(now, Ended::Answered, &policy, 0.0);
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
        schedule.finish(now, Ended::Answered, &POLICY, 0.0);
        assert!(schedule.start(now));
        schedule.finish(now, Ended::Answered, &POLICY, 0.0);
        assert!(!schedule.start(now));
    }
}

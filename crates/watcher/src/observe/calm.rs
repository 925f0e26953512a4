//! Facts in which only a revision moved wait: they change nothing in the cluster, and in a monorepo
//! there are as many as applications. They are said once the repository is quiet, a few at a time.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use super::effect::Key;

/// How many are said at once, and how long until the next ones are.
const BATCH: usize = 20;
const PAUSE: Duration = Duration::from_millis(200);
/// A repository that is never quiet delays them no longer than this.
const LONGEST: Duration = Duration::from_secs(60);

/// The facts that wait.
#[derive(Clone, Debug, Default)]
pub(super) struct Calm {
    waiting: BTreeSet<(Instant, Key)>,
    not_before: Option<Instant>,
}

/// Since when and until when one fact waits.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wait {
    since: Instant,
    until: Instant,
}

impl Calm {
    /// Lets a fact wait for `quiet` from now; one that waits already waits anew, within limits.
    pub(super) fn defer(&mut self, now: Instant, quiet: Duration, key: &Key, wait: Option<Wait>) -> Wait {
        self.cancel(key, wait);
        let since = wait.map_or(now, |wait| wait.since);
        let until = (now + quiet).min(since + LONGEST.max(quiet));
        self.waiting.insert((until, key.clone()));
        Wait { since, until }
    }

    /// Takes a fact out.
    pub(super) fn cancel(&mut self, key: &Key, wait: Option<Wait>) {
        if let Some(wait) = wait {
            self.waiting.remove(&(wait.until, key.clone()));
        }
    }

    /// The facts whose time has come.
    pub(super) fn due(&mut self, now: Instant) -> Vec<Key> {
        if self.not_before.is_some_and(|time| time > now) {
            return Vec::new();
        }
        let mut due = Vec::new();
        while due.len() < BATCH && self.waiting.first().is_some_and(|(until, _)| *until <= now) {
            due.extend(self.waiting.pop_first().map(|(_, key)| key));
        }
        self.not_before = (!due.is_empty()).then(|| now + PAUSE);
        due
    }

    /// When to ask next.
    pub(super) fn next(&self) -> Option<Instant> {
        let (until, _) = self.waiting.first()?;
        Some(self.not_before.map_or(*until, |time| time.max(*until)))
    }
}

#[cfg(test)]
mod tests {
    use ithaca_proto::v1::Purpose;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);
    const QUIET: Duration = Duration::from_secs(5);

    fn key(number: usize) -> Key {
        Key { uid: format!("{number:03}").into(), purpose: Purpose::Tracked }
    }

    #[test]
    fn twenty_are_said_at_once_and_the_next_after_a_pause() {
        let (now, mut calm) = (Instant::now(), Calm::default());
        for number in 0..45 {
            calm.defer(now, QUIET, &key(number), None);
        }
        assert_eq!(calm.next(), Some(now + QUIET));
        let mut time = now + QUIET;
        for expected in [20, 20, 5] {
            assert_eq!(calm.due(time).len(), expected);
            assert!(calm.due(time).is_empty());
            assert_eq!(calm.next(), (expected == 20).then_some(time + PAUSE));
            time += PAUSE;
        }
    }

    #[test]
    fn one_that_waits_anew_waits_for_no_more_than_a_minute() {
        let (now, mut calm) = (Instant::now(), Calm::default());
        let mut wait = None;
        for second in (0..60).step_by(4) {
            wait = Some(calm.defer(now + second * SECOND, QUIET, &key(0), wait));
        }
        assert_eq!(calm.next(), Some(now + 60 * SECOND));
        calm.cancel(&key(0), wait);
        assert_eq!(calm.next(), None);
        // Who wants more quiet than that has it.
        calm.defer(now, 90 * SECOND, &key(0), None);
        assert_eq!(calm.next(), Some(now + 90 * SECOND));
    }
}

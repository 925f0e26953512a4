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

//! When applications are rendered anew, whatever is known of them (`timeout.hard.reconciliation`): what a plugin makes
//! may depend on more than what it is given.
//!
//! In: the interval, and which applications there are. Out: whose time has come. Each has a time of its own within the
//! interval, so that a thousand are not rendered at once.

use std::collections::{BTreeSet, HashMap};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Whose turn is when.
#[derive(Debug, Default)]
pub(super) struct Renewals {
    /// Zero means never.
    interval: Duration,
    turns: BTreeSet<(Instant, Arc<str>)>,
    of: HashMap<Arc<str>, Instant>,
}

impl Renewals {
    /// Of no application yet.
    pub(super) fn new(interval: Duration) -> Self {
        Self { interval, ..Self::default() }
    }

    /// Renews these applications at another interval from now on.
    pub(super) fn set_interval<'a>(
        &mut self,
        now: Instant,
        interval: Duration,
        uids: impl IntoIterator<Item = &'a Arc<str>>,
    ) {
        if interval != self.interval {
            *self = Self::new(interval);
            uids.into_iter().for_each(|uid| self.add(now, uid));
        }
    }

    /// There is one more application; one that is known keeps its turn.
    pub(super) fn add(&mut self, now: Instant, uid: &Arc<str>) {
        if !self.interval.is_zero() && !self.of.contains_key(uid) {
            self.put(now + self.interval.mul_f64(share(uid)), uid.clone());
        }
    }

    /// An application is gone.
    pub(super) fn remove(&mut self, uid: &str) {
        if let Some((uid, turn)) = self.of.remove_entry(uid) {
            self.turns.remove(&(turn, uid));
        }
    }

    /// Those whose time has come; it comes again after the interval.
    pub(super) fn due(&mut self, now: Instant) -> Vec<Arc<str>> {
        let due: Vec<_> = self.turns.extract_if(.., |(turn, _)| *turn <= now).map(|(_, uid)| uid).collect();
        due.iter().for_each(|uid| self.put(now + self.interval, uid.clone()));
        due
    }

    /// When to ask next.
    pub(super) fn next(&self) -> Option<Instant> {
        self.turns.first().map(|(turn, _)| *turn)
    }

    fn put(&mut self, turn: Instant, uid: Arc<str>) {
        self.of.insert(uid.clone(), turn);
        self.turns.insert((turn, uid));
    }
}

/// An application's place within the interval, from above 0 to 1.
fn share(uid: &str) -> f64 {
    const PLACES: u64 = 1 << 20;
    let mut hasher = DefaultHasher::new();
    uid.hash(&mut hasher);
    (hasher.finish() % PLACES + 1) as f64 / PLACES as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_has_its_turn_within_the_interval_until_it_is_gone() {
        let (now, hour) = (Instant::now(), Duration::from_secs(3_600));
        let uids: [Arc<str>; 2] = ["a".into(), "b".into()];
        let mut renewals = Renewals::new(hour);
        uids.iter().for_each(|uid| renewals.add(now, uid));
        let first = renewals.next().expect("a turn");
        assert!(now < first && first <= now + hour);
        assert!(renewals.due(now).is_empty());
        let mut due = renewals.due(now + hour);
        due.sort();
        assert_eq!(due, uids);
        assert_eq!(renewals.next(), Some(now + hour + hour));
        renewals.remove("a");
        assert_eq!(renewals.due(now + hour + hour), uids[1..]);
        renewals.remove("b");
        assert_eq!(renewals.next(), None);
    }
}

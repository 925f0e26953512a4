//! Whose turn it is to fetch a whole repository.
//!
//! One of ten thousand files takes two megabytes while it comes: libgit2 keeps a note of each object until the last is there,
//! and HTTP a buffer. Ten at a time take ten times that, and are done no sooner.
//!
//! What comes in: who wants to fetch, and when it waits for its remote. What goes out: that it may, to two at a time, first
//! come, first served. What it does not do: have anybody wait for the remote of another. Who waits for its own is soon not
//! counted any more, and after two seconds everybody may. A turn is waited for before the remote is asked for anything, so
//! nothing piles up meanwhile. Fetches of what is new in a repository need none.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How many fetch at a time, of those that are counted.
const AT_ONCE: usize = 2;
/// Whose remote had it wait so long in all is not counted any more.
const REMOTE: Duration = Duration::from_millis(250);
/// Nobody waits longer for a turn.
const PATIENCE: Duration = Duration::from_secs(2);
/// Who waits looks no more often, unless somebody has ended.
const PAUSE: Duration = Duration::from_millis(10);

static QUEUE: Mutex<Queue> = Mutex::new(Queue::new());
static ENDED: Condvar = Condvar::new();

thread_local! {
    /// Of the turn that this thread has.
    static NUMBER: Cell<Option<u64>> = const { Cell::new(None) };
}

/// A turn, for as long as this lives, on the thread that took it.
pub(super) struct Turn(u64);

/// Waits for a turn; no longer than an eighth of what the whole call may take.
pub(super) fn take(call: Duration) -> Turn {
    let mut queue = queue();
    let number = queue.join(Instant::now() + PATIENCE.min(call / 8));
    loop {
        let now = Instant::now();
        let Some(next) = queue.begin(number, now) else { break };
        let waited = ENDED.wait_timeout(queue, next.max(now + PAUSE) - now);
        queue = waited.unwrap_or_else(PoisonError::into_inner).0;
    }
    NUMBER.set(Some(number));
    Turn(number)
}

/// Waits for a remote. If this thread has a turn, it is told so.
pub(super) fn waiting<T>(wait: impl FnOnce() -> T) -> T {
    let Some(number) = NUMBER.get() else { return wait() };
    queue().waits(number, Instant::now());
    let outcome = wait();
    queue().goes_on(number, Instant::now());
    outcome
}

impl Drop for Turn {
    fn drop(&mut self) {
        NUMBER.set(None);
        queue().end(self.0);
        ENDED.notify_all();
    }
}

fn queue() -> MutexGuard<'static, Queue> {
    QUEUE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Who fetches, and who wants to.
struct Queue {
    next: u64,
    /// Until when each waits at most, in the order in which they came.
    waiting: BTreeMap<u64, Instant>,
    fetching: BTreeMap<u64, Fetching>,
}

/// Who has a turn.
#[derive(Default)]
struct Fetching {
    /// How long its remote had it wait.
    waited: Duration,
    /// Since when it does so now.
    since: Option<Instant>,
}

impl Queue {
    const fn new() -> Self {
        Self { next: 0, waiting: BTreeMap::new(), fetching: BTreeMap::new() }
    }

    /// Somebody wants a turn, and waits no longer than until then. Returns its number.
    fn join(&mut self, until: Instant) -> u64 {
        self.next += 1;
        self.waiting.insert(self.next, until);
        self.next
    }

    /// Gives a turn to one that waits, if it may have it; if not, returns when that can be otherwise at the earliest,
    /// unless somebody ends before.
    fn begin(&mut self, number: u64, now: Instant) -> Option<Instant> {
        let until = *self.waiting.get(&number)?;
        let ahead = self.waiting.range(..number).count();
        let counted: Vec<Instant> = self.fetching.values().filter_map(|one| one.counts_until(now)).collect();
        if ahead + counted.len() < AT_ONCE || until <= now {
            self.waiting.remove(&number);
            self.fetching.insert(number, Fetching::default());
            return None;
        }
        Some(counted.into_iter().fold(until, Instant::min))
    }

    fn waits(&mut self, number: u64, now: Instant) {
        if let Some(one) = self.fetching.get_mut(&number) {
            one.since = Some(now);
        }
    }

    fn goes_on(&mut self, number: u64, now: Instant) {
        if let Some(one) = self.fetching.get_mut(&number) {
            one.waited = one.waited_at(now);
            one.since = None;
        }
    }

    fn end(&mut self, number: u64) {
        self.fetching.remove(&number);
    }
}

impl Fetching {
    fn waited_at(&self, now: Instant) -> Duration {
        self.waited + self.since.map_or(Duration::ZERO, |since| now.saturating_duration_since(since))
    }

    /// Until when it is counted at least; None where it is not.
    fn counts_until(&self, now: Instant) -> Option<Instant> {
        let left = REMOTE.checked_sub(self.waited_at(now)).filter(|left| !left.is_zero())?;
        Some(now + left)
    }
}

#[cfg(test)]
mod tests;

//! What a member itself works on, and until when it may.
//!
//! What comes in: partitions taken, stopped and closed, workers that begin and end, and the time of each renewal. What
//! goes out: whether work may begin or go on, and what is over. A partition is given up in two steps: nothing begins on
//! it any more, and once nobody is at it, it is closed. Who could not renew its record in time stops at once, before
//! the others count it as dead; what it had is void then, and others may have it while the last worker still ends.

use ithaca_proto::subject::PARTITIONS;
use tokio::time::Instant;

use super::Partitions;

/// A member's own partitions.
#[derive(Debug)]
pub(super) struct Shares {
    /// Work may begin on these.
    held: Partitions,
    /// Work that has begun may go on.
    going: Partitions,
    /// Not closed yet.
    open: Partitions,
    /// Open ones that may be another's already.
    void: Partitions,
    at_work: [u32; PARTITIONS as usize],
    /// From then on nothing may begin or go on. None: not renewed since the last lapse.
    until: Option<Instant>,
}

impl Default for Shares {
    fn default() -> Self {
        let none = Partitions::NONE;
        let at_work = [0; PARTITIONS as usize];
        Self { held: none, going: none, open: none, void: none, at_work, until: None }
    }
}

impl Shares {
    /// Notes a worker on a partition, if work may begin there.
    pub fn begin(&mut self, partition: u32, now: Instant) -> bool {
        let may = self.is_valid(now) && self.held.contains(partition);
        if may {
            self.at_work[partition as usize] += 1;
        }
        may
    }

    /// Notes that a worker ended. Returns whether somebody waits for that.
    pub fn end(&mut self, partition: u32) -> bool {
        let at_work = &mut self.at_work[partition as usize];
        *at_work = at_work.saturating_sub(1);
        *at_work == 0 && !self.held.contains(partition)
    }

    /// Whether a worker may do one thing more.
    pub fn may_go_on(&self, partition: u32, now: Instant) -> bool {
        self.is_valid(now) && self.going.contains(partition)
    }

    /// The record was renewed and counts until then. Where that came too late, work was refused meanwhile, and what was
    /// had is void although nobody else may have it.
    pub fn renew(&mut self, now: Instant, until: Instant) {
        self.lapse(now);
        self.until = Some(until);
    }

    /// When it has to be renewed at the latest.
    pub fn until(&self) -> Option<Instant> {
        self.until
    }

    /// Notes the time: what was not renewed is void. Returns whether that is news.
    pub fn lapse(&mut self, now: Instant) -> bool {
        let lapsed = self.until.is_some() && !self.is_valid(now);
        if lapsed {
            self.lose();
        }
        lapsed
    }

    /// All that it has may be another's.
    pub fn lose(&mut self) {
        (self.held, self.going, self.void) = (Partitions::NONE, Partitions::NONE, self.open);
        self.until = None;
    }

    /// It has these now.
    pub fn take(&mut self, partitions: Partitions) {
        self.held = self.held.and(partitions);
        self.going = self.going.and(partitions);
        self.open = self.open.and(partitions);
    }

    /// Keeps these alone; workers on others do nothing more.
    pub fn keep(&mut self, partitions: Partitions) {
        self.held = self.held.without(Partitions::ALL.without(partitions));
        self.going = self.held;
    }

    /// Begins nothing more; workers come to an end of their own.
    pub fn drain(&mut self) {
        self.held = Partitions::NONE;
    }

    /// Partitions that were given up and that nobody is at.
    pub fn over(&self) -> Partitions {
        let given_up = self.open.without(self.held);
        given_up.iter().filter(|partition| self.at_work[*partition as usize] == 0).collect()
    }

    /// These are over.
    pub fn close(&mut self, partitions: Partitions) {
        self.open = self.open.without(partitions);
        self.going = self.going.without(partitions);
        self.void = self.void.without(partitions);
    }

    /// Partitions that are not closed yet.
    pub fn open(&self) -> Partitions {
        self.open
    }

    /// What others are told of.
    pub fn said(&self) -> Partitions {
        self.open.without(self.void)
    }

    fn is_valid(&self, now: Instant) -> bool {
        self.until.is_some_and(|until| now < until)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn two() -> (Shares, Instant) {
        let (mut shares, now) = (Shares::default(), Instant::now());
        shares.renew(now, now + SECOND);
        shares.take([1, 2].into_iter().collect());
        (shares, now)
    }

    fn only(partition: u32) -> Partitions {
        [partition].into_iter().collect()
    }

    #[test]
    fn a_partition_is_closed_once_nobody_is_at_it() {
        let (mut shares, now) = two();
        assert!(shares.begin(1, now) && shares.begin(2, now) && !shares.begin(3, now));
        shares.keep(only(2));
        assert!(!shares.begin(1, now) && !shares.may_go_on(1, now) && shares.may_go_on(2, now));
        assert_eq!((shares.over(), shares.said()), (Partitions::NONE, [1, 2].into_iter().collect()));
        assert!(shares.end(1) && !shares.end(2));
        assert_eq!(shares.over(), only(1));
        shares.close(only(1));
        assert_eq!((shares.said(), shares.over()), (only(2), Partitions::NONE));
    }

    #[test]
    fn a_renewal_that_is_answered_too_late_does_not_hide_that_work_was_refused() {
        let (mut shares, now) = two();
        assert!(!shares.begin(1, now + SECOND));
        shares.renew(now + SECOND, now + SECOND * 2);
        assert_eq!((shares.said(), shares.over()), (Partitions::NONE, [1, 2].into_iter().collect()));
    }

    #[test]
    fn who_is_told_to_stop_lets_its_workers_end() {
        let (mut shares, now) = two();
        assert!(shares.begin(1, now));
        shares.drain();
        assert!(!shares.begin(1, now) && shares.may_go_on(1, now));
        assert_eq!(shares.over(), only(2));
    }

    #[test]
    fn who_was_not_renewed_in_time_does_nothing_more_and_says_so_of_nothing() {
        let (mut shares, now) = two();
        assert!(shares.begin(1, now));
        let late = now + SECOND;
        assert!(!shares.begin(2, late) && !shares.may_go_on(1, late), "before it was noticed");
        assert!(!shares.lapse(now) && shares.lapse(late) && !shares.lapse(late));
        assert_eq!((shares.said(), shares.over()), (Partitions::NONE, only(2)));
        shares.renew(late, late + SECOND);
        assert!(!shares.may_go_on(1, late), "another may have it");
        shares.close(only(2));
        shares.take(only(2));
        assert_eq!((shares.said(), shares.open()), (only(2), [1, 2].into_iter().collect()));
        assert!(shares.end(1));
        shares.close(only(1));
        assert_eq!(shares.open(), only(2));
    }
}

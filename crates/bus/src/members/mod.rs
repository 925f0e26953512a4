//! Members: the live replicas of a service, and which partitions of its work each has.
//!
//! What comes in: a name. What goes out: partitions as they are gained and lost, and leave to work on them. What it does
//! not do: the work.
//!
//! Each member keeps one record in a KV bucket, which says what it works on, and renews it every `HEARTBEAT`. Who should
//! have a partition follows from the names of the live members (`roll`); but nobody begins with one that is still in
//! the record of another that lives. A partition is added to one's own record only in a write that the server refuses if
//! any record has changed since it was read, so two cannot take the same.
//!
//! Nobody's clock is compared with another's. A member counts what it has as its own for `FENCE` after it *sent* the last
//! renewal that reached the server; others count it as alive for `TTL` after they *received* it, which is later. So it
//! has stopped beginning anything before somebody takes its place, and a request that it has sent just before has
//! `TTL - FENCE` to arrive. A member that dies is replaced after at most `TTL` (8 s) and the time to read what it had. One
//! that leaves says so, and is replaced at once; one that comes back under its own name, as a container that is restarted
//! does, is itself again at once.

mod keeper;
mod partitions;
mod roll;
mod shares;

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use ithaca_proto::v1::Member;
use tokio::{
    sync::{Notify, watch},
    time::Instant,
};

use roll::Roll;
use shares::Shares;

pub use partitions::Partitions;

/// How long a record counts.
pub const TTL: Duration = Duration::from_secs(8);

/// How long a member works on without having renewed its record.
const FENCE: Duration = Duration::from_secs(6);

/// How often a record is renewed: two renewals in a row may be lost.
const HEARTBEAT: Duration = Duration::from_secs(2);

/// What happened to partitions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// They are this member's; work on them begins when this was taken note of.
    Gained(Partitions),
    /// They are no longer this member's, and no work is under way on them.
    Lost(Partitions),
}

/// A part in the work of a service; cheap to clone.
#[derive(Clone, Debug)]
pub struct Membership(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    service: &'static str,
    name: String,
    address: String,
    life: String,
    desk: Mutex<Desk>,
    /// A worker ended on a partition that is given up, or there is another wish.
    changed: Notify,
    wish: watch::Sender<Wish>,
    joined: watch::Sender<bool>,
}

/// What is known at this moment.
#[derive(Debug, Default)]
struct Desk {
    shares: Shares,
    roll: Roll,
}

/// What the process wants of its membership.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Wish {
    Stay,
    /// Nothing new is begun.
    Drain,
    /// It is over.
    Leave,
}

impl Membership {
    /// A part for this process in the work of a service, which begins with `Bus::take_part`. `address` is where it answers
    /// questions.
    pub fn new(service: &'static str, name: &str, address: &str) -> Self {
        let nanos = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_nanos());
        Self(Arc::new(Inner {
            service,
            name: name.to_owned(),
            address: address.to_owned(),
            life: format!("{}-{nanos}", std::process::id()),
            desk: Mutex::default(),
            changed: Notify::new(),
            wish: watch::Sender::new(Wish::Stay),
            joined: watch::Sender::new(false),
        }))
    }

    /// Waits until it is known who else takes part, and what nobody has is this member's.
    pub async fn joined(&self) {
        // The sender lives as long as this.
        let _ = self.0.joined.subscribe().wait_for(|joined| *joined).await;
    }

    /// Begins to work on something of a partition; None where it is not this member's to do.
    pub fn begin(&self, partition: u32) -> Option<AtWork> {
        let begun = self.desk().shares.begin(partition, Instant::now());
        begun.then(|| AtWork { membership: self.clone(), partition })
    }

    /// Whether work that has begun on a partition may do one thing more.
    pub fn may_go_on(&self, partition: u32) -> bool {
        self.desk().shares.may_go_on(partition, Instant::now())
    }

    /// The partitions of this member.
    pub fn partitions(&self) -> Partitions {
        self.desk().shares.open()
    }

    /// Who else works on a partition, as far as is known.
    pub fn holder(&self, partition: u32) -> Option<Member> {
        self.desk().roll.holder(partition).cloned()
    }

    /// How many members live, this one included.
    pub fn count(&self) -> usize {
        self.desk().roll.len() + 1
    }

    /// Begins nothing more. Partitions that nobody is at are free for the others at once.
    pub fn drain(&self) {
        self.wish(Wish::Drain);
    }

    /// Leaves, once nobody is at work: the others need not wait.
    pub fn leave(&self) {
        self.wish(Wish::Leave);
    }

    fn wish(&self, wish: Wish) {
        self.0.wish.send_if_modified(|known| {
            let is_news = *known < wish;
            *known = wish.max(*known);
            is_news
        });
        self.0.changed.notify_one();
    }

    fn desk(&self) -> MutexGuard<'_, Desk> {
        self.0.desk.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Somebody is at work on a partition: it is not given away before this is dropped.
#[derive(Debug)]
pub struct AtWork {
    membership: Membership,
    partition: u32,
}

impl Drop for AtWork {
    fn drop(&mut self) {
        let is_awaited = self.membership.desk().shares.end(self.partition);
        if is_awaited {
            self.membership.0.changed.notify_one();
        }
    }
}

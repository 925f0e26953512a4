//! Which Applications are this applier's own, by the partition of their uid.
//!
//! What comes in: partitions gained and lost, and what was listed since. What goes out: which Applications may be worked
//! on. Every Application is known, for others depend on it; but the bundle, the objects and the operation of another
//! applier's are not.
//!
//! Whoever gains an Application looks at it as after a restart: what another applier did a moment ago may not have been
//! told by the watches yet, so all Applications and all kinds are listed once more before anything is decided.

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use ithaca_api::Application;
use ithaca_bus::{Change, Interest, Partitions};
use ithaca_proto::subject;

use crate::{
    cluster::ClusterId,
    follow,
    object::GroupKind,
    service::Shared,
    state::{State, Uid},
};

/// How long it is remembered that another applier's Application was deleted: until that applier would be replaced.
const MISSED_FOR: Duration = Duration::from_secs(20);

/// A kind in a cluster.
type Place = (ClusterId, GroupKind);

/// What is owned, and what has to be listed first.
#[derive(Debug, Default)]
pub struct Ownership {
    mine: Partitions,
    /// How often partitions were gained.
    gains: u64,
    /// With which of these each partition came.
    gained: HashMap<u32, u64>,
    /// Applications of others that were deleted, and when: their applier may have been dead by then.
    missed: HashMap<Uid, (Application, Instant)>,
    /// The kinds that are followed, and the gains for which each has to be listed still: the first and the last.
    kinds: HashMap<Place, Option<(u64, u64)>>,
}

impl Ownership {
    /// Whether an application of this uid is this applier's own.
    pub fn is_mine(&self, uid: &str) -> bool {
        self.mine.contains(subject::partition(uid))
    }

    /// How often partitions were gained. What is listed from now on is listed for all of these.
    pub fn gains(&self) -> u64 {
        self.gains
    }

    /// Whether an application may be decided on: it is owned, and it and all kinds where it goes were listed since.
    /// `listed`: of which number the last list was that held it.
    pub fn is_ready(&self, uid: &str, listed: u64, cluster: Option<ClusterId>) -> bool {
        let partition = subject::partition(uid);
        let gained = self.gained.get(&partition).copied().unwrap_or_default();
        let is_listed = |pending: &Option<(u64, u64)>| pending.is_none_or(|(first, _)| gained < first);
        let mut there = self.kinds.iter().filter(|((id, _), _)| Some(*id) == cluster);
        self.mine.contains(partition) && listed >= gained && there.all(|(_, pending)| is_listed(pending))
    }

    /// The objects of a kind are followed, from a list on that begins now.
    pub fn follow(&mut self, place: &Place) {
        self.kinds.insert(place.clone(), None);
    }

    /// Forgets the kinds that nobody follows any more: no list of theirs would come.
    fn retain(&mut self, is_followed: impl Fn(ClusterId, &GroupKind) -> bool) {
        self.kinds.retain(|(id, kind), _| is_followed(*id, kind));
    }

    /// They were listed, or cannot be; the list began after this many gains. Returns whether that was waited for.
    pub fn list(&mut self, place: &Place, gains: u64) -> bool {
        let Some(pending) = self.kinds.get_mut(place) else { return false };
        let before = *pending;
        *pending = before.filter(|(_, last)| gains < *last).map(|(first, last)| (first.max(gains + 1), last));
        *pending != before
    }

    /// Another applier's Application was deleted. That applier says so, if it lives.
    pub fn miss(&mut self, uid: &str, application: Application) {
        self.missed.retain(|_, (_, when)| when.elapsed() < MISSED_FOR);
        self.missed.insert(uid.into(), (application, Instant::now()));
    }

    /// What was deleted in partitions that have just been gained.
    fn missed(&mut self, partitions: Partitions) -> Vec<(Uid, Application)> {
        let gained = self.missed.extract_if(|uid, _| partitions.contains(subject::partition(uid)));
        let late = gained.filter(|(_, (_, when))| when.elapsed() < MISSED_FOR);
        late.map(|(uid, (application, _))| (uid, application)).collect()
    }

    fn gain(&mut self, partitions: Partitions) {
        self.gains += 1;
        self.mine = self.mine.and(partitions);
        self.gained.extend(partitions.iter().map(|partition| (partition, self.gains)));
        for pending in self.kinds.values_mut() {
            let first = pending.map_or(self.gains, |(first, _)| first);
            *pending = Some((first, self.gains));
        }
    }

    fn lose(&mut self, partitions: Partitions) {
        self.mine = self.mine.without(partitions);
    }
}

impl State {
    /// Whose bundles have to be read: those of one's own applications, and of what they depend on.
    pub fn interest(&self) -> Interest {
        let partitions = self.ownership.mine;
        let applications = match partitions == Partitions::ALL {
            true => Default::default(),
            false => self.dependencies_elsewhere().map(|uid| uid.to_string()).collect(),
        };
        Interest { partitions, applications }
    }

    /// Waits for no list of a kind that nobody follows any more.
    pub fn forget_unfollowed(&mut self) {
        let Self { clusters, ownership, .. } = self;
        let is_followed =
            |id, kind: &_| clusters.get(id).is_some_and(|there| there.records.has_follower(kind));
        ownership.retain(is_followed);
    }

    /// Forgets what is known of applications beyond themselves.
    fn lose(&mut self, partitions: Partitions) {
        let is_lost = |uid: &Uid| partitions.contains(subject::partition(uid));
        self.ownership.lose(partitions);
        self.early.retain(|(uid, _), _| !is_lost(uid));
        for (uid, app) in self.apps.iter_mut().filter(|(uid, _)| is_lost(uid)) {
            self.clusters.forget(uid, &app.tracked);
            app.forget();
        }
    }
}

/// Takes note of partitions that were gained or lost. Nobody works on any of them meanwhile.
pub fn take_note(shared: &Arc<Shared>, change: Change) {
    let mut state = shared.state();
    match change {
        Change::Lost(partitions) => state.lose(partitions),
        Change::Gained(partitions) => {
            state.ownership.gain(partitions);
            shared.gains.send_replace(state.ownership.gains());
            let missed = state.ownership.missed(partitions);
            missed.iter().for_each(|(uid, application)| follow::bury(shared, uid, application));
        }
    }
    tracing::info!(partitions = state.ownership.mine.iter().count(), "the share of this applier has changed");
    shared.read_bundles_of(state.interest());
}

#[cfg(test)]
mod tests {
    use super::*;

    const UID: &str = "5f0c2f2e-0000-4000-8000-000000000001";

    fn of(uid: &str) -> Partitions {
        [subject::partition(uid)].into_iter().collect()
    }

    const HERE: Option<ClusterId> = Some(ClusterId::made_up(1));

    fn kind(name: &str) -> Place {
        (ClusterId::made_up(1), GroupKind { group: String::new(), kind: name.to_owned() })
    }

    #[test]
    fn what_was_gained_waits_for_all_lists_and_the_rest_does_not() {
        let mut ownership = Ownership::default();
        let other = (0..).map(|n| format!("uid-{n}")).find(|uid| of(uid) != of(UID)).expect("64 partitions");
        ownership.gain(of(&other));
        ownership.follow(&kind("Secret"));
        ownership.follow(&kind("Job"));
        assert!(ownership.is_ready(&other, 1, HERE) && !ownership.is_ready(UID, 1, HERE));
        ownership.gain(of(UID));
        assert!(!ownership.is_ready(UID, 2, HERE), "no kind was listed since");
        ownership.list(&kind("Job"), 1);
        ownership.list(&kind("Secret"), 2);
        assert!(!ownership.is_ready(UID, 2, HERE), "that list of Jobs began before");
        ownership.list(&kind("Job"), 2);
        assert!(ownership.is_ready(UID, 2, HERE) && !ownership.is_ready(UID, 1, HERE));
        ownership.follow(&(ClusterId::made_up(2), kind("Job").1));
        ownership.gain(of(UID));
        ownership.list(&kind("Job"), 3);
        ownership.list(&kind("Secret"), 3);
        assert!(ownership.is_ready(UID, 3, HERE), "another cluster may be down");
        assert!(!ownership.is_ready(UID, 3, Some(ClusterId::made_up(2))));
        ownership.gain(Partitions::NONE);
        assert!(
            ownership.is_ready(UID, 3, HERE) && ownership.is_ready(&other, 1, HERE),
            "both had their lists"
        );
        ownership.lose(of(UID));
        assert!(!ownership.is_ready(UID, 3, HERE));
    }

    #[test]
    fn a_list_that_is_begun_again_counts_for_what_it_began_after() {
        let mut ownership = Ownership::default();
        ownership.follow(&kind("Job"));
        ownership.gain(of(UID));
        ownership.gain(Partitions::NONE);
        assert!(!ownership.is_ready(UID, 2, HERE));
        ownership.list(&kind("Job"), 1);
        assert!(
            ownership.is_ready(UID, 2, HERE),
            "it was listed since it was gained, though not since the last"
        );
    }

    /// The settings may exclude a kind that was followed.
    #[test]
    fn no_list_is_waited_for_that_nobody_makes() {
        let mut ownership = Ownership::default();
        ownership.follow(&kind("Job"));
        ownership.follow(&kind("Secret"));
        ownership.retain(|_, kind| kind.kind != "Secret");
        ownership.gain(of(UID));
        assert!(!ownership.is_ready(UID, 1, HERE));
        ownership.list(&kind("Job"), 1);
        assert!(ownership.is_ready(UID, 1, HERE));
    }
}

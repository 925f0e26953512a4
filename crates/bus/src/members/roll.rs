//! Who lives, and who works on which partition.
//!
//! What comes in: the records of a service's members, as each was last heard of, and the time. What goes out: which
//! partitions a member should have, and which of them are free. All members that know of the same others agree: a
//! partition goes to whom its hash together with the member's name gives the most (rendezvous hashing), so that one who
//! comes or goes moves its own share and no other.

use std::collections::BTreeMap;

use ithaca_proto::v1::Member;
use sha2::{Digest, Sha256};
use tokio::time::Instant;

use super::Partitions;

/// The others, by the keys of their records.
#[derive(Debug, Default)]
pub(super) struct Roll(BTreeMap<String, Heard>);

/// What was heard of a member last.
#[derive(Debug)]
struct Heard {
    member: Member,
    until: Instant,
}

impl Roll {
    /// A member said something that counts until then.
    pub fn hear(&mut self, key: &str, member: Member, until: Instant) {
        self.0.insert(key.to_owned(), Heard { member, until });
    }

    /// What a member said is older than it seemed: it counts until then at the longest.
    pub fn shorten(&mut self, key: &str, until: Instant) {
        if let Some(heard) = self.0.get_mut(key) {
            heard.until = heard.until.min(until);
        }
    }

    /// A member left, or is known to be dead.
    pub fn strike(&mut self, key: &str) {
        self.0.remove(key);
    }

    /// Forgets those that were not heard of for too long. Returns their names.
    pub fn expire(&mut self, now: Instant) -> Vec<String> {
        let silent = self.0.extract_if(.., |_, heard| heard.until <= now);
        silent.map(|(_, heard)| heard.member.name).collect()
    }

    /// When the next of them has to be heard of again.
    pub fn next_end(&self) -> Option<Instant> {
        self.0.values().map(|heard| heard.until).min()
    }

    /// How many others live.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// What others work on.
    pub fn taken(&self) -> Partitions {
        self.0.values().map(|heard| of(&heard.member)).fold(Partitions::NONE, Partitions::and)
    }

    /// Who of the others works on a partition.
    pub fn holder(&self, partition: u32) -> Option<&Member> {
        self.0.values().map(|heard| &heard.member).find(|member| of(member).contains(partition))
    }

    /// What a member of this name should work on, beside those that are not about to leave.
    pub fn share(&self, name: &str) -> Partitions {
        let others = self.0.values().map(|heard| &heard.member).filter(|member| !member.leaving);
        let names: Vec<_> = others.map(|member| member.name.as_str()).chain([name]).collect();
        Partitions::ALL.iter().filter(|partition| owner(*partition, &names) == Some(name)).collect()
    }
}

fn of(member: &Member) -> Partitions {
    member.partitions.iter().copied().collect()
}

/// Whose a partition is among these.
fn owner<'a>(partition: u32, names: &[&'a str]) -> Option<&'a str> {
    names.iter().copied().max_by_key(|name| (weight(partition, name), *name))
}

fn weight(partition: u32, name: &str) -> u64 {
    let digest = Sha256::new().chain_update(partition.to_be_bytes()).chain_update(name).finalize();
    digest.iter().take(8).fold(0, |weight, byte| weight << 8 | u64::from(*byte))
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, time::Duration};

    use proptest::{collection::btree_set, prelude::*};

    use super::*;

    fn member(name: &str, partitions: &[u32]) -> Member {
        Member { name: name.to_owned(), partitions: partitions.to_vec(), ..Member::default() }
    }

    fn roll<'a>(names: impl IntoIterator<Item = &'a String>, but: &str) -> Roll {
        let mut roll = Roll::default();
        let others = names.into_iter().filter(|name| *name != but);
        others.for_each(|name| roll.hear(name, member(name, &[]), Instant::now()));
        roll
    }

    fn names() -> impl Strategy<Value = BTreeSet<String>> {
        btree_set("applier-[0-9a-f]{4}", 1..6)
    }

    proptest! {
        #[test]
        fn every_partition_has_one_owner_on_which_all_agree(names in names()) {
            let shares: Vec<_> = names.iter().map(|name| roll(&names, name).share(name)).collect();
            for partition in Partitions::ALL.iter() {
                prop_assert_eq!(shares.iter().filter(|share| share.contains(partition)).count(), 1);
            }
        }

        #[test]
        fn one_who_comes_moves_nothing_but_its_own_share(names in names(), newcomer in "applier-[g-z]{4}") {
            let more: BTreeSet<_> = names.iter().cloned().chain([newcomer.clone()]).collect();
            let taken = roll(&more, &newcomer).share(&newcomer);
            for name in &names {
                let (before, after) = (roll(&names, name).share(name), roll(&more, name).share(name));
                prop_assert_eq!(after, before.without(taken));
            }
        }
    }

    #[test]
    fn shares_are_about_even() {
        let names: BTreeSet<_> = ["applier-0", "applier-1", "applier-2"].map(str::to_owned).into();
        for name in &names {
            let share = roll(&names, name).share(name).iter().count();
            assert!((12..=32).contains(&share), "{name} has {share}");
        }
    }

    #[test]
    fn whoever_is_about_to_leave_keeps_what_it_has_and_should_have_nothing() {
        let mut roll = Roll::default();
        roll.hear("b", Member { leaving: true, ..member("b", &[3]) }, Instant::now());
        assert_eq!(roll.share("a"), Partitions::ALL);
        assert_eq!(roll.taken(), [3].into_iter().collect());
        assert_eq!(roll.holder(3).map(|member| member.name.as_str()), Some("b"));
        roll.strike("b");
        assert_eq!((roll.taken(), roll.len()), (Partitions::NONE, 0));
    }

    #[test]
    fn whoever_is_silent_too_long_is_dead() {
        let (now, second) = (Instant::now(), Duration::from_secs(1));
        let mut roll = Roll::default();
        roll.hear("b", member("b", &[3]), now + second);
        roll.hear("c", member("c", &[4]), now + second * 2);
        roll.shorten("c", now + second * 5);
        assert_eq!((roll.expire(now), roll.next_end()), (Vec::new(), Some(now + second)));
        assert_eq!(roll.expire(now + second), ["b"]);
        assert_eq!(roll.taken(), [4].into_iter().collect());
    }
}

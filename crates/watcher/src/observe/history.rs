//! Whether all that a commit descends from is good, as far back as commits that vouch for what is before them. Decided on
//! ids alone; `Vouched` remembers what was found good, so that only what is new is looked at.

use std::collections::{HashSet, VecDeque};
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError};

use git2::Oid;
use ithaca_api::project::GitDemand;

use crate::repository::RepositoryKey;
use crate::signature::Keyring;

/// Commits that are judged for one verdict.
const MOST: usize = 10_000;
/// Commits among them that are not good, before a search for who vouches for them is given up.
const MOST_BAD: usize = 64;
/// Good commits that are remembered of one repository.
const MOST_KNOWN: usize = 16;
/// Repositories, as projects ask for them, that are remembered.
const MOST_REPOSITORIES: usize = 256;

/// How far a good commit's word goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Word {
    /// It is good itself.
    Own,
    /// All that it descends from is good as well.
    All,
}

/// Why a history does not count.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Flaw<C> {
    /// This commit is not good.
    Bad(C, String),
    /// There is too much to judge.
    TooLong,
}

/// What can be told of commits.
pub(super) struct History<'a, C> {
    /// What a commit descends from directly.
    pub(super) parents: &'a dyn Fn(C) -> Result<Vec<C>, String>,
    /// Whether it is good, and how far its word goes.
    pub(super) judge: &'a dyn Fn(C) -> Result<Word, String>,
    /// Whether the one descends from the other.
    pub(super) descends: &'a dyn Fn(C, C) -> bool,
}

impl<C: Copy + Eq + Hash> History<'_, C> {
    /// Judges a commit and all that it descends from. What is known is good with all before it.
    pub(super) fn check(&self, head: C, known: &[C]) -> Result<(), Flaw<C>> {
        let (mut seen, mut waiting) = (HashSet::new(), VecDeque::from([head]));
        let (mut vouching, mut bad) = (Vec::new(), Vec::new());
        while let Some(commit) = waiting.pop_front() {
            if !seen.insert(commit) {
                continue;
            }
            if known.contains(&commit) {
                vouching.push(commit);
                continue;
            }
            if seen.len() > MOST {
                return Err(Flaw::TooLong);
            }
            let word = (self.judge)(commit).and_then(|word| match word {
                Word::All => Ok(None),
                Word::Own => (self.parents)(commit).map(Some),
            });
            match word {
                Ok(None) => vouching.push(commit),
                Ok(Some(parents)) => waiting.extend(parents),
                // What is before it is before whoever vouches for it.
                Err(reason) => bad.push((commit, reason)),
            }
            if bad.len() > MOST_BAD {
                break;
            }
        }
        let is_bad =
            |(commit, _): &(C, String)| !vouching.iter().any(|vouching| (self.descends)(*vouching, *commit));
        bad.into_iter().find(is_bad).map_or(Ok(()), |(commit, reason)| Err(Flaw::Bad(commit, reason)))
    }
}

/// Histories that were found good under what projects ask; cheap to clone.
#[derive(Clone, Default)]
pub struct Vouched {
    known: Arc<Mutex<Vec<Known>>>,
}

struct Known {
    repository: RepositoryKey,
    demand: GitDemand,
    keyring: Arc<Keyring>,
    commits: VecDeque<Oid>,
}

impl Vouched {
    /// Commits of a repository that were found good under the same demand and keys.
    pub(super) fn of(
        &self,
        repository: &RepositoryKey,
        demand: &GitDemand,
        keyring: &Arc<Keyring>,
    ) -> Vec<Oid> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let found = known.iter().find(|known| known.is_of(repository, demand) && known.has(keyring));
        found.map(|known| known.commits.iter().copied().collect()).unwrap_or_default()
    }

    /// Remembers a commit.
    pub(super) fn add(
        &self,
        repository: &RepositoryKey,
        demand: &GitDemand,
        keyring: &Arc<Keyring>,
        commit: Oid,
    ) {
        let mut all = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let same = all.iter().position(|known| known.is_of(repository, demand));
        let mut known = match same.map(|place| all.remove(place)).filter(|known| known.has(keyring)) {
            Some(known) => known,
            None => Known {
                repository: repository.clone(),
                demand: demand.clone(),
                keyring: keyring.clone(),
                commits: VecDeque::new(),
            },
        };
        if !known.commits.contains(&commit) {
            known.commits.push_front(commit);
        }
        known.commits.truncate(MOST_KNOWN);
        all.insert(0, known);
        all.truncate(MOST_REPOSITORIES);
    }
}

impl Known {
    fn is_of(&self, repository: &RepositoryKey, demand: &GitDemand) -> bool {
        self.repository == *repository && self.demand == *demand
    }

    fn has(&self, keyring: &Arc<Keyring>) -> bool {
        Arc::ptr_eq(&self.keyring, keyring) || self.keyring == *keyring
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::collections::BTreeMap;

    use ithaca_api::project::Depth;

    use super::*;
    use crate::signature::CosignKeys;

    /// A history of numbered commits: `3s:1,2` is a commit that seals what is before it, `3x` is one that is not good.
    struct Graph {
        commits: BTreeMap<u32, (Option<Word>, Vec<u32>)>,
        judged: RefCell<usize>,
    }

    impl Graph {
        fn new(text: &str) -> Self {
            let commit = |text: &str| {
                let (name, parents) = text.split_once(':').unwrap_or((text, ""));
                let word = match name.chars().last() {
                    Some('s') => Some(Word::All),
                    Some('x') => None,
                    _ => Some(Word::Own),
                };
                let number = name.trim_end_matches(['s', 'x']).parse().expect("a number");
                let parents = parents.split(',').filter(|parent| !parent.is_empty());
                (number, (word, parents.map(|parent| parent.parse().expect("a number")).collect()))
            };
            Self { commits: text.split_whitespace().map(commit).collect(), judged: RefCell::default() }
        }

        fn check(&self, head: u32, known: &[u32]) -> Result<(), Flaw<u32>> {
            let find = |commit: u32| self.commits.get(&commit).ok_or_else(|| "it is not here".to_owned());
            let judge = |commit: u32| {
                *self.judged.borrow_mut() += 1;
                find(commit)?.0.ok_or_else(|| "it is not signed".to_owned())
            };
            let parents = |commit: u32| Ok(find(commit)?.1.clone());
            let descends = |commit: u32, ancestor: u32| {
                let mut waiting = vec![commit];
                while let Some(commit) = waiting.pop() {
                    let parents = &self.commits[&commit].1;
                    if parents.contains(&ancestor) {
                        return true;
                    }
                    waiting.extend(parents.iter().filter(|parent| self.commits.contains_key(parent)));
                }
                false
            };
            History { parents: &parents, judge: &judge, descends: &descends }.check(head, known)
        }
    }

    fn bad(commit: u32) -> Result<(), Flaw<u32>> {
        Err(Flaw::Bad(commit, "it is not signed".to_owned()))
    }

    #[test]
    fn all_is_judged_that_nobody_vouches_for() {
        for (history, expected) in [
            ("1", Ok(())),
            ("1x", bad(1)),
            ("2:1 1", Ok(())),
            ("2:1 1x", bad(1)),
            ("3:2 2x:1 1", bad(2)),
            ("4:2,3 3:1 2x:1 1", bad(2)),
            // A seal vouches for what is before it, by whatever way that is reached.
            ("3:2 2s:1 1x", Ok(())),
            ("4:2,3 3:1 2s:1 1x", Ok(())),
            ("4:3,2 3:1 2s:1 1x", Ok(())),
            ("5:2,3 3:4 4x:1 2s:1 1x", bad(4)),
            // One that is not good itself vouches for nothing.
            ("3:2 2x:1 1x", bad(2)),
        ] {
            let head =
                history.split([':', ' ']).next().and_then(|head| head.trim_end_matches('x').parse().ok());
            assert_eq!(Graph::new(history).check(head.expect("a head"), &[]), expected, "{history}");
        }
        let missing = Err(Flaw::Bad(1, "it is not here".to_owned()));
        assert_eq!(Graph::new("2:1").check(2, &[]), missing);
    }

    #[test]
    fn what_is_known_is_not_judged_again() {
        let graph = Graph::new("4:3 3:2 2s:1 1x");
        assert_eq!(graph.check(3, &[]), Ok(()));
        assert_eq!(std::mem::take(&mut *graph.judged.borrow_mut()), 2);
        assert_eq!(graph.check(4, &[3]), Ok(()));
        assert_eq!(*graph.judged.borrow(), 1);
        // What was good in another history tells nothing here.
        assert_eq!(Graph::new("5:1 3:1 1x").check(5, &[3]), bad(1));
        assert_eq!(Graph::new("5:4,1 4:3 3:1 1x").check(5, &[3]), Ok(()));
    }

    #[test]
    fn a_history_without_end_is_given_up() {
        let all: Vec<String> = (1..=20_000_u32).map(|number| format!("{number}:{}", number - 1)).collect();
        let graph = Graph::new(&all.join(" "));
        assert_eq!(graph.check(20_000, &[]), Err(Flaw::TooLong));
        assert_eq!(*graph.judged.borrow(), MOST);
        assert_eq!(graph.check(20_000, &[19_000]), Ok(()));
        let parents: Vec<String> = (1..=1_000).map(|number| number.to_string()).collect();
        let bad_ones: Vec<String> = parents.iter().map(|number| format!("{number}x")).collect();
        let graph = Graph::new(&format!("2000:{} {}", parents.join(","), bad_ones.join(" ")));
        assert_eq!(graph.check(2_000, &[]), bad(1));
        assert_eq!(*graph.judged.borrow(), 1 + MOST_BAD + 1);
    }

    #[test]
    fn what_was_found_good_counts_in_its_repository_under_its_demand_and_keys_alone() {
        let repository = |url| RepositoryKey::new(url, "", false).expect("a URL");
        let (here, there) = (repository("https://example.org/a"), repository("https://example.org/b"));
        let demand =
            |key: &str| GitDemand { depth: Depth::Strict, keys: Some(vec![key.to_owned()]), signers: None };
        let (one, other) = (demand("A"), demand("B"));
        let commit = |number: u8| Oid::from_bytes(&[number; 20]).expect("an id");
        let keys: Arc<Keyring> = Arc::default();
        let vouched = Vouched::default();
        vouched.add(&here, &one, &keys, commit(1));
        assert_eq!(vouched.of(&here, &one, &keys), [commit(1)]);
        assert_eq!(vouched.of(&here, &one, &Arc::default()), [commit(1)], "the same keys, read again");
        assert!(vouched.of(&there, &one, &keys).is_empty());
        assert!(vouched.of(&here, &other, &keys).is_empty());
        let key = format!("MCowBQYDK2VwAyEA{}=", "A".repeat(43));
        let pem = format!("-----BEGIN PUBLIC KEY-----\n{key}\n-----END PUBLIC KEY-----\n");
        let (cosign, _) = CosignKeys::read([("team", pem.as_str())]);
        let more = Arc::new(Keyring { cosign, ..Keyring::default() });
        assert!(vouched.of(&here, &one, &more).is_empty());
        // The newest of a repository count, each once, until it has other keys.
        vouched.add(&there, &one, &keys, commit(2));
        for number in [1, 1, 3] {
            vouched.add(&here, &one, &keys, commit(number));
        }
        assert_eq!(vouched.of(&here, &one, &keys), [commit(3), commit(1)]);
        for number in 10..40 {
            vouched.add(&here, &one, &keys, commit(number));
        }
        let newest = vouched.of(&here, &one, &keys);
        assert_eq!((newest.len(), newest[0]), (MOST_KNOWN, commit(39)));
        vouched.add(&here, &one, &more, commit(4));
        assert_eq!(vouched.of(&here, &one, &more), [commit(4)]);
        assert!(vouched.of(&here, &one, &keys).is_empty());
        assert_eq!(vouched.of(&there, &one, &keys), [commit(2)]);
    }
}

//! Opened repositories that wait for their next reader.
//!
//! What comes in: repositories that somebody has read. What goes out: one of the place that is wanted, where there is one.
//! All caches share them, since each takes memory for as long as it waits. What it does not do: open any.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

/// How many wait at most: as many as are read at one time.
const MOST: usize = 16;

/// Of which cache, and which of its folders. Not the path: a cache that was taken out of the way has the same as its
/// successor, and its repositories hold what that has not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) cache: u64,
    pub(super) number: u64,
}

/// The repositories, the one that was used last at the end.
#[derive(Default)]
pub(super) struct Idle {
    repositories: Mutex<VecDeque<(Place, git2::Repository)>>,
    caches: AtomicU64,
}

impl Idle {
    /// What a new cache goes by.
    pub(super) fn new_cache(&self) -> u64 {
        self.caches.fetch_add(1, Ordering::Relaxed)
    }

    /// The one of this place that was used last.
    pub(super) fn take(&self, place: Place) -> Option<git2::Repository> {
        let mut idle = self.lock();
        let last = idle.iter().rposition(|(of, _)| *of == place)?;
        idle.remove(last).map(|(_, repository)| repository)
    }

    /// Keeps one, and closes the one that nobody has wanted for the longest time.
    pub(super) fn keep(&self, place: Place, repository: git2::Repository) {
        let surplus = {
            let mut idle = self.lock();
            idle.push_back((place, repository));
            if idle.len() > MOST { idle.pop_front() } else { None }
        };
        drop(surplus);
    }

    /// Closes those of a place.
    pub(super) fn close(&self, place: Place) {
        self.lock().retain(|(of, _)| *of != place);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, VecDeque<(Place, git2::Repository)>> {
        self.repositories.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cache::{Cache, Caches};
    use crate::repository::RepositoryKey;

    fn cache(caches: &Caches, number: usize) -> Cache {
        let url = format!("https://example.org/{number}");
        caches.of(&RepositoryKey::new(&url, "", false).expect("a URL"))
    }

    #[test]
    fn however_many_caches_there_are_only_the_last_used_stay_open() {
        let folder = tempfile::tempdir().expect("a folder");
        let caches = Caches::below(folder.path());
        let all: Vec<_> = (0..3 * MOST).map(|number| cache(&caches, number)).collect();
        all.iter().for_each(|cache| drop(cache.handle().expect("a repository")));
        // The first is wanted again, and so outlives those that were used before.
        drop(all[2 * MOST].handle().expect("a repository"));
        drop(all[0].handle().expect("a repository"));
        let idle = caches.idle.lock();
        let last = all[2 * MOST + 2..].iter().chain([&all[2 * MOST], &all[0]]);
        let last: Vec<_> = last.map(|cache| cache.place(0)).collect();
        assert_eq!(idle.iter().map(|(place, _)| *place).collect::<Vec<_>>(), last);
    }

    #[test]
    fn what_is_closed_or_begun_anew_waits_no_longer() {
        let folder = tempfile::tempdir().expect("a folder");
        let caches = Caches::below(folder.path());
        let (one, other) = (cache(&caches, 1), cache(&caches, 2));
        let reading = one.handle().expect("a repository");
        drop((one.handle().expect("a repository"), other.handle().expect("a repository")));
        one.renew(|_| Ok(())).expect("another folder");
        drop(reading);
        assert_eq!(caches.idle.lock().len(), 1, "nobody reads the old folder any more");
        other.close();
        assert!(caches.idle.lock().is_empty());
    }

    /// It would be told to have what it had before, and fetch it never again.
    #[test]
    fn who_still_reads_what_was_taken_away_leaves_nothing_to_its_successor() {
        let folder = tempfile::tempdir().expect("a folder");
        let caches = Caches::below(folder.path());
        let before = cache(&caches, 1);
        let reading = before.handle().expect("a repository");
        let tree = {
            let blob = reading.blob(b"before").expect("an object");
            let mut tree = reading.treebuilder(None).expect("a tree");
            tree.insert("before", blob, 0o100644).expect("an entry");
            tree.write().expect("an object")
        };
        drop(reading.find_tree(tree).expect("it is read, and so remembered"));
        before.set_aside().expect("a folder to be deleted");
        let after = cache(&caches, 1);
        drop(after.handle().expect("a repository"));
        drop(reading);
        let handles = [after.handle(), after.handle()].map(|handle| handle.expect("a repository"));
        assert!(handles.iter().all(|handle| handle.find_tree(tree).is_err()));
    }
}

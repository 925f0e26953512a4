//! The summaries of all Applications, and the news of their changes.
//!
//! In: what the watch saw. Out: the summaries as they are now, changes of summaries for lists, and for pages of one
//! Application the news that it was written, also where its summary stayed the same. It does no I/O.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard},
};

use tokio::sync::broadcast;

use crate::summary::{Key, Summary};

/// Changes kept for a reader that is slow; one that is slower still starts anew.
const CAPACITY: usize = 512;

/// A change of a summary.
#[derive(Clone, Debug)]
pub enum Change {
    Added(Arc<Summary>),
    Modified(Arc<Summary>),
    Removed(Key),
}

impl Change {
    pub fn key(&self) -> Key {
        match self {
            Self::Added(summary) | Self::Modified(summary) => summary.key(),
            Self::Removed(key) => key.clone(),
        }
    }
}

/// All summaries at one moment.
#[derive(Clone, Debug)]
pub struct Snapshot {
    instance: i64,
    /// Grows with each change.
    pub version: u64,
    /// By namespace and name.
    pub summaries: Vec<Arc<Summary>>,
}

impl Snapshot {
    /// Names this state among all states of all consoles.
    pub fn id(&self) -> String {
        id(self.instance, self.version)
    }
}

/// The summaries of all Applications.
#[derive(Debug)]
pub struct Board {
    /// When it was made, in microseconds: its versions are not those of another console.
    instance: i64,
    state: RwLock<State>,
    changes: broadcast::Sender<(u64, Change)>,
    written: broadcast::Sender<Key>,
}

#[derive(Debug, Default)]
struct State {
    version: u64,
    summaries: BTreeMap<Key, Arc<Summary>>,
}

impl Default for Board {
    fn default() -> Self {
        Self {
            instance: jiff::Timestamp::now().as_microsecond(),
            state: RwLock::default(),
            changes: broadcast::Sender::new(CAPACITY),
            written: broadcast::Sender::new(CAPACITY),
        }
    }
}

impl Board {
    /// Takes what the watch saw of an Application.
    pub fn put(&self, summary: Summary) {
        let key = summary.key();
        let summary = Arc::new(summary);
        let mut state = self.write();
        let before = state.summaries.insert(key.clone(), summary.clone());
        let change = match before {
            Some(before) if before == summary => None,
            Some(_) => Some(Change::Modified(summary)),
            None => Some(Change::Added(summary)),
        };
        self.tell(state, change, key);
    }

    /// Takes that an Application is gone.
    pub fn remove(&self, key: Key) {
        let mut state = self.write();
        let change = state.summaries.remove(&key).map(|_| Change::Removed(key.clone()));
        self.tell(state, change, key);
    }

    /// Removes all but these: what a watch that had to start anew did not see again.
    pub fn retain(&self, seen: &BTreeSet<Key>) {
        let gone: Vec<Key> =
            self.read().summaries.keys().filter(|key| !seen.contains(key)).cloned().collect();
        gone.into_iter().for_each(|key| self.remove(key));
    }

    /// All summaries as they are now.
    pub fn snapshot(&self) -> Snapshot {
        snapshot(self.instance, &self.read())
    }

    /// All summaries as they are now, and every change from then on with its version.
    pub fn follow(&self) -> (Snapshot, broadcast::Receiver<(u64, Change)>) {
        let state = self.read();
        (snapshot(self.instance, &state), self.changes.subscribe())
    }

    /// The id of the state with this version.
    pub fn id(&self, version: u64) -> String {
        id(self.instance, version)
    }

    /// Whether there is such an Application.
    pub fn has(&self, key: &Key) -> bool {
        self.read().summaries.contains_key(key)
    }

    /// The key of each Application when it was written or deleted.
    pub fn written(&self) -> broadcast::Receiver<Key> {
        self.written.subscribe()
    }

    /// Sends before the lock is given back, so that followers get changes in order and none twice.
    fn tell(&self, mut state: RwLockWriteGuard<'_, State>, change: Option<Change>, key: Key) {
        // Sending fails only where nobody listens.
        if let Some(change) = change {
            state.version += 1;
            let _ = self.changes.send((state.version, change));
        }
        let _ = self.written.send(key);
    }

    fn read(&self) -> RwLockReadGuard<'_, State> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, State> {
        self.state.write().unwrap_or_else(PoisonError::into_inner)
    }
}

fn id(instance: i64, version: u64) -> String {
    format!("{instance:x}-{version}")
}

fn snapshot(instance: i64, state: &State) -> Snapshot {
    Snapshot { instance, version: state.version, summaries: state.summaries.values().cloned().collect() }
}

#[cfg(test)]
mod tests {
    use kube::core::error_boundary::DeserializeGuard;
    use serde_json::json;

    use super::*;

    fn summary(name: &str, sync: &str) -> Summary {
        let object = json!({
            "metadata": {"name": name, "namespace": "argocd"},
            "spec": {"project": "", "destination": {}},
            "status": {"sync": {"status": sync}},
        });
        Summary::of(&serde_json::from_value::<DeserializeGuard<_>>(object).expect("an application"))
    }

    #[test]
    fn lists_hear_of_changes_and_pages_of_every_write() {
        let board = Board::default();
        board.put(summary("a", "Synced"));
        let (snapshot, mut changes) = board.follow();
        let mut written = board.written();
        assert_eq!(snapshot.summaries.len(), 1);

        board.put(summary("a", "Synced"));
        assert!(changes.try_recv().is_err(), "nothing changed");
        assert_eq!(written.try_recv().expect("a write").name, "a");

        board.put(summary("a", "OutOfSync"));
        let (version, change) = changes.try_recv().expect("a change");
        assert!(version > snapshot.version && matches!(change, Change::Modified(_)));
        board.put(summary("b", "Synced"));
        assert!(matches!(changes.try_recv().expect("a change").1, Change::Added(_)));
    }

    #[test]
    fn what_a_new_watch_does_not_see_is_gone() {
        let board = Board::default();
        board.put(summary("a", "Synced"));
        board.put(summary("b", "Synced"));
        let (_, mut changes) = board.follow();
        board.retain(&BTreeSet::from([summary("b", "Synced").key()]));
        assert!(matches!(changes.try_recv(), Ok((_, Change::Removed(key))) if key.name == "a"));
        assert_eq!(board.snapshot().summaries.len(), 1);
    }
}

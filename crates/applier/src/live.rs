//! What is remembered of the objects in a cluster: identity, versions, verdict and health.
//!
//! What comes in: live objects as they stream by, and what applications want of them.
//! What goes out: a record of a few hundred bytes for each. The objects themselves are not kept.

mod verdict;

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::{Arc, LazyLock},
};

use ithaca_api::{HealthStatusCode, SyncOptions, annotation, tracking::Tracking};
use serde_json::Value;
use tokio::task::AbortHandle;

pub use verdict::{Drift, Verdict};

use crate::{
    desired::Desired,
    health::{self, Health},
    hook::Mark,
    judge,
    object::{self, GroupKind, ObjectKey},
    order,
    rules::Rules,
    scripts, tracked,
};

/// What is remembered of one object.
#[derive(Clone, Debug)]
pub struct Record {
    /// The resource version; those of one API server are numbers that grow. Where it is none, nothing is called older.
    pub version: Option<u64>,
    /// Of all but status and bookkeeping: equal fingerprints mean an equal object.
    pub fingerprint: u64,
    /// The hash of what was wanted when the verdict was given; 0 when nobody wanted it.
    pub judged_for: u64,
    /// Whether it is as wanted.
    pub verdict: Verdict,
    /// Fields that Git wants and the cluster's schema does not know; most have none.
    pub unknown: Option<Arc<[String]>>,
    /// Its health, where its kind has one.
    pub health: Option<Health>,
    /// How the installation's script for its kind failed on it; most kinds have no script.
    pub script_fault: Option<Box<scripts::Fault>>,
    /// The application that it belongs to, as it tells.
    pub instance: Option<Box<str>>,
    /// It carries the label of another tracking method and not yet the id: the next sync writes that.
    pub handed_over: bool,
    /// It is being deleted.
    pub deleting: bool,
    /// Its own sync options.
    pub options: SyncOptions,
    /// Helm's word that it stays when its application goes.
    pub kept: bool,
    /// Its wave.
    pub wave: i64,
    /// Where it is a hook: which attempt it belongs to.
    pub hook: Option<Box<Mark>>,
    /// It does not count where it is not wanted.
    pub ignores_extraneous: bool,
}

impl Record {
    /// Looks at a live object: once, as it streams by.
    pub fn of(
        key: &ObjectKey,
        live: &Value,
        desired: Option<&Desired>,
        before: Option<&Self>,
        tracking: &Tracking,
    ) -> Self {
        let fingerprint = judge::fingerprint(live);
        let wanted = desired.map_or(0, |desired| desired.hash);
        let known = before.filter(|record| record.fingerprint == fingerprint && record.judged_for == wanted);
        let verdict = match (known, desired) {
            (Some(record), _) if record.verdict != Verdict::Undecided => record.verdict.clone(),
            (_, Some(desired)) => verdict::judge_locally(desired, live, tracking),
            (_, None) => Verdict::Undecided,
        };
        // What the cheap comparison finds equal has all its fields in the cluster.
        let unknown = before.filter(|_| known.is_some() || verdict != Verdict::Synced);
        let text = |name: &str| object::annotation(live, name);
        let options = text(annotation::SYNC_OPTIONS).map(SyncOptions::from_annotation).unwrap_or_default();
        Self {
            version: version(live),
            fingerprint,
            judged_for: wanted,
            verdict,
            unknown: unknown.and_then(|record| record.unknown.clone()),
            health: health::assess(&key.group, &key.kind, live),
            script_fault: None,
            instance: tracked::instance(key, live, tracking),
            handed_over: desired
                .filter(|_| text(annotation::TRACKING_ID).is_none())
                .and_then(Desired::as_value)
                .is_some_and(|wanted| tracked::is_handed_over(&wanted, live, tracking)),
            deleting: live.pointer("/metadata/deletionTimestamp").is_some(),
            kept: text(annotation::HELM_RESOURCE_POLICY) == Some("keep"),
            wave: wave(live),
            hook: Mark::of(live).map(Box::new),
            ignores_extraneous: text(annotation::COMPARE_OPTIONS).is_some_and(annotation::ignores_extraneous),
            options,
        }
    }

    /// Whether it is a hook that carries the finalizer.
    pub fn is_held_hook(&self) -> bool {
        self.hook.as_ref().is_some_and(|hook| hook.held)
    }

    /// The object is what the API server returned for applying `desired`.
    pub fn applied(key: &ObjectKey, live: &Value, desired: &Desired, tracking: &Tracking) -> Self {
        Self { verdict: Verdict::Synced, ..Self::of(key, live, Some(desired), None, tracking) }
    }

    /// A script of the installation's, where there is one for the kind, has the last word on the health. Of what it
    /// failed on, the health is Unknown.
    pub fn overrule_health(&mut self, scripted: Option<scripts::Answer>) {
        match scripted {
            None => {}
            Some(Ok(health)) => self.health = health,
            Some(Err(fault)) => {
                self.health = Some(Health { status: HealthStatusCode::Unknown, message: fault.to_string() });
                self.script_fault = Some(Box::new(fault));
            }
        }
    }

    /// The same with fields that the cluster's schema does not know.
    pub fn with_unknown(self, fields: Vec<String>) -> Self {
        Self { unknown: Some(fields).filter(|fields| !fields.is_empty()).map(Arc::from), ..self }
    }
}

/// The resource version, where it is a number.
pub fn version(live: &Value) -> Option<u64> {
    live.pointer("/metadata/resourceVersion")?.as_str()?.parse().ok()
}

/// A live object's wave; one that cannot be read counts for nothing.
fn wave(live: &Value) -> i64 {
    let annotations = live.pointer("/metadata/annotations").and_then(Value::as_object);
    annotations.and_then(|annotations| order::wave(annotations).ok()).unwrap_or_default()
}

/// The records of a cluster, and which of its kinds are watched.
#[derive(Debug, Default)]
pub struct Records {
    records: HashMap<ObjectKey, Record>,
    by_instance: HashMap<Box<str>, HashSet<ObjectKey>>,
    watched: HashMap<GroupKind, Watch>,
    /// At which version each kind is watched.
    versions: HashMap<GroupKind, Box<str>>,
    /// Those who watch. They end when they are dropped.
    followers: HashMap<GroupKind, Follower>,
    /// What the installation says of all objects. Kinds that it does not manage are not remembered, and need no watch.
    rules: Arc<Rules>,
    /// At which version objects went that the watch told of last.
    gone: HashMap<ObjectKey, u64>,
}

/// A task that watches a kind.
#[derive(Debug)]
struct Follower(AbortHandle);

impl Drop for Follower {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// How far a kind is watched.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Watch {
    /// Being listed.
    Listing,
    /// All its objects are known.
    Complete,
    /// The cluster does not serve it: it has no objects.
    Unserved,
    /// The API server refuses to list it, for these reasons, by the number of the place where it is listed.
    Refused(BTreeMap<usize, String>),
}

impl Records {
    /// Those of a cluster of which nothing is known.
    pub fn none() -> &'static Self {
        static NONE: LazyLock<Records> = LazyLock::new(Records::default);
        &NONE
    }

    /// The record of an object.
    pub fn get(&self, key: &ObjectKey) -> Option<&Record> {
        self.records.get(key)
    }

    /// What the installation says of all objects here.
    pub fn rules(&self) -> &Arc<Rules> {
        &self.rules
    }

    /// Takes over what the installation says of all objects. What is not managed any more is forgotten, and where
    /// objects tell in another way whose they are, all have to be looked at again.
    pub fn set_rules(&mut self, rules: Arc<Rules>) {
        let before = std::mem::replace(&mut self.rules, rules);
        if before.tracking != self.rules.tracking {
            (self.records, self.by_instance) = (HashMap::new(), HashMap::new());
            (self.watched, self.followers) = (HashMap::new(), HashMap::new());
            self.versions.clear();
            return;
        }
        let excluded: Vec<_> =
            self.records.keys().filter(|key| self.is_excluded(&key.group, &key.kind)).collect();
        let excluded: HashSet<_> = excluded.into_iter().map(ObjectKey::group_kind).collect();
        let watched = self.watched.keys().filter(|kind| self.is_excluded(&kind.group, &kind.kind));
        for kind in excluded.union(&watched.cloned().collect()) {
            self.unwatch(kind);
        }
    }

    fn is_excluded(&self, group: &str, kind: &str) -> bool {
        self.rules.exclusions.excludes(group, kind)
    }

    /// Remembers an object and returns what was remembered before.
    pub fn put(&mut self, key: ObjectKey, record: Record) -> Option<Record> {
        if self.is_excluded(&key.group, &key.kind) {
            return None;
        }
        if let Some(instance) = &record.instance {
            self.by_instance.entry(instance.clone()).or_default().insert(key.clone());
        }
        let instance = record.instance.clone();
        let before = self.records.insert(key.clone(), record);
        if let Some(other) = before.as_ref().filter(|before| before.instance != instance) {
            self.untrack(&key, other.instance.as_deref());
        }
        before
    }

    /// Remembers an object that the API server gave as an answer, unless the watch has told of a newer state of it
    /// since, its end included: the watch does not tell twice, so what it said would be lost until the object changes
    /// again. What was made of it by other rules than those of now is not believed: the watch tells anew.
    /// Returns whose the object was where it is not any more, which the watch will not notice.
    pub fn put_answer(&mut self, key: ObjectKey, record: Record, rules: &Arc<Rules>) -> Option<Box<str>> {
        if !Arc::ptr_eq(rules, &self.rules) {
            return None;
        }
        let known = self.records.get(&key).and_then(|known| known.version).or(self.gone.get(&key).copied());
        let is_older = matches!((record.version, known), (Some(answered), Some(known)) if answered < known);
        if is_older {
            return None;
        }
        let instance = record.instance.clone();
        self.put(key, record)?.instance.filter(|before| Some(before) != instance.as_ref())
    }

    /// Doubts the verdicts on objects that had fields which no schema knew, for schemas have changed. Returns which.
    pub fn doubt_unknown(&mut self) -> Vec<ObjectKey> {
        let doubted = self.records.iter_mut().filter(|(_, record)| record.unknown.is_some());
        let doubted = doubted.map(|(key, record)| {
            record.verdict = Verdict::Undecided;
            key.clone()
        });
        doubted.collect()
    }

    /// Notes that an object is being deleted, before the watch tells.
    pub fn set_deleting(&mut self, key: &ObjectKey) {
        if let Some(record) = self.records.get_mut(key) {
            record.deleting = true;
        }
    }

    /// Forgets an object that went at this version, and does not believe answers that are older.
    pub fn remove_at(&mut self, key: &ObjectKey, version: Option<u64>) -> Option<Record> {
        /// Answers are late by seconds at most: a few are enough, and a longer memory costs more than it saves.
        const REMEMBERED: usize = 1_000;
        if self.gone.len() >= REMEMBERED {
            self.gone.clear();
        }
        self.gone.extend(version.map(|version| (key.clone(), version)));
        self.remove(key)
    }

    /// Forgets an object that the API server did not find, unless the watch has told of another version than the one
    /// that was known when it was asked: it may have been made anew, and the watch does not tell twice.
    pub fn remove_answer(&mut self, key: &ObjectKey, known: Option<u64>) {
        if self.records.get(key).is_some_and(|record| record.version == known) {
            self.remove(key);
        }
    }

    /// Forgets an object that is gone and returns what was remembered.
    pub fn remove(&mut self, key: &ObjectKey) -> Option<Record> {
        let before = self.records.remove(key)?;
        self.untrack(key, before.instance.as_deref());
        Some(before)
    }

    /// The objects that carry an application's tracking id.
    pub fn tracked_by(&self, instance: &str) -> impl Iterator<Item = (&ObjectKey, &Record)> {
        let keys = self.by_instance.get(instance).into_iter().flatten();
        keys.filter_map(|key| self.records.get_key_value(key))
    }

    /// Whether an object may be deleted as this application's: it is, or is gone.
    pub fn may_be_of(&self, key: &ObjectKey, instance: &str) -> bool {
        match self.records.get(key) {
            Some(record) => record.instance.as_deref() == Some(instance),
            None => !self.is_excluded(&key.group, &key.kind),
        }
    }

    /// The objects of a kind that are remembered.
    pub fn of_kind(&self, kind: &GroupKind) -> Vec<ObjectKey> {
        let same = |key: &&ObjectKey| *key.group == kind.group && *key.kind == kind.kind;
        self.records.keys().filter(same).cloned().collect()
    }

    /// Whether all objects of a kind are known.
    pub fn is_complete(&self, kind: &GroupKind) -> bool {
        self.is_excluded(&kind.group, &kind.kind)
            || self.watched.get(kind).is_some_and(|watch| matches!(watch, Watch::Complete | Watch::Unserved))
    }

    /// Whether what happens to the objects of a kind is seen.
    pub fn is_followed(&self, kind: &GroupKind) -> bool {
        self.watched.get(kind) == Some(&Watch::Complete)
    }

    /// Why the objects of a kind cannot be known.
    pub fn refusal(&self, kind: &GroupKind) -> Option<&str> {
        match self.watched.get(kind)? {
            Watch::Refused(reasons) => reasons.values().next().map(String::as_str),
            Watch::Listing | Watch::Complete | Watch::Unserved => None,
        }
    }

    /// Notes why a kind cannot be listed in one of its places, unless all its objects are known from before. Returns
    /// whether there is another reason to tell: of several places that of the first is told, whichever said so last.
    pub fn set_refused(&mut self, kind: &GroupKind, place: usize, reason: String) -> bool {
        let before = self.refusal(kind).map(str::to_owned);
        match self.watched.get_mut(kind) {
            None | Some(Watch::Complete) => return false,
            Some(Watch::Refused(reasons)) => drop(reasons.insert(place, reason)),
            Some(watch) => *watch = Watch::Refused([(place, reason)].into()),
        }
        self.refusal(kind) != before.as_deref()
    }

    /// A kind was listed in one of its places. Returns the same.
    pub fn set_listed(&mut self, kind: &GroupKind, place: usize) -> bool {
        let before = self.refusal(kind).map(str::to_owned);
        if let Some(watch) = self.watched.get_mut(kind)
            && let Watch::Refused(reasons) = watch
        {
            reasons.remove(&place);
            if reasons.is_empty() {
                *watch = Watch::Listing;
            }
        }
        self.refusal(kind) != before.as_deref()
    }

    /// Notes a kind as watched, and whether all its objects are known.
    pub fn set_watched(&mut self, kind: GroupKind, complete: bool) {
        self.watched.insert(kind, if complete { Watch::Complete } else { Watch::Listing });
    }

    /// Notes at which version a kind is watched.
    pub fn set_served_version(&mut self, kind: GroupKind, version: &str) {
        self.versions.insert(kind, version.into());
    }

    /// At which version a kind is watched; empty where it is not.
    pub fn served_version(&self, kind: &GroupKind) -> &str {
        self.versions.get(kind).map(|version| &**version).unwrap_or_default()
    }

    /// Notes who watches a kind.
    pub fn set_follower(&mut self, kind: GroupKind, task: AbortHandle) {
        self.followers.insert(kind, Follower(task));
    }

    /// Whether somebody watches a kind.
    pub fn has_follower(&self, kind: &GroupKind) -> bool {
        self.followers.contains_key(kind)
    }

    /// Notes a kind as one that the cluster does not serve.
    pub fn set_unserved(&mut self, kind: GroupKind) {
        self.watched.insert(kind, Watch::Unserved);
    }

    /// The kinds that the cluster did not serve when they were asked for.
    pub fn unserved(&self) -> Vec<GroupKind> {
        let unserved = self.watched.iter().filter(|(_, watch)| **watch == Watch::Unserved);
        unserved.map(|(kind, _)| kind.clone()).collect()
    }

    /// Notes a kind as not watched any more and forgets its objects.
    pub fn unwatch(&mut self, kind: &GroupKind) {
        self.watched.remove(kind);
        self.versions.remove(kind);
        self.followers.remove(kind);
        for key in self.of_kind(kind) {
            self.remove(&key);
        }
    }

    /// Whether somebody watches the kind, or is about to.
    pub fn is_watched(&self, kind: &GroupKind) -> bool {
        self.watched.contains_key(kind) || self.is_excluded(&kind.group, &kind.kind)
    }

    fn untrack(&mut self, key: &ObjectKey, instance: Option<&str>) {
        let Some(instance) = instance else { return };
        if let Some(keys) = self.by_instance.get_mut(instance) {
            keys.remove(key);
            if keys.is_empty() {
                self.by_instance.remove(instance);
            }
        }
    }
}

#[cfg(test)]
mod tests;

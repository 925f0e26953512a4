//! What an application wants against what its cluster holds.
//!
//! What comes in: a bundle and the records. What goes out: the state of each object and of the whole.

use std::{collections::HashSet, sync::Arc};

use ithaca_api::{
    Application, HealthStatusCode, SyncOptions, SyncStatusCode,
    status::{HealthStatus, ResourceStatus},
    sync_options::Deletion,
};

use super::dependencies::Others;
use super::guard::Guard;
use super::permission::Forbidden;
use crate::{
    bundle::Bundle,
    desired::{Desired, Owner},
    health::{self, Health},
    live::{Record, Records, Verdict},
    object::ObjectKey,
};

/// How an application and its cluster compare.
#[derive(Debug, Default)]
pub struct Comparison {
    /// Every object, sorted as `status.resources` is.
    pub resources: Arc<Vec<ResourceStatus>>,
    /// Places in the bundle's objects of those whose difference only the API server can judge.
    pub undecided: Vec<usize>,
    /// Places in the bundle's objects of those that are missing or differ.
    pub out_of_sync: Vec<usize>,
    /// Live objects that carry the application's tracking id and are no longer wanted.
    pub extras: Vec<ObjectKey>,
    /// How many of `extras` make the application differ: some say that they do not (`IgnoreExtraneous`).
    pub counted_extras: usize,
    /// Those of `extras` that are a reason to prune: they count, may be pruned, and nobody has deleted them yet.
    pub prunable: Vec<ObjectKey>,
    /// Live hooks of no operation that is under way which carry the finalizer still. Only without one are they right.
    pub held: Vec<ObjectKey>,
    /// How many objects of the application live.
    pub live: usize,
    /// Pruning all that may be pruned is more than goes without somebody's word.
    pub guarded: bool,
    /// Wanted objects that carry another application's tracking id, and which.
    pub shared: Vec<(ObjectKey, Box<str>)>,
    /// Those of them that the other application still wants. Whoever heals leaves them to it: two that take an object
    /// from each other would never end.
    pub taken: HashSet<ObjectKey>,
    /// Wanted objects that another application wants as well, and which, beyond `shared`.
    pub rivals: Vec<(ObjectKey, Box<str>)>,
    /// Some of the bundle's objects cannot be applied at all.
    pub unserved: bool,
    /// What the project does not permit. A sync that meets one fails.
    pub forbidden: Vec<Forbidden>,
    /// The worst health of the objects that count.
    pub health: HealthStatusCode,
}

impl Comparison {
    /// The state of the whole. What is not known to be as wanted is not Synced.
    pub fn status(&self) -> SyncStatusCode {
        let differs = self.unserved || !self.out_of_sync.is_empty() || self.counted_extras > 0;
        match differs || !self.undecided.is_empty() {
            true => SyncStatusCode::OutOfSync,
            false => SyncStatusCode::Synced,
        }
    }

    /// Whether pruning everything is all that is left to do to the application.
    pub fn would_wipe(&self, bundle: &Bundle) -> bool {
        bundle.assembly.is_empty() && !self.extras.is_empty()
    }
}

impl Comparison {
    /// The same, with what other Applications want of its objects.
    pub fn among(mut self, application: &Application, others: &dyn Others) -> Self {
        let taken = self.shared.iter().filter(|(key, other)| others.wants(other, key));
        self.taken = taken.map(|(key, _)| key.clone()).collect();
        self.rivals = others.rivals(application);
        self.rivals.retain(|rival| !self.shared.contains(rival));
        self.rivals.sort();
        self
    }

    /// The same, with a guard over what would be pruned.
    pub fn guarded_by(mut self, guard: Guard) -> Self {
        self.guarded = guard.holds(self.prunable.len(), self.live);
        self
    }
}

/// Compares. All kinds of the bundle must be watched completely. `options` are the application's.
pub fn compare(bundle: &Bundle, owner: &Owner, options: &SyncOptions, records: &Records) -> Comparison {
    let mut comparison = Comparison::default();
    let assembly = &bundle.assembly;
    let wanted: HashSet<_> = assembly.objects.iter().map(|desired| &desired.key).collect();
    let others = records.tracked_by(&owner.instance).filter(|(key, _)| !wanted.contains(key));
    let others: Vec<_> = others.collect();
    let mut healths = Vec::new();
    let mut resources = Vec::with_capacity(assembly.objects.len() + others.len() + assembly.unknown.len());
    for (place, desired) in assembly.objects.iter().enumerate() {
        let record = records.get(&desired.key);
        comparison.live += usize::from(record.is_some());
        let code = match verdict(desired, record) {
            Some(Verdict::Synced) => SyncStatusCode::Synced,
            Some(Verdict::Undecided) => {
                comparison.undecided.push(place);
                SyncStatusCode::OutOfSync
            }
            Some(Verdict::OutOfSync(_)) | None => {
                comparison.out_of_sync.push(place);
                SyncStatusCode::OutOfSync
            }
        };
        let other =
            record.and_then(|record| record.instance.as_ref()).filter(|name| ***name != *owner.instance);
        comparison.shared.extend(other.map(|other| (desired.key.clone(), other.clone())));
        healths.extend(
            record.filter(|_| !desired.ignores_health).and_then(|r| r.health.as_ref()).map(|h| h.status),
        );
        resources.push(wanted_status(desired, record, code, options));
    }
    let skipped: HashSet<&ObjectKey> = assembly.skipped.iter().collect();
    for (key, record) in others {
        if record.hook.is_some() || skipped.contains(key) {
            resources.push(uncounted_status(key, record, records));
            comparison.held.extend(record.is_held_hook().then(|| key.clone()));
            continue;
        }
        comparison.live += 1;
        resources.push(extra_status(key, record, options, records));
        comparison.extras.push(key.clone());
        if record.ignores_extraneous {
            continue;
        }
        comparison.counted_extras += 1;
        let forbidden = options.overlaid_with(&record.options).prune() == Deletion::Forbidden;
        if !record.deleting && !forbidden && assembly.is_whole() {
            comparison.prunable.push(key.clone());
        }
    }
    for (key, _) in &assembly.unknown {
        resources.push(unknown_status(key));
    }
    comparison.unserved = !assembly.is_whole();
    comparison.extras.sort();
    comparison.prunable.sort();
    resources.sort_by(|a, b| order(a).cmp(&order(b)));
    comparison.resources = Arc::new(resources);
    let nothing_lives = assembly.objects.iter().all(|desired| records.get(&desired.key).is_none());
    comparison.health = match nothing_lives && !assembly.objects.is_empty() {
        true => HealthStatusCode::Missing,
        false => health::worst(healths),
    };
    comparison
}

/// What is known about a wanted object: None where it is not there.
fn verdict<'a>(desired: &Desired, record: Option<&'a Record>) -> Option<&'a Verdict> {
    match record {
        Some(record) if record.judged_for == desired.hash => Some(&record.verdict),
        Some(_) => Some(&Verdict::Undecided),
        None => None,
    }
}

fn wanted_status(
    desired: &Desired,
    record: Option<&Record>,
    code: SyncStatusCode,
    options: &SyncOptions,
) -> ResourceStatus {
    let health = match record {
        Some(record) => record.health.as_ref().map(health_status),
        None => Some(HealthStatus { status: Some(HealthStatusCode::Missing), ..HealthStatus::default() }),
    };
    ResourceStatus {
        version: desired.version.clone(),
        status: Some(code),
        health,
        sync_wave: desired.wave,
        requires_deletion_confirmation: is_confirmed(options, &desired.options),
        ..named(&desired.key)
    }
}

/// Whether an object goes only with somebody's word.
fn is_confirmed(options: &SyncOptions, own: &SyncOptions) -> bool {
    let options = options.overlaid_with(own);
    [options.prune(), options.delete()].contains(&Deletion::Confirmed)
}

fn extra_status(
    key: &ObjectKey,
    record: &Record,
    options: &SyncOptions,
    records: &Records,
) -> ResourceStatus {
    ResourceStatus {
        status: Some(SyncStatusCode::OutOfSync),
        requires_pruning: true,
        requires_deletion_confirmation: is_confirmed(options, &record.options),
        sync_wave: record.wave,
        health: record.health.as_ref().map(health_status),
        ..served(key, records)
    }
}

/// Hooks and what is not to be applied: they are shown and count for nothing.
fn uncounted_status(key: &ObjectKey, record: &Record, records: &Records) -> ResourceStatus {
    ResourceStatus {
        hook: record.hook.is_some(),
        sync_wave: record.wave,
        health: record.health.as_ref().map(health_status),
        ..served(key, records)
    }
}

/// What Git does not tell the version of has the one that the cluster serves.
fn served(key: &ObjectKey, records: &Records) -> ResourceStatus {
    let version = records.served_version(&key.group_kind()).to_owned();
    ResourceStatus { version, ..named(key) }
}

fn unknown_status(key: &ObjectKey) -> ResourceStatus {
    let missing = HealthStatus { status: Some(HealthStatusCode::Missing), ..HealthStatus::default() };
    ResourceStatus { status: Some(SyncStatusCode::Unknown), health: Some(missing), ..named(key) }
}

fn named(key: &ObjectKey) -> ResourceStatus {
    ResourceStatus {
        group: key.group.to_string(),
        kind: key.kind.to_string(),
        namespace: key.namespace.to_string(),
        name: key.name.to_string(),
        ..ResourceStatus::default()
    }
}

fn health_status(health: &Health) -> HealthStatus {
    HealthStatus { status: Some(health.status), message: health.message.clone(), last_transition_time: None }
}

fn order(resource: &ResourceStatus) -> (&str, &str, &str, &str) {
    (&resource.group, &resource.kind, &resource.namespace, &resource.name)
}

#[cfg(test)]
mod tests;

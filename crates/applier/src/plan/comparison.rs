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
    let mut wanted = HashSet::with_capacity(bundle.assembly.objects.len());
    let (mut healths, mut resources) = (Vec::new(), Vec::new());
    for (place, desired) in bundle.assembly.objects.iter().enumerate() {
        wanted.insert(&desired.key);
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
    let skipped: HashSet<&ObjectKey> = bundle.assembly.skipped.iter().collect();
    for (key, record) in records.tracked_by(&owner.instance).filter(|(key, _)| !wanted.contains(key)) {
        if record.hook.is_some() || skipped.contains(key) {
            resources.push(uncounted_status(key, record));
            comparison.held.extend(record.is_held_hook().then(|| key.clone()));
            continue;
        }
        comparison.live += 1;
        resources.push(extra_status(key, record, options));
        comparison.extras.push(key.clone());
        if record.ignores_extraneous {
            continue;
        }
        comparison.counted_extras += 1;
        let forbidden = options.overlaid_with(&record.options).prune() == Deletion::Forbidden;
        if !record.deleting && !forbidden && bundle.assembly.is_whole() {
            comparison.prunable.push(key.clone());
        }
    }
    for (key, _) in &bundle.assembly.unknown {
        resources.push(unknown_status(key));
    }
    comparison.unserved = !bundle.assembly.is_whole();
    comparison.extras.sort();
    comparison.prunable.sort();
    resources.sort_by(|a, b| order(a).cmp(&order(b)));
    comparison.resources = Arc::new(resources);
    let nothing_lives = bundle.assembly.objects.iter().all(|desired| records.get(&desired.key).is_none());
    comparison.health = match nothing_lives && !bundle.assembly.objects.is_empty() {
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

fn extra_status(key: &ObjectKey, record: &Record, options: &SyncOptions) -> ResourceStatus {
    ResourceStatus {
        status: Some(SyncStatusCode::OutOfSync),
        requires_pruning: true,
        requires_deletion_confirmation: is_confirmed(options, &record.options),
        sync_wave: record.wave,
        health: record.health.as_ref().map(health_status),
        ..named(key)
    }
}

/// Hooks and what is not to be applied: they are shown and count for nothing.
fn uncounted_status(key: &ObjectKey, record: &Record) -> ResourceStatus {
    ResourceStatus {
        hook: record.hook.is_some(),
        sync_wave: record.wave,
        health: record.health.as_ref().map(health_status),
        ..named(key)
    }
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
mod tests {
    use serde_json::json;

    use super::*;

    /// A second deletion puts the foreground finalizer back, and the object may stay for ever.
    #[test]
    fn an_extra_that_is_being_deleted_is_not_to_be_pruned_again() {
        let owner = Owner { instance: "web".to_owned(), namespace: "web".to_owned(), ..Owner::default() };
        let bundle = Bundle::new(ithaca_proto::v1::BundleRendered::default(), Arc::default());
        let mut records = Records::default();
        for (name, deleted_at) in [("goes", json!("2026-01-01T00:00:00Z")), ("stays", json!(null))] {
            let key = ObjectKey::new("", "ConfigMap", "web", name);
            let tracking = format!("web:/ConfigMap:web/{name}");
            let annotations = json!({"argocd.argoproj.io/tracking-id": tracking});
            let mut live =
                json!({"metadata": {"name": name, "namespace": "web", "annotations": annotations}});
            if !deleted_at.is_null() {
                live["metadata"]["deletionTimestamp"] = deleted_at;
            }
            records.put(key.clone(), Record::of(&key, &live, None, None, &Default::default()));
        }
        let names = |keys: &[ObjectKey]| keys.iter().map(|key| key.name.to_string()).collect::<Vec<_>>();
        let comparison = compare(&bundle, &owner, &SyncOptions::default(), &records);
        assert_eq!(names(&comparison.extras), ["goes", "stays"]);
        assert_eq!(names(&comparison.prunable), ["stays"]);
        records.set_deleting(&comparison.prunable[0]);
        assert!(compare(&bundle, &owner, &SyncOptions::default(), &records).prunable.is_empty());
    }

    #[test]
    fn an_extra_that_says_so_does_not_count() {
        let owner = Owner { instance: "web".to_owned(), namespace: "web".to_owned(), ..Owner::default() };
        let bundle = Bundle::new(ithaca_proto::v1::BundleRendered::default(), Arc::default());
        let mut records = Records::default();
        let key = ObjectKey::new("", "ConfigMap", "web", "extra");
        let live = json!({"metadata": {"name": "extra", "namespace": "web", "annotations": {
            "argocd.argoproj.io/tracking-id": "web:/ConfigMap:web/extra",
            "argocd.argoproj.io/compare-options": "IgnoreExtraneous",
        }}});
        records.put(key.clone(), Record::of(&key, &live, None, None, &Default::default()));
        let comparison = compare(&bundle, &owner, &SyncOptions::default(), &records);
        assert_eq!(comparison.status(), SyncStatusCode::Synced);
        assert_eq!(comparison.resources[0].status, Some(SyncStatusCode::OutOfSync));
        assert_eq!((comparison.extras.len(), comparison.prunable.len()), (1, 0));
    }

    /// An operation for the revision before may end when the next bundle is known already: its objects are not yet
    /// as the next one wants them, and saying Synced at the next revision would be untrue.
    #[test]
    fn an_object_that_was_judged_for_an_earlier_wish_is_not_synced() {
        let owner = Owner { instance: "web".to_owned(), namespace: "web".to_owned(), ..Owner::default() };
        let assembled = |value: &str| {
            let manifest = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": {"k": value}});
            let assembly = crate::desired::assemble(vec![manifest], &owner, &|_| Some(true));
            Bundle::new(ithaca_proto::v1::BundleRendered::default(), Arc::new(assembly))
        };
        let (first, second) = (assembled("1"), assembled("2"));
        let wanted = &first.assembly.objects[0];
        let live = serde_json::from_str(wanted.json.get()).expect("an object");
        let mut records = Records::default();
        records.put(wanted.key.clone(), Record::applied(&wanted.key, &live, wanted, &Default::default()));
        assert_eq!(
            compare(&first, &owner, &SyncOptions::default(), &records).status(),
            SyncStatusCode::Synced
        );
        assert_eq!(
            compare(&second, &owner, &SyncOptions::default(), &records).status(),
            SyncStatusCode::OutOfSync
        );
    }

    /// The rules of compat.md 2.5 and 2.8 in one application: what is shown of each object, and what counts.
    #[test]
    fn each_object_is_shown_as_it_is_and_counts_as_it_should() {
        let owner = Owner { instance: "web".to_owned(), namespace: "web".to_owned(), ..Owner::default() };
        let manifest = |kind: &str, name: &str, annotations: serde_json::Value| {
            let version = if kind == "Deployment" { "apps/v1" } else { "v1" };
            json!({"apiVersion": version, "kind": kind, "metadata": {"name": name, "annotations": annotations}})
        };
        let wave = json!({"argocd.argoproj.io/sync-wave": "3"});
        let manifests = vec![
            manifest("Deployment", "same", wave),
            manifest("ConfigMap", "shared", json!({})),
            manifest("ConfigMap", "missing", json!({})),
            manifest("ConfigMap", "skipped", json!({"argocd.argoproj.io/hook": "Skip"})),
        ];
        let assembly = crate::desired::assemble(manifests, &owner, &|_| Some(true));
        let bundle = Bundle::new(ithaca_proto::v1::BundleRendered::default(), Arc::new(assembly));
        let mut records = Records::default();
        let wanted = |name: &str| {
            bundle.assembly.objects.iter().find(|wanted| *wanted.key.name == *name).expect("wanted")
        };
        let mut live: serde_json::Value = serde_json::from_str(wanted("same").json.get()).expect("an object");
        live["metadata"]["generation"] = json!(2);
        live["status"] = json!({"observedGeneration": 1});
        let same = wanted("same");
        records.put(same.key.clone(), Record::applied(&same.key, &live, same, &Default::default()));
        let mut put = |kind: &str, name: &str, annotations: serde_json::Value| {
            let key = ObjectKey::new("", kind, "web", name);
            let metadata = json!({"name": name, "namespace": "web", "annotations": annotations});
            let live = json!({"metadata": metadata, "status": {"phase": "Running"}});
            records.put(key.clone(), Record::of(&key, &live, None, None, &Default::default()));
        };
        let tracked = |owner: &str, kind: &str, name: &str, more: serde_json::Value| {
            let mut all = json!({"argocd.argoproj.io/tracking-id": format!("{owner}:/{kind}:web/{name}")});
            all.as_object_mut().expect("a map").extend(more.as_object().expect("a map").clone());
            all
        };
        put("ConfigMap", "shared", tracked("shop", "ConfigMap", "shared", json!({})));
        put("ConfigMap", "skipped", tracked("web", "ConfigMap", "skipped", json!({})));
        put("Pod", "extra", tracked("web", "Pod", "extra", json!({})));
        put(
            "ConfigMap",
            "kept",
            tracked("web", "ConfigMap", "kept", json!({"argocd.argoproj.io/sync-options": "Prune=false"})),
        );
        let asked_for =
            json!({"argocd.argoproj.io/sync-options": "Delete=confirm", "argocd.argoproj.io/sync-wave": "2"});
        put("Secret", "asked-for", tracked("web", "Secret", "asked-for", asked_for));
        put("Pod", "hook", tracked("web", "Pod", "hook", json!({"argocd.argoproj.io/hook": "PostSync"})));
        put("ConfigMap", "stranger", json!({}));

        let comparison = compare(&bundle, &owner, &SyncOptions::default(), &records);
        let shown: Vec<String> = comparison.resources.iter().map(shown_as).collect();
        assert_eq!(
            shown,
            [
                " ConfigMap kept OutOfSync prune",
                "v1 ConfigMap missing OutOfSync Missing",
                "v1 ConfigMap shared OutOfSync",
                " ConfigMap skipped",
                " Pod extra OutOfSync prune Progressing",
                " Pod hook hook Progressing",
                " Secret asked-for OutOfSync prune confirm wave2",
                "v1 Deployment same Synced wave3 Progressing",
            ]
        );
        let names = |keys: &[ObjectKey]| keys.iter().map(|key| key.name.to_string()).collect::<Vec<_>>();
        assert_eq!(names(&comparison.extras), ["kept", "extra", "asked-for"]);
        assert_eq!(names(&comparison.prunable), ["extra", "asked-for"]);
        assert_eq!((comparison.counted_extras, comparison.live), (3, 5));
        assert_eq!((comparison.out_of_sync.len(), comparison.undecided.len()), (1, 1));
        assert_eq!(comparison.shared, [(ObjectKey::new("", "ConfigMap", "web", "shared"), "shop".into())]);
        assert_eq!(comparison.health, HealthStatusCode::Progressing);
        assert_eq!(comparison.status(), SyncStatusCode::OutOfSync);
    }

    /// Compat 1.7: its health is shown, and does not count.
    #[test]
    fn an_object_that_says_so_does_not_count_for_the_health() {
        let owner = Owner { instance: "web".to_owned(), namespace: "web".to_owned(), ..Owner::default() };
        for (ignores, expected) in [
            ("true", HealthStatusCode::Healthy),
            ("false", HealthStatusCode::Degraded),
            ("yes", HealthStatusCode::Degraded),
        ] {
            let annotations = json!({"argocd.argoproj.io/ignore-healthcheck": ignores});
            let manifest = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a", "annotations": annotations}});
            let assembly = crate::desired::assemble(vec![manifest], &owner, &|_| Some(true));
            let bundle = Bundle::new(ithaca_proto::v1::BundleRendered::default(), Arc::new(assembly));
            let wanted = &bundle.assembly.objects[0];
            let mut live = wanted.as_value().expect("an object");
            live["status"] = json!({"phase": "Failed"});
            let mut records = Records::default();
            records.put(wanted.key.clone(), Record::applied(&wanted.key, &live, wanted, &Default::default()));
            let comparison = compare(&bundle, &owner, &SyncOptions::default(), &records);
            assert_eq!(comparison.health, expected, "{ignores}");
            assert_eq!(
                comparison.resources.iter().map(shown_as).collect::<Vec<_>>(),
                ["v1 Pod a Synced Degraded"]
            );
        }
    }

    #[test]
    fn an_object_whose_kind_is_not_served_is_shown_as_missing() {
        let owner = Owner { instance: "web".to_owned(), namespace: "web".to_owned(), ..Owner::default() };
        let manifest = json!({"apiVersion": "example.org/v1", "kind": "Widget", "metadata": {"name": "new"}});
        let assembly = crate::desired::assemble(vec![manifest], &owner, &|_| None);
        let bundle = Bundle::new(ithaca_proto::v1::BundleRendered::default(), Arc::new(assembly));
        let comparison = compare(&bundle, &owner, &SyncOptions::default(), &Records::default());
        assert_eq!(
            comparison.resources.iter().map(shown_as).collect::<Vec<_>>(),
            [" Widget new Unknown Missing"]
        );
        assert!(comparison.unserved);
        assert_eq!(comparison.status(), SyncStatusCode::OutOfSync);
    }

    fn shown_as(shown: &ResourceStatus) -> String {
        let word = |is: bool, word: &str| is.then(|| word.to_owned());
        let parts = [
            Some(format!("{} {} {}", shown.version, shown.kind, shown.name)),
            shown.status.map(|status| format!("{status:?}")),
            word(shown.hook, "hook"),
            word(shown.requires_pruning, "prune"),
            word(shown.requires_deletion_confirmation, "confirm"),
            (shown.sync_wave != 0).then(|| format!("wave{}", shown.sync_wave)),
            shown.health.as_ref().and_then(|health| health.status).map(|health| format!("{health:?}")),
        ];
        parts.into_iter().flatten().collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn a_guard_adds_its_word_and_changes_nothing_else() {
        let extra = |number: usize| ObjectKey::new("", "ConfigMap", "web", &format!("extra-{number}"));
        let prunable: Vec<_> = (0..11).map(extra).collect();
        let comparison =
            Comparison { prunable: prunable.clone(), live: 12, counted_extras: 11, ..Comparison::default() };
        let guarded = comparison.guarded_by(Guard::default());
        assert!(guarded.guarded);
        assert_eq!((guarded.prunable, guarded.live, guarded.counted_extras), (prunable, 12, 11));
    }

    /// Missing is said of the whole only where nothing of it is there.
    #[test]
    fn nothing_but_extras_or_strangers_differs_only_by_them() {
        let owner = Owner { instance: "web".to_owned(), namespace: "web".to_owned(), ..Owner::default() };
        let empty = Bundle::new(ithaca_proto::v1::BundleRendered::default(), Arc::default());
        let options = SyncOptions::default();
        let none = compare(&empty, &owner, &options, &Records::default());
        assert_eq!((none.status(), none.health), (SyncStatusCode::Synced, HealthStatusCode::Healthy));
        assert!(!none.would_wipe(&empty));
        let mut records = Records::default();
        let key = ObjectKey::new("", "ConfigMap", "web", "extra");
        let live = json!({"metadata": {"name": "extra", "namespace": "web", "annotations": {
            "argocd.argoproj.io/tracking-id": "web:/ConfigMap:web/extra"}}});
        records.put(key.clone(), Record::of(&key, &live, None, None, &Default::default()));
        let extra = compare(&empty, &owner, &options, &records);
        assert_eq!(extra.status(), SyncStatusCode::OutOfSync);
        assert!(extra.would_wipe(&empty));
        let manifest = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}});
        let assembly = crate::desired::assemble(vec![manifest], &owner, &|_| Some(true));
        let bundle = Bundle::new(ithaca_proto::v1::BundleRendered::default(), Arc::new(assembly));
        let missing = compare(&bundle, &owner, &options, &records);
        assert_eq!(missing.health, HealthStatusCode::Missing);
        assert!(!missing.would_wipe(&bundle));
        assert_eq!(
            compare(&bundle, &owner, &options, &Records::default()).status(),
            SyncStatusCode::OutOfSync
        );
    }
}

//! What counts, what is shown, and what may be pruned.

use serde_json::json;

use super::*;
use crate::object::GroupKind;

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
        let mut live = json!({"metadata": {"name": name, "namespace": "web", "annotations": annotations}});
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
        let manifest =
            json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": {"k": value}});
        let assembly = crate::desired::assemble(vec![manifest], &owner, &|_| Some(true));
        Bundle::new(ithaca_proto::v1::BundleRendered::default(), Arc::new(assembly))
    };
    let (first, second) = (assembled("1"), assembled("2"));
    let wanted = &first.assembly.objects[0];
    let live = serde_json::from_str(wanted.json.get()).expect("an object");
    let mut records = Records::default();
    records.put(wanted.key.clone(), Record::applied(&wanted.key, &live, wanted, &Default::default()));
    assert_eq!(compare(&first, &owner, &SyncOptions::default(), &records).status(), SyncStatusCode::Synced);
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
        manifest("ConfigMap", "missing", json!({"argocd.argoproj.io/sync-options": "Delete=confirm"})),
        manifest("ConfigMap", "skipped", json!({"argocd.argoproj.io/hook": "Skip"})),
    ];
    let assembly = crate::desired::assemble(manifests, &owner, &|_| Some(true));
    let bundle = Bundle::new(ithaca_proto::v1::BundleRendered::default(), Arc::new(assembly));
    let mut records = Records::default();
    let wanted =
        |name: &str| bundle.assembly.objects.iter().find(|wanted| *wanted.key.name == *name).expect("wanted");
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
    let hook = json!({"argocd.argoproj.io/hook": "PostSync", "argocd.argoproj.io/sync-wave": "1"});
    put("Pod", "hook", tracked("web", "Pod", "hook", hook));
    put("ConfigMap", "stranger", json!({}));
    for (kind, version) in [("ConfigMap", "v1"), ("Pod", "v2")] {
        records.set_served_version(GroupKind { group: String::new(), kind: kind.to_owned() }, version);
    }

    let comparison = compare(&bundle, &owner, &SyncOptions::default(), &records);
    let shown: Vec<String> = comparison.resources.iter().map(shown_as).collect();
    assert_eq!(
        shown,
        [
            "v1 ConfigMap kept OutOfSync prune",
            "v1 ConfigMap missing OutOfSync confirm Missing",
            "v1 ConfigMap shared OutOfSync",
            "v1 ConfigMap skipped",
            "v2 Pod extra OutOfSync prune Progressing",
            "v2 Pod hook hook wave1 Progressing",
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
        let manifest =
            json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a", "annotations": annotations}});
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
    assert_eq!(compare(&bundle, &owner, &options, &Records::default()).status(), SyncStatusCode::OutOfSync);
}

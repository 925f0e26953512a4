//! What holds for any manifest and any live object: nothing panics, nothing is lost, and every object is there once.

use std::collections::HashSet;

use ithaca_api::{Application, tracking::Tracking};
use jiff::Timestamp;
use proptest::{collection::vec, prelude::*};
use serde_json::{Map, Value, json};

use crate::{
    desired::{Owner, assemble},
    health,
    hook::{Attempt, Mark},
    judge,
    live::Record,
    object::ObjectKey,
    order::{self, Phase, Role},
    plan::depends_on,
};

fn any_text() -> impl Strategy<Value = String> {
    prop_oneof![any::<String>(), "[a-zA-Z0-9:/_.,= +-]{0,20}"]
}

/// Annotations that have a meaning, with values that almost have one.
fn annotations() -> impl Strategy<Value = Map<String, Value>> {
    let names = prop::sample::select(vec![
        "argocd.argoproj.io/hook",
        "argocd.argoproj.io/hook-delete-policy",
        "argocd.argoproj.io/sync-wave",
        "argocd.argoproj.io/sync-options",
        "argocd.argoproj.io/compare-options",
        "argocd.argoproj.io/tracking-id",
        "argocd.argoproj.io/ignore-healthcheck",
        "helm.sh/hook",
        "helm.sh/hook-weight",
        "helm.sh/hook-delete-policy",
        "helm.sh/resource-policy",
    ]);
    let words = prop::sample::select(vec![
        "PreSync",
        "Sync",
        "PostSync",
        "SyncFail",
        "Skip",
        "PreDelete",
        "pre-install",
        "post-upgrade",
        "test",
        "crd-install",
        "HookSucceeded",
        "hook-failed",
        "BeforeHookCreation",
        "-1",
        "+5",
        "1.5",
        "99999999999999999999",
        ",",
        " ",
        "",
        "Prune=false",
        "Force=true",
        "web:/ConfigMap:web/a",
    ]);
    let value = prop_oneof![
        6 => vec(words, 0..4).prop_map(|words| Value::from(words.join(","))),
        2 => any_text().prop_map(Value::from),
        1 => any_value(),
    ];
    vec((names, value), 0..6)
        .prop_map(|all| all.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
}

/// Any JSON, made of fields that rules of health look at.
fn any_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        prop::sample::select(vec![
            "True",
            "False",
            "Ready",
            "Failed",
            "Running",
            "Always",
            "2026-01-01T00:00:00Z",
            "CrashLoopBackOff"
        ])
        .prop_map(Value::from),
        any_text().prop_map(Value::from),
    ];
    let names = prop::sample::select(vec![
        "metadata",
        "spec",
        "status",
        "conditions",
        "type",
        "reason",
        "message",
        "phase",
        "replicas",
        "updatedReplicas",
        "readyReplicas",
        "observedGeneration",
        "generation",
        "containerStatuses",
        "state",
        "waiting",
        "terminated",
        "exitCode",
        "restartPolicy",
        "loadBalancer",
        "ingress",
        "updateStrategy",
        "rollingUpdate",
        "partition",
        "health",
        "parents",
        "listeners",
        "lastScheduleTime",
        "suspend",
        "deletionTimestamp",
        "finalizers",
        "annotations",
        "managedFields",
    ]);
    leaf.prop_recursive(6, 48, 6, move |inner| {
        let fields = vec((names.clone(), inner.clone()), 0..6)
            .prop_map(|fields| fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect());
        prop_oneof![fields, vec(inner, 0..4).prop_map(Value::from)]
    })
}

/// Manifests that are almost right.
fn manifest() -> impl Strategy<Value = Value> {
    let kinds = prop::sample::select(vec![
        ("v1", "ConfigMap"),
        ("v1", "Secret"),
        ("v1", "Namespace"),
        ("batch/v1", "Job"),
        ("example.com/v1", "Boat"),
        ("apiextensions.k8s.io/v1", "CustomResourceDefinition"),
        ("", ""),
        ("v1", ""),
    ]);
    let name = prop_oneof![4 => "[ab]".prop_map(Value::from), 1 => Just(json!("")), 1 => any_value()];
    let parts = (kinds, name, annotations(), any_value(), any::<bool>());
    prop_oneof![
        8 => parts.prop_map(|((api_version, kind), name, annotations, more, generated)| {
            let field = if generated { "generateName" } else { "name" };
            json!({
                "apiVersion": api_version, "kind": kind, "metadata": {field: name, "annotations": annotations},
                "spec": more, "data": more, "stringData": more,
            })
        }),
        1 => any_value(),
    ]
}

const KINDS: &[(&str, &str)] = &[
    ("apps", "Deployment"),
    ("apps", "StatefulSet"),
    ("apps", "DaemonSet"),
    ("apps", "ReplicaSet"),
    ("", "Pod"),
    ("batch", "Job"),
    ("batch", "CronJob"),
    ("", "Service"),
    ("networking.k8s.io", "Ingress"),
    ("", "PersistentVolumeClaim"),
    ("autoscaling", "HorizontalPodAutoscaler"),
    ("apiregistration.k8s.io", "APIService"),
    ("apiextensions.k8s.io", "CustomResourceDefinition"),
    ("policy", "PodDisruptionBudget"),
    ("argoproj.io", "Workflow"),
    ("argoproj.io", "Rollout"),
    ("cert-manager.io", "Certificate"),
    ("helm.cattle.io", "HelmChart"),
    ("helm.toolkit.fluxcd.io", "HelmRelease"),
    ("postgresql.cnpg.io", "Cluster"),
    ("gateway.networking.k8s.io", "HTTPRoute"),
    ("longhorn.io", "Volume"),
    ("keda.sh", "ScaledObject"),
    ("velero.io", "Backup"),
    ("cluster.x-k8s.io", "Cluster"),
    ("serving.knative.dev", "Service"),
    ("example.com", "Boat"),
];

proptest! {
    #[test]
    fn any_annotations_give_a_role_and_a_wave_or_a_reason(annotations in annotations()) {
        if let Role::Hook { phases, delete } = order::role(&annotations) {
            let distinct: HashSet<_> = phases.iter().collect();
            prop_assert!(distinct.len() == phases.len() && !delete.is_empty());
        }
        if let Err(reason) = order::wave(&annotations) {
            prop_assert!(reason.starts_with("annotation "), "{reason}");
        }
    }

    #[test]
    fn any_manifests_are_put_together_and_each_object_is_there_once(manifests in vec(manifest(), 0..8)) {
        let owner = Owner { instance: "web".to_owned(), namespace: "web".to_owned(), ..Owner::default() };
        let given = manifests.len();
        let serves = |kind: &crate::object::Kind| (kind.group != "example.com").then_some(kind.kind != "Namespace");
        let assembly = assemble(manifests, &owner, &serves);
        let keys: HashSet<_> = assembly.objects.iter().map(|desired| &desired.key).collect();
        prop_assert_eq!(keys.len(), assembly.objects.len());
        let told = assembly.unknown.len() + assembly.invalid.len() + assembly.skipped.len() + assembly.repeated.len();
        prop_assert!(assembly.objects.len() + assembly.hooks.len() + told <= given);
        let attempt = Attempt { started_at: Timestamp::UNIX_EPOCH, retries: 1 };
        for hook in &assembly.hooks {
            let instance = hook.instance(attempt, Phase::Sync, "0123456789");
            let live: Value = serde_json::from_str(instance.object.json.get()).expect("an object");
            let mark = Mark::of(&live).map(|mark| (mark.attempt.to_string(), mark.held));
            prop_assert_eq!(mark, Some((instance.mark, true)));
        }
    }

    #[test]
    fn any_live_object_is_judged(live in any_value(), annotations in annotations(), kind in prop::sample::select(KINDS)) {
        let mut live = live;
        if let Some(metadata) = live.get_mut("metadata").and_then(Value::as_object_mut) {
            metadata.insert("annotations".to_owned(), Value::Object(annotations));
        }
        let (group, kind) = kind;
        health::assess(group, kind, &live);
        let key = ObjectKey::new(group, kind, "web", "a");
        let record = Record::of(&key, &live, None, None, &Tracking::default());
        prop_assert_eq!(record.fingerprint, judge::fingerprint(&live));
    }

    #[test]
    fn any_dependencies_are_names(text in prop_oneof![any_text(), "[a-c/,\n ]{0,20}"]) {
        let metadata = json!({"name": "web", "namespace": "argocd", "annotations": {"ithaca.dev/depends-on": text}});
        let application = json!({"metadata": metadata, "spec": {"project": "", "destination": {}}});
        let application: Application = serde_json::from_value(application).expect("an Application");
        let names = depends_on(&application);
        prop_assert!(names.len() <= text.split([',', '\n']).count());
    }
}

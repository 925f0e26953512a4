//! In which order objects are applied, and in which role.
//!
//! What comes in: kinds and annotations. What goes out: ranks, waves and roles. It sorts nothing itself.

use std::fmt;

use ithaca_api::annotation;
use serde_json::{Map, Value};

/// The kinds whose order matters, first to last: what others need comes before them.
const KINDS: &[&str] = &[
    "Namespace",
    "NetworkPolicy",
    "ResourceQuota",
    "LimitRange",
    "PodSecurityPolicy",
    "PodDisruptionBudget",
    "ServiceAccount",
    "Secret",
    "SecretList",
    "ConfigMap",
    "StorageClass",
    "PersistentVolume",
    "PersistentVolumeClaim",
    "CustomResourceDefinition",
    "ClusterRole",
    "ClusterRoleList",
    "ClusterRoleBinding",
    "ClusterRoleBindingList",
    "Role",
    "RoleList",
    "RoleBinding",
    "RoleBindingList",
    "Service",
    "DaemonSet",
    "Pod",
    "ReplicationController",
    "ReplicaSet",
    "Deployment",
    "HorizontalPodAutoscaler",
    "StatefulSet",
    "Job",
    "CronJob",
    "IngressClass",
    "Ingress",
    "APIService",
];

/// The place of a kind within a wave: lower is earlier. Kinds that are not known come last.
pub fn kind_rank(kind: &str) -> usize {
    KINDS.iter().position(|known| *known == kind).unwrap_or(KINDS.len())
}

/// The wave of an object: the sync-wave annotation, else Helm's hook weight, else 0.
/// An annotation that is not a whole number is an error that names it.
pub fn wave(annotations: &Map<String, Value>) -> Result<i64, String> {
    let named = |name| annotations.get(name).map(|value| (name, value));
    let Some((name, value)) = named(annotation::SYNC_WAVE).or_else(|| named(annotation::HELM_HOOK_WEIGHT))
    else {
        return Ok(0);
    };
    let text = value.as_str().ok_or_else(|| format!("annotation {name} is not a string: {value}"))?;
    text.parse().map_err(|_| format!("annotation {name} is not a whole number: {text:?}"))
}

/// What an object is to a sync.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Role {
    /// Applied with the others and kept as Git has it.
    Ordinary,
    /// Run in phases, and no part of the state that Git describes.
    Hook {
        /// When it runs, without repetition. Empty: it never runs.
        phases: Vec<Phase>,
        /// When it is deleted; never empty.
        delete: Vec<DeletePolicy>,
    },
    /// Not applied, and not counted in sync status or health.
    Skipped,
}

/// When a hook runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Phase {
    /// Before an Application's objects are deleted.
    PreDelete,
    /// Before the sync.
    PreSync,
    /// With the ordinary objects.
    Sync,
    /// After the sync, once all is healthy.
    PostSync,
    /// When the sync failed.
    SyncFail,
    /// After an Application's objects were deleted.
    PostDelete,
}

impl fmt::Display for Phase {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, formatter)
    }
}

/// When a hook's object is deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DeletePolicy {
    /// Before it is created anew.
    BeforeHookCreation,
    /// When the sync succeeded.
    HookSucceeded,
    /// When the sync failed.
    HookFailed,
}

/// The role that annotations give an object. Argo CD's hook annotation makes Helm's count for nothing;
/// deletion policies of both add up.
pub fn role(annotations: &Map<String, Value>) -> Role {
    let phases = if annotations.contains_key(annotation::HOOK) {
        let values: Vec<&str> = words(annotations, annotation::HOOK).collect();
        let known: Vec<Phase> = distinct(values.iter().filter_map(|value| phase(value)));
        if known.is_empty() && values.contains(&"Skip") {
            return Role::Skipped;
        }
        known
    } else if let Some(value) = annotations.get(annotation::HELM_HOOK) {
        // Helm itself calls CRDs of old charts hooks; they are meant to stay.
        if value.as_str().is_some_and(|value| value.trim() == "crd-install") {
            return Role::Ordinary;
        }
        distinct(words(annotations, annotation::HELM_HOOK).filter_map(helm_phase))
    } else {
        return Role::Ordinary;
    };
    Role::Hook { phases, delete: delete_policies(annotations) }
}

fn phase(value: &str) -> Option<Phase> {
    Some(match value {
        "PreDelete" => Phase::PreDelete,
        "PreSync" => Phase::PreSync,
        "Sync" => Phase::Sync,
        "PostSync" => Phase::PostSync,
        "SyncFail" => Phase::SyncFail,
        "PostDelete" => Phase::PostDelete,
        _ => return None,
    })
}

/// Tests and rollbacks have no phase: nothing here ever runs them.
fn helm_phase(value: &str) -> Option<Phase> {
    Some(match value {
        "pre-install" | "pre-upgrade" => Phase::PreSync,
        "post-install" | "post-upgrade" => Phase::PostSync,
        "pre-delete" => Phase::PreDelete,
        "post-delete" => Phase::PostDelete,
        _ => return None,
    })
}

/// Hooks of Helm that never run here, as nobody expects them to.
const UNUSED_HELM_HOOKS: [&str; 6] =
    ["test", "test-success", "test-failure", "pre-rollback", "post-rollback", "crd-install"];

/// An annotation that is a list of words, which of them are known, and how to tell of those.
type Check<'a> = (&'static str, &'a dyn Fn(&str) -> bool, &'static str);

/// What of an object's annotations about hooks and health is no word that is known: each reason names its annotation.
pub fn unreadable(annotations: &Map<String, Value>) -> Vec<String> {
    let is_phase = |word: &str| word == "Skip" || phase(word).is_some();
    let is_helm_phase = |word: &str| UNUSED_HELM_HOOKS.contains(&word) || helm_phase(word).is_some();
    let checks: [Check<'_>; 5] = [
        (annotation::HOOK, &is_phase, "PreSync, Sync, PostSync, SyncFail, PreDelete, PostDelete and Skip"),
        (
            annotation::HOOK_DELETE_POLICY,
            &|word| delete_policy(word).is_some(),
            "BeforeHookCreation, HookSucceeded and HookFailed",
        ),
        (annotation::HELM_HOOK, &is_helm_phase, "Helm's own hooks"),
        (
            annotation::HELM_HOOK_DELETE_POLICY,
            &|word| helm_delete_policy(word).is_some(),
            "before-hook-creation, hook-succeeded and hook-failed",
        ),
        (annotation::IGNORE_HEALTHCHECK, &|word| matches!(word, "true" | "false"), "true and false"),
    ];
    let unknown = checks.iter().filter_map(|(name, is_known, known)| {
        let unknown: Vec<_> = words(annotations, name).filter(|word| !is_known(word)).collect();
        let reason = format!(
            "annotation {name} has no effect where it says {}; known are {known}",
            unknown.join(", ")
        );
        (!unknown.is_empty()).then_some(reason)
    });
    unknown.collect()
}

fn delete_policies(annotations: &Map<String, Value>) -> Vec<DeletePolicy> {
    let argo = words(annotations, annotation::HOOK_DELETE_POLICY);
    let helm = words(annotations, annotation::HELM_HOOK_DELETE_POLICY);
    let policies = distinct(argo.filter_map(delete_policy).chain(helm.filter_map(helm_delete_policy)));
    if policies.is_empty() { vec![DeletePolicy::BeforeHookCreation] } else { policies }
}

fn delete_policy(value: &str) -> Option<DeletePolicy> {
    Some(match value {
        "BeforeHookCreation" => DeletePolicy::BeforeHookCreation,
        "HookSucceeded" => DeletePolicy::HookSucceeded,
        "HookFailed" => DeletePolicy::HookFailed,
        _ => return None,
    })
}

fn helm_delete_policy(value: &str) -> Option<DeletePolicy> {
    Some(match value {
        "before-hook-creation" => DeletePolicy::BeforeHookCreation,
        "hook-succeeded" => DeletePolicy::HookSucceeded,
        "hook-failed" => DeletePolicy::HookFailed,
        _ => return None,
    })
}

/// The values of an annotation that is a list with commas.
fn words<'a>(annotations: &'a Map<String, Value>, name: &str) -> impl Iterator<Item = &'a str> {
    let text = annotations.get(name).and_then(Value::as_str).unwrap_or_default();
    text.split(',').map(str::trim).filter(|word| !word.is_empty())
}

fn distinct<T: PartialEq>(values: impl Iterator<Item = T>) -> Vec<T> {
    let mut seen = Vec::new();
    for value in values {
        if !seen.contains(&value) {
            seen.push(value);
        }
    }
    seen
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::json;

    use super::*;

    fn map(value: Value) -> Map<String, Value> {
        value.as_object().cloned().expect("annotations")
    }

    #[test]
    fn kinds_come_after_what_they_need() {
        let order = ["Namespace", "ServiceAccount", "Secret", "ConfigMap", "CustomResourceDefinition"];
        let order =
            order.iter().chain(&["ClusterRole", "RoleBinding", "Service", "Deployment", "StatefulSet"]);
        let order: Vec<_> = order.chain(&["Job", "Ingress", "APIService", "Certificate"]).collect();
        assert!(order.is_sorted_by(|a, b| kind_rank(a) < kind_rank(b)));
        assert_eq!(kind_rank("Certificate"), kind_rank("Application"));
    }

    #[rstest]
    #[case::nothing(json!({}), 0)]
    #[case::negative(json!({"argocd.argoproj.io/sync-wave": "-5"}), -5)]
    #[case::signed(json!({"argocd.argoproj.io/sync-wave": "+2"}), 2)]
    #[case::weight(json!({"helm.sh/hook-weight": "7"}), 7)]
    #[case::both(json!({"argocd.argoproj.io/sync-wave": "1", "helm.sh/hook-weight": "7"}), 1)]
    fn waves_are_numbers(#[case] annotations: Value, #[case] expected: i64) {
        assert_eq!(wave(&map(annotations)), Ok(expected));
    }

    #[rstest]
    #[case::word(json!({"argocd.argoproj.io/sync-wave": "first"}), "sync-wave is not a whole number: \"first\"")]
    #[case::fraction(json!({"helm.sh/hook-weight": "1.5"}), "hook-weight is not a whole number: \"1.5\"")]
    #[case::empty(json!({"argocd.argoproj.io/sync-wave": ""}), "is not a whole number: \"\"")]
    #[case::number(json!({"argocd.argoproj.io/sync-wave": 1}), "sync-wave is not a string: 1")]
    fn waves_that_are_no_numbers_say_so(#[case] annotations: Value, #[case] expected: &str) {
        let error = wave(&map(annotations)).expect_err("no number");
        assert!(error.contains(expected), "{error}");
    }

    fn hook(phases: &[Phase]) -> Role {
        Role::Hook { phases: phases.to_vec(), delete: vec![DeletePolicy::BeforeHookCreation] }
    }

    #[rstest]
    #[case::nothing(json!({}), Role::Ordinary)]
    #[case::one(json!({"argocd.argoproj.io/hook": "PreSync"}), hook(&[Phase::PreSync]))]
    #[case::many(json!({"argocd.argoproj.io/hook": "PreSync, PostSync,PreSync"}), hook(&[Phase::PreSync, Phase::PostSync]))]
    #[case::deletion(json!({"argocd.argoproj.io/hook": "PreDelete,PostDelete"}), hook(&[Phase::PreDelete, Phase::PostDelete]))]
    #[case::unknown(json!({"argocd.argoproj.io/hook": "Later"}), hook(&[]))]
    #[case::empty(json!({"argocd.argoproj.io/hook": ""}), hook(&[]))]
    #[case::skip(json!({"argocd.argoproj.io/hook": "Skip"}), Role::Skipped)]
    #[case::skip_among_others(json!({"argocd.argoproj.io/hook": "Skip,Sync"}), hook(&[Phase::Sync]))]
    #[case::argo_beats_helm(
        json!({"argocd.argoproj.io/hook": "SyncFail", "helm.sh/hook": "pre-install"}),
        hook(&[Phase::SyncFail])
    )]
    #[case::skip_beats_helm(json!({"argocd.argoproj.io/hook": "Skip", "helm.sh/hook": "test"}), Role::Skipped)]
    #[case::helm(json!({"helm.sh/hook": "pre-install,pre-upgrade"}), hook(&[Phase::PreSync]))]
    #[case::helm_after(json!({"helm.sh/hook": "post-upgrade, post-delete"}), hook(&[Phase::PostSync, Phase::PostDelete]))]
    #[case::helm_before_deletion(json!({"helm.sh/hook": "pre-delete"}), hook(&[Phase::PreDelete]))]
    #[case::helm_test(json!({"helm.sh/hook": "test-success"}), hook(&[]))]
    #[case::helm_rollback(json!({"helm.sh/hook": "pre-rollback,post-rollback"}), hook(&[]))]
    #[case::helm_crd(json!({"helm.sh/hook": "crd-install"}), Role::Ordinary)]
    fn annotations_give_roles(#[case] annotations: Value, #[case] expected: Role) {
        assert_eq!(role(&map(annotations)), expected);
    }

    #[test]
    fn deletion_policies_of_both_annotations_add_up() {
        let annotations = map(json!({
            "helm.sh/hook": "post-install",
            "helm.sh/hook-delete-policy": "hook-succeeded,before-hook-creation",
            "argocd.argoproj.io/hook-delete-policy": "HookSucceeded,HookFailed,Sometime",
        }));
        let delete =
            vec![DeletePolicy::HookSucceeded, DeletePolicy::HookFailed, DeletePolicy::BeforeHookCreation];
        assert_eq!(role(&annotations), Role::Hook { phases: vec![Phase::PostSync], delete });
    }
}

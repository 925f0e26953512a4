//! How healthy a live object is, by the rules that users of Argo CD know.
//!
//! What comes in: one object as the API server returned it. What goes out: a status and a sentence,
//! or nothing for kinds that have no notion of health. It looks at no other object, and at no clock.

mod application_set;
mod autoscaler;
mod claim;
mod condition;
mod custom;
mod daemon_set;
mod deployment;
mod disruption_budget;
mod extension;
mod families;
mod job;
mod pod;
mod replica_set;
pub(crate) mod script;
mod stateful_set;
mod traffic;
mod workflow;

pub(crate) use custom::is_custom;
use ithaca_api::{HealthStatusCode, annotation};
use serde_json::Value;

/// How healthy one object is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Health {
    /// In a word.
    pub status: HealthStatusCode,
    /// In a sentence, for people. Often empty where all is well.
    pub message: String,
}

/// Judges one live object. None where its kind has no health: such an object counts for nothing.
pub fn assess(group: &str, kind: &str, live: &Value) -> Option<Health> {
    if is_pending_deletion(live) {
        return Some(Health::progressing("Pending deletion"));
    }
    match (group, kind) {
        ("apps", "Deployment") => Some(deployment::assess(live)),
        ("apps", "StatefulSet") => Some(stateful_set::assess(live)),
        ("apps", "DaemonSet") => Some(daemon_set::assess(live)),
        ("apps", "ReplicaSet") => Some(replica_set::assess(live)),
        ("", "Pod") => Some(pod::assess(live)),
        ("batch", "Job") => Some(job::assess(live)),
        ("batch", "CronJob") => Some(job::assess_cron_job(live)),
        ("", "Service") => Some(traffic::assess_service(live)),
        ("networking.k8s.io" | "extensions", "Ingress") => Some(traffic::assess_ingress(live)),
        ("", "PersistentVolumeClaim") => Some(claim::assess(live)),
        ("autoscaling", "HorizontalPodAutoscaler") => Some(autoscaler::assess(live)),
        ("apiregistration.k8s.io", "APIService") => Some(extension::assess_api_service(live)),
        ("apiextensions.k8s.io", "CustomResourceDefinition") => Some(extension::assess_definition(live)),
        ("policy", "PodDisruptionBudget") => Some(disruption_budget::assess(live)),
        ("argoproj.io", "Workflow") => Some(workflow::assess(live)),
        ("argoproj.io", "ApplicationSet") => Some(application_set::assess(live)),
        ("argoproj.io", "Application" | "AppProject") => None,
        _ if is_custom(group) => families::assess(group, kind, live),
        _ => None,
    }
}

/// The least healthy of all; Healthy where there are none.
pub fn worst(statuses: impl IntoIterator<Item = HealthStatusCode>) -> HealthStatusCode {
    statuses.into_iter().max().unwrap_or(HealthStatusCode::Healthy)
}

/// A hook keeps its finalizer until it is done, and its result is still wanted when somebody deletes it.
pub fn is_pending_deletion(live: &Value) -> bool {
    let metadata = &live["metadata"];
    let finalizers = metadata["finalizers"].as_array().map(Vec::as_slice).unwrap_or_default();
    !metadata["deletionTimestamp"].is_null()
        && !finalizers.iter().any(|finalizer| finalizer == annotation::HOOK_FINALIZER)
}

impl Health {
    fn healthy(message: impl Into<String>) -> Self {
        Self { status: HealthStatusCode::Healthy, message: message.into() }
    }

    fn suspended(message: impl Into<String>) -> Self {
        Self { status: HealthStatusCode::Suspended, message: message.into() }
    }

    fn progressing(message: impl Into<String>) -> Self {
        Self { status: HealthStatusCode::Progressing, message: message.into() }
    }

    fn degraded(message: impl Into<String>) -> Self {
        Self { status: HealthStatusCode::Degraded, message: message.into() }
    }

    fn unknown(message: impl Into<String>) -> Self {
        Self { status: HealthStatusCode::Unknown, message: message.into() }
    }
}

/// A count in an object; one that is absent is zero, as in the API's own types.
fn count(live: &Value, pointer: &str) -> i64 {
    live.pointer(pointer).and_then(Value::as_i64).unwrap_or(0)
}

/// A text in an object; one that is absent is empty.
fn text<'a>(live: &'a Value, pointer: &str) -> &'a str {
    live.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

/// True where the controller has not looked at the newest spec.
fn is_unobserved(live: &Value) -> bool {
    count(live, "/metadata/generation") > count(live, "/status/observedGeneration")
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::json;

    use super::*;

    /// One case of any kind: the word and the sentence that `assess` gives.
    #[track_caller]
    pub(super) fn check(group: &str, kind: &str, live: Value, expected: HealthStatusCode, message: &str) {
        let health = assess(group, kind, &live).expect("a kind with health");
        assert_eq!((health.status, health.message.as_str()), (expected, message));
    }

    #[rstest]
    #[case::any_kind("", "ConfigMap")]
    #[case::healthy_kind("apps", "Deployment")]
    #[case::application("argoproj.io", "Application")]
    fn deleted_objects_are_on_their_way_out(#[case] group: &str, #[case] kind: &str) {
        let live = json!({"metadata": {"deletionTimestamp": "2026-11-25T01:00:00Z", "finalizers": ["a/b"]}});
        check(group, kind, live, HealthStatusCode::Progressing, "Pending deletion");
    }

    #[test]
    fn a_deleted_hook_still_tells_its_result() {
        let live = json!({
            "metadata": {
                "deletionTimestamp": "2026-11-25T01:00:00Z",
                "finalizers": ["argocd.argoproj.io/hook-finalizer"],
            },
            "status": {"conditions": [{"type": "Complete", "status": "True", "message": "done"}]},
        });
        check("batch", "Job", live, HealthStatusCode::Healthy, "done");
    }

    #[rstest]
    #[case("", "ConfigMap")]
    #[case("", "Namespace")]
    #[case("rbac.authorization.k8s.io", "ClusterRole")]
    #[case("argoproj.io", "Application")]
    #[case("argoproj.io", "AppProject")]
    fn kinds_without_a_rule_have_no_health(#[case] group: &str, #[case] kind: &str) {
        let live = json!({"status": {"conditions": [{"type": "Ready", "status": "False"}]}});
        assert_eq!(assess(group, kind, &live), None);
    }

    #[test]
    fn the_worst_of_none_is_healthy() {
        assert_eq!(worst([]), HealthStatusCode::Healthy);
        let all = [HealthStatusCode::Progressing, HealthStatusCode::Degraded, HealthStatusCode::Healthy];
        assert_eq!(worst(all), HealthStatusCode::Degraded);
    }
}

//! Health of custom resources, whichever operator they belong to: by the conditions that most
//! operators write.
//!
//! Failure is what a condition calls so. A resource that is just not ready may be starting, and
//! whoever waits for it should go on waiting.

use serde_json::Value;

use super::{Health, condition, condition::Condition, count};

/// The groups that Kubernetes itself serves and whose names have a dot. Their kinds have a rule of their
/// own or none.
const BUILT_IN_GROUPS: &[&str] = &[
    "admissionregistration.k8s.io",
    "apiextensions.k8s.io",
    "apiregistration.k8s.io",
    "authentication.k8s.io",
    "authorization.k8s.io",
    "certificates.k8s.io",
    "coordination.k8s.io",
    "discovery.k8s.io",
    "events.k8s.io",
    "flowcontrol.apiserver.k8s.io",
    "internal.apiserver.k8s.io",
    "networking.k8s.io",
    "node.k8s.io",
    "rbac.authorization.k8s.io",
    "resource.k8s.io",
    "scheduling.k8s.io",
    "storage.k8s.io",
    "storagemigration.k8s.io",
];

/// Conditions that hold when something went wrong.
const FAILURES: &[&str] = &[
    "Stalled",
    "Failed",
    "Failure",
    "Degraded",
    "Error",
    "ReconcileError",
    "ReplicaFailure",
    "InvalidSpec",
    "InvalidRequest",
    "Denied",
];
/// Conditions that hold when something was achieved, and whose opposite is a failure.
const RESULTS: &[&str] = &["Succeeded", "Synced"];
/// Conditions that hold when all is well, and whose opposite is a beginning, unless the reason says more.
const GOALS: &[&str] =
    &["Ready", "Available", "Healthy", "Accepted", "Programmed", "Established", "Complete", "Completed"];
/// Conditions that hold while work is under way.
const WORK: &[&str] = &["Reconciling", "Issuing"];
/// Conditions that hold while somebody keeps the operator from working.
const HALTS: &[&str] = &["Suspended", "Paused"];

/// What is said while the operator has yet to look at the newest spec.
pub(super) const BEHIND: &str = "Waiting for the newest generation to be observed";

/// Whether a group's kinds are defined by somebody other than Kubernetes.
pub(crate) fn is_custom(group: &str) -> bool {
    group.contains('.') && !BUILT_IN_GROUPS.contains(&group)
}

/// None where the object has no conditions, or none whose meaning is known.
pub(super) fn assess(live: &Value) -> Option<Health> {
    condition::all(live).next()?;
    let among = |kinds: &'static [&str]| condition::all(live).filter(|found| kinds.contains(&found.kind));
    if is_behind(live) {
        return Some(Health::progressing(BEHIND));
    }
    // Crossplane writes into the condition of a result that it was told to leave the object alone.
    if let Some(halt) = among(RESULTS).find(|result| result.is_false() && result.reason == "ReconcilePaused")
    {
        return Some(Health::suspended(sentence(&halt)));
    }
    let failure = among(FAILURES).find(Condition::is_true);
    let failure = failure.or_else(|| among(RESULTS).find(Condition::is_false));
    if let Some(failure) =
        failure.or_else(|| among(GOALS).find(|goal| goal.is_false() && is_failure(goal.reason)))
    {
        return Some(Health::degraded(sentence(&failure)));
    }
    if let Some(halt) = among(HALTS).find(Condition::is_true) {
        return Some(Health::suspended(sentence(&halt)));
    }
    let work = among(WORK).find(Condition::is_true);
    let work = work.or_else(|| among(GOALS).chain(among(RESULTS)).find(|goal| !goal.is_true()));
    if let Some(work) = work {
        return Some(Health::progressing(sentence(&work)));
    }
    let reached = among(GOALS).chain(among(RESULTS)).next();
    reached.or_else(|| among(FAILURES).next()).map(|reached| Health::healthy(reached.message))
}

/// Whether the operator has yet to look at the newest spec. Some write the number as text, and some
/// only into their conditions.
pub(super) fn is_behind(live: &Value) -> bool {
    let generation = count(live, "/metadata/generation");
    let number = |value: &Value| value.as_i64().or_else(|| value.as_str()?.parse().ok());
    let observed = live.pointer("/status/observedGeneration").and_then(number);
    let goals = || condition::all(live).filter(|found| GOALS.contains(&found.kind));
    observed
        .or_else(|| goals().filter_map(|goal| goal.observed_generation).min())
        .is_some_and(|seen| seen < generation)
}

/// Whether a reason calls it a failure.
pub(super) fn is_failure(reason: &str) -> bool {
    let ends = ["Failed", "Failure", "Error", "Errored", "Invalid"].iter().any(|end| reason.ends_with(end));
    ends || reason.starts_with("Err") || reason.starts_with("Failed") || reason.starts_with("Invalid")
}

/// What a condition says, in words.
pub(super) fn sentence(condition: &Condition<'_>) -> String {
    match (condition.message, condition.reason) {
        ("", "") => format!("{} is {}", condition.kind, condition.status),
        ("", reason) => format!("{} is {}: {reason}", condition.kind, condition.status),
        (message, _) => message.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use ithaca_api::HealthStatusCode::{self, Degraded, Healthy, Progressing, Suspended};
    use rstest::rstest;
    use serde_json::json;

    use super::*;
    use crate::health::assess as assess_any;

    fn is(kind: &str, status: &str, reason: &str) -> Value {
        json!({"type": kind, "status": status, "reason": reason, "message": format!("{kind} says so")})
    }

    #[rstest]
    #[case::certificate(json!([is("Ready", "True", "Ready")]), Healthy, "Ready says so")]
    #[case::issuing(
        json!([is("Issuing", "True", "DoesNotExist"), is("Ready", "False", "DoesNotExist")]),
        Progressing,
        "Issuing says so"
    )]
    #[case::starting(json!([is("Ready", "False", "ClusterIsNotReady")]), Progressing, "Ready says so")]
    #[case::not_known(json!([is("Ready", "Unknown", "")]), Progressing, "Ready says so")]
    #[case::secret_store(json!([is("Ready", "False", "SecretSyncedError")]), Degraded, "Ready says so")]
    #[case::issuer(json!([is("Ready", "False", "ErrRegisterACMEAccount")]), Degraded, "Ready says so")]
    #[case::stalled(
        json!([is("Ready", "False", "Progressing"), is("Stalled", "True", "BuildFailed")]),
        Degraded,
        "Stalled says so"
    )]
    #[case::reconciling(json!([is("Ready", "True", "Done"), is("Reconciling", "True", "Progressing")]), Progressing, "Reconciling says so")]
    #[case::sealed_secret(json!([is("Synced", "False", "")]), Degraded, "Synced says so")]
    #[case::crossplane(json!([is("Synced", "True", "ReconcileSuccess"), is("Ready", "False", "Creating")]), Progressing, "Ready says so")]
    #[case::operator(
        json!([is("Available", "True", ""), is("Degraded", "False", ""), is("Progressing", "False", "")]),
        Healthy,
        "Available says so"
    )]
    #[case::gateway(json!([is("Accepted", "True", "Accepted"), is("Programmed", "False", "Pending")]), Progressing, "Programmed says so")]
    #[case::pipeline_failed(json!([is("Succeeded", "False", "Failed")]), Degraded, "Succeeded says so")]
    #[case::pipeline_running(json!([is("Succeeded", "Unknown", "Running")]), Progressing, "Succeeded says so")]
    #[case::helm_chart(json!([is("JobCreated", "True", "Job created"), is("Failed", "False", "")]), Healthy, "Failed says so")]
    #[case::paused(json!([is("Paused", "True", "CanaryPauseStep"), is("Healthy", "False", "")]), Suspended, "Paused says so")]
    fn custom_resources_tell_by_their_conditions(
        #[case] conditions: Value,
        #[case] expected: HealthStatusCode,
        #[case] message: &str,
    ) {
        let live = json!({"metadata": {"generation": 1}, "status": {"conditions": conditions}});
        let health = assess_any("example.org", "Widget", &live).expect("health");
        assert_eq!((health.status, health.message.as_str()), (expected, message));
    }

    #[rstest]
    #[case::no_status(json!({}))]
    #[case::no_conditions(json!({"status": {"observedGeneration": 1}}))]
    #[case::empty(json!({"status": {"conditions": []}}))]
    #[case::unknown_words(json!({"status": {"conditions": [is("Scheduled", "True", "")]}}))]
    #[case::other_shape(json!({"status": {"conditions": "fine"}}))]
    #[case::other_entries(json!({"status": {"conditions": [null, 1, "Ready"]}}))]
    fn silence_is_no_health(#[case] live: Value) {
        assert_eq!(assess(&live), None);
    }

    #[rstest]
    #[case::number(json!({"observedGeneration": 1, "conditions": [is("Ready", "True", "")]}))]
    #[case::text(json!({"observedGeneration": "1", "conditions": [is("Ready", "True", "")]}))]
    #[case::condition(json!({"conditions": [{"type": "Ready", "status": "True", "observedGeneration": 1}]}))]
    #[case::failed_before(json!({"observedGeneration": 1, "conditions": [is("Stalled", "True", "")]}))]
    fn old_news_is_progressing(#[case] status: Value) {
        let live = json!({"metadata": {"generation": 2}, "status": status});
        assert_eq!(assess(&live).map(|health| health.status), Some(Progressing));
    }

    #[test]
    fn news_of_this_generation_counts() {
        let ready = json!({"type": "Ready", "status": "True", "observedGeneration": 2});
        let live = json!({"metadata": {"generation": 2}, "status": {"conditions": [ready]}});
        assert_eq!(assess(&live).map(|health| health.status), Some(Healthy));
    }

    #[rstest]
    #[case("gateway.networking.k8s.io", true)]
    #[case("example.org", true)]
    #[case("argoproj.io", true)]
    #[case("networking.k8s.io", false)]
    #[case("rbac.authorization.k8s.io", false)]
    #[case("apps", false)]
    #[case("", false)]
    fn groups_of_others_are_custom(#[case] group: &str, #[case] expected: bool) {
        assert_eq!(is_custom(group), expected);
    }

    #[test]
    fn conditions_without_words_are_put_into_words() {
        let live =
            json!({"status": {"conditions": [{"type": "Ready", "status": "False", "reason": "Waiting"}]}});
        let message = assess(&live).map(|health| health.message);
        assert_eq!(message.as_deref(), Some("Ready is False: Waiting"));
    }
}

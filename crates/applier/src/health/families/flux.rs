//! Health of Flux's resources: sources, what is applied from them, and images.

use serde_json::Value;

use super::{Health, How, Rule, by_conditions, condition, custom, text};

/// Where Flux says that a resource is left alone.
const SUSPEND: &str = "/spec/suspend";

pub(super) const RULES: &[Rule] = &[
    Rule::new("kustomize.toolkit.fluxcd.io", &["Kustomization"], How::Own(reconciled)).halted_by(SUSPEND),
    Rule::new("helm.toolkit.fluxcd.io", &["HelmRelease"], How::Own(reconciled)).halted_by(SUSPEND),
    Rule::new(
        "source.toolkit.fluxcd.io",
        &["GitRepository", "OCIRepository", "Bucket", "HelmChart"],
        How::Own(reconciled),
    )
    .halted_by(SUSPEND),
    Rule::new("source.toolkit.fluxcd.io", &["HelmRepository"], How::Own(helm_repository)).halted_by(SUSPEND),
    Rule::new(
        "image.toolkit.fluxcd.io",
        &["ImageRepository", "ImagePolicy", "ImageUpdateAutomation"],
        How::Own(reconciled),
    )
    .halted_by(SUSPEND),
    Rule::new("notification.toolkit.fluxcd.io", &["Receiver"], How::Own(reconciled)).halted_by(SUSPEND),
];

/// Flux counts a generation as observed only once it has succeeded or is given up, so a failure that is tried again
/// tells its generation in the condition alone.
fn reconciled(live: &Value) -> Option<Health> {
    let ready = condition::find(live, "Ready").filter(|ready| ready.is_false() && !ready.is_old(live));
    match ready.filter(|ready| custom::is_failure(ready.reason)) {
        Some(failure) => Some(Health::degraded(failure.message)),
        None => by_conditions(live),
    }
}

/// A repository of the OCI kind is only an address: nobody ever looks at it.
fn helm_repository(live: &Value) -> Option<Health> {
    if text(live, "/spec/type") == "oci" { None } else { reconciled(live) }
}

#[cfg(test)]
mod tests {
    use ithaca_api::HealthStatusCode::{self, Degraded, Healthy, Progressing, Suspended};
    use rstest::rstest;
    use serde_json::json;

    use super::*;
    use crate::health::families::{
        UNTOUCHED,
        tests::{check, is},
    };

    fn observed(generation: i64, conditions: &Value) -> Value {
        json!({"metadata": {"generation": 1}, "status": {"observedGeneration": generation, "conditions": conditions}})
    }

    #[rstest]
    #[case::new(json!({"metadata": {"generation": 1}}), Progressing, UNTOUCHED)]
    #[case::defaulted(json!({"metadata": {"generation": 1}, "status": {"observedGeneration": -1}}), Progressing, UNTOUCHED)]
    #[case::reconciling(
        observed(-1, &json!([is("Reconciling", "True", "Progressing"), is("Ready", "Unknown", "Progressing")])),
        Progressing,
        "Waiting for the newest generation to be observed"
    )]
    #[case::reconciled(observed(1, &json!([is("Ready", "True", "ReconciliationSucceeded")])), Healthy, "ReconciliationSucceeded Ready")]
    #[case::again(
        observed(1, &json!([is("Reconciling", "True", "Progressing"), is("Ready", "Unknown", "Progressing")])),
        Progressing,
        "Progressing Reconciling"
    )]
    #[case::depends(observed(1, &json!([is("Ready", "False", "DependencyNotReady")])), Progressing, "DependencyNotReady Ready")]
    #[case::failed(observed(1, &json!([is("Ready", "False", "HealthCheckFailed")])), Degraded, "HealthCheckFailed Ready")]
    #[case::failed_at_first(observed(-1, &json!([is("Ready", "False", "BuildFailed")])), Degraded, "BuildFailed Ready")]
    #[case::given_up(
        observed(1, &json!([is("Ready", "False", "InstallFailed"), is("Stalled", "True", "RetriesExceeded")])),
        Degraded,
        "InstallFailed Ready"
    )]
    #[case::suspended(
        json!({"spec": {"suspend": true}, "status": {"conditions": [is("Ready", "True", "ReconciliationSucceeded")]}}),
        Suspended,
        "spec.suspend is true"
    )]
    fn what_flux_reconciles(#[case] live: Value, #[case] expected: HealthStatusCode, #[case] message: &str) {
        check("kustomize.toolkit.fluxcd.io", "Kustomization", &live, Some(expected), message);
        check("helm.toolkit.fluxcd.io", "HelmRelease", &live, Some(expected), message);
        check("source.toolkit.fluxcd.io", "GitRepository", &live, Some(expected), message);
    }

    #[test]
    fn an_old_failure_is_no_failure() {
        let old =
            json!({"type": "Ready", "status": "False", "reason": "BuildFailed", "observedGeneration": 1});
        let live =
            json!({"metadata": {"generation": 2}, "status": {"observedGeneration": -1, "conditions": [old]}});
        let message = "Waiting for the newest generation to be observed";
        check("kustomize.toolkit.fluxcd.io", "Kustomization", &live, Some(Progressing), message);
    }

    #[test]
    fn nobody_looks_at_repositories_of_oci() {
        let group = "source.toolkit.fluxcd.io";
        check(group, "HelmRepository", &json!({"spec": {"type": "oci"}}), None, "");
        check(group, "HelmRepository", &json!({"spec": {"url": "x"}}), Some(Progressing), UNTOUCHED);
        check("notification.toolkit.fluxcd.io", "Alert", &json!({"spec": {}}), None, "");
    }
}

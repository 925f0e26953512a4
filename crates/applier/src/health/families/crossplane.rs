//! Health of Crossplane: packages, and what providers manage. Claims and composites live in groups of their users' own;
//! they are judged by their conditions, as any custom resource.

use serde_json::Value;

use super::{Health, How, Rule, by_conditions, custom};

pub(super) const RULES: &[Rule] = &[
    Rule::new("pkg.crossplane.io", &["Provider", "Configuration", "Function"], How::Conditions),
    Rule::new("apiextensions.crossplane.io", &["CompositeResourceDefinition"], How::Conditions),
    Rule::new("*.upbound.io", &[], How::Own(managed)),
    Rule::new("*.crossplane.io", &[], How::Own(managed)),
];

/// What a provider manages says what it wants in one place; configurations and the like have no health.
fn managed(live: &Value) -> Option<Health> {
    match live.pointer("/spec/forProvider") {
        Some(_) => by_conditions(live),
        None => custom::assess(live),
    }
}

#[cfg(test)]
mod tests {
    use ithaca_api::HealthStatusCode::{self, Degraded, Healthy, Progressing, Suspended};
    use rstest::rstest;
    use serde_json::json;

    use super::*;
    use crate::health::families::{
        UNTOUCHED,
        tests::{check, is, with},
    };

    #[rstest]
    #[case::new(json!({"spec": {"forProvider": {}}}), Progressing, UNTOUCHED)]
    #[case::creating(
        with(json!([is("Synced", "True", "ReconcileSuccess"), is("Ready", "False", "Creating")])),
        Progressing,
        "Creating Ready"
    )]
    #[case::there(
        with(json!([is("Synced", "True", "ReconcileSuccess"), is("Ready", "True", "Available")])),
        Healthy,
        "Available Ready"
    )]
    #[case::refused(
        with(json!([is("Synced", "False", "ReconcileError"), is("Ready", "False", "Creating")])),
        Degraded,
        "ReconcileError Synced"
    )]
    #[case::paused(
        with(json!([is("Synced", "False", "ReconcilePaused"), is("Ready", "True", "Available")])),
        Suspended,
        "ReconcilePaused Synced"
    )]
    fn what_is_managed(#[case] live: Value, #[case] expected: HealthStatusCode, #[case] message: &str) {
        check("s3.aws.upbound.io", "Bucket", &live, Some(expected), message);
        check("sql.gcp.crossplane.io", "Instance", &live, Some(expected), message);
        // A claim: nothing tells that its conditions will come.
        let silent = live["status"].is_null();
        let (expected, message) = if silent { (None, "") } else { (Some(expected), message) };
        check("platform.example.org", "Database", &live, expected, message);
    }

    #[rstest]
    #[case::new(json!({}), Progressing, UNTOUCHED)]
    #[case::unpacking(
        with(json!([is("Installed", "False", "UnpackingPackage"), is("Healthy", "Unknown", "UnknownPackageRevisionHealth")])),
        Progressing,
        "UnknownPackageRevisionHealth Healthy"
    )]
    #[case::installed(
        with(json!([is("Installed", "True", "ActivePackageRevision"), is("Healthy", "True", "HealthyPackageRevision")])),
        Healthy,
        "HealthyPackageRevision Healthy"
    )]
    fn packages(#[case] live: Value, #[case] expected: HealthStatusCode, #[case] message: &str) {
        check("pkg.crossplane.io", "Provider", &live, Some(expected), message);
    }

    #[test]
    fn configurations_have_no_health() {
        check(
            "aws.upbound.io",
            "ProviderConfig",
            &json!({"spec": {"credentials": {}}, "status": {"users": 1}}),
            None,
            "",
        );
        check("apiextensions.crossplane.io", "Composition", &json!({"spec": {}}), None, "");
    }
}

//! Health of Cluster API: clusters and their machines.

use serde_json::Value;

use super::{Health, How, Rule, by_conditions, condition, custom, text};

pub(super) const RULES: &[Rule] = &[Rule::new(
    "cluster.x-k8s.io",
    &["Cluster", "Machine", "MachineDeployment", "MachineSet", "MachinePool"],
    How::Own(assess),
)
.halted_by("/spec/paused")];

/// Conditions of the first API version carry a severity: what is not ready for an error does not become so.
fn assess(live: &Value) -> Option<Health> {
    if custom::is_behind(live) {
        return Some(Health::progressing(custom::BEHIND));
    }
    let phase = text(live, "/status/phase");
    let goals = || condition::all(live).filter(|goal| ["Ready", "Available"].contains(&goal.kind));
    if let Some(failed) = goals().find(|goal| goal.is_false() && goal.severity == "Error") {
        return Some(Health::degraded(custom::sentence(&failed)));
    }
    match phase {
        "Failed" => {
            let message = text(live, "/status/failureMessage");
            Some(Health::degraded(if message.is_empty() { phase } else { message }))
        }
        "Pending" | "Provisioning" | "ScalingUp" | "ScalingDown" | "Deleting" => {
            let open = goals().find(|goal| !goal.is_true()).map(|goal| custom::sentence(&goal));
            Some(Health::progressing(open.unwrap_or_else(|| phase.to_owned())))
        }
        _ => by_conditions(live),
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
        tests::{check, is},
    };

    fn in_phase(phase: &str, conditions: &Value) -> Value {
        let metadata = json!({"generation": 1});
        json!({"metadata": metadata, "status": {"observedGeneration": 1, "phase": phase, "conditions": conditions}})
    }

    fn severe(severity: &str) -> Value {
        json!([{"type": "Ready", "status": "False", "severity": severity, "reason": "InstanceGone", "message": "it is gone"}])
    }

    #[rstest]
    #[case::new("Cluster", json!({}), Progressing, UNTOUCHED)]
    #[case::pending("Cluster", json!({"status": {"phase": "Pending"}}), Progressing, "Pending")]
    #[case::provisioning(
        "Cluster",
        in_phase("Provisioning", &json!([is("Ready", "False", "ScalingUp")])),
        Progressing,
        "ScalingUp Ready"
    )]
    #[case::provisioned(
        "Cluster",
        in_phase("Provisioned", &json!([is("Ready", "True", ""), is("InfrastructureReady", "True", "")])),
        Healthy,
        " Ready"
    )]
    #[case::second_version(
        "Cluster",
        in_phase("Provisioned", &json!([is("Available", "True", "Available"), is("Paused", "False", "NotPaused")])),
        Healthy,
        "Available Available"
    )]
    #[case::failed("Cluster", json!({"status": {"phase": "Failed", "failureMessage": "no quota"}}), Degraded, "no quota")]
    #[case::paused("Cluster", json!({"spec": {"paused": true}, "status": {"phase": "Provisioned"}}), Suspended, "spec.paused is true")]
    #[case::running("Machine", in_phase("Running", &json!([is("Ready", "True", "")])), Healthy, " Ready")]
    #[case::warned("Machine", in_phase("Running", &severe("Warning")), Progressing, "it is gone")]
    #[case::lost("Machine", in_phase("Running", &severe("Error")), Degraded, "it is gone")]
    #[case::growing(
        "MachineDeployment",
        in_phase("ScalingUp", &json!([is("Available", "True", "")])),
        Progressing,
        "ScalingUp"
    )]
    #[case::grown("MachineDeployment", in_phase("Running", &json!([is("Available", "True", "")])), Healthy, " Available")]
    #[case::changed(
        "MachineDeployment",
        json!({"metadata": {"generation": 2}, "status": {"observedGeneration": 1, "phase": "Running"}}),
        Progressing,
        "Waiting for the newest generation to be observed"
    )]
    fn clusters_and_machines(
        #[case] kind: &str,
        #[case] live: Value,
        #[case] expected: HealthStatusCode,
        #[case] message: &str,
    ) {
        check("cluster.x-k8s.io", kind, &live, Some(expected), message);
    }
}

//! Health of the Prometheus operator: what it runs. What it is told by (ServiceMonitor, PrometheusRule and so on) has
//! none.

use serde_json::Value;

use super::{Health, How, Rule, by_conditions, condition, custom};

pub(super) const RULES: &[Rule] = &[Rule::new(
    "monitoring.coreos.com",
    &["Prometheus", "PrometheusAgent", "Alertmanager", "ThanosRuler"],
    How::Own(assess),
)
.halted_by("/spec/paused")];

/// Besides readiness there is a condition that tells whether the spec could be used at all.
fn assess(live: &Value) -> Option<Health> {
    let reconciled = condition::find(live, "Reconciled").filter(condition::Condition::is_false);
    match reconciled.filter(|reconciled| !reconciled.is_old(live)) {
        Some(failed) => Some(Health::degraded(custom::sentence(&failed))),
        None => by_conditions(live),
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
    #[case::new(json!({}), Progressing, UNTOUCHED)]
    #[case::starting(
        with(json!([is("Available", "False", "NoPodReady"), is("Reconciled", "True", "")])),
        Progressing,
        "NoPodReady Available"
    )]
    #[case::rolling(
        with(json!([is("Available", "Degraded", "SomePodsNotReady"), is("Reconciled", "True", "")])),
        Progressing,
        "SomePodsNotReady Available"
    )]
    #[case::up(with(json!([is("Available", "True", ""), is("Reconciled", "True", "")])), Healthy, " Available")]
    #[case::refused(
        with(json!([is("Available", "True", ""), is("Reconciled", "False", "ReconciliationFailed")])),
        Degraded,
        "ReconciliationFailed Reconciled"
    )]
    #[case::paused(json!({"spec": {"paused": true}}), Suspended, "spec.paused is true")]
    fn what_it_runs(#[case] live: Value, #[case] expected: HealthStatusCode, #[case] message: &str) {
        for kind in ["Prometheus", "Alertmanager", "PrometheusAgent"] {
            check("monitoring.coreos.com", kind, &live, Some(expected), message);
        }
    }

    #[test]
    fn what_it_is_told_by_has_no_health() {
        let bound =
            json!({"status": {"bindings": [{"name": "k8s", "conditions": [is("Accepted", "True", "")]}]}});
        for kind in ["ServiceMonitor", "PodMonitor", "PrometheusRule", "Probe", "AlertmanagerConfig"] {
            check("monitoring.coreos.com", kind, &json!({"spec": {}}), None, "");
            check("monitoring.coreos.com", kind, &bound, None, "");
        }
    }
}

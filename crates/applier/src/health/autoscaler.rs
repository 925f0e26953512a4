//! Health of HorizontalPodAutoscalers.

use serde_json::Value;

use super::{Health, condition, condition::Condition, text};

/// Where version 1 of the API keeps the conditions: an annotation that is a JSON list.
const V1_CONDITIONS: &str = "/metadata/annotations/autoscaling.alpha.kubernetes.io~1conditions";

/// Reasons of conditions that mean that scaling does not work.
const FAILURES: &[(&str, &str)] = &[
    ("AbleToScale", "FailedGetScale"),
    ("AbleToScale", "FailedUpdateScale"),
    ("ScalingActive", "FailedGetResourceMetric"),
    ("ScalingActive", "InvalidSelector"),
];

/// The first condition that says something decides.
pub(super) fn assess(live: &Value) -> Health {
    let old: Vec<Value> = serde_json::from_str(text(live, V1_CONDITIONS)).unwrap_or_default();
    let decided = condition::all(live).chain(old.iter().map(Condition::of)).find_map(verdict);
    decided.unwrap_or_else(|| Health::progressing("Waiting to Autoscale"))
}

fn verdict(condition: Condition<'_>) -> Option<Health> {
    if FAILURES.contains(&(condition.kind, condition.reason)) {
        return Some(Health::degraded(condition.message));
    }
    let works = matches!(condition.kind, "AbleToScale" | "ScalingLimited") && condition.is_true();
    works.then(|| Health::healthy(condition.message))
}

#[cfg(test)]
mod tests {
    use ithaca_api::HealthStatusCode::{self, Degraded, Healthy, Progressing};
    use rstest::rstest;
    use serde_json::{Value, json};

    use crate::health::tests::check;

    #[rstest]
    #[case::new(json!([]), Progressing, "Waiting to Autoscale")]
    #[case::no_target(
        json!([{"type": "AbleToScale", "status": "False", "reason": "FailedGetScale", "message": "no such deployment"}]),
        Degraded,
        "no such deployment"
    )]
    #[case::no_metrics(
        json!([
            {"type": "ScalingActive", "status": "False", "reason": "FailedGetResourceMetric", "message": "no metrics"},
            {"type": "AbleToScale", "status": "True", "reason": "SucceededGetScale", "message": "got the scale"},
        ]),
        Degraded,
        "no metrics"
    )]
    #[case::works(
        json!([{"type": "AbleToScale", "status": "True", "reason": "ReadyForNewScale", "message": "ready"}]),
        Healthy,
        "ready"
    )]
    #[case::limited(
        json!([{"type": "ScalingLimited", "status": "True", "reason": "TooFewReplicas", "message": "at the minimum"}]),
        Healthy,
        "at the minimum"
    )]
    #[case::not_limited(
        json!([{"type": "ScalingLimited", "status": "False", "reason": "DesiredWithinRange"}]),
        Progressing,
        "Waiting to Autoscale"
    )]
    fn autoscalers_are_healthy_when_they_can_scale(
        #[case] conditions: Value,
        #[case] expected: HealthStatusCode,
        #[case] message: &str,
    ) {
        let live = json!({"status": {"conditions": conditions}});
        check("autoscaling", "HorizontalPodAutoscaler", live, expected, message);
        let annotations = json!({"autoscaling.alpha.kubernetes.io/conditions": conditions.to_string()});
        let old = json!({"apiVersion": "autoscaling/v1", "metadata": {"annotations": annotations}});
        check("autoscaling", "HorizontalPodAutoscaler", old, expected, message);
    }

    #[test]
    fn an_annotation_that_is_no_list_is_no_news() {
        let live = json!({"metadata": {"annotations": {"autoscaling.alpha.kubernetes.io/conditions": "?"}}});
        check("autoscaling", "HorizontalPodAutoscaler", live, Progressing, "Waiting to Autoscale");
    }
}

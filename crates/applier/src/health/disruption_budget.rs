//! Health of PodDisruptionBudgets.

use serde_json::Value;

use super::{Health, condition};

/// A budget is healthy when its controller could work it out. One that allows no disruption at the
/// moment does just what it is for.
pub(super) fn assess(live: &Value) -> Health {
    let mut last = None;
    for condition in condition::all(live) {
        let message = format!("PodDisruptionBudget has {}", condition.reason);
        if condition.is_false() && condition.reason != "InsufficientPods" {
            return Health::degraded(message);
        }
        last = Some(message);
    }
    last.map_or_else(|| Health::progressing("Waiting for status"), Health::healthy)
}

#[cfg(test)]
mod tests {
    use ithaca_api::HealthStatusCode::{self, Degraded, Healthy, Progressing};
    use rstest::rstest;
    use serde_json::{Value, json};

    use crate::health::tests::check;

    #[rstest]
    #[case::new(json!([]), Progressing, "Waiting for status")]
    #[case::enough(json!([{"type": "DisruptionAllowed", "status": "True", "reason": "SufficientPods"}]), Healthy, "PodDisruptionBudget has SufficientPods")]
    #[case::tight(json!([{"type": "DisruptionAllowed", "status": "False", "reason": "InsufficientPods"}]), Healthy, "PodDisruptionBudget has InsufficientPods")]
    #[case::broken(json!([{"type": "DisruptionAllowed", "status": "False", "reason": "SyncFailed"}]), Degraded, "PodDisruptionBudget has SyncFailed")]
    fn budgets_are_healthy_when_worked_out(
        #[case] conditions: Value,
        #[case] expected: HealthStatusCode,
        #[case] message: &str,
    ) {
        let live = json!({"status": {"conditions": conditions}});
        check("policy", "PodDisruptionBudget", live, expected, message);
    }
}

//! Health of ReplicaSets.

use serde_json::Value;

use super::{Health, condition, count, is_unobserved};

/// Waits for as many available replicas as wanted.
pub(super) fn assess(live: &Value) -> Health {
    let waiting = |what: String| Health::progressing(format!("Waiting for rollout to finish: {what}"));
    if is_unobserved(live) {
        return waiting("observed replica set generation less than desired generation".to_owned());
    }
    if let Some(failure) = condition::find(live, "ReplicaFailure").filter(|failure| failure.is_true()) {
        return Health::degraded(failure.message);
    }
    let wanted = count(live, "/spec/replicas");
    let available = count(live, "/status/availableReplicas");
    if available < wanted {
        return waiting(format!("{available} out of {wanted} new replicas are available..."));
    }
    Health::healthy("")
}

#[cfg(test)]
mod tests {
    use ithaca_api::HealthStatusCode::{self, Degraded, Healthy, Progressing};
    use rstest::rstest;
    use serde_json::{Value, json};

    use crate::health::tests::check;

    #[rstest]
    #[case::new(json!({}), Progressing, "Waiting for rollout to finish: observed replica set generation less than desired generation")]
    #[case::forbidden(
        json!({"observedGeneration": 1, "conditions": [{"type": "ReplicaFailure", "status": "True", "message": "exceeded quota"}]}),
        Degraded,
        "exceeded quota"
    )]
    #[case::recovered(
        json!({"observedGeneration": 1, "availableReplicas": 2, "conditions": [{"type": "ReplicaFailure", "status": "False"}]}),
        Healthy,
        ""
    )]
    #[case::starting(json!({"observedGeneration": 1, "availableReplicas": 1}), Progressing, "Waiting for rollout to finish: 1 out of 2 new replicas are available...")]
    fn replica_sets_wait_for_their_replicas(
        #[case] status: Value,
        #[case] expected: HealthStatusCode,
        #[case] message: &str,
    ) {
        let live = json!({"metadata": {"generation": 1}, "spec": {"replicas": 2}, "status": status});
        check("apps", "ReplicaSet", live, expected, message);
    }
}

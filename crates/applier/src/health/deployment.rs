//! Health of Deployments.

use serde_json::Value;

use super::{Health, condition, count, is_unobserved, text};

/// Follows the rollout, until every replica is of the newest template and available.
pub(super) fn assess(live: &Value) -> Health {
    if live.pointer("/spec/paused") == Some(&Value::Bool(true)) {
        return Health::suspended("Deployment is paused");
    }
    let waiting = |what: String| Health::progressing(format!("Waiting for rollout to finish: {what}"));
    if is_unobserved(live) {
        return waiting("observed deployment generation less than desired generation".to_owned());
    }
    let progress = condition::find(live, "Progressing");
    if progress.is_some_and(|progress| progress.reason == "ProgressDeadlineExceeded") {
        let name = text(live, "/metadata/name");
        return Health::degraded(format!("Deployment {name:?} exceeded its progress deadline"));
    }
    let wanted = count(live, "/spec/replicas");
    let total = count(live, "/status/replicas");
    let updated = count(live, "/status/updatedReplicas");
    let available = count(live, "/status/availableReplicas");
    if updated < wanted {
        waiting(format!("{updated} out of {wanted} new replicas have been updated..."))
    } else if total > updated {
        waiting(format!("{} old replicas are pending termination...", total - updated))
    } else if available < updated {
        waiting(format!("{available} of {updated} updated replicas are available..."))
    } else {
        Health::healthy("")
    }
}

#[cfg(test)]
mod tests {
    use ithaca_api::HealthStatusCode::{self, Degraded, Healthy, Progressing, Suspended};
    use rstest::rstest;
    use serde_json::json;

    use crate::health::tests::check;

    /// A Deployment of three replicas with this status.
    fn deployment(status: serde_json::Value) -> serde_json::Value {
        json!({
            "metadata": {"name": "web", "generation": 2},
            "spec": {"replicas": 3},
            "status": status,
        })
    }

    #[rstest]
    #[case::new(json!({}), Progressing, "Waiting for rollout to finish: observed deployment generation less than desired generation")]
    #[case::behind(json!({"observedGeneration": 1, "replicas": 3}), Progressing, "Waiting for rollout to finish: observed deployment generation less than desired generation")]
    #[case::updating(
        json!({"observedGeneration": 2, "replicas": 4, "updatedReplicas": 1}),
        Progressing,
        "Waiting for rollout to finish: 1 out of 3 new replicas have been updated..."
    )]
    #[case::old_ones(
        json!({"observedGeneration": 2, "replicas": 4, "updatedReplicas": 3, "availableReplicas": 3}),
        Progressing,
        "Waiting for rollout to finish: 1 old replicas are pending termination..."
    )]
    #[case::unavailable(
        json!({"observedGeneration": 2, "replicas": 3, "updatedReplicas": 3, "availableReplicas": 1}),
        Progressing,
        "Waiting for rollout to finish: 1 of 3 updated replicas are available..."
    )]
    #[case::done(
        json!({"observedGeneration": 2, "replicas": 3, "updatedReplicas": 3, "availableReplicas": 3,
               "conditions": [{"type": "Progressing", "status": "True", "reason": "NewReplicaSetAvailable"}]}),
        Healthy,
        ""
    )]
    #[case::too_late(
        json!({"observedGeneration": 2, "replicas": 3, "updatedReplicas": 1,
               "conditions": [{"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded"}]}),
        Degraded,
        "Deployment \"web\" exceeded its progress deadline"
    )]
    fn deployments_follow_their_rollout(
        #[case] status: serde_json::Value,
        #[case] expected: HealthStatusCode,
        #[case] message: &str,
    ) {
        check("apps", "Deployment", deployment(status), expected, message);
    }

    #[test]
    fn a_deployment_of_no_replicas_is_healthy() {
        let live = json!({
            "metadata": {"generation": 1},
            "spec": {"replicas": 0},
            "status": {"observedGeneration": 1},
        });
        check("apps", "Deployment", live, Healthy, "");
    }

    #[test]
    fn a_paused_deployment_is_suspended() {
        let live = json!({"metadata": {"generation": 9}, "spec": {"paused": true}});
        check("apps", "Deployment", live, Suspended, "Deployment is paused");
    }
}

//! Health of StatefulSets.

use serde_json::Value;

use super::{Health, count, is_unobserved, text};

/// Follows the rollout by the set's update strategy.
pub(super) fn assess(live: &Value) -> Health {
    if count(live, "/status/observedGeneration") == 0 || is_unobserved(live) {
        return Health::progressing("Waiting for statefulset spec update to be observed...");
    }
    let wanted = count(live, "/spec/replicas");
    let ready = count(live, "/status/readyReplicas");
    if ready < wanted {
        return Health::progressing(format!("Waiting for {} pods to be ready...", wanted - ready));
    }
    let updated = count(live, "/status/updatedReplicas");
    match text(live, "/spec/updateStrategy/type") {
        "RollingUpdate" if live.pointer("/spec/updateStrategy/rollingUpdate").is_some() => {
            let new = wanted - count(live, "/spec/updateStrategy/rollingUpdate/partition");
            if updated < new {
                return Health::progressing(format!(
                    "Waiting for partitioned roll out to finish: {updated} out of {new} new pods have been updated..."
                ));
            }
            Health::healthy(format!("partitioned roll out complete: {updated} new pods have been updated..."))
        }
        "OnDelete" => Health::healthy(format!("statefulset has {ready} ready pods")),
        _ => assess_revisions(live, updated),
    }
}

fn assess_revisions(live: &Value, updated: i64) -> Health {
    let current = text(live, "/status/currentRevision");
    let next = text(live, "/status/updateRevision");
    if current != next {
        return Health::progressing(format!(
            "waiting for statefulset rolling update to complete {updated} pods at revision {next}..."
        ));
    }
    let pods = count(live, "/status/currentReplicas");
    Health::healthy(format!("statefulset rolling update complete {pods} pods at revision {current}..."))
}

#[cfg(test)]
mod tests {
    use ithaca_api::HealthStatusCode::{self, Healthy, Progressing};
    use rstest::rstest;
    use serde_json::{Value, json};

    use crate::health::tests::check;

    #[rstest]
    #[case::new(json!({}), json!({}), Progressing, "Waiting for statefulset spec update to be observed...")]
    #[case::behind(json!({}), json!({"observedGeneration": 1}), Progressing, "Waiting for statefulset spec update to be observed...")]
    #[case::not_ready(json!({}), json!({"observedGeneration": 2, "readyReplicas": 1}), Progressing, "Waiting for 2 pods to be ready...")]
    #[case::partition_behind(
        json!({"type": "RollingUpdate", "rollingUpdate": {"partition": 1}}),
        json!({"observedGeneration": 2, "readyReplicas": 3, "updatedReplicas": 1}),
        Progressing,
        "Waiting for partitioned roll out to finish: 1 out of 2 new pods have been updated..."
    )]
    #[case::partition_done(
        json!({"type": "RollingUpdate", "rollingUpdate": {"partition": 1}}),
        json!({"observedGeneration": 2, "readyReplicas": 3, "updatedReplicas": 2}),
        Healthy,
        "partitioned roll out complete: 2 new pods have been updated..."
    )]
    #[case::on_delete(
        json!({"type": "OnDelete"}),
        json!({"observedGeneration": 2, "readyReplicas": 3, "currentRevision": "a", "updateRevision": "b"}),
        Healthy,
        "statefulset has 3 ready pods"
    )]
    #[case::revision_behind(
        json!({"type": "RollingUpdate"}),
        json!({"observedGeneration": 2, "readyReplicas": 3, "updatedReplicas": 1, "currentRevision": "a", "updateRevision": "b"}),
        Progressing,
        "waiting for statefulset rolling update to complete 1 pods at revision b..."
    )]
    #[case::revision_done(
        json!({}),
        json!({"observedGeneration": 2, "readyReplicas": 3, "currentReplicas": 3, "currentRevision": "b", "updateRevision": "b"}),
        Healthy,
        "statefulset rolling update complete 3 pods at revision b..."
    )]
    fn stateful_sets_follow_their_strategy(
        #[case] strategy: Value,
        #[case] status: Value,
        #[case] expected: HealthStatusCode,
        #[case] message: &str,
    ) {
        let live = json!({
            "metadata": {"name": "db", "generation": 2},
            "spec": {"replicas": 3, "updateStrategy": strategy},
            "status": status,
        });
        check("apps", "StatefulSet", live, expected, message);
    }
}

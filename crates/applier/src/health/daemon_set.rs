//! Health of DaemonSets.

use serde_json::Value;

use super::{Health, count, is_unobserved, text};

/// Follows the rollout over the nodes.
pub(super) fn assess(live: &Value) -> Health {
    if is_unobserved(live) {
        let waiting =
            "Waiting for rollout to finish: observed daemon set generation less than desired generation";
        return Health::progressing(waiting);
    }
    let wanted = count(live, "/status/desiredNumberScheduled");
    let updated = count(live, "/status/updatedNumberScheduled");
    let available = count(live, "/status/numberAvailable");
    if text(live, "/spec/updateStrategy/type") == "OnDelete" {
        return Health::healthy(format!("daemon set {updated} out of {wanted} new pods have been updated"));
    }
    let name = text(live, "/metadata/name");
    let waiting = |what: String| {
        Health::progressing(format!("Waiting for daemon set {name:?} rollout to finish: {what}"))
    };
    if updated < wanted {
        waiting(format!("{updated} out of {wanted} new pods have been updated..."))
    } else if available < wanted {
        waiting(format!("{available} of {wanted} updated pods are available..."))
    } else {
        Health::healthy("")
    }
}

#[cfg(test)]
mod tests {
    use ithaca_api::HealthStatusCode::{self, Healthy, Progressing};
    use rstest::rstest;
    use serde_json::{Value, json};

    use crate::health::tests::check;

    #[rstest]
    #[case::new("RollingUpdate", json!({}), Progressing, "Waiting for rollout to finish: observed daemon set generation less than desired generation")]
    #[case::on_delete(
        "OnDelete",
        json!({"observedGeneration": 1, "desiredNumberScheduled": 3, "updatedNumberScheduled": 1}),
        Healthy,
        "daemon set 1 out of 3 new pods have been updated"
    )]
    #[case::updating(
        "RollingUpdate",
        json!({"observedGeneration": 1, "desiredNumberScheduled": 3, "updatedNumberScheduled": 1}),
        Progressing,
        "Waiting for daemon set \"agent\" rollout to finish: 1 out of 3 new pods have been updated..."
    )]
    #[case::unavailable(
        "RollingUpdate",
        json!({"observedGeneration": 1, "desiredNumberScheduled": 3, "updatedNumberScheduled": 3, "numberAvailable": 2}),
        Progressing,
        "Waiting for daemon set \"agent\" rollout to finish: 2 of 3 updated pods are available..."
    )]
    #[case::done(
        "RollingUpdate",
        json!({"observedGeneration": 1, "desiredNumberScheduled": 3, "updatedNumberScheduled": 3, "numberAvailable": 3}),
        Healthy,
        ""
    )]
    #[case::no_node_fits("RollingUpdate", json!({"observedGeneration": 1}), Healthy, "")]
    fn daemon_sets_follow_their_rollout(
        #[case] strategy: &str,
        #[case] status: Value,
        #[case] expected: HealthStatusCode,
        #[case] message: &str,
    ) {
        let live = json!({
            "metadata": {"name": "agent", "generation": 1},
            "spec": {"updateStrategy": {"type": strategy}},
            "status": status,
        });
        check("apps", "DaemonSet", live, expected, message);
    }
}

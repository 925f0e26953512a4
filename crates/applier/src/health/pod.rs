//! Health of Pods.

use serde_json::Value;

use super::{Health, condition, text};

/// Reads the phase, and for pods that are to run for ever also whether they get to run at all.
pub(super) fn assess(live: &Value) -> Health {
    let message = text(live, "/status/message");
    let runs_for_ever = text(live, "/spec/restartPolicy") == "Always";
    if let Some(health) = assess_waiting(live).filter(|_| runs_for_ever) {
        return health;
    }
    match text(live, "/status/phase") {
        "Pending" => Health::progressing(message),
        "Succeeded" => Health::healthy(message),
        "Failed" if message.is_empty() => Health::degraded(failure(live).unwrap_or_default()),
        "Failed" => Health::degraded(message),
        "Running" if !runs_for_ever => Health::progressing(message),
        "Running" => assess_running(live, message),
        _ => Health::unknown(message),
    }
}

/// Containers that cannot start. Pods that end by themselves are often hooks, and a hook must not be
/// called failed while Kubernetes may still start it.
fn assess_waiting(live: &Value) -> Option<Health> {
    let stuck = statuses(live, "containerStatuses").iter().filter_map(|status| {
        let waiting = status.pointer("/state/waiting")?;
        let reason = text(waiting, "/reason");
        let stuck = reason.starts_with("Err") || reason.ends_with("Error") || reason.ends_with("BackOff");
        stuck.then(|| text(waiting, "/message"))
    });
    let messages: Vec<&str> = stuck.collect();
    (!messages.is_empty()).then(|| Health::degraded(messages.join(", ")))
}

fn assess_running(live: &Value, message: &str) -> Health {
    if condition::find(live, "Ready").is_some_and(|ready| ready.is_true()) {
        return Health::healthy(message);
    }
    let mut containers = statuses(live, "containerStatuses").iter();
    if containers.any(|status| status.pointer("/lastState/terminated").is_some()) {
        return Health::degraded(message);
    }
    Health::progressing(message)
}

/// Why a pod failed, told by its first container that knows.
fn failure(live: &Value) -> Option<String> {
    let init = statuses(live, "initContainerStatuses").iter();
    init.chain(statuses(live, "containerStatuses")).find_map(|status| {
        let terminated = status.pointer("/state/terminated")?;
        let code = terminated["exitCode"].as_i64().unwrap_or(0);
        match (text(terminated, "/message"), text(terminated, "/reason")) {
            ("", "OOMKilled") => Some("OOMKilled".to_owned()),
            ("", _) if code == 0 => None,
            ("", _) => Some(format!("container {:?} failed with exit code {code}", text(status, "/name"))),
            (message, _) => Some(message.to_owned()),
        }
    })
}

fn statuses<'a>(live: &'a Value, field: &str) -> &'a [Value] {
    live["status"][field].as_array().map(Vec::as_slice).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use ithaca_api::HealthStatusCode::{self, Degraded, Healthy, Progressing, Unknown};
    use rstest::rstest;
    use serde_json::{Value, json};

    use crate::health::tests::check;

    #[rstest]
    #[case::pending("Always", json!({"phase": "Pending"}), Progressing, "")]
    #[case::no_image(
        "Always",
        json!({"phase": "Pending", "containerStatuses": [
            {"name": "a", "state": {"waiting": {"reason": "ImagePullBackOff", "message": "no such image"}}},
            {"name": "b", "state": {"waiting": {"reason": "ErrImagePull", "message": "not found"}}},
            {"name": "c", "state": {"waiting": {"reason": "ContainerCreating"}}},
        ]}),
        Degraded,
        "no such image, not found"
    )]
    #[case::hook_without_image(
        "Never",
        json!({"phase": "Pending", "containerStatuses": [
            {"name": "a", "state": {"waiting": {"reason": "ImagePullBackOff", "message": "no such image"}}},
        ]}),
        Progressing,
        ""
    )]
    #[case::succeeded("Never", json!({"phase": "Succeeded"}), Healthy, "")]
    #[case::evicted("Always", json!({"phase": "Failed", "message": "The node was low on memory"}), Degraded, "The node was low on memory")]
    #[case::exit_code(
        "Never",
        json!({"phase": "Failed", "containerStatuses": [
            {"name": "ok", "state": {"terminated": {"exitCode": 0, "reason": "Completed"}}},
            {"name": "bad", "state": {"terminated": {"exitCode": 3, "reason": "Error"}}},
        ]}),
        Degraded,
        "container \"bad\" failed with exit code 3"
    )]
    #[case::init_container(
        "Never",
        json!({"phase": "Failed", "initContainerStatuses": [
            {"name": "init", "state": {"terminated": {"exitCode": 1, "message": "no database"}}},
        ]}),
        Degraded,
        "no database"
    )]
    #[case::memory(
        "Never",
        json!({"phase": "Failed", "containerStatuses": [
            {"name": "a", "state": {"terminated": {"exitCode": 137, "reason": "OOMKilled"}}},
        ]}),
        Degraded,
        "OOMKilled"
    )]
    #[case::failed_without_a_word("Never", json!({"phase": "Failed"}), Degraded, "")]
    #[case::ready("Always", json!({"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}), Healthy, "")]
    #[case::restarted(
        "Always",
        json!({"phase": "Running", "conditions": [{"type": "Ready", "status": "False"}], "containerStatuses": [
            {"name": "a", "state": {"running": {}}, "lastState": {"terminated": {"exitCode": 1}}},
        ]}),
        Degraded,
        ""
    )]
    #[case::starting(
        "Always",
        json!({"phase": "Running", "containerStatuses": [{"name": "a", "state": {"running": {}}, "lastState": {}}]}),
        Progressing,
        ""
    )]
    #[case::working("OnFailure", json!({"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}), Progressing, "")]
    #[case::lost_node("Always", json!({"phase": "Unknown", "message": "node lost"}), Unknown, "node lost")]
    fn pods_are_as_healthy_as_their_containers(
        #[case] restart_policy: &str,
        #[case] status: Value,
        #[case] expected: HealthStatusCode,
        #[case] message: &str,
    ) {
        let live = json!({"spec": {"restartPolicy": restart_policy}, "status": status});
        check("", "Pod", live, expected, message);
    }
}

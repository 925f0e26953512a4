//! Health of Knative's resources, whose conditions keep a word of their own: False is final, Unknown is the way there.

use serde_json::Value;

use super::{Health, How, Rule, by_conditions, condition, custom};

pub(super) const RULES: &[Rule] = &[
    Rule::new("serving.knative.dev", &["Service", "Route", "Configuration", "Revision"], How::Own(promised)),
    Rule::new("eventing.knative.dev", &[], How::Own(ready)),
    Rule::new("messaging.knative.dev", &[], How::Own(ready)),
    Rule::new("sources.knative.dev", &[], How::Own(ready)),
];

/// Conditions will come.
fn promised(live: &Value) -> Option<Health> {
    ready(live).or_else(|| by_conditions(live))
}

fn ready(live: &Value) -> Option<Health> {
    let ready = condition::find(live, "Ready").filter(condition::Condition::is_false);
    match ready.filter(|_| !custom::is_behind(live)) {
        Some(failed) => Some(Health::degraded(custom::sentence(&failed))),
        None => custom::assess(live),
    }
}

#[cfg(test)]
mod tests {
    use ithaca_api::HealthStatusCode::{self, Degraded, Healthy, Progressing};
    use rstest::rstest;
    use serde_json::json;

    use super::*;
    use crate::health::families::{
        UNTOUCHED,
        tests::{check, is, with},
    };

    #[rstest]
    #[case::new(json!({}), Progressing, UNTOUCHED)]
    #[case::deploying(
        with(json!([is("ConfigurationsReady", "Unknown", ""), is("Ready", "Unknown", "Deploying")])),
        Progressing,
        "Deploying Ready"
    )]
    #[case::ready(with(json!([is("ConfigurationsReady", "True", ""), is("Ready", "True", "Done")])), Healthy, "Done Ready")]
    #[case::no_image(with(json!([is("Ready", "False", "RevisionMissing")])), Degraded, "RevisionMissing Ready")]
    #[case::changed(
        json!({"metadata": {"generation": 2}, "status": {"observedGeneration": 1, "conditions": [is("Ready", "False", "ExitCode1")]}}),
        Progressing,
        "Waiting for the newest generation to be observed"
    )]
    fn what_is_served(#[case] live: Value, #[case] expected: HealthStatusCode, #[case] message: &str) {
        for kind in ["Service", "Route", "Configuration"] {
            check("serving.knative.dev", kind, &live, Some(expected), message);
        }
    }

    #[test]
    fn an_idle_revision_is_well() {
        let live = with(json!([is("Active", "False", "NoTraffic"), is("Ready", "True", "Done")]));
        check("serving.knative.dev", "Revision", &live, Some(Healthy), "Done Ready");
    }

    #[test]
    fn a_broker_fails_by_the_same_words() {
        let live = with(json!([is("Ready", "False", "ChannelTemplateMissing")]));
        check("eventing.knative.dev", "Broker", &live, Some(Degraded), "ChannelTemplateMissing Ready");
        check("eventing.knative.dev", "EventType", &json!({"spec": {}}), None, "");
    }
}

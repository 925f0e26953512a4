//! Health of sealed secrets.

use super::{How, Rule};

pub(super) const RULES: &[Rule] = &[Rule::new("bitnami.com", &["SealedSecret"], How::Conditions)];

#[cfg(test)]
mod tests {
    use ithaca_api::HealthStatusCode::{self, Degraded, Healthy, Progressing};
    use rstest::rstest;
    use serde_json::{Value, json};

    use crate::health::families::{
        UNTOUCHED,
        tests::{check, is},
    };

    #[rstest]
    #[case::new(json!({"metadata": {"generation": 1}}), Progressing, UNTOUCHED)]
    #[case::opened(
        json!({"metadata": {"generation": 1}, "status": {"observedGeneration": 1, "conditions": [is("Synced", "True", "")]}}),
        Healthy,
        " Synced"
    )]
    #[case::foreign(
        json!({"metadata": {"generation": 1}, "status": {"observedGeneration": 1, "conditions": [is("Synced", "False", "no key could decrypt secret")]}}),
        Degraded,
        "no key could decrypt secret Synced"
    )]
    #[case::changed(
        json!({"metadata": {"generation": 2}, "status": {"observedGeneration": 1, "conditions": [is("Synced", "True", "")]}}),
        Progressing,
        "Waiting for the newest generation to be observed"
    )]
    fn sealed_secrets(#[case] live: Value, #[case] expected: HealthStatusCode, #[case] message: &str) {
        check("bitnami.com", "SealedSecret", &live, Some(expected), message);
    }
}

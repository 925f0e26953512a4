//! Health of Kyverno's policies.

use super::{How, Rule};

pub(super) const RULES: &[Rule] = &[Rule::new("kyverno.io", &["ClusterPolicy", "Policy"], How::Conditions)];

#[cfg(test)]
mod tests {
    use ithaca_api::HealthStatusCode::{self, Degraded, Healthy, Progressing};
    use rstest::rstest;
    use serde_json::{Value, json};

    use crate::health::families::{
        UNTOUCHED,
        tests::{check, is, with},
    };

    #[rstest]
    #[case::new(json!({"spec": {"rules": []}}), Progressing, UNTOUCHED)]
    #[case::ready(with(json!([is("Ready", "True", "Succeeded")])), Healthy, "Succeeded Ready")]
    #[case::not_yet(with(json!([is("Ready", "False", "Pending")])), Progressing, "Pending Ready")]
    #[case::failed(with(json!([is("Ready", "False", "Failed")])), Degraded, "Failed Ready")]
    fn policies(#[case] live: Value, #[case] expected: HealthStatusCode, #[case] message: &str) {
        check("kyverno.io", "ClusterPolicy", &live, Some(expected), message);
        check("kyverno.io", "Policy", &live, Some(expected), message);
    }

    #[test]
    fn exceptions_have_no_health() {
        check("kyverno.io", "PolicyException", &json!({"spec": {}}), None, "");
    }
}

//! Health of the External Secrets operator: stores, and secrets that come from and go to them.

use super::{How, Rule};

pub(super) const RULES: &[Rule] = &[Rule::new(
    "external-secrets.io",
    &["ExternalSecret", "SecretStore", "ClusterSecretStore", "PushSecret", "ClusterExternalSecret"],
    How::Conditions,
)];

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
    #[case::new("ExternalSecret", json!({"spec": {}}), Progressing, UNTOUCHED)]
    #[case::synced("ExternalSecret", with(json!([is("Ready", "True", "SecretSynced")])), Healthy, "SecretSynced Ready")]
    #[case::refused("ExternalSecret", with(json!([is("Ready", "False", "SecretSyncedError")])), Degraded, "SecretSyncedError Ready")]
    #[case::new_store("SecretStore", json!({"status": {}}), Progressing, UNTOUCHED)]
    #[case::valid("ClusterSecretStore", with(json!([is("Ready", "True", "Valid")])), Healthy, "Valid Ready")]
    #[case::invalid("SecretStore", with(json!([is("Ready", "False", "InvalidProviderConfig")])), Degraded, "InvalidProviderConfig Ready")]
    #[case::not_checked("ClusterSecretStore", with(json!([is("Ready", "False", "ValidationFailed")])), Degraded, "ValidationFailed Ready")]
    #[case::pushed("PushSecret", with(json!([is("Ready", "True", "Synced")])), Healthy, "Synced Ready")]
    #[case::not_pushed("PushSecret", with(json!([is("Ready", "False", "Errored")])), Degraded, "Errored Ready")]
    fn secrets_and_stores(
        #[case] kind: &str,
        #[case] live: Value,
        #[case] expected: HealthStatusCode,
        #[case] message: &str,
    ) {
        check("external-secrets.io", kind, &live, Some(expected), message);
    }
}

//! Health of cert-manager's resources: certificates, issuers, and the steps on the way to a certificate.

use serde_json::Value;

use super::{Health, How, Phase, Rule, by_conditions, condition};

pub(super) const RULES: &[Rule] = &[
    Rule::new("cert-manager.io", &["Certificate"], How::Own(certificate)),
    Rule::new("cert-manager.io", &["Issuer", "ClusterIssuer", "CertificateRequest"], How::Conditions),
    Rule::new(
        "acme.cert-manager.io",
        &["Order", "Challenge"],
        How::Phase(Phase {
            at: "/status/state",
            message: "/status/reason",
            healthy: &["valid"],
            degraded: &["invalid", "expired", "errored"],
            ..Phase::NONE
        }),
    ),
];

/// A certificate that is renewed is as good as before until that fails. How the last try ended, only the condition
/// that tells of tries says.
fn certificate(live: &Value) -> Option<Health> {
    let issuing = condition::find(live, "Issuing");
    if let Some(failed) = issuing.filter(|issuing| issuing.is_false() && issuing.reason == "Failed") {
        return Some(Health::degraded(failed.message));
    }
    let ready = condition::find(live, "Ready").filter(|ready| ready.is_true() && !ready.is_old(live));
    ready.map(|ready| Health::healthy(ready.message)).or_else(|| by_conditions(live))
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
    #[case::issuing(with(json!([is("Issuing", "True", "DoesNotExist"), is("Ready", "False", "DoesNotExist")])), Progressing, "DoesNotExist Issuing")]
    #[case::issued(with(json!([is("Ready", "True", "Ready")])), Healthy, "Ready Ready")]
    #[case::renewed(with(json!([is("Issuing", "True", "Renewing"), is("Ready", "True", "Ready")])), Healthy, "Ready Ready")]
    #[case::failed(with(json!([is("Ready", "False", "DoesNotExist"), is("Issuing", "False", "Failed")])), Degraded, "Failed Issuing")]
    #[case::renewal_failed(with(json!([is("Ready", "True", "Ready"), is("Issuing", "False", "Failed")])), Degraded, "Failed Issuing")]
    #[case::changed(
        json!({"metadata": {"generation": 2}, "status": {"conditions": [{"type": "Ready", "status": "True", "observedGeneration": 1}]}}),
        Progressing,
        "Waiting for the newest generation to be observed"
    )]
    fn certificates(#[case] live: Value, #[case] expected: HealthStatusCode, #[case] message: &str) {
        check("cert-manager.io", "Certificate", &live, Some(expected), message);
    }

    #[rstest]
    #[case::new("Issuer", json!({}), Progressing, UNTOUCHED)]
    #[case::registered("ClusterIssuer", with(json!([is("Ready", "True", "ACMEAccountRegistered")])), Healthy, "ACMEAccountRegistered Ready")]
    #[case::refused("Issuer", with(json!([is("Ready", "False", "ErrRegisterACMEAccount")])), Degraded, "ErrRegisterACMEAccount Ready")]
    #[case::pending("CertificateRequest", with(json!([is("Approved", "True", "cert-manager.io"), is("Ready", "False", "Pending")])), Progressing, "Pending Ready")]
    #[case::issued("CertificateRequest", with(json!([is("Ready", "True", "Issued")])), Healthy, "Issued Ready")]
    #[case::denied("CertificateRequest", with(json!([is("Denied", "True", "Policy"), is("Ready", "False", "Denied")])), Degraded, "Policy Denied")]
    #[case::failed("CertificateRequest", with(json!([is("Ready", "False", "Failed")])), Degraded, "Failed Ready")]
    fn issuers_and_requests(
        #[case] kind: &str,
        #[case] live: Value,
        #[case] expected: HealthStatusCode,
        #[case] message: &str,
    ) {
        check("cert-manager.io", kind, &live, Some(expected), message);
    }

    #[rstest]
    #[case::new("Order", json!({}), Progressing, UNTOUCHED)]
    #[case::pending("Order", json!({"status": {"state": "pending"}}), Progressing, "pending")]
    #[case::valid("Order", json!({"status": {"state": "valid"}}), Healthy, "valid")]
    #[case::errored("Order", json!({"status": {"state": "errored", "reason": "rate limited"}}), Degraded, "rate limited")]
    #[case::waiting("Challenge", json!({"status": {"processing": true, "state": "pending", "reason": "Waiting for DNS"}}), Progressing, "Waiting for DNS")]
    #[case::invalid("Challenge", json!({"status": {"state": "invalid", "reason": "wrong status code"}}), Degraded, "wrong status code")]
    fn steps_of_acme(
        #[case] kind: &str,
        #[case] live: Value,
        #[case] expected: HealthStatusCode,
        #[case] message: &str,
    ) {
        check("acme.cert-manager.io", kind, &live, Some(expected), message);
    }
}

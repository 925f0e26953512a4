//! Health of what lets traffic in: Services and Ingresses.

use serde_json::Value;

use super::{Health, text};

/// A Service of type LoadBalancer waits for its address; the others are as they should be.
pub(super) fn assess_service(live: &Value) -> Health {
    if text(live, "/spec/type") == "LoadBalancer" && !has_address(live) {
        return Health::progressing("");
    }
    Health::healthy("")
}

/// An Ingress waits for its controller to announce an address.
pub(super) fn assess_ingress(live: &Value) -> Health {
    if has_address(live) { Health::healthy("") } else { Health::progressing("") }
}

fn has_address(live: &Value) -> bool {
    let addresses = live.pointer("/status/loadBalancer/ingress").and_then(Value::as_array);
    addresses.is_some_and(|addresses| !addresses.is_empty())
}

#[cfg(test)]
mod tests {
    use ithaca_api::HealthStatusCode::{self, Healthy, Progressing};
    use rstest::rstest;
    use serde_json::{Value, json};

    use crate::health::tests::check;

    #[rstest]
    #[case::plain("", "Service", json!({"spec": {"type": "ClusterIP"}, "status": {"loadBalancer": {}}}), Healthy)]
    #[case::waiting("", "Service", json!({"spec": {"type": "LoadBalancer"}, "status": {"loadBalancer": {}}}), Progressing)]
    #[case::balanced("", "Service", json!({"spec": {"type": "LoadBalancer"}, "status": {"loadBalancer": {"ingress": [{"ip": "10.0.0.1"}]}}}), Healthy)]
    #[case::no_controller("networking.k8s.io", "Ingress", json!({"status": {"loadBalancer": {}}}), Progressing)]
    #[case::empty_list("networking.k8s.io", "Ingress", json!({"status": {"loadBalancer": {"ingress": []}}}), Progressing)]
    #[case::announced("networking.k8s.io", "Ingress", json!({"status": {"loadBalancer": {"ingress": [{"ip": "10.0.0.1"}]}}}), Healthy)]
    #[case::old_group("extensions", "Ingress", json!({}), Progressing)]
    fn addresses_make_healthy(
        #[case] group: &str,
        #[case] kind: &str,
        #[case] live: Value,
        #[case] expected: HealthStatusCode,
    ) {
        check(group, kind, live, expected, "");
    }
}

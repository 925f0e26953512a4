//! Health of the Gateway API: what is asked of a gateway is told once for each gateway that is asked.

use serde_json::Value;

use super::{Health, How, Rule, UNTOUCHED, by_conditions, condition::Condition, custom};

const GROUP: &str = "gateway.networking.k8s.io";

pub(super) const RULES: &[Rule] = &[
    Rule::new(GROUP, &["Gateway", "GatewayClass"], How::Own(gateway)),
    Rule::new(GROUP, &["HTTPRoute", "GRPCRoute", "TLSRoute", "TCPRoute", "UDPRoute"], How::Own(route)),
    Rule::new(GROUP, &["BackendTLSPolicy"], How::Own(policy)),
];

/// Reasons of a refusal that may go by itself.
const PASSING: &[&str] = &["Pending", "Waiting", "AddressNotAssigned", "NoResources", "BackendNotFound"];
/// Conditions whose opposite is a refusal.
const DEMANDS: &[&str] = &["Accepted", "ResolvedRefs", "Programmed"];

/// A gateway is refused, or programmed. Whose class nobody serves is looked at by nobody.
fn gateway(live: &Value) -> Option<Health> {
    if custom::is_behind(live) {
        return by_conditions(live);
    }
    let conditions = || super::condition::all(live);
    refusal(conditions()).or_else(|| by_conditions(live))
}

fn route(live: &Value) -> Option<Health> {
    let asked = live.pointer("/spec/parentRefs").and_then(Value::as_array).map_or(0, Vec::len);
    by_each(live, "/status/parents", asked)
}

fn policy(live: &Value) -> Option<Health> {
    by_each(live, "/status/ancestors", 1)
}

/// The worst that any gateway says. Several refer to the same gateway by different ports, so only silence is waited for.
fn by_each(live: &Value, place: &str, asked: usize) -> Option<Health> {
    let entries = live.pointer(place).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    if asked == 0 {
        return None;
    }
    let told = entries.iter().map(|entry| entry_of(live, entry));
    let worst = told.max_by_key(|health| health.status);
    worst.or_else(|| Some(Health::progressing(UNTOUCHED)))
}

fn entry_of(live: &Value, entry: &Value) -> Health {
    let conditions = || entry["conditions"].as_array().into_iter().flatten().map(Condition::of);
    if conditions().any(|condition| condition.is_old(live)) {
        return Health::progressing(custom::BEHIND);
    }
    if let Some(refusal) = refusal(conditions()) {
        return refusal;
    }
    let demands = || conditions().filter(|condition| DEMANDS.contains(&condition.kind));
    match demands().find(|condition| !condition.is_true()) {
        Some(open) => Health::progressing(custom::sentence(&open)),
        None if demands().next().is_none() => Health::progressing(UNTOUCHED),
        None => Health::healthy(""),
    }
}

fn refusal<'a>(conditions: impl Iterator<Item = Condition<'a>>) -> Option<Health> {
    let mut refused = conditions.filter(|condition| {
        condition.is_false() && DEMANDS.contains(&condition.kind) && !PASSING.contains(&condition.reason)
    });
    refused.next().map(|refused| Health::degraded(custom::sentence(&refused)))
}

#[cfg(test)]
mod tests {
    use ithaca_api::HealthStatusCode::{self, Degraded, Healthy, Progressing};
    use rstest::rstest;
    use serde_json::json;

    use super::*;
    use crate::health::families::tests::{check, is, with};

    #[rstest]
    #[case::new("Gateway", json!({}), Progressing, UNTOUCHED)]
    #[case::defaulted(
        "Gateway",
        with(json!([is("Accepted", "Unknown", "Pending"), is("Programmed", "Unknown", "Pending")])),
        Progressing,
        "Pending Accepted"
    )]
    #[case::programmed(
        "Gateway",
        with(json!([is("Accepted", "True", "Accepted"), is("Programmed", "True", "Programmed")])),
        Healthy,
        "Accepted Accepted"
    )]
    #[case::no_address(
        "Gateway",
        with(json!([is("Accepted", "True", "Accepted"), is("Programmed", "False", "AddressNotAssigned")])),
        Progressing,
        "AddressNotAssigned Programmed"
    )]
    #[case::refused("Gateway", with(json!([is("Accepted", "False", "ListenersNotValid")])), Degraded, "ListenersNotValid Accepted")]
    #[case::class("GatewayClass", with(json!([is("Accepted", "True", "Accepted")])), Healthy, "Accepted Accepted")]
    #[case::class_waits("GatewayClass", with(json!([is("Accepted", "Unknown", "Pending")])), Progressing, "Pending Accepted")]
    #[case::class_is_wrong("GatewayClass", with(json!([is("Accepted", "False", "InvalidParameters")])), Degraded, "InvalidParameters Accepted")]
    fn gateways(
        #[case] kind: &str,
        #[case] live: Value,
        #[case] expected: HealthStatusCode,
        #[case] message: &str,
    ) {
        check(GROUP, kind, &live, Some(expected), message);
    }

    fn route_of(parents: &Value) -> Value {
        json!({
            "metadata": {"generation": 1},
            "spec": {"parentRefs": [{"name": "web"}, {"name": "internal"}]},
            "status": {"parents": parents},
        })
    }

    fn taken() -> Value {
        json!({"conditions": [is("Accepted", "True", "Accepted"), is("ResolvedRefs", "True", "ResolvedRefs")]})
    }

    #[rstest]
    #[case::new(json!([]), Progressing, UNTOUCHED)]
    #[case::taken(json!([taken(), taken()]), Healthy, "")]
    #[case::silent(json!([taken(), {"conditions": []}]), Progressing, UNTOUCHED)]
    #[case::refused_by_one(
        json!([taken(), {"conditions": [is("Accepted", "False", "NotAllowedByListeners")]}]),
        Degraded,
        "NotAllowedByListeners Accepted"
    )]
    #[case::not_permitted(
        json!([{"conditions": [is("Accepted", "True", "Accepted"), is("ResolvedRefs", "False", "RefNotPermitted")]}]),
        Degraded,
        "RefNotPermitted ResolvedRefs"
    )]
    #[case::backend_comes_later(
        json!([{"conditions": [is("Accepted", "True", "Accepted"), is("ResolvedRefs", "False", "BackendNotFound")]}]),
        Progressing,
        "BackendNotFound ResolvedRefs"
    )]
    #[case::old(
        json!([{"conditions": [{"type": "Accepted", "status": "False", "reason": "NotAllowedByListeners", "observedGeneration": 0}]}]),
        Progressing,
        "Waiting for the newest generation to be observed"
    )]
    fn routes(#[case] parents: Value, #[case] expected: HealthStatusCode, #[case] message: &str) {
        for kind in ["HTTPRoute", "GRPCRoute", "TCPRoute"] {
            check(GROUP, kind, &route_of(&parents), Some(expected), message);
        }
    }

    #[test]
    fn a_route_that_asks_nobody_has_no_health() {
        check(GROUP, "HTTPRoute", &json!({"spec": {}, "status": {"parents": []}}), None, "");
        check(GROUP, "ReferenceGrant", &json!({"spec": {}}), None, "");
    }

    #[test]
    fn a_policy_is_told_for_each_gateway_too() {
        let live =
            json!({"status": {"ancestors": [{"conditions": [is("Accepted", "False", "Conflicted")]}]}});
        check(GROUP, "BackendTLSPolicy", &live, Some(Degraded), "Conflicted Accepted");
    }
}

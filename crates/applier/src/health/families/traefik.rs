//! Health of Traefik's own kinds: routes and middlewares have no status, so they have no health, and the rule for any
//! custom resource says so.

use serde_json::json;

use crate::health::families::tests::check;

#[test]
fn routes_have_no_health() {
    let kinds = ["IngressRoute", "IngressRouteTCP", "IngressRouteUDP", "Middleware", "MiddlewareTCP"];
    let more = ["ServersTransport", "TLSOption", "TLSStore", "TraefikService"];
    for kind in kinds.into_iter().chain(more) {
        check("traefik.io", kind, &json!({"metadata": {"generation": 1}, "spec": {}}), None, "");
    }
}

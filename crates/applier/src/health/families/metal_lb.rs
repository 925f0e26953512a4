//! Health of MetalLB: pools, announcements and peers say nothing of themselves, so they have no health, and the rule
//! for any custom resource says so.

use serde_json::json;

use crate::health::families::tests::check;

#[test]
fn pools_and_announcements_have_no_health() {
    let counted =
        json!({"spec": {"addresses": ["10.0.0.1/32"]}, "status": {"availableIPv4": 1, "assignedIPv4": 0}});
    check("metallb.io", "IPAddressPool", &counted, None, "");
    for kind in ["L2Advertisement", "BGPAdvertisement", "BGPPeer", "BFDProfile", "Community"] {
        check("metallb.io", kind, &json!({"spec": {}}), None, "");
    }
}

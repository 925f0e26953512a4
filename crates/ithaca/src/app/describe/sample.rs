//! An Application that uses everything the tables show.

use ithaca_api::Application;
use serde_json::json;

/// When the tables are written.
pub const NOW: &str = "2026-01-02T04:00:00Z";

/// The Application.
pub fn application() -> Application {
    let revision = "0123456789abcdef0123456789abcdef01234567";
    let object = json!({
        "metadata": {"name": "web", "namespace": "argocd", "creationTimestamp": "2025-12-01T00:00:00Z"},
        "spec": {
            "project": "default",
            "destination": {"server": "https://kubernetes.default.svc", "namespace": "web"},
            "source": {"repoURL": "https://example.org/repo.git", "path": "apps/web"},
            "syncPolicy": {"automated": {"prune": true, "selfHeal": true}},
        },
        "status": {
            "sync": {"status": "OutOfSync", "revision": revision},
            "health": {"status": "Degraded"},
            "conditions": [{
                "type": "SyncError", "message": "Failed last sync attempt",
                "lastTransitionTime": "2026-01-02T03:59:30Z",
            }],
            "resources": [
                {"version": "v1", "kind": "Service", "namespace": "web", "name": "api", "status": "Synced",
                 "health": {"status": "Healthy"}},
                {"group": "apps", "version": "v1", "kind": "Deployment", "namespace": "web", "name": "api",
                 "status": "OutOfSync", "health": {"status": "Degraded", "message": "quota exceeded"}},
                {"version": "v1", "kind": "ConfigMap", "namespace": "web", "name": "old", "status": "OutOfSync",
                 "requiresPruning": true},
            ],
            "operationState": {
                "operation": {"sync": {}, "initiatedBy": {"username": "ada"}},
                "phase": "Failed", "message": "one or more objects failed to apply",
                "startedAt": "2026-01-02T03:50:00Z", "finishedAt": "2026-01-02T03:50:02Z", "retryCount": 2,
                "syncResult": {"revision": revision, "resources": [
                    {"group": "", "version": "v1", "kind": "Service", "namespace": "web", "name": "api",
                     "status": "Synced", "message": "service/api serverside-applied"},
                ]},
            },
            "history": [
                {"id": 0, "revision": "1.2.3", "deployedAt": "2026-01-01T00:00:00Z", "initiatedBy": {"username": "ada"}},
                {"id": 1, "revision": revision, "deployedAt": "2026-01-02T00:00:00Z", "initiatedBy": {"automated": true}},
            ],
        },
    });
    serde_json::from_value(object).expect("an application")
}

//! What is decided after a restart.

use serde_json::json;

use super::*;
use crate::{orphans::Orphaned, plan::dependencies::Nobody, projects::Project};

/// Automation may have been switched off meanwhile, or the newer revision may ask for nothing: the operation of the
/// earlier life would be told of as running for ever.
#[test]
fn an_operation_that_a_newer_revision_met_during_a_restart_still_ends() {
    let source = json!({"repoURL": "https://git.example.org/a", "path": "app", "targetRevision": "HEAD"});
    let application: Application = serde_json::from_value(json!({
        "metadata": {"name": "web", "namespace": "argocd"},
        "spec": {"project": "default", "source": source, "destination": {"name": "in-cluster", "namespace": "web"}},
        "status": {"operationState": {
            "operation": {"sync": {"revision": "a"}, "initiatedBy": {"automated": true}},
            "phase": "Running",
            "startedAt": "2026-01-01T00:00:00Z",
            "syncResult": {"revision": "a"},
        }},
    }))
    .expect("an Application");
    let project = json!({"metadata": {"name": "default"}, "spec": {
        "sourceRepos": ["*"], "destinations": [{"server": "*", "namespace": "*"}],
    }});
    let project = Project::of(serde_json::from_value(project).expect("an AppProject"));
    let source = crate::bundle::Source {
        source: serde_json::from_value(source).expect("a source"),
        revision: "b".to_owned(),
        source_type: None,
        commit: Default::default(),
    };
    let empty = Bundle::new(ithaca_proto::v1::BundleRendered::default(), Arc::default());
    let bundle = Arc::new(Bundle { sources: vec![source], digest: "d".to_owned(), ..empty });
    let owner = Owner { instance: "web".to_owned(), namespace: "web".to_owned(), ..Owner::default() };
    let (records, now) = (Records::default(), Timestamp::UNIX_EPOCH);
    let view = View {
        application: &application,
        owner: &owner,
        tracked: Some(&bundle),
        requested: None,
        project: Some(&project),
        orphaned: Orphaned::None,
        held: None,
        run: None,
        refreshed: 0,
        records: &records,
        guard: Guard::default(),
        others: &Nobody,
        control_plane: "argocd",
        now,
    };
    let taken_up = match decide(view) {
        Action::Begin(run) => Some(run),
        _ => None,
    };
    let run = taken_up.expect("an operation that is taken up");
    let told = match decide(View { run: Some(&run), ..view }) {
        Action::Write(change) => Some(change),
        _ => None,
    };
    let change = told.expect("an end that is told");
    let state = change.status.operation_state.expect("an operation");
    assert_eq!((state.phase, change.ends_run), (OperationPhase::Succeeded, true));
}

//! One event of each kind, to try templates on before the first real one arrives.
//! Their texts hold what breaks careless templates: quotes, line breaks, backslashes.

use ithaca_proto::v1::{
    ApplicationDeleted, ApplicationRef, Commit, ConditionChanged, DriftDetected, Event, HealthChanged,
    ObjectRef, ObjectResult, SyncFinished, SyncStarted, SyncStatusChanged, Timings, event::Fact,
};

use crate::record::Record;

const REVISION: &str = "0123456789abcdef0123456789abcdef01234567";
/// 2026-01-02 03:04:05 UTC, in microseconds.
const OBSERVED_AT: i64 = 1_767_323_045_000_000;
const TEXT: &str = "failed to apply \"api\":\n\tC:\\path 'is' <not> there";

/// A record of each kind, in the order of `wording::NAMES`.
pub(crate) fn records() -> Vec<Record> {
    facts().into_iter().filter_map(|fact| Record::new(&event(fact))).collect()
}

fn event(fact: Fact) -> Event {
    Event {
        id: "sample".to_owned(),
        application: Some(ApplicationRef {
            uid: "5f0c2f2e-0000-4000-8000-000000000001".to_owned(),
            namespace: "argocd".to_owned(),
            name: "web".to_owned(),
        }),
        project: "default".to_owned(),
        happened_at: OBSERVED_AT + 1_000_000,
        fact: Some(fact),
    }
}

fn facts() -> [Fact; 7] {
    [
        Fact::SyncStarted(SyncStarted {
            revisions: vec![REVISION.to_owned()],
            initiated_by: "ada".to_owned(),
        }),
        Fact::SyncFinished(sync_finished()),
        Fact::DriftDetected(DriftDetected {
            object: Some(deployment()),
            fields: vec![".spec.replicas".to_owned()],
            manager: "kubectl-edit".to_owned(),
            changed_at: OBSERVED_AT,
            corrected: true,
            ..Default::default()
        }),
        Fact::HealthChanged(HealthChanged {
            from: "Progressing".to_owned(),
            to: "Degraded".to_owned(),
            message: TEXT.to_owned(),
        }),
        Fact::SyncStatusChanged(SyncStatusChanged {
            from: "Synced".to_owned(),
            to: "OutOfSync".to_owned(),
            revisions: vec![REVISION.to_owned()],
        }),
        Fact::ConditionChanged(ConditionChanged {
            r#type: "ComparisonError".to_owned(),
            message: TEXT.to_owned(),
            resolved: false,
        }),
        Fact::ApplicationDeleted(ApplicationDeleted { objects: 4, orphans: false }),
    ]
}

fn sync_finished() -> SyncFinished {
    SyncFinished {
        phase: "Failed".to_owned(),
        message: TEXT.to_owned(),
        revisions: vec![REVISION.to_owned()],
        commits: vec![Commit {
            author: "Ada <ada@example.org>".to_owned(),
            subject: "Bump \"api\" to 1.2".to_owned(),
            committed_at: OBSERVED_AT / 1_000_000,
        }],
        results: vec![ObjectResult {
            object: Some(deployment()),
            status: "SyncFailed".to_owned(),
            message: TEXT.to_owned(),
        }],
        timings: Some(Timings {
            observed_at: OBSERVED_AT,
            render_started_at: OBSERVED_AT + 100_000,
            rendered_at: OBSERVED_AT + 300_000,
            started_at: OBSERVED_AT + 400_000,
            finished_at: OBSERVED_AT + 1_000_000,
        }),
        ..Default::default()
    }
}

fn deployment() -> ObjectRef {
    ObjectRef {
        group: "apps".to_owned(),
        version: "v1".to_owned(),
        kind: "Deployment".to_owned(),
        namespace: "web".to_owned(),
        name: "api".to_owned(),
    }
}

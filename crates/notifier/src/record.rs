//! An event as plain data for the audit trail and for templates. Pure.
//!
//! In: `Event`. Out: `Record`, in which every field is always present, so that a template that names a field
//! which this fact does not have prints nothing, and one that misspells a field fails.

use ithaca_proto::v1::{Commit, Event, ObjectRef, ObjectResult, Timings, event::Fact};
use serde::Serialize;

use crate::wording::{self, Severity};

/// An event in the words of templates and of the audit trail.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Record {
    pub id: String,
    /// `SyncFinished`, `HealthChanged`, …
    pub event: &'static str,
    /// The reason of the Kubernetes Event.
    pub reason: String,
    pub severity: Severity,
    pub message: String,
    pub application: Application,
    pub project: String,
    /// RFC 3339.
    pub happened_at: String,
    /// A user's name; empty where nobody asked.
    pub initiated_by: String,
    /// The first of `revisions`.
    pub revision: String,
    pub revisions: Vec<String>,
    /// The first of `commits`; empty texts where there is none.
    pub commit: CommitRecord,
    pub commits: Vec<CommitRecord>,
    /// Of a finished sync.
    pub phase: String,
    pub dry_run: bool,
    pub retries: u32,
    pub results: Vec<ResultRecord>,
    pub seconds: Seconds,
    /// Of a change of health or sync state.
    pub from: String,
    pub to: String,
    /// Of a condition: its type.
    pub condition: String,
    pub resolved: bool,
    /// Of drift.
    pub object: Object,
    pub missing: bool,
    pub fields: Vec<String>,
    pub manager: String,
    pub corrected: bool,
    /// Deleted with the application.
    pub objects: u32,
    /// Microseconds since the epoch.
    #[serde(skip)]
    pub happened_at_micros: i64,
    #[serde(skip)]
    pub word: String,
}

/// The Application that an event is about.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Application {
    pub name: String,
    pub namespace: String,
    pub uid: String,
}

/// Who committed what.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct CommitRecord {
    pub author: String,
    pub subject: String,
    /// RFC 3339; empty where it is not known.
    pub committed_at: String,
}

/// An object in a cluster.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Object {
    pub group: String,
    pub version: String,
    pub kind: String,
    pub namespace: String,
    pub name: String,
}

/// What a sync did to an object.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct ResultRecord {
    #[serde(flatten)]
    pub object: Object,
    pub status: String,
    pub message: String,
}

/// How long each step took on the way from the observed revision to the applied one, in seconds;
/// absent where a step was not timed.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Seconds {
    /// From the revision's observation until a renderer took it.
    pub wait_to_render: Option<f64>,
    pub render: Option<f64>,
    /// From the rendered bundle until an applier started.
    pub wait_to_apply: Option<f64>,
    pub apply: Option<f64>,
    /// From the revision's observation to the end.
    pub total: Option<f64>,
}

impl Record {
    /// None for a fact of a later version that this build does not know.
    pub(crate) fn new(event: &Event) -> Option<Self> {
        let fact = event.fact.as_ref()?;
        let application = event.application.clone().unwrap_or_default();
        let mut record = Self {
            id: event.id.clone(),
            event: wording::name(fact),
            reason: wording::reason(fact).to_owned(),
            severity: wording::severity(fact),
            message: wording::sentence(fact),
            application: Application {
                name: application.name,
                namespace: application.namespace,
                uid: application.uid,
            },
            project: event.project.clone(),
            happened_at: rfc3339(event.happened_at),
            happened_at_micros: event.happened_at,
            word: wording::word(fact).to_owned(),
            ..Self::default()
        };
        record.fill(fact);
        Some(record)
    }

    fn fill(&mut self, fact: &Fact) {
        match fact {
            Fact::SyncStarted(started) => {
                self.set_revisions(&started.revisions);
                self.initiated_by.clone_from(&started.initiated_by);
            }
            Fact::SyncFinished(finished) => {
                self.set_revisions(&finished.revisions);
                self.initiated_by.clone_from(&finished.initiated_by);
                self.commits = finished.commits.iter().map(commit).collect();
                self.commit = self.commits.first().cloned().unwrap_or_default();
                self.phase.clone_from(&finished.phase);
                self.dry_run = finished.dry_run;
                self.retries = finished.retries;
                self.results = finished.results.iter().map(result).collect();
                self.seconds = finished.timings.as_ref().map(seconds).unwrap_or_default();
            }
            Fact::DriftDetected(drift) => {
                self.object = drift.object.as_ref().map(object).unwrap_or_default();
                self.missing = drift.missing;
                self.fields.clone_from(&drift.fields);
                self.manager.clone_from(&drift.manager);
                self.corrected = drift.corrected;
            }
            Fact::HealthChanged(changed) => {
                self.from.clone_from(&changed.from);
                self.to.clone_from(&changed.to);
            }
            Fact::SyncStatusChanged(changed) => {
                self.from.clone_from(&changed.from);
                self.to.clone_from(&changed.to);
                self.set_revisions(&changed.revisions);
            }
            Fact::ConditionChanged(changed) => {
                self.condition.clone_from(&changed.r#type);
                self.resolved = changed.resolved;
            }
            Fact::ApplicationDeleted(deleted) => self.objects = deleted.objects,
        }
    }

    fn set_revisions(&mut self, revisions: &[String]) {
        self.revision = revisions.first().cloned().unwrap_or_default();
        self.revisions = revisions.to_vec();
    }
}

fn commit(commit: &Commit) -> CommitRecord {
    CommitRecord {
        author: commit.author.clone(),
        subject: commit.subject.clone(),
        committed_at: rfc3339(commit.committed_at.saturating_mul(1_000_000)),
    }
}

fn object(object: &ObjectRef) -> Object {
    Object {
        group: object.group.clone(),
        version: object.version.clone(),
        kind: object.kind.clone(),
        namespace: object.namespace.clone(),
        name: object.name.clone(),
    }
}

fn result(result: &ObjectResult) -> ResultRecord {
    ResultRecord {
        object: result.object.as_ref().map(object).unwrap_or_default(),
        status: result.status.clone(),
        message: result.message.clone(),
    }
}

fn seconds(timings: &Timings) -> Seconds {
    let between = |from: i64, to: i64| (from > 0 && to >= from).then(|| (to - from) as f64 / 1e6);
    Seconds {
        wait_to_render: between(timings.observed_at, timings.render_started_at),
        render: between(timings.render_started_at, timings.rendered_at),
        wait_to_apply: between(timings.rendered_at, timings.started_at),
        apply: between(timings.started_at, timings.finished_at),
        total: between(timings.observed_at, timings.finished_at),
    }
}

/// Microseconds since the epoch as RFC 3339; empty for 0 and for what no calendar has.
fn rfc3339(micros: i64) -> String {
    match jiff::Timestamp::from_microsecond(micros) {
        Ok(timestamp) if micros != 0 => timestamp.to_string(),
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_step_is_timed_and_untimed_steps_are_left_open() {
        let timings = Timings {
            observed_at: 1_000_000,
            render_started_at: 1_250_000,
            rendered_at: 2_000_000,
            started_at: 0,
            finished_at: 3_000_000,
        };
        let expected = Seconds {
            wait_to_render: Some(0.25),
            render: Some(0.75),
            wait_to_apply: None,
            apply: None,
            total: Some(2.0),
        };
        assert_eq!(seconds(&timings), expected);
    }

    #[test]
    fn a_fact_of_a_later_version_gives_no_record() {
        assert!(Record::new(&Event { id: "x".to_owned(), ..Default::default() }).is_none());
    }

    #[test]
    fn times_are_written_as_people_and_machines_read_them() {
        assert_eq!(rfc3339(1_767_323_045_000_001), "2026-01-02T03:04:05.000001Z");
        assert_eq!(rfc3339(0), "");
        assert_eq!(rfc3339(i64::MAX), "");
    }
}

//! An event in the words of the page and of the REST interface. Pure.

use ithaca_proto::v1::{DriftDetected, Event, SyncFinished, Timings, event::Fact};
use serde::Serialize;

use crate::page::text;

/// Whether an event is good or bad news.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Mood {
    Good,
    Plain,
    Busy,
    Bad,
}

impl Mood {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Plain => "plain",
            Self::Busy => "busy",
            Self::Bad => "bad",
        }
    }
}

/// An event for people.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Happening {
    pub id: String,
    /// RFC 3339.
    pub at: String,
    pub mood: Mood,
    pub title: String,
    pub detail: String,
    /// How long each step took on the way to the cluster.
    pub steps: String,
}

impl Happening {
    /// None for a fact of a later version that this build does not know.
    pub fn of(event: &Event) -> Option<Self> {
        let fact = event.fact.as_ref()?;
        let (mood, title, detail) = told(fact);
        let steps = match fact {
            Fact::SyncFinished(finished) => finished.timings.as_ref().map(steps).unwrap_or_default(),
            _ => String::new(),
        };
        let at = jiff::Timestamp::from_microsecond(event.happened_at).unwrap_or_default().to_string();
        Some(Self { id: event.id.clone(), at, mood, title, detail, steps })
    }
}

fn told(fact: &Fact) -> (Mood, String, String) {
    match fact {
        Fact::SyncStarted(started) => {
            let by = if started.initiated_by.is_empty() { "automation" } else { &started.initiated_by };
            let title = format!("Sync started by {by}");
            (Mood::Busy, title, in_short(&started.revisions))
        }
        Fact::SyncFinished(finished) => sync_finished(finished),
        Fact::DriftDetected(drift) => drift_detected(drift),
        Fact::HealthChanged(changed) => {
            let mood = match changed.to.as_str() {
                "Healthy" => Mood::Good,
                "Degraded" | "Missing" => Mood::Bad,
                _ => Mood::Plain,
            };
            (mood, format!("Health: {} → {}", changed.from, changed.to), changed.message.clone())
        }
        Fact::SyncStatusChanged(changed) => {
            let mood = if changed.to == "Synced" { Mood::Good } else { Mood::Plain };
            let title = format!("Sync: {} → {}", changed.from, changed.to);
            (mood, title, in_short(&changed.revisions))
        }
        Fact::ConditionChanged(condition) if condition.resolved => {
            (Mood::Good, format!("{} is resolved", condition.r#type), String::new())
        }
        Fact::ConditionChanged(condition) => (Mood::Bad, condition.r#type.clone(), condition.message.clone()),
        Fact::ApplicationDeleted(deleted) => {
            let objects = text::count(usize::try_from(deleted.objects).unwrap_or(usize::MAX), "object");
            let text = match deleted.orphans {
                true => "its objects were left in place".to_owned(),
                false => format!("with {objects}"),
            };
            (Mood::Plain, "Deleted".to_owned(), text)
        }
    }
}

fn sync_finished(finished: &SyncFinished) -> (Mood, String, String) {
    let what = if finished.dry_run { "Dry run" } else { "Sync" };
    let revisions = in_short(&finished.revisions);
    let mut commits: Vec<String> =
        finished.commits.iter().map(|commit| format!("{} ({})", commit.subject, commit.author)).collect();
    // Several sources of one repository are at one commit.
    commits.dedup();
    let mut parts = vec![revisions];
    parts.extend(commits);
    if finished.phase == "Succeeded" {
        let detail = parts.join(" · ");
        return (Mood::Good, format!("{what} succeeded"), detail);
    }
    parts.push(finished.message.clone());
    parts.retain(|part| !part.is_empty());
    (Mood::Bad, format!("{what} ended as {}", finished.phase), parts.join(" · "))
}

fn drift_detected(drift: &DriftDetected) -> (Mood, String, String) {
    let object = drift.object.as_ref().map(|object| format!("{} {}", object.kind, object.name));
    let object = object.unwrap_or_else(|| "An object".to_owned());
    let what = if drift.missing { "was deleted" } else { "was changed" };
    let by = if drift.manager.is_empty() { String::new() } else { format!(" by {}", drift.manager) };
    let mut detail = drift.fields.join(", ");
    if drift.corrected {
        let put_back = if detail.is_empty() { "Put back" } else { " · put back" };
        detail.push_str(put_back);
    }
    (Mood::Plain, format!("{object} {what}{by}"), detail)
}

/// `0.1 s from commit seen to applied: render 50 ms, apply 40 ms`. A revision that was seen long before, as with
/// a repair of drift, says nothing about this sync but how long it took itself.
fn steps(timings: &Timings) -> String {
    const LONG: f64 = 600.0;
    let between = |from: i64, to: i64| (from > 0 && to >= from).then(|| (to - from) as f64 / 1e6);
    let apply = between(timings.started_at, timings.finished_at);
    let total = between(timings.observed_at, timings.finished_at).filter(|total| *total < LONG);
    let render = between(timings.render_started_at, timings.rendered_at);
    match (total, render, apply) {
        (Some(total), Some(render), Some(apply)) => format!(
            "{} from revision seen to applied: render {}, apply {}",
            text::duration(total),
            text::duration(render),
            text::duration(apply)
        ),
        (_, _, Some(apply)) => format!("apply {}", text::duration(apply)),
        _ => String::new(),
    }
}

fn in_short(revisions: &[String]) -> String {
    let mut short: Vec<&str> = revisions.iter().map(|revision| text::short(revision)).collect();
    short.dedup();
    short.join(", ")
}

#[cfg(test)]
mod tests {
    use ithaca_proto::v1::{Commit, ObjectRef};

    use super::*;

    fn told_of(fact: Fact) -> Happening {
        Happening::of(&Event {
            id: "e".to_owned(),
            happened_at: 1_000_000,
            fact: Some(fact),
            ..Default::default()
        })
        .expect("a happening")
    }

    #[test]
    fn a_sync_tells_the_commit_and_each_step() {
        let happening = told_of(Fact::SyncFinished(SyncFinished {
            phase: "Succeeded".to_owned(),
            revisions: vec!["0123456789abcdef0123456789abcdef01234567".to_owned(); 2],
            commits: vec![
                Commit { author: "Ada".to_owned(), subject: "Bump api".to_owned(), committed_at: 0 };
                2
            ],
            timings: Some(Timings {
                observed_at: 1_000_000,
                render_started_at: 1_010_000,
                rendered_at: 1_060_000,
                started_at: 1_070_000,
                finished_at: 1_120_000,
            }),
            ..Default::default()
        }));
        assert_eq!((happening.mood, happening.title.as_str()), (Mood::Good, "Sync succeeded"));
        assert_eq!(happening.detail, "0123456 · Bump api (Ada)");
        assert_eq!(happening.steps, "120 ms from revision seen to applied: render 50 ms, apply 50 ms");
        assert_eq!(happening.at, "1970-01-01T00:00:01Z");
    }

    #[test]
    fn drift_tells_who_changed_what() {
        let happening = told_of(Fact::DriftDetected(DriftDetected {
            object: Some(ObjectRef {
                kind: "Deployment".to_owned(),
                name: "api".to_owned(),
                ..Default::default()
            }),
            fields: vec![".spec.replicas".to_owned()],
            manager: "kubectl-edit".to_owned(),
            corrected: true,
            ..Default::default()
        }));
        assert_eq!(happening.title, "Deployment api was changed by kubectl-edit");
        assert_eq!(happening.detail, ".spec.replicas · put back");
    }

    #[test]
    fn a_repair_long_after_the_commit_tells_only_its_own_time() {
        let timings = Timings {
            observed_at: 1_000_000,
            render_started_at: 1_000_000,
            rendered_at: 1_000_000,
            started_at: 9_000_000_000,
            finished_at: 9_000_040_000,
        };
        assert_eq!(steps(&timings), "apply 40 ms");
    }
}

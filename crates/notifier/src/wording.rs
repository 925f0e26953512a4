//! What happened, in words for people. Pure.
//!
//! In: a fact. Out: its name, the reason and severity of a Kubernetes Event, and a sentence. Reasons are
//! Argo CD's where it has one for the fact, so that whoever filters Kubernetes Events by them finds the same.

use ithaca_proto::v1::{DriftDetected, ObjectRef, SyncFinished, SyncStarted, event::Fact};

/// Whether somebody should look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub(crate) enum Severity {
    #[default]
    Normal,
    Warning,
}

impl Severity {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Normal => "Normal",
            Self::Warning => "Warning",
        }
    }
}

/// Every fact's name, as filters, templates and the audit trail have it.
pub(crate) const NAMES: [&str; 7] = [
    "SyncStarted",
    "SyncFinished",
    "DriftDetected",
    "HealthChanged",
    "SyncStatusChanged",
    "ConditionChanged",
    "ApplicationDeleted",
];

pub(crate) fn name(fact: &Fact) -> &'static str {
    let [sync_started, sync_finished, drift, health, sync_status, condition, deleted] = NAMES;
    match fact {
        Fact::SyncStarted(_) => sync_started,
        Fact::SyncFinished(_) => sync_finished,
        Fact::DriftDetected(_) => drift,
        Fact::HealthChanged(_) => health,
        Fact::SyncStatusChanged(_) => sync_status,
        Fact::ConditionChanged(_) => condition,
        Fact::ApplicationDeleted(_) => deleted,
    }
}

/// The one word that tells facts of the same name apart: a phase, a new state, a condition's type.
pub(crate) fn word(fact: &Fact) -> &str {
    match fact {
        Fact::SyncStarted(started) if started.initiated_by.is_empty() => "Automated",
        Fact::SyncStarted(_) => "Manual",
        Fact::SyncFinished(finished) => &finished.phase,
        Fact::DriftDetected(drift) if drift.corrected => "Corrected",
        Fact::DriftDetected(_) => "Reported",
        Fact::HealthChanged(changed) => &changed.to,
        Fact::SyncStatusChanged(changed) => &changed.to,
        Fact::ConditionChanged(condition) if condition.resolved => "Resolved",
        Fact::ConditionChanged(condition) => &condition.r#type,
        Fact::ApplicationDeleted(_) => "",
    }
}

pub(crate) fn reason(fact: &Fact) -> &str {
    match fact {
        Fact::SyncStarted(_) => "OperationStarted",
        Fact::SyncFinished(_) => "OperationCompleted",
        Fact::DriftDetected(_) => "DriftDetected",
        Fact::HealthChanged(_) | Fact::SyncStatusChanged(_) => "ResourceUpdated",
        Fact::ConditionChanged(condition) if condition.resolved => "ConditionResolved",
        Fact::ConditionChanged(condition) => &condition.r#type,
        Fact::ApplicationDeleted(_) => "ResourceDeleted",
    }
}

pub(crate) fn severity(fact: &Fact) -> Severity {
    let is_bad = match fact {
        Fact::SyncFinished(finished) => finished.phase != "Succeeded",
        Fact::HealthChanged(changed) => changed.to == "Degraded",
        Fact::ConditionChanged(condition) => !condition.resolved,
        _ => false,
    };
    if is_bad { Severity::Warning } else { Severity::Normal }
}

pub(crate) fn sentence(fact: &Fact) -> String {
    match fact {
        Fact::SyncStarted(started) => sync_started(started),
        Fact::SyncFinished(finished) => sync_finished(finished),
        Fact::DriftDetected(drift) => drift_detected(drift),
        Fact::HealthChanged(changed) => {
            let because = prefixed(": ", &changed.message);
            format!("Updated health status: {} -> {}{because}", changed.from, changed.to)
        }
        Fact::SyncStatusChanged(changed) => {
            format!("Updated sync status: {} -> {}", changed.from, changed.to)
        }
        Fact::ConditionChanged(condition) if condition.resolved => {
            format!("{} is resolved", condition.r#type)
        }
        Fact::ConditionChanged(condition) => condition.message.clone(),
        Fact::ApplicationDeleted(deleted) if deleted.orphans => {
            "Deleted; its objects were left in place".to_owned()
        }
        Fact::ApplicationDeleted(deleted) => match deleted.objects {
            1 => "Deleted with 1 object".to_owned(),
            objects => format!("Deleted with {objects} objects"),
        },
    }
}

fn sync_started(started: &SyncStarted) -> String {
    let to = prefixed(" to ", &short_all(&started.revisions));
    if started.initiated_by.is_empty() {
        format!("Initiated automated sync{to}")
    } else {
        format!("{} initiated sync{to}", started.initiated_by)
    }
}

fn sync_finished(finished: &SyncFinished) -> String {
    let what = if finished.dry_run { "Dry run of sync operation" } else { "Sync operation" };
    let to = prefixed(" to ", &short_all(&finished.revisions));
    if finished.phase == "Succeeded" {
        return format!("{what}{to} succeeded");
    }
    format!("{what}{to} failed{}", prefixed(": ", &finished.message))
}

fn drift_detected(drift: &DriftDetected) -> String {
    let object = drift.object.as_ref().map_or_else(|| "an object".to_owned(), object);
    let what = if drift.missing { "was deleted".to_owned() } else { changed_fields(&drift.fields) };
    let by = prefixed(" by ", &drift.manager);
    let then = if drift.corrected { "; it is put back" } else { "" };
    format!("{object} {what}{by}{then}")
}

fn changed_fields(fields: &[String]) -> String {
    const SHOWN: usize = 5;
    let shown = fields.iter().take(SHOWN).map(String::as_str).collect::<Vec<_>>().join(", ");
    let more = fields.len().saturating_sub(SHOWN);
    match (fields.len(), more) {
        (0, _) => "was changed".to_owned(),
        (_, 0) => format!("was changed at {shown}"),
        _ => format!("was changed at {shown} and {more} more"),
    }
}

/// `Deployment web/api`, as people say it.
pub(crate) fn object(object: &ObjectRef) -> String {
    if object.namespace.is_empty() {
        format!("{} {}", object.kind, object.name)
    } else {
        format!("{} {}/{}", object.kind, object.namespace, object.name)
    }
}

fn short_all(revisions: &[String]) -> String {
    let mut short: Vec<&str> = revisions.iter().map(|revision| shortened(revision)).collect();
    short.dedup();
    short.join(", ")
}

/// Seven characters of a commit id; charts' versions as they are.
fn shortened(revision: &str) -> &str {
    let is_commit = revision.len() >= 40 && revision.bytes().all(|byte| byte.is_ascii_hexdigit());
    if is_commit { &revision[..7] } else { revision }
}

fn prefixed(prefix: &str, text: &str) -> String {
    if text.is_empty() { String::new() } else { format!("{prefix}{text}") }
}

#[cfg(test)]
mod tests {
    use ithaca_proto::v1::{ConditionChanged, HealthChanged};

    use super::*;

    const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

    fn check(fact: Fact, reason_is: &str, severity_is: Severity, sentence_is: &str) {
        assert_eq!((reason(&fact), severity(&fact)), (reason_is, severity_is));
        assert_eq!(sentence(&fact), sentence_is);
    }

    fn finished(phase: &str, message: &str) -> Fact {
        Fact::SyncFinished(SyncFinished {
            phase: phase.to_owned(),
            message: message.to_owned(),
            revisions: vec![COMMIT.to_owned(), COMMIT.to_owned(), "1.2.3".to_owned()],
            ..Default::default()
        })
    }

    #[test]
    fn syncs_are_told_as_argo_cd_tells_them() {
        let started = |by: &str| {
            Fact::SyncStarted(SyncStarted { revisions: vec![COMMIT.to_owned()], initiated_by: by.to_owned() })
        };
        let reason = "OperationStarted";
        check(started(""), reason, Severity::Normal, "Initiated automated sync to 0123456");
        check(started("ada"), reason, Severity::Normal, "ada initiated sync to 0123456");
        let reason = "OperationCompleted";
        let text = "Sync operation to 0123456, 1.2.3 succeeded";
        check(finished("Succeeded", "successfully synced"), reason, Severity::Normal, text);
        let text = "Sync operation to 0123456, 1.2.3 failed: quota exceeded";
        check(finished("Failed", "quota exceeded"), reason, Severity::Warning, text);
    }

    #[test]
    fn worse_health_warns_and_better_health_does_not() {
        let to = |state: &str| {
            Fact::HealthChanged(HealthChanged {
                from: "Progressing".to_owned(),
                to: state.to_owned(),
                message: String::new(),
            })
        };
        let text = "Updated health status: Progressing -> Degraded";
        check(to("Degraded"), "ResourceUpdated", Severity::Warning, text);
        let text = "Updated health status: Progressing -> Healthy";
        check(to("Healthy"), "ResourceUpdated", Severity::Normal, text);
    }

    #[test]
    fn drift_names_the_object_the_fields_and_who_wrote_them() {
        let object = ObjectRef {
            kind: "Deployment".to_owned(),
            namespace: "web".to_owned(),
            name: "api".to_owned(),
            ..Default::default()
        };
        let drift = |count: usize| {
            Fact::DriftDetected(DriftDetected {
                object: Some(object.clone()),
                fields: (0..count).map(|n| format!(".spec.f{n}")).collect(),
                manager: "kubectl-edit".to_owned(),
                corrected: true,
                ..Default::default()
            })
        };
        let reason = "DriftDetected";
        let text = "Deployment web/api was changed at .spec.f0 by kubectl-edit; it is put back";
        check(drift(1), reason, Severity::Normal, text);
        let text = "Deployment web/api was changed at .spec.f0, .spec.f1, .spec.f2, .spec.f3, .spec.f4 and 2 \
                    more by kubectl-edit; it is put back";
        check(drift(7), reason, Severity::Normal, text);
    }

    #[test]
    fn a_condition_is_its_own_reason() {
        let condition = |resolved| {
            Fact::ConditionChanged(ConditionChanged {
                r#type: "ComparisonError".to_owned(),
                message: "failed to find path apps/x".to_owned(),
                resolved,
            })
        };
        check(condition(false), "ComparisonError", Severity::Warning, "failed to find path apps/x");
        check(condition(true), "ConditionResolved", Severity::Normal, "ComparisonError is resolved");
    }
}

//! Whether an Application is as a user waits for it to be. Pure.

use ithaca_api::{Application, HealthStatusCode, OperationPhase, SyncStatusCode, status::OperationState};

use super::{Wanted, text};

/// What waiting comes to, now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Readiness {
    /// All is as wanted.
    Ready,
    /// Something is missing, in words.
    Waiting(String),
    /// It cannot become ready any more, in words.
    Failed(String),
}

/// Judges an Application. Where nothing is wanted by name, all is.
pub fn judge(application: &Application, wanted: &Wanted) -> Readiness {
    let wants_all = !(wanted.sync || wanted.health || wanted.operation);
    let mut missing = Vec::new();
    if let Some(revision) = &wanted.revision
        && !is_compared_with(application, revision)
    {
        let now = match text::compared(application) {
            compared if compared.is_empty() => "nothing yet".to_owned(),
            compared => compared,
        };
        missing.push(format!("the revision is {now}, not {}", text::short(revision)));
    }
    if wanted.operation || wants_all {
        match operation(application) {
            Ok(()) => {}
            Err(Readiness::Failed(why)) if wanted.operation && missing.is_empty() => {
                return Readiness::Failed(why);
            }
            Err(Readiness::Waiting(why) | Readiness::Failed(why)) => missing.push(why),
            Err(Readiness::Ready) => {}
        }
    }
    if wanted.sync || wants_all {
        let status = text::sync_status(application);
        if status != SyncStatusCode::Synced {
            missing.push(format!("sync is {status}"));
        }
    }
    if wanted.health || wants_all {
        let status = text::health_status(application);
        if status != HealthStatusCode::Healthy {
            missing.push(format!("health is {status}"));
        }
    }
    if missing.is_empty() {
        return Readiness::Ready;
    }
    missing.extend(errors(application));
    Readiness::Waiting(missing.join("; "))
}

fn is_compared_with(application: &Application, wanted: &str) -> bool {
    let sync = application.status.as_ref().and_then(|status| status.sync.as_ref());
    sync.is_some_and(|sync| {
        let mut all = sync.revisions.iter().chain([&sync.revision]);
        all.any(|revision| !wanted.is_empty() && (revision == wanted || is_commit_of(revision, wanted)))
    })
}

fn is_commit_of(revision: &str, prefix: &str) -> bool {
    prefix.len() >= 7
        && prefix.bytes().all(|byte| byte.is_ascii_hexdigit())
        && revision.starts_with(&prefix.to_ascii_lowercase())
}

/// Whether nothing is under way, and what was last done was done as asked.
fn operation(application: &Application) -> Result<(), Readiness> {
    if application.operation.is_some() {
        return Err(Readiness::Waiting("an operation was asked for and has not begun".to_owned()));
    }
    let state = application.status.as_ref().and_then(|status| status.operation_state.as_ref());
    match state {
        None => Ok(()),
        Some(state) if !state.phase.is_completed() => {
            Err(Readiness::Waiting(with_message("an operation is under way", state)))
        }
        Some(state) if state.phase == OperationPhase::Succeeded => Ok(()),
        Some(state) => {
            let what = format!("the last operation ended as {}", state.phase);
            Err(Readiness::Failed(with_message(&what, state)))
        }
    }
}

fn with_message(what: &str, state: &OperationState) -> String {
    if state.message.is_empty() { what.to_owned() } else { format!("{what}: {}", state.message) }
}

/// The Application's error conditions: why it will probably not become ready.
fn errors(application: &Application) -> impl Iterator<Item = String> {
    let conditions = application.status.iter().flat_map(|status| &status.conditions);
    conditions
        .filter(|condition| condition.type_.is_error())
        .map(|condition| format!("{}: {}", condition.type_, condition.message))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const REVISION: &str = "0123456789abcdef0123456789abcdef01234567";

    fn judged(status: Value, wanted: &Wanted) -> Readiness {
        let object = json!({"metadata": {}, "spec": {"destination": {}, "project": ""}, "status": status});
        judge(&serde_json::from_value(object).expect("an application"), wanted)
    }

    fn status(sync: &str, health: &str, phase: &str) -> Value {
        json!({
            "sync": {"status": sync, "revision": REVISION},
            "health": {"status": health},
            "operationState": {
                "operation": {}, "phase": phase, "message": "quota exceeded", "startedAt": "2026-01-02T03:04:05Z",
            },
        })
    }

    #[test]
    fn without_a_wish_everything_must_be_right() {
        let nothing = Wanted::default();
        assert_eq!(judged(status("Synced", "Healthy", "Succeeded"), &nothing), Readiness::Ready);
        let waiting = "an operation is under way: quota exceeded; sync is OutOfSync; health is Missing";
        assert_eq!(
            judged(status("OutOfSync", "Missing", "Running"), &nothing),
            Readiness::Waiting(waiting.to_owned())
        );
        let waiting = "sync is Unknown; health is Unknown";
        assert_eq!(judged(json!({}), &nothing), Readiness::Waiting(waiting.to_owned()));
    }

    #[test]
    fn one_wish_leaves_the_rest_out() {
        let health = Wanted { health: true, ..Wanted::default() };
        assert_eq!(judged(status("OutOfSync", "Healthy", "Failed"), &health), Readiness::Ready);
        let sync = Wanted { sync: true, ..Wanted::default() };
        assert_eq!(judged(status("Synced", "Degraded", "Running"), &sync), Readiness::Ready);
    }

    #[test]
    fn a_failed_operation_ends_waiting_for_it_and_is_a_reason_otherwise() {
        let why = "the last operation ended as Failed: quota exceeded".to_owned();
        let operation = Wanted { operation: true, ..Wanted::default() };
        let failed = status("Synced", "Healthy", "Failed");
        assert_eq!(judged(failed.clone(), &operation), Readiness::Failed(why.clone()));
        assert_eq!(judged(failed, &Wanted::default()), Readiness::Waiting(why));
    }

    #[test]
    fn a_revision_is_met_by_its_beginning_and_by_no_other() {
        let revision = |text: &str| Wanted { revision: Some(text.to_owned()), ..Wanted::default() };
        let ready = status("Synced", "Healthy", "Succeeded");
        assert_eq!(judged(ready.clone(), &revision("0123456")), Readiness::Ready);
        assert_eq!(judged(ready.clone(), &revision(REVISION)), Readiness::Ready);
        let waiting = Readiness::Waiting("the revision is 0123456, not 012345".to_owned());
        assert_eq!(judged(ready, &revision("012345")), waiting);
    }

    #[test]
    fn errors_are_told_with_what_is_missing() {
        let status = json!({"conditions": [
            {"type": "ComparisonError", "message": "failed to find path apps/x"},
            {"type": "SharedResourceWarning", "message": "shared"},
        ]});
        let sync = Wanted { sync: true, ..Wanted::default() };
        let waiting = "sync is Unknown; ComparisonError: failed to find path apps/x";
        assert_eq!(judged(status, &sync), Readiness::Waiting(waiting.to_owned()));
    }
}

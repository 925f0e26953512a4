//! What becomes of attempts that fail, and of those that a newer revision overtakes.

use serde_json::{Value, json};

use super::*;

/// An operation with one task that is retried so, ready to be done.
fn ready(retry: Value) -> (Case, Run) {
    let mut state = running("b", true);
    state["operation"]["retry"] = retry;
    let case = Case::new(state, json!([]));
    let mut run = case.taken_up().expect("an operation that is taken up");
    run.rehearsed(Vec::new());
    (case, run)
}

fn once() -> Value {
    json!({"limit": 1, "backoff": {"duration": "10s", "maxDuration": "10s"}})
}

fn end(case: &Case, run: &Run) -> Option<OperationPhase> {
    let change = case.told(Some(run)).filter(|change| change.ends_run)?;
    change.status.operation_state.map(|state| state.phase)
}

#[test]
fn an_attempt_that_fails_ends_the_operation_only_where_no_other_follows() {
    let (case, mut run) = ready(once());
    run.task_mut(0).expect("a task").outcome = Some(Outcome::failed("it is immutable"));
    let action = case.decide(Some(&run));
    assert!(matches!(&action, Action::Postpone(reason) if reason.contains("it is immutable")), "{action:?}");
    run.retries = 1;
    assert_eq!(end(&case, &run), Some(OperationPhase::Failed), "it was retried");
    run.retries = 0;
    run.operation.retry = Default::default();
    assert_eq!(end(&case, &run), Some(OperationPhase::Failed), "nobody asked for another");
}

#[test]
fn an_attempt_that_succeeds_is_the_last() {
    let (case, mut run) = ready(once());
    run.task_mut(0).expect("a task").outcome = Some(Outcome::done(ithaca_api::ResultCode::Synced, "created"));
    assert_eq!(end(&case, &run), Some(OperationPhase::Succeeded));
}

#[test]
fn between_attempts_it_is_told_when_the_next_is_and_nothing_is_done() {
    let (mut case, mut run) = ready(once());
    run.failed_at = Some(second(100));
    run.failure = Some("it is immutable".to_owned());
    case.now = second(109);
    let status = case.told(Some(&run)).expect("a word of it").status;
    let state = status.operation_state.as_ref().expect("an operation");
    let message = "it is immutable. Retrying attempt #1 at 1970-01-01T00:01:50Z";
    assert_eq!((state.phase, &*state.message), (OperationPhase::Running, message));
    assert_eq!(state.finished_at.map(|time| time.0), Some(second(100)));
    let told: Vec<_> = status.conditions.iter().map(|told| (told.type_, &*told.message)).collect();
    let failed = "Failed last sync attempt to [b]: it is immutable";
    assert_eq!(told, [(ConditionType::SyncError, failed)]);
    case.application.status = Some(status);
    let action = case.decide(Some(&run));
    assert!(matches!(action, Action::Idle(Some(wake)) if wake == second(110)), "{action:?}");
    case.now = second(110);
    let action = case.decide(Some(&run));
    assert!(matches!(&action, Action::Again(next) if next.retries == 1), "{action:?}");
}

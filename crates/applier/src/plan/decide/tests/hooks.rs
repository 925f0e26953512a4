//! What is known to everybody before hooks are started, and before they are let go of.

use ithaca_api::ResultCode;
use serde_json::json;

use super::*;

/// An Application with one hook, and its operation, which is to start it now.
fn ready() -> (Case, Run) {
    let case = with_hooks(running("b", true), &["before"]);
    let mut run = case.taken_up().expect("an operation that is taken up");
    run.rehearsed(Vec::new());
    (case, run)
}

/// Its hook runs since the beginning.
fn started() -> (Case, Run) {
    let (mut case, mut run) = ready();
    start_hook(&mut case, &mut run, 0, second(0));
    (case, run)
}

fn state(change: &Change) -> (OperationPhase, &str) {
    let state = change.status.operation_state.as_ref().expect("an operation");
    (state.phase, &state.message)
}

/// Whoever takes over knows the hook by the time at which its operation began.
#[test]
fn no_hook_is_started_before_it_is_told_that_its_operation_began() {
    let (mut case, mut run) = ready();
    run.announced = false;
    let change = case.told(Some(&run)).expect("a word of it");
    assert_eq!(state(&change), (OperationPhase::Running, "syncing"));
    assert!(change.announces_run && change.is_pressing);
    case.application.status = Some(change.status);
    run.announced = true;
    let action = case.decide(Some(&run));
    assert!(matches!(&action, Action::Perform(places) if places == &[0]), "{action:?}");
}

/// Without its finalizer the hook may vanish, and with it how it ended.
#[test]
fn no_hook_is_let_go_of_before_its_end_is_told() {
    let (mut case, mut run) = started();
    run.task_mut(0).expect("a task").outcome = Some(Outcome::done(ResultCode::Synced, "it is done"));
    let change = case.told(Some(&run)).expect("a word of it");
    assert_eq!(state(&change), (OperationPhase::Running, "hooks have ended"));
    assert!(change.is_pressing, "the hook waits for it");
    let result = change.status.operation_state.as_ref().and_then(|state| state.sync_result.as_ref());
    let told = result.map(|result| (result.resources[0].hook_phase, &*result.resources[0].message));
    assert_eq!(told, Some((Some(OperationPhase::Succeeded), "it is done")));
    case.application.status = Some(change.status);
    let action = case.decide(Some(&run));
    assert!(matches!(&action, Action::LetGo(hooks) if hooks == &[run.tasks[0].key.clone()]), "{action:?}");
}

/// To tell anything of it first would take the word back that it is to stop.
#[test]
fn the_hooks_of_an_operation_that_is_stopped_are_let_go_of_at_once() {
    let (mut case, run) = started();
    let status = case.application.status.as_mut().and_then(|status| status.operation_state.as_mut());
    status.expect("an operation").phase = OperationPhase::Terminating;
    let action = case.decide(Some(&run));
    assert!(matches!(&action, Action::LetGo(hooks) if hooks == &[run.tasks[0].key.clone()]), "{action:?}");
}

/// Most are over before anybody looks: one write is enough for them.
#[test]
fn an_operation_without_hooks_is_told_of_before_its_end_only_where_it_takes_longer_than_a_second() {
    let mut case = Case::new(running("b", true), json!([]));
    let mut run = case.taken_up().expect("an operation that is taken up");
    run.rehearsed(Vec::new());
    run.announced = false;
    for now in [0, 1] {
        case.now = second(now);
        let action = case.decide(Some(&run));
        assert!(matches!(&action, Action::Perform(places) if places == &[0]), "{now}: {action:?}");
    }
    case.now = second(2);
    let change = case.told(Some(&run)).expect("a word of it");
    assert_eq!(state(&change), (OperationPhase::Running, "syncing"));
    assert!(change.announces_run);
}

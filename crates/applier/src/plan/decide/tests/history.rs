//! What is told of an operation that has ended, and which are remembered as deployments.

use ithaca_api::ResultCode;
use serde_json::{Value, json};

use super::*;

/// Its operation, of which all is done.
fn done(case: &Case) -> Run {
    let mut run = case.taken_up().expect("an operation that is taken up");
    run.task_mut(0).expect("a task").outcome = Some(Outcome::done(ResultCode::Synced, "created"));
    run
}

/// An operation with this sync that was begun at second 0, and is done at second 5.
fn ended(sync: &Value) -> Change {
    let mut state = running("b", true);
    for (field, value) in sync.as_object().expect("an object") {
        state["operation"]["sync"][field] = value.clone();
    }
    let mut case = Case::new(state, json!([]));
    case.now = second(5);
    case.told(Some(&done(&case))).expect("its end")
}

#[test]
fn what_was_synced_whole_and_for_real_is_a_deployment() {
    let change = ended(&json!({}));
    assert!(change.ends_run && change.is_pressing, "the next may begin");
    let history = &change.status.history;
    assert_eq!((history.len(), history[0].id, &*history[0].revision), (1, 0, "b"));
    assert!(history[0].initiated_by.automated && history[0].source.is_some());
    let times = (history[0].deploy_started_at.map(|time| time.0), history[0].deployed_at.0);
    assert_eq!(times, (Some(second(0)), second(5)));
}

#[test]
fn what_was_tried_and_what_was_synced_in_part_is_no_deployment() {
    let named = json!({"resources": [{"kind": "ConfigMap", "name": "a"}]});
    for sync in [json!({"dryRun": true}), named] {
        let change = ended(&sync);
        let phase = change.status.operation_state.as_ref().map(|state| state.phase);
        assert_eq!((phase, change.status.history.len()), (Some(OperationPhase::Succeeded), 0), "{sync}");
    }
    let case = Case::new(running("b", true), json!([]));
    let mut run = done(&case);
    run.task_mut(0).expect("a task").outcome = Some(Outcome::failed("no"));
    run.operation.retry = Default::default();
    let change = case.told(Some(&run)).expect("its end");
    let phase = change.status.operation_state.as_ref().map(|state| state.phase);
    assert_eq!((phase, change.status.history.len()), (Some(OperationPhase::Failed), 0));
}

#[test]
fn deployments_are_numbered_on_and_the_oldest_are_forgotten() {
    let mut case = Case::new(running("b", true), json!([]));
    case.application.spec.revision_history_limit = Some(2);
    let run = done(&case);
    for expected in [vec![0], vec![0, 1], vec![1, 2]] {
        let status = case.told(Some(&run)).expect("its end").status;
        assert_eq!(status.history.iter().map(|deployed| deployed.id).collect::<Vec<_>>(), expected);
        case.application.status = Some(status);
    }
}

#[test]
fn the_end_of_an_operation_tells_how_often_it_was_retried() {
    let case = Case::new(running("b", true), json!([]));
    let mut run = done(&case);
    let message = |run: &Run| {
        let state = case.told(Some(run)).and_then(|change| change.status.operation_state);
        state.expect("its end").message
    };
    assert_eq!(message(&run), "successfully synced (all tasks run)");
    run.retries = 2;
    assert_eq!(message(&run), "successfully synced (all tasks run) (retried 2 times).");
}

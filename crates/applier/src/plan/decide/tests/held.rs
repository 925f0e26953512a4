//! What is told of automation and of operations that are held back.

use serde_json::{Value, json};

use super::*;

/// An Application that automation would sync, with these annotations, in a project with these windows.
fn automated(annotations: Value, windows: Value) -> Case {
    let mut case = Case::new(Value::Null, windows);
    case.application.spec.sync_policy = serde_json::from_value(json!({"automated": {}})).ok();
    case.application.metadata.annotations = serde_json::from_value(annotations).ok();
    case
}

/// The only condition, and when it is looked at again once that is written.
fn held(mut case: Case) -> (ConditionType, String, Option<Timestamp>) {
    let status = case.told(None).expect("a word of it").status;
    let conditions: Vec<_> =
        status.conditions.iter().map(|told| (told.type_, told.message.clone())).collect();
    let [(type_, message)] = &*conditions else { unreachable!("{conditions:?}") };
    case.application.status = Some(status);
    match case.decide(None) {
        Action::Idle(wake) => (*type_, message.clone(), wake),
        action => unreachable!("{action:?}"),
    }
}

#[test]
fn automation_that_a_window_holds_back_is_told_of_until_the_window_opens() {
    let closed = json!([{"kind": "deny", "schedule": "0 0 * * *", "duration": "1h", "applications": ["*"]}]);
    let (type_, message, wake) = held(automated(json!({}), closed));
    assert_eq!((type_, wake), (ConditionType::SyncWindowWarning, Timestamp::from_second(3600).ok()));
    assert!(message.starts_with("Sync held back by sync window: "), "{message}");
}

#[test]
fn automation_that_waits_for_another_application_tells_which() {
    let (type_, message, wake) = held(automated(json!({"ithaca.dev/depends-on": "base"}), json!([])));
    assert_eq!((type_, wake), (ConditionType::DependencyWarning, None));
    assert!(message.contains("no Application base"), "{message}");
}

/// An operation that has changed something would leave it half done.
#[test]
fn an_operation_waits_for_other_applications_until_it_has_begun_or_is_to_end() {
    let mut case = Case::new(running("b", true), json!([]));
    case.application.metadata.annotations =
        serde_json::from_value(json!({"ithaca.dev/depends-on": "base"})).ok();
    let mut run = case.taken_up().expect("an operation that is taken up");
    run.rehearsed(Vec::new());
    let waits = case.told(Some(&run)).expect("why it waits").status;
    let state = waits.operation_state.as_ref().expect("an operation");
    assert_eq!(state.phase, OperationPhase::Running);
    assert!(state.message.starts_with("waiting for other Applications: "), "{}", state.message);
    case.application.status = Some(waits);
    assert!(matches!(case.decide(Some(&run)), Action::Idle(None)), "it is told once");
    let begun = Run { begun: true, ..run.clone() };
    let action = case.decide(Some(&begun));
    assert!(matches!(&action, Action::Perform(places) if places == &[0]), "{action:?}");
    let status = case.application.status.as_mut().and_then(|status| status.operation_state.as_mut());
    status.expect("an operation").phase = OperationPhase::Terminating;
    let change = case.told(Some(&run)).expect("an end that is told");
    assert!(change.ends_run, "{:?}", change.status.operation_state);
}

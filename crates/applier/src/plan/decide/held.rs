//! What is told of automation that is held back.

use serde_json::{Value, json};

use super::{tests::Case, *};

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

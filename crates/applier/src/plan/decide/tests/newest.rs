//! An operation that names no revision means the newest: it begins when somebody has looked.

use jiff::SignedDuration;
use serde_json::{Value, json};

use super::*;
use crate::plan::Asked;

const ASKED: Timestamp = Timestamp::UNIX_EPOCH;

/// Somebody asked for it in generation 7, and what is known was rendered for this one.
fn asked(operation: Value, generation: i64) -> Case {
    let mut case = Case::new(Value::Null, json!([]));
    case.application.operation = Some(serde_json::from_value(operation).expect("an operation"));
    case.asked = Asked { generation: 7, at: ASKED };
    case.bundle = Arc::new(Bundle { generation, ..(*case.bundle).clone() });
    case
}

#[test]
fn it_waits_for_what_is_found_after_it_was_asked_for() {
    for generation in [1, 6] {
        let action = asked(json!({"sync": {}}), generation).decide(None);
        assert!(matches!(action, Action::Idle(Some(until)) if until > ASKED), "{action:?}");
    }
    for generation in [7, 9] {
        assert!(asked(json!({"sync": {}}), generation).taken_up().is_some(), "generation {generation}");
    }
}

#[test]
fn without_somebody_who_looks_it_begins_with_what_is_known() {
    let mut case = asked(json!({"sync": {}}), 6);
    let Action::Idle(Some(until)) = case.decide(None) else { unreachable!("it waits") };
    assert!(until <= ASKED + SignedDuration::from_mins(1), "whoever asked is still there");
    case.now = until;
    assert!(case.taken_up().is_some());
}

#[test]
fn one_that_nobody_asked_for_waits_for_nobody() {
    let automated = json!({"sync": {}, "initiatedBy": {"automated": true}});
    assert!(asked(automated, 6).taken_up().is_some());
}

#[test]
fn one_under_way_goes_on() {
    let case = asked(json!({"sync": {}}), 7);
    let run = case.taken_up().expect("an operation");
    let before = Bundle { generation: 6, ..(*case.bundle).clone() };
    let case = Case { bundle: Arc::new(before), ..case };
    let action = case.decide(Some(&run));
    assert!(!matches!(action, Action::Idle(_)), "{action:?}");
}

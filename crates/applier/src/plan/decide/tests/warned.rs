//! What conditions tell of health scripts that fail and of hooks that do not end.

use serde_json::{Value, json};

use super::*;
use crate::{live::Record, scripts::Fault};

const KEY: &str = "resource.customizations.health.ConfigMap";

/// An Application with these ConfigMaps.
fn with_config_maps(names: &[&str]) -> Case {
    let manifest = |name| json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}});
    with(Value::Null, names.iter().map(manifest).collect())
}

/// The object at this place is as wanted, and a script failed on it.
fn fail_on(case: &mut Case, place: usize) {
    let desired = case.bundle.assembly.objects[place].clone();
    let live = desired.as_value().expect("an object");
    let mut record = Record::applied(&desired.key, &live, &desired, &Default::default());
    record.overrule_health(Some(Err(Fault { key: KEY.to_owned(), reason: "it did not end".to_owned() })));
    case.records.put(desired.key.clone(), record);
}

/// Was told in the health of its objects alone, where whoever looks at the Application does not see it.
#[test]
fn a_script_that_fails_is_a_condition_that_names_it_and_an_object() {
    let mut case = with_config_maps(&["a"]);
    fail_on(&mut case, 0);
    let change = case.told(None).expect("a word of it");
    let conditions = &change.status.conditions;
    assert_eq!((conditions.len(), conditions[0].type_), (1, ConditionType::ComparisonError));
    for word in [KEY, "argocd-cm", "/ConfigMap/web/a", "it did not end", "mend"] {
        assert!(conditions[0].message.contains(word), "{word} is not in {}", conditions[0].message);
    }
    assert_eq!(change.status.sync.as_ref().map(|sync| sync.status), Some(ithaca_api::SyncStatusCode::Synced));
    case.application.status = Some(change.status);
    assert!(matches!(case.decide(None), Action::Idle(None)), "it is told once");
}

/// Objects are judged one by one: each would be a new condition, written and told to people.
#[test]
fn a_script_that_fails_on_many_objects_is_one_condition_that_stays() {
    let mut case = with_config_maps(&["a", "b", "c"]);
    let mut told = Vec::new();
    for place in [1, 0, 2] {
        fail_on(&mut case, place);
        let status = case.told(None).expect("the health of one more").status;
        told.push(status.conditions.clone());
        case.application.status = Some(status);
    }
    assert!(told[0].len() == 1 && told[0][0].message.contains("/ConfigMap/web/b"), "{told:?}");
    assert!(told.iter().all(|conditions| *conditions == told[0]), "{told:?}");
}

/// Was told in the operation's message alone, in the same words from the first second on.
#[test]
fn a_hook_that_does_not_end_is_a_condition_after_a_while() {
    let mut case = with_hooks(running("b", false), &["first", "second"]);
    let mut run = case.taken_up().expect("an operation that is taken up");
    run.rehearsed(Vec::new());
    start_hook(&mut case, &mut run, 0, second(100));
    start_hook(&mut case, &mut run, 1, second(160));
    let conditions = |case: &mut Case, now: i64| {
        case.now = second(now);
        let change = case.told(Some(&run))?;
        let conditions = change.status.conditions.clone();
        case.application.status = Some(change.status);
        Some(conditions)
    };
    assert_eq!(conditions(&mut case, 101), Some(Vec::new()));
    let wake = |case: &Case| match case.decide(Some(&run)) {
        Action::Idle(wake) => wake,
        action => unreachable!("{action:?}"),
    };
    assert_eq!(wake(&case), Some(second(700)));
    case.now = second(699);
    assert_eq!(wake(&case), Some(second(700)), "nothing is written before");
    let told = conditions(&mut case, 700).expect("a word of it");
    assert_eq!((told.len(), told[0].type_), (1, ConditionType::HookWarning));
    for word in ["batch/Job/web/first", "1970-01-01T00:01:40Z", "terminate"] {
        assert!(told[0].message.contains(word), "{word} is not in {}", told[0].message);
    }
    assert_eq!(wake(&case), Some(second(760)), "the other has some time yet");
    assert_eq!(conditions(&mut case, 760).map(|told| told.len()), Some(2));
    case.now = second(100_000);
    assert_eq!(wake(&case), None, "it is told once");
}

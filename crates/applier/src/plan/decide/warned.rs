//! What conditions tell of health scripts that fail.

use serde_json::{Value, json};

use super::{tests::Case, *};
use crate::{live::Record, scripts::Fault};

const KEY: &str = "resource.customizations.health.ConfigMap";

/// An Application with these ConfigMaps.
fn with_config_maps(names: &[&str]) -> Case {
    let mut case = Case::new(Value::Null, json!([]));
    let manifest = |name| json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}});
    let manifests = names.iter().map(manifest).collect();
    let assembly = crate::desired::assemble(manifests, &case.owner, &|_| Some(true));
    case.bundle = Arc::new(Bundle { assembly: Arc::new(assembly), ..(*case.bundle).clone() });
    case
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

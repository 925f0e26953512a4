//! What has to be known of a cluster before anything is decided, and what is told of it then.

use serde_json::{Value, json};

use super::*;
use crate::{
    judge::Author,
    live::{Drift, Record},
};

fn kind(group: &str, kind: &str) -> GroupKind {
    GroupKind { group: group.to_owned(), kind: kind.to_owned() }
}

fn object(kind: &str, name: &str) -> Value {
    json!({"apiVersion": "v1", "kind": kind, "metadata": {"name": name}})
}

/// An Application with two Services and a hook, which had a Secret before. Nothing is watched.
fn unwatched() -> Case {
    let metadata = json!({"name": "before", "annotations": {"argocd.argoproj.io/hook": "PreSync"}});
    let hook = json!({"apiVersion": "batch/v1", "kind": "Job", "metadata": metadata});
    let manifests = vec![object("Service", "one"), object("Service", "two"), hook];
    let mut case = with(Value::Null, manifests);
    let resources =
        json!({"resources": [{"version": "v1", "kind": "Secret", "name": "old", "namespace": "web"}]});
    case.application.status = serde_json::from_value(resources).ok();
    case.records = Records::default();
    case
}

/// What is not listed yet would be taken for missing, and what is not watched would never be pruned.
#[test]
fn nothing_is_decided_before_every_kind_that_matters_is_listed() {
    let mut case = unwatched();
    let kinds = match case.decide(None) {
        Action::Watch(kinds) => Ok(kinds.iter().map(Kind::group_kind).collect::<Vec<_>>()),
        action => Err(action),
    };
    let all = [kind("", "Service"), kind("batch", "Job"), kind("", "Secret")];
    assert_eq!(kinds.expect("kinds to watch"), all, "each of them once");
    for listed in &all {
        case.records.set_watched(listed.clone(), false);
    }
    for listed in &all {
        assert!(matches!(case.decide(None), Action::Idle(None)), "{listed:?} is not listed yet");
        case.records.set_watched(listed.clone(), true);
    }
    let status = case.told(None).expect("what was compared").status;
    assert_eq!(status.resources.len(), 2);
}

#[test]
fn a_kind_that_may_not_be_listed_is_told_of() {
    let mut case = unwatched();
    for listed in [kind("", "Service"), kind("batch", "Job"), kind("", "Secret")] {
        case.records.set_watched(listed, true);
    }
    case.records.set_watched(kind("", "Secret"), false);
    case.records.set_refused(&kind("", "Secret"), 0, "forbidden".to_owned());
    let conditions = case.told(None).expect("a word of it").status.conditions;
    assert_eq!((conditions.len(), conditions[0].type_), (1, ConditionType::ComparisonError));
    assert!(conditions[0].message.starts_with("failed to list all "), "{}", conditions[0].message);
    assert!(conditions[0].message.ends_with("Secret: forbidden"), "{}", conditions[0].message);
}

/// The next one is on its way. Only what is wrong is told, for there may be no other.
#[test]
fn what_was_rendered_from_other_sources_than_the_spec_has_decides_nothing() {
    let mut case = Case::new(Value::Null, json!([]));
    let spec = case.application.spec.source.as_mut().expect("a source");
    spec.path = "elsewhere".to_owned();
    assert!(matches!(case.decide(None), Action::Idle(None)), "{:?}", case.decide(None));
    let failure = crate::bundle::Failure { invalid_spec: false, message: "no chart".to_owned() };
    case.bundle = Arc::new(Bundle { failure: Some(failure), ..(*case.bundle).clone() });
    let conditions = case.told(None).expect("a word of it").status.conditions;
    assert_eq!(conditions.iter().map(|told| &*told.message).collect::<Vec<_>>(), ["no chart"]);
}

/// Who changed an object, and what of it, is told although it is put right at once.
#[test]
fn what_is_put_right_is_told_with_what_had_become_of_it() {
    let mut case = with(Value::Null, vec![object("ConfigMap", "changed"), object("ConfigMap", "gone")]);
    let last = json!({"operationState": {
        "operation": {"sync": {}}, "phase": "Succeeded", "startedAt": "1970-01-01T00:00:00Z",
        "syncResult": {"revision": "b", "source": case.application.spec.source},
    }});
    case.application.status = serde_json::from_value(last).ok();
    case.application.spec.sync_policy = serde_json::from_value(json!({"automated": {"selfHeal": true}})).ok();
    let desired = case.bundle.assembly.objects[0].clone();
    let live = desired.as_value().expect("an object");
    let author = Author { manager: "kubectl".to_owned(), changed_at: None };
    let drift =
        Arc::new(Drift { fields: vec!["data.color".to_owned()], author: Some(author), ..Drift::default() });
    let record = Record::applied(&desired.key, &live, &desired, &Default::default());
    let record = Record { verdict: Verdict::OutOfSync(drift.clone()), ..record };
    case.records.put(desired.key.clone(), record);
    let run = case.taken_up().expect("an operation that heals");
    assert!(run.is_selective());
    let gone = case.bundle.assembly.objects[1].key.clone();
    assert_eq!(run.drift, [(desired.key.clone(), Some(drift)), (gone, None)]);
}

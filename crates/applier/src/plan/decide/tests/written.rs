//! What of an Application's state is written on it, and when times move.

use ithaca_api::{HealthStatusCode, SyncStatusCode, Time, annotation};
use serde_json::{Value, json};

use super::*;
use crate::{
    clusters::{Known, NoCluster},
    live::Record,
};

fn config_map(name: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}})
}

/// The first object is there as it is wanted.
fn put(case: &mut Case) -> ObjectKey {
    let desired = case.bundle.assembly.objects[0].clone();
    let live = desired.as_value().expect("an object");
    let record = Record::applied(&desired.key, &live, &desired, &Default::default());
    case.records.put(desired.key.clone(), record);
    desired.key.clone()
}

/// What is written, as if it were written.
fn written(case: &mut Case) -> Change {
    let change = case.told(None).expect("something to write");
    case.application.status = Some(change.status.clone());
    change
}

fn codes(change: &Change) -> (Option<SyncStatusCode>, Option<HealthStatusCode>) {
    let status = &change.status;
    (status.sync.as_ref().map(|sync| sync.status), status.health.as_ref().and_then(|health| health.status))
}

#[test]
fn it_is_told_how_the_application_compares_and_what_it_consists_of() {
    let container = |image: &str| json!({"name": "main", "image": image});
    let pod = |name: &str, image: &str| {
        let spec = json!({"containers": [container(image)]});
        json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec})
    };
    let mut case = with(Value::Null, vec![pod("a", "two"), pod("b", "one"), pod("c", "two")]);
    case.records.set_watched(case.bundle.assembly.objects[0].key.group_kind(), true);
    let change = written(&mut case);
    assert_eq!(codes(&change), (Some(SyncStatusCode::OutOfSync), Some(HealthStatusCode::Missing)));
    assert_eq!(change.status.resources.len(), 3);
    let summary = &change.status.summary;
    assert_eq!((summary.images.clone(), summary.is_app_of_apps), (vec!["one".into(), "two".into()], false));
    assert!(matches!(case.decide(None), Action::Idle(None)), "it is told once");
}

#[test]
fn an_application_is_one_of_applications_where_it_has_one() {
    for (group, kind, expected) in [
        ("argoproj.io", "Application", true),
        ("argoproj.io", "AppProject", false),
        ("app.k8s.io", "Application", false),
    ] {
        let object = json!({"apiVersion": format!("{group}/v1"), "kind": kind, "metadata": {"name": "a"}});
        let mut case = with(Value::Null, vec![object]);
        case.records.set_watched(case.bundle.assembly.objects[0].key.group_kind(), true);
        assert_eq!(written(&mut case).status.summary.is_app_of_apps, expected, "{group}/{kind}");
    }
}

/// The cluster left a state that it had; a new revision, and what was never reached, are none.
#[test]
fn drift_is_what_leaves_the_wanted_state_of_the_same_revision_at_rest() {
    let mut case = with(Value::Null, vec![config_map("a")]);
    let key = put(&mut case);
    assert_eq!(written(&mut case).drift, Vec::new());
    let synced = case.application.status.clone();
    case.records.remove(&key);
    assert_eq!(written(&mut case).drift, [(key.clone(), None)]);
    case.now = second(1);
    case.application.status.as_mut().expect("a status").conditions.clear();
    case.application.status.as_mut().expect("a status").resources = Default::default();
    assert_eq!(written(&mut case).drift, Vec::new(), "it had left that state before");
    case.application.status = synced.clone();
    let mut source = case.bundle.sources[0].clone();
    source.revision = "c".to_owned();
    let newer = Bundle { sources: vec![source], ..(*case.bundle).clone() };
    let older = std::mem::replace(&mut case.bundle, Arc::new(newer));
    assert_eq!(written(&mut case).drift, Vec::new(), "it is another revision");
    case.bundle = older;
    case.application.status = None;
    assert_eq!(written(&mut case).drift, Vec::new(), "nothing is known from before");
    let mut run = Case::new(running("b", true), json!([])).taken_up().expect("an operation");
    run.rehearsed(Vec::new());
    run.trouble = Some("no answer".to_owned());
    case.application.status = synced;
    let change = case.told(Some(&run)).expect("why it is not done");
    assert_eq!(
        (change.status.sync.map(|sync| sync.status), change.drift),
        (Some(SyncStatusCode::OutOfSync), Vec::new())
    );
}

#[test]
fn a_refresh_is_done_with_when_a_bundle_answers_it_that_answered_none_before() {
    for (asked, answers, observed_at, expected) in
        [(true, true, 1, true), (false, true, 1, false), (true, false, 1, false), (true, true, 0, false)]
    {
        let mut case = with(Value::Null, vec![config_map("a")]);
        let refresh = json!({annotation::REFRESH: "normal"});
        case.application.metadata.annotations = serde_json::from_value(refresh).ok().filter(|_| asked);
        case.bundle = Arc::new(Bundle { refresh: answers, observed_at, ..(*case.bundle).clone() });
        let told = written(&mut case).clears_refresh;
        assert_eq!(told, expected, "asked: {asked}, answers: {answers}, at {observed_at}");
    }
}

#[test]
fn an_application_that_was_never_rendered_is_unknown_and_as_healthy_as_it_was() {
    let mut case = Case::new(Value::Null, json!([]));
    let failure = crate::bundle::Failure { invalid_spec: false, message: "no chart".to_owned() };
    case.bundle =
        Arc::new(Bundle { digest: String::new(), failure: Some(failure), ..(*case.bundle).clone() });
    let unknown = Some(SyncStatusCode::Unknown);
    let untouched = case.application.status.take();
    assert_eq!(codes(&written(&mut case)), (unknown, Some(HealthStatusCode::Healthy)));
    case.application.status = untouched;
    let degraded = json!({"health": {"status": "Degraded"}});
    case.application.status = serde_json::from_value(degraded).ok();
    assert_eq!(codes(&written(&mut case)), (unknown, Some(HealthStatusCode::Degraded)));
}

#[test]
fn an_application_that_cannot_be_compared_is_unknown_and_its_health_only_where_its_spec_is_wrong() {
    let mut case = with(Value::Null, vec![config_map("a")]);
    put(&mut case);
    assert_eq!(codes(&written(&mut case)), (Some(SyncStatusCode::Synced), Some(HealthStatusCode::Healthy)));
    let before = case.application.status.clone();
    let unknown = Some(SyncStatusCode::Unknown);
    let mut down = Known::home();
    down.reach = crate::clusters::Reach::Down("it is off".into());
    for (cluster, health) in
        [(Ok(&down), HealthStatusCode::Healthy), (Err(NoCluster::Unknown("edge")), HealthStatusCode::Unknown)]
    {
        case.application.status = before.clone();
        let change = match case.decide_at(cluster, None) {
            Action::Write(change) => Some(change),
            _ => None,
        };
        let change = change.expect("a word of it");
        assert_eq!(codes(&change), (unknown, Some(health)));
        let revision = change.status.sync.map(|sync| sync.revision);
        assert_eq!(revision.as_deref(), Some("b"), "what is known of the revision stays");
    }
}

#[test]
fn what_does_not_change_keeps_its_time() {
    let at = |time: i64| Some(Time(second(time)));
    let mut case = with(Value::Null, vec![config_map("a")]);
    case.bundle = Arc::new(Bundle {
        failure: Some(crate::bundle::Failure { invalid_spec: false, message: "no chart".to_owned() }),
        ..(*case.bundle).clone()
    });
    case.now = second(10);
    let times = |change: &Change| {
        let conditions = change.status.conditions.iter().map(|told| told.last_transition_time);
        let health = change.status.health.as_ref().and_then(|health| health.last_transition_time);
        (conditions.collect::<Vec<_>>(), health, change.status.reconciled_at)
    };
    assert_eq!(times(&written(&mut case)), (vec![at(10)], at(10), at(10)));
    case.now = second(20);
    put(&mut case);
    assert_eq!(times(&written(&mut case)), (vec![at(10)], at(20), at(20)), "its health is another");
    case.now = second(30);
    let failure = crate::bundle::Failure { invalid_spec: false, message: "no values".to_owned() };
    case.bundle = Arc::new(Bundle { failure: Some(failure), ..(*case.bundle).clone() });
    assert_eq!(times(&written(&mut case)), (vec![at(30)], at(20), at(30)), "its condition is another");
    case.now = second(40);
    let failure = crate::bundle::Failure { invalid_spec: true, message: "no values".to_owned() };
    case.bundle = Arc::new(Bundle { failure: Some(failure), ..(*case.bundle).clone() });
    assert_eq!(times(&written(&mut case)), (vec![at(40)], at(20), at(40)), "its type is another");
    case.now = second(50);
    assert!(matches!(case.decide(None), Action::Idle(None)), "time alone is nothing to write");
}

/// Until the watch tells of it, what was written is what counts.
#[test]
fn an_application_is_as_it_was_written() {
    let mut case = Case::new(Value::Null, json!([]));
    case.application.operation = serde_json::from_value(json!({"sync": {}})).ok();
    let mut change = case.decide_at(Err(NoCluster::Unknown("edge")), None);
    let Action::Write(change) = &mut change else { unreachable!("{change:?}") };
    assert!(change.clears_operation && change.is_pressing, "whoever asked waits for it");
    let after = change.applied_to(case.application.clone());
    assert_eq!((after.operation.is_some(), after.status.as_ref()), (false, Some(&change.status)));
    assert_eq!((after.metadata.name.as_deref(), &after.spec), (Some("web"), &case.application.spec));
    change.clears_operation = false;
    assert!(change.applied_to(case.application.clone()).operation.is_some());
}

//! What an operation is begun with, and what it waits for within a wave.

use serde_json::{Value, json};

use super::*;

fn object(kind: &str, name: &str) -> Value {
    let api_version = match kind {
        "CustomResourceDefinition" => "apiextensions.k8s.io/v1",
        "Boat" => "example.com/v1",
        "Ingress" => "networking.k8s.io/v1",
        _ => "v1",
    };
    let spec = json!({"group": "example.com", "names": {"kind": "Boat"}});
    json!({"apiVersion": api_version, "kind": kind, "metadata": {"name": name}, "spec": spec})
}

fn in_wave(wave: i64, mut object: Value) -> Value {
    object["metadata"]["annotations"] = json!({"argocd.argoproj.io/sync-wave": wave.to_string()});
    object
}

fn named() -> Value {
    json!({"resources": [{"kind": "ConfigMap", "name": "a"}]})
}

/// How an operation ends that does not begin.
fn end(next: Next) -> Option<(OperationPhase, String)> {
    match next {
        Next::Finish(phase, reason) => Some((phase, reason)),
        _ => None,
    }
}

#[test]
fn an_object_that_is_invalid_keeps_all_from_being_synced_and_nothing_from_being_synced_alone() {
    let world = World::default();
    let all = bundle(vec![json!({}), object("ConfigMap", "a")]);
    let told = end(world.plan(&all, json!({})).next(&world.records, None));
    let reason = "one or more synchronization tasks are not valid: an object without apiVersion or kind";
    assert_eq!(told, Some((OperationPhase::Failed, reason.to_owned())));
    assert_eq!(world.plan(&all, named()).next(&world.records, None), Next::Perform(vec![0]));
}

/// What drifted is put back to the last good content; nothing else is done with it.
#[test]
fn a_revision_that_was_not_rendered_is_not_synced_and_what_drifted_is_healed() {
    let world = World::default();
    let all = bundle(vec![object("ConfigMap", "a")]);
    let failure = crate::bundle::Failure { invalid_spec: false, message: "no chart".to_owned() };
    let all = Arc::new(Bundle { failure: Some(failure), ..(*all).clone() });
    for (automated, sync) in [(false, json!({})), (false, named()), (true, json!({}))] {
        let mut run = world.plan(&all, sync.clone());
        run.operation.initiated_by.automated = automated;
        let told = end(run.next(&world.records, None));
        let reason = "ComparisonError: no chart".to_owned();
        assert_eq!(told, Some((OperationPhase::Error, reason)), "{automated} {sync}");
    }
    let mut heals = world.plan(&all, named());
    heals.operation.initiated_by.automated = true;
    assert_eq!(heals.next(&world.records, None), Next::Perform(vec![0]));
}

/// Rule 6.
#[test]
fn within_a_wave_nothing_is_waited_for() {
    let mut world = World::default();
    let manifests = vec![
        in_wave(0, job("work", &json!({}))),
        in_wave(0, object("Ingress", "door")),
        in_wave(1, object("ConfigMap", "late")),
    ];
    let mut run = world.plan(&bundle(manifests), json!({}));
    let told = "waiting for healthy state of batch/Job/work and 1 more resources";
    assert_eq!(world.go(&mut run), Next::Wait(told.to_owned()));
    assert_eq!(world.log, ["apply work", "apply door"]);
}

/// Rule 4.
#[test]
fn within_a_wave_a_definition_is_waited_for_where_something_follows_it() {
    let definition = || object("CustomResourceDefinition", "boats.example.com");
    let mut world = World::default();
    let mut run = world.plan(&bundle(vec![definition(), object("Boat", "argo")]), json!({}));
    let told = "waiting for healthy state of apiextensions.k8s.io/CustomResourceDefinition/boats.example.com";
    assert_eq!(world.go(&mut run), Next::Wait(told.to_owned()));
    world.set("boats.example.com", "Established");
    assert!(matches!(world.go(&mut run), Next::Finish(OperationPhase::Succeeded, _)));
    assert_eq!(world.log, ["apply boats.example.com", "apply argo"]);
    let mut world = World::default();
    let mut alone = world.plan(&bundle(vec![definition()]), json!({}));
    assert!(matches!(world.go(&mut alone), Next::Finish(OperationPhase::Succeeded, _)));
}

/// Rule 6.
#[test]
fn what_may_not_be_pruned_holds_up_nothing() {
    let mut world = World::default();
    let mut first = world.plan(&bundle(vec![in_wave(0, object("ConfigMap", "old"))]), json!({}));
    world.go(&mut first);
    let mut run = world.plan(&bundle(vec![in_wave(1, object("ConfigMap", "new"))]), json!({}));
    assert!(matches!(world.go(&mut run), Next::Finish(OperationPhase::Succeeded, _)));
    assert_eq!(world.log, ["apply old", "apply new"]);
}

/// While its kind is listed anew, an object is not known, which does not say that it is gone.
#[test]
fn an_object_of_a_kind_that_is_not_seen_is_waited_for() {
    let mut world = World::default();
    let manifests = vec![in_wave(0, job("work", &json!({}))), in_wave(1, object("ConfigMap", "late"))];
    let mut run = world.plan(&bundle(manifests), json!({}));
    world.go(&mut run);
    let key = run.tasks[0].key.clone();
    world.records.remove(&key);
    world.records.set_watched(key.group_kind(), false);
    assert_eq!(world.go(&mut run), Next::Wait("waiting for healthy state of batch/Job/work".to_owned()));
    world.records.set_watched(key.group_kind(), true);
    assert!(matches!(world.go(&mut run), Next::Finish(OperationPhase::Failed, _)));
}

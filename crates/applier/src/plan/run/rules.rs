//! The rules of a sync one by one, as compat 2.1 numbers them, in a small cluster of plain data.

use ithaca_api::OperationPhase;
use serde_json::{Value, json};

use super::tests::{World, bundle, job};
use super::*;

fn object(kind: &str, name: &str, annotations: &Value) -> Value {
    let api_version = match kind {
        "Deployment" => "apps/v1",
        "CustomResourceDefinition" => "apiextensions.k8s.io/v1",
        "Boat" => "example.com/v1",
        _ => "v1",
    };
    let mut object = json!({"apiVersion": api_version, "kind": kind, "metadata": {"name": name, "annotations": annotations}});
    if kind == "CustomResourceDefinition" {
        object["spec"] = json!({"group": "example.com", "names": {"kind": "Boat"}});
    }
    object
}

fn config_map(name: &str, annotations: &Value) -> Value {
    object("ConfigMap", name, annotations)
}

fn wave(number: i64) -> Value {
    json!({"argocd.argoproj.io/sync-wave": number.to_string()})
}

fn is_success(next: &Next) -> bool {
    matches!(next, Next::Finish(OperationPhase::Succeeded, _))
}

fn waits(next: &Next) -> Option<&str> {
    match next {
        Next::Wait(message) => Some(message),
        _ => None,
    }
}

/// A world in which these have been synced.
fn synced(manifests: Vec<Value>) -> World {
    let mut world = World::default();
    let mut run = world.plan(&bundle(manifests), json!({}));
    assert!(is_success(&world.go(&mut run)));
    world.log.clear();
    world
}

/// Rule 3.
#[test]
fn within_a_wave_kinds_have_their_order_and_names_break_ties() {
    let mut world = World::default();
    let none = json!({});
    let manifests = vec![
        object("Deployment", "d", &none),
        config_map("c-2", &none),
        config_map("c-1", &none),
        object("ServiceAccount", "s", &none),
    ];
    let mut run = world.plan(&bundle(manifests), json!({}));
    world.go(&mut run);
    assert_eq!(world.log, ["apply s", "apply c-1", "apply c-2", "apply d"]);
}

/// Rule 4.
#[test]
fn a_definition_comes_with_the_first_object_of_its_kind() {
    let mut world = World::default();
    let definition = object("CustomResourceDefinition", "boats.example.com", &wave(5));
    let manifests = vec![definition, object("Boat", "argo", &wave(-1)), config_map("a", &wave(0))];
    let mut run = world.plan(&bundle(manifests), json!({}));
    world.go(&mut run);
    world.set("boats.example.com", "Established");
    world.go(&mut run);
    assert_eq!(world.log, ["apply boats.example.com", "apply argo", "apply a"]);
}

/// Rule 6.
#[test]
fn a_single_wave_without_hooks_waits_for_nothing() {
    let mut world = World::default();
    let mut run = world.plan(&bundle(vec![job("work", &json!({}))]), json!({}));
    assert!(is_success(&world.go(&mut run)), "it waits for health");
}

/// Rule 6.
#[test]
fn what_has_no_health_is_done_at_once() {
    let mut world = World::default();
    let manifests = vec![config_map("a", &wave(0)), config_map("b", &wave(1))];
    let mut run = world.plan(&bundle(manifests), json!({}));
    assert!(is_success(&world.go(&mut run)));
    assert_eq!(world.log, ["apply a", "apply b"]);
}

/// Rule 6.
#[test]
fn what_degrades_while_it_is_waited_for_starts_the_hooks_for_failures() {
    let mut world = World::default();
    let alarm = job("alarm", &json!({"argocd.argoproj.io/hook": "SyncFail"}));
    let manifests = vec![job("work", &wave(0)), config_map("late", &wave(1)), alarm];
    let mut run = world.plan(&bundle(manifests), json!({}));
    assert_eq!(waits(&world.go(&mut run)), Some("waiting for healthy state of batch/Job/work"));
    world.set("work", "Failed");
    assert_eq!(waits(&world.go(&mut run)), Some("waiting for completion of hook batch/Job/alarm"));
    world.set("alarm", "Complete");
    let next = format!("{:?}", world.go(&mut run));
    let told = "Finish(Failed, \"one or more synchronization tasks completed unsuccessfully, reason: batch/Job/web/work";
    assert!(next.starts_with(told), "{next}");
    assert!(!world.log.contains(&"apply late".to_owned()), "{:?}", world.log);
}

/// Rule 6.
#[test]
fn what_is_pruned_holds_up_the_next_wave_until_it_is_gone() {
    let held = |mut manifest: Value| {
        manifest["metadata"]["finalizers"] = json!(["example.com/slow"]);
        manifest
    };
    let mut world = synced(vec![held(config_map("old", &wave(0)))]);
    let mut run = world.plan(&bundle(vec![config_map("new", &wave(1))]), json!({"prune": true}));
    assert_eq!(waits(&world.go(&mut run)), Some("waiting for healthy state of /ConfigMap/old"));
    assert_eq!(world.log, ["delete old"]);
    let key = run.tasks[0].key.clone();
    world.live.remove(&key);
    world.see(&key);
    assert!(is_success(&world.go(&mut run)));
    assert_eq!(world.log, ["delete old", "apply new"]);
}

/// Rule 8.
#[test]
fn what_asks_for_it_is_pruned_after_all_else() {
    let last = json!({"argocd.argoproj.io/sync-options": "PruneLast=true"});
    let mut world = synced(vec![config_map("last", &last), config_map("old", &json!({}))]);
    let mut run = world.plan(&bundle(vec![config_map("new", &wave(3))]), json!({"prune": true}));
    assert!(is_success(&world.go(&mut run)));
    assert_eq!(world.log, ["delete old", "apply new", "delete last"]);
}

/// Rule 8.
#[test]
fn what_may_not_be_pruned_is_told_in_argo_cds_words() {
    let kept = json!({"argocd.argoproj.io/sync-options": "Prune=false"});
    let mut world = synced(vec![config_map("kept", &kept), config_map("old", &json!({}))]);
    let mut told = |sync: Value| {
        let mut run = world.plan(&bundle(Vec::new()), sync);
        assert!(is_success(&world.go(&mut run)));
        let results = run.result();
        let mut told: Vec<_> =
            results.resources.iter().map(|result| (result.name.clone(), result.message.clone())).collect();
        told.sort();
        told.into_iter().map(|(_, message)| message).collect::<Vec<_>>()
    };
    assert_eq!(told(json!({})), ["ignored (no prune)", "ignored (requires pruning)"]);
    assert_eq!(told(json!({"prune": true})), ["ignored (no prune)", "pruned"]);
}

/// Rule 10.
#[test]
fn a_hook_of_a_kind_without_health_has_succeeded_when_it_is_there() {
    let mut world = World::default();
    let before = config_map("before", &json!({"argocd.argoproj.io/hook": "PreSync"}));
    let mut run = world.plan(&bundle(vec![before, config_map("a", &json!({}))]), json!({}));
    assert!(is_success(&world.go(&mut run)));
    let first = world.log.iter().position(|done| done == "apply before");
    assert!(first < world.log.iter().position(|done| done == "apply a"), "{:?}", world.log);
}

/// Rule 14.
#[test]
fn what_is_waited_for_and_how_it_ended_is_told_in_argo_cds_words() {
    let mut world = World::default();
    let manifests =
        vec![job("one", &wave(0)), job("two", &wave(0)), job("three", &wave(0)), config_map("a", &wave(1))];
    let mut run = world.plan(&bundle(manifests), json!({}));
    let told = "waiting for healthy state of batch/Job/one and 2 more resources";
    assert_eq!(waits(&world.go(&mut run)), Some(told));
    let mut nothing = world.plan(&bundle(Vec::new()), json!({}));
    nothing.tasks.clear();
    let end = Next::Finish(OperationPhase::Succeeded, "successfully synced (no more tasks)".to_owned());
    assert_eq!(world.go(&mut nothing), end);
    let mut some = World::default();
    let mut run = some.plan(&bundle(vec![config_map("a", &json!({}))]), json!({}));
    let end = Next::Finish(OperationPhase::Succeeded, "successfully synced (all tasks run)".to_owned());
    assert_eq!(some.go(&mut run), end);
}

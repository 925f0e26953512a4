//! The rules of a sync one by one, as compat 2.1 numbers them, in a small cluster of plain data.

use ithaca_api::OperationPhase;
use serde_json::{Value, json};

use super::*;
use crate::live::Record;

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
    nothing.tasks = Default::default();
    let end = Next::Finish(OperationPhase::Succeeded, "successfully synced (no more tasks)".to_owned());
    assert_eq!(world.go(&mut nothing), end);
    let mut some = World::default();
    let mut run = some.plan(&bundle(vec![config_map("a", &json!({}))]), json!({}));
    let end = Next::Finish(OperationPhase::Succeeded, "successfully synced (all tasks run)".to_owned());
    assert_eq!(some.go(&mut run), end);
}

/// Rule 8: within a wave kinds are pruned the other way round.
#[test]
fn within_a_wave_what_is_applied_last_is_pruned_first() {
    let none = json!({});
    let manifests = vec![
        object("ServiceAccount", "account", &none),
        config_map("settings", &none),
        object("Deployment", "server", &none),
    ];
    let mut world = synced(manifests);
    let mut run = world.plan(&bundle(Vec::new()), json!({"prune": true}));
    assert!(is_success(&world.go(&mut run)));
    assert_eq!(world.log, ["delete server", "delete settings", "delete account"]);
}

/// Rule 8. An approval of before was given to something else.
#[test]
fn only_an_approval_since_the_operation_began_lets_prune() {
    let asks = json!({"argocd.argoproj.io/sync-options": "Prune=confirm"});
    let world = synced(vec![config_map("asks", &asks)]);
    let run = world.plan(&bundle(Vec::new()), json!({"prune": true}));
    let with = |approval: Option<i64>| {
        let approval = approval.map(|second| Timestamp::from_second(second).expect("a time"));
        run.next(&world.records, approval)
    };
    for older in [None, Some(-1)] {
        let next = with(older);
        let told = "waiting for pruning confirmation of /ConfigMap/web/asks: annotate";
        assert!(waits(&next).is_some_and(|message| message.starts_with(told)), "{older:?}: {next:?}");
    }
    assert_eq!(with(Some(0)), Next::Perform(vec![0]));
}

/// Compat 1.6: an option of the operation is for every object, and an object has the last word.
#[test]
fn prune_last_may_be_said_for_all_and_taken_back_by_an_object() {
    let early = json!({"argocd.argoproj.io/sync-options": "PruneLast=false"});
    let mut world = synced(vec![config_map("old", &json!({})), config_map("early", &early)]);
    let sync = json!({"prune": true, "syncOptions": ["PruneLast=true"]});
    let mut run = world.plan(&bundle(vec![config_map("new", &json!({}))]), sync);
    assert!(is_success(&world.go(&mut run)));
    assert_eq!(world.log, ["delete early", "apply new", "delete old"]);
}

/// Compat 1.6.
#[test]
fn with_apply_out_of_sync_only_nothing_is_told_of_what_is_as_wanted() {
    let mut world = World::default();
    let all = bundle(vec![config_map("same", &json!({})), config_map("new", &json!({}))]);
    let same = &all.assembly.objects[0];
    let live = serde_json::from_str(same.json.get()).expect("an object");
    world.records.put(same.key.clone(), Record::applied(&same.key, &live, same, &Default::default()));
    let planned = |options: Value| {
        let run = world.plan(&all, json!({"syncOptions": options}));
        run.tasks.iter().map(|task| task.key.name.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(planned(json!([])), ["new", "same"]);
    assert_eq!(planned(json!(["ApplyOutOfSyncOnly=true"])), ["new"]);
}

/// Compat 1.2.
#[test]
fn hooks_run_unless_the_operation_names_objects_or_only_applies() {
    let before = job("before", &json!({"argocd.argoproj.io/hook": "PreSync"}));
    let all = bundle(vec![before, config_map("a", &json!({})), config_map("b", &json!({}))]);
    let planned = |sync: Value| {
        let run = World::default().plan(&all, sync);
        run.tasks.iter().map(|task| task.key.name.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(planned(json!({})), ["before", "a", "b"]);
    assert_eq!(planned(json!({"syncStrategy": {"hook": {"force": true}}})), ["before", "a", "b"]);
    assert_eq!(planned(json!({"syncStrategy": {"apply": {}}})), ["a", "b"]);
    assert_eq!(planned(json!({"resources": [{"kind": "ConfigMap", "name": "a"}]})), ["a"]);
}

/// What is there by the name of a hook and is none is somebody's, and stays.
#[test]
fn a_hooks_name_that_a_foreign_object_has_ends_the_operation() {
    let mut world = World::default();
    let before = config_map("before", &json!({"argocd.argoproj.io/hook": "PreSync"}));
    let mut run = world.plan(&bundle(vec![before, config_map("a", &json!({}))]), json!({}));
    let key = run.tasks[0].key.clone();
    world.live.insert(key.clone(), json!({"metadata": {"name": "before", "namespace": "web"}}));
    world.see(&key);
    let next = format!("{:?}", world.go(&mut run));
    assert!(next.starts_with("Finish(Failed") && next.contains("is there already and is no hook"), "{next}");
    assert!(world.log.is_empty(), "{:?}", world.log);
}

/// Was seen as an object that was gone for good: another of its wave failed while it was to be made anew.
#[test]
fn what_was_deleted_to_be_made_anew_is_made_whatever_else_failed() {
    let mut world = synced(vec![config_map("anew", &json!({})), config_map("fixed", &json!({}))]);
    let manifests = vec![config_map("anew", &json!({})), config_map("fixed", &json!({}))];
    let mut run = world.plan(&bundle(manifests), json!({}));
    run.rehearsed(Vec::new());
    run.task_mut(0).expect("a task").removed = true;
    run.task_mut(1).expect("a task").outcome = Some(Outcome::failed("it is immutable"));
    assert_eq!(waits(&world.go(&mut run)), Some("waiting for deletion of /ConfigMap/anew"));
    let key = run.tasks[0].key.clone();
    world.delete(&key);
    let next = world.go(&mut run);
    assert!(matches!(next, Next::Finish(OperationPhase::Failed, _)), "{next:?}");
    assert_eq!(world.log, ["delete anew", "apply anew"]);
}

//! Which objects an operation is about, and when those that go wait for somebody's word.

use serde_json::{Value, json};

use super::*;
use crate::plan::comparison::compare;

fn object(api_version: &str, kind: &str, name: &str) -> Value {
    json!({"apiVersion": api_version, "kind": kind, "metadata": {"name": name}})
}

fn config_map(name: &str) -> Value {
    object("v1", "ConfigMap", name)
}

/// A world in which these have been synced.
fn synced(manifests: Vec<Value>) -> World {
    let mut world = World::default();
    let mut run = world.plan(&bundle(manifests), json!({}));
    assert!(matches!(world.go(&mut run), Next::Finish(OperationPhase::Succeeded, _)));
    world.log.clear();
    world
}

fn names(run: &Run) -> Vec<&str> {
    run.tasks.iter().map(|task| &*task.key.name).collect()
}

fn only(resources: Value) -> Value {
    json!({"prune": true, "resources": resources})
}

#[test]
fn an_operation_on_named_objects_prunes_no_others() {
    let world = synced(vec![config_map("named"), config_map("old")]);
    let nothing = bundle(Vec::new());
    let run = world.plan(&nothing, only(json!([{"kind": "ConfigMap", "name": "named"}])));
    assert_eq!(names(&run), ["named"]);
    assert_eq!(names(&world.plan(&nothing, json!({"prune": true}))), ["named", "old"]);
}

/// What was meant to be there may be among what could not be read.
#[test]
fn nothing_is_pruned_while_some_of_what_is_wanted_is_not_known() {
    let world = synced(vec![config_map("named")]);
    let broken = bundle(vec![json!({})]);
    let run = world.plan(&broken, only(json!([{"kind": "ConfigMap", "name": "named"}])));
    assert_eq!(names(&run), Vec::<&str>::new());
}

#[test]
fn an_object_is_named_with_its_namespace_or_without_one() {
    let all = bundle(vec![config_map("a")]);
    let planned = |namespace: &str| {
        let named = json!([{"kind": "ConfigMap", "name": "a", "namespace": namespace}]);
        World::default().plan(&all, only(named)).tasks.len()
    };
    assert_eq!([planned(""), planned("web"), planned("shop")], [1, 1, 0]);
}

/// What a guard holds back comes after all else and holds up nothing.
#[test]
fn what_a_guard_holds_is_pruned_last_and_only_when_somebody_confirms() {
    let wave = |mut object: Value, wave: i64| {
        object["metadata"]["annotations"] = json!({"argocd.argoproj.io/sync-wave": wave.to_string()});
        object
    };
    let mut world = synced(vec![config_map("old"), wave(config_map("older"), 1)]);
    let wanted = bundle(vec![wave(config_map("new"), 3)]);
    let guarded =
        Comparison { guarded: true, ..compare(&wanted, &owner(), &SyncOptions::default(), &world.records) };
    let sync = SyncOperation { prune: true, ..SyncOperation::default() };
    let operation = Operation { sync: Some(sync), ..Operation::default() };
    let mut run = Run::plan(operation, wanted, &guarded, &world.records, Timestamp::UNIX_EPOCH);
    let waves: Vec<_> = run.tasks.iter().map(|task| (&*task.key.name, task.wave, task.confirm)).collect();
    assert_eq!(waves, [("new", 3, false), ("old", 4, true), ("older", 4, true)]);
    let next = world.go(&mut run);
    let told = "waiting for pruning confirmation of /ConfigMap/web/old, /ConfigMap/web/older: annotate";
    assert!(matches!(&next, Next::Wait(message) if message.starts_with(told)), "{next:?}");
    assert_eq!(world.log, ["apply new"]);
    assert_eq!(run.next(&world.records, Some(Timestamp::UNIX_EPOCH)), Next::Perform(vec![1, 2]));
}

/// Rule 4.
#[test]
fn a_kind_that_is_only_called_namespace_has_its_place_by_its_own_wave() {
    let mut foreign = object("example.com/v1", "Namespace", "web");
    foreign["metadata"]["annotations"] = json!({"argocd.argoproj.io/sync-wave": "5"});
    let world = World::default();
    let run = world.plan(&bundle(vec![foreign, config_map("a")]), json!({}));
    assert_eq!(names(&run), ["a", "web"]);
}

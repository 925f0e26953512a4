//! What is in the way of hooks, what is known of them from an earlier life, and what is left of them at the end.

use serde_json::{Value, json};

use super::*;

fn hook(name: &str, phase: &str) -> Value {
    job(name, &json!({"argocd.argoproj.io/hook": phase}))
}

/// A Job of this Application's is there by this name, and is no hook.
fn put(world: &mut World, name: &str, application: &str) -> ObjectKey {
    let key = ObjectKey::new("batch", "Job", "web", name);
    let id = format!("{application}:batch/Job:web/{name}");
    let annotations = json!({"argocd.argoproj.io/tracking-id": id});
    let metadata = json!({"name": name, "namespace": "web", "annotations": annotations});
    world.live.insert(key.clone(), json!({"metadata": metadata}));
    world.see(&key);
    key
}

/// An ordinary object that its manifest makes a hook is as good as an earlier attempt.
#[test]
fn an_object_of_the_application_that_becomes_a_hook_is_deleted_first() {
    let mut world = World::default();
    put(&mut world, "before", "web");
    let mut run = world.plan(&bundle(vec![hook("before", "PreSync")]), json!({}));
    assert_eq!(world.go(&mut run), Next::Wait("waiting for completion of hook batch/Job/before".to_owned()));
    assert_eq!(world.log, ["delete before", "apply before"]);
}

/// Was deleted: a hook of the same name took it for its own.
#[test]
fn an_object_of_another_application_is_never_deleted_for_a_hook_of_its_name() {
    let mut world = World::default();
    let key = put(&mut world, "before", "shop");
    let mut run = world.plan(&bundle(vec![hook("before", "PreSync")]), json!({}));
    let next = format!("{:?}", world.go(&mut run));
    assert!(next.starts_with("Finish(Failed") && next.contains("is there already and is no hook"), "{next}");
    assert!(world.log.is_empty() && world.live.contains_key(&key), "{:?}", world.log);
}

#[test]
fn what_is_recorded_of_a_hook_is_of_that_hook_in_that_phase_alone() {
    let mut world = World::default();
    let all = bundle(vec![hook("first", "PreSync,PostSync"), hook("second", "PreSync")]);
    let mut run = world.plan(&all, json!({}));
    let place = |run: &Run, name: &str, phase: Phase| {
        let found = run.tasks.iter().position(|task| &*task.key.name == name && task.phase == phase);
        found.expect("a task")
    };
    let first = place(&run, "first", Phase::PreSync);
    world.perform(&mut run, first);
    run.task_mut(first).expect("a task").outcome = Some(Outcome::done(ResultCode::Synced, "it is done"));
    let recorded = run.result();
    let key = run.tasks[first].key.clone();
    world.live.remove(&key);
    world.see(&key);
    let mut next = world.plan(&all, json!({}));
    next.recall(Some(&recorded), &world.records);
    let known = next.tasks.iter().filter(|task| task.outcome.is_some());
    let known: Vec<_> = known.map(|task| (&*task.key.name, task.phase)).collect();
    assert_eq!(known, [("first", Phase::PreSync)]);
}

#[test]
fn an_operation_that_is_stopped_takes_its_running_hooks_away() {
    let mut world = World::default();
    let mut run = world.plan(&bundle(vec![hook("before", "PreSync")]), json!({}));
    world.go(&mut run);
    let key = run.tasks[0].key.clone();
    assert_eq!(run.stop(&world.records), Next::LetGo(vec![key.clone()]));
    world.let_go(&key);
    assert_eq!(run.stop(&world.records), Next::Discard(vec![key.clone()]));
    world.records.set_deleting(&key);
    let end = Next::Finish(OperationPhase::Failed, "Operation terminated".to_owned());
    assert_eq!(run.stop(&world.records), end);
}

/// Whatever became of it.
#[test]
fn an_operation_has_begun_its_hooks_when_one_was_started() {
    let mut world = World::default();
    let config_map = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}});
    let mut run = world.plan(&bundle(vec![config_map, hook("after", "PostSync")]), json!({}));
    assert!(!run.has_begun_hooks());
    world.perform(&mut run, 0);
    assert!(!run.has_begun_hooks(), "only an object was applied");
    world.perform(&mut run, 1);
    assert!(run.has_begun_hooks());
    run.task_mut(1).expect("a task").outcome = Some(Outcome::failed("no"));
    assert!(run.has_begun_hooks());
}

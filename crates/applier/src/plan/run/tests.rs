//! Runs against a small cluster of plain data: what is applied when, and that every run ends.

mod begun;
mod chosen;
mod leftovers;
mod rules;

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::*;
use crate::{
    desired::{self, Owner},
    live::Record,
    plan::comparison::compare,
};

/// A cluster that holds objects and does with them what a test says.
#[derive(Default)]
pub(super) struct World {
    pub(super) records: Records,
    pub(super) live: BTreeMap<ObjectKey, Value>,
    /// What was done, in order.
    pub(super) log: Vec<String>,
}

pub(super) fn owner() -> Owner {
    Owner { instance: "web".to_owned(), namespace: "web".to_owned(), ..Owner::default() }
}

pub(super) fn bundle(manifests: Vec<Value>) -> Arc<Bundle> {
    let assembly = desired::assemble(manifests, &owner(), &|kind| Some(kind.kind != "Namespace"));
    Arc::new(Bundle::new(ithaca_proto::v1::BundleRendered::default(), Arc::new(assembly)))
}

pub(super) fn job(name: &str, annotations: &Value) -> Value {
    json!({"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": name, "annotations": annotations}})
}

fn wave(name: &str, wave: i64) -> Value {
    job(name, &json!({"argocd.argoproj.io/sync-wave": wave.to_string()}))
}

fn hook(name: &str, phase: &str, policy: &str) -> Value {
    job(name, &json!({"argocd.argoproj.io/hook": phase, "argocd.argoproj.io/hook-delete-policy": policy}))
}

impl World {
    pub(super) fn plan(&self, bundle: &Arc<Bundle>, sync: Value) -> Run {
        let sync = serde_json::from_value(sync).expect("a sync operation");
        let operation = Operation { sync: Some(sync), ..Operation::default() };
        let comparison = compare(bundle, &owner(), &Default::default(), &self.records);
        Run::plan(operation, bundle.clone(), &comparison, &self.records, Timestamp::UNIX_EPOCH)
    }

    pub(super) fn see(&mut self, key: &ObjectKey) {
        self.records.set_watched(key.group_kind(), true);
        match self.live.get(key) {
            Some(live) => {
                drop(self.records.put(key.clone(), Record::of(key, live, None, None, &Default::default())))
            }
            None => drop(self.records.remove(key)),
        }
    }

    pub(super) fn set(&mut self, name: &str, condition: &str) {
        let (key, live) = self.live.iter_mut().find(|(key, _)| &*key.name == name).expect("an object");
        live["status"] = json!({"conditions": [{"type": condition, "status": "True", "message": "told"}]});
        let key = key.clone();
        self.see(&key);
    }

    /// Does what comes next, as long as nothing has to be waited for.
    pub(super) fn go(&mut self, run: &mut Run) -> Next {
        loop {
            match run.next(&self.records, None) {
                Next::Rehearse(_) => run.rehearsed(Vec::new()),
                Next::Perform(places) => places.into_iter().for_each(|place| self.perform(run, place)),
                Next::Conclude(outcomes) => {
                    outcomes.into_iter().for_each(|(place, outcome)| {
                        run.task_mut(place).expect("a task").outcome = Some(outcome)
                    });
                }
                Next::LetGo(keys) => keys.iter().for_each(|key| self.let_go(key)),
                Next::Discard(keys) => keys.iter().for_each(|key| self.delete(key)),
                next => return next,
            }
        }
    }

    pub(super) fn perform(&mut self, run: &mut Run, place: usize) {
        let task = run.task_mut(place).expect("a task");
        let (json, outcome) = match &task.effect {
            Effect::Apply(desired) => (&desired.json, Outcome::done(ResultCode::Synced, "applied")),
            Effect::Hook(hook) => (&hook.object.json, Outcome::running("created")),
            Effect::Prune(_) => {
                task.outcome = Some(Outcome::done(ResultCode::Pruned, "pruned"));
                let key = task.key.clone();
                return self.delete(&key);
            }
        };
        let mut live: Value = serde_json::from_str(json.get()).expect("an object");
        let key = task.key.clone();
        // Applying leaves the status of an object alone.
        live["status"] = self.live.get(&key).map(|before| before["status"].clone()).unwrap_or_default();
        task.outcome = Some(outcome);
        self.log.push(format!("apply {}", key.name));
        self.live.insert(key.clone(), live);
        self.see(&key);
    }

    pub(super) fn let_go(&mut self, key: &ObjectKey) {
        let live = self.live.get_mut(key).expect("an object");
        live["metadata"]["finalizers"] = json!(null);
        if live["metadata"].get("deletionTimestamp").is_some() {
            self.live.remove(key);
        }
        self.log.push(format!("let go {}", key.name));
        self.see(key);
    }

    pub(super) fn delete(&mut self, key: &ObjectKey) {
        self.log.push(format!("delete {}", key.name));
        match self.live.get_mut(key).filter(|live| !live["metadata"]["finalizers"].is_null()) {
            Some(live) => live["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z"),
            None => drop(self.live.remove(key)),
        }
        self.see(key);
    }
}

fn waits_for(next: &Next, what: &str) -> bool {
    matches!(next, Next::Wait(message) if message.contains(what))
}

/// A Job that removes itself when it is done would hold the next wave for ever.
#[test]
fn an_object_that_vanishes_while_it_is_waited_for_ends_the_operation() {
    let mut world = World::default();
    let mut run = world.plan(&bundle(vec![wave("first", 0), wave("second", 1)]), json!({}));
    assert!(waits_for(&world.go(&mut run), "healthy state of batch/Job/first"));
    let key = run.tasks[0].key.clone();
    world.live.remove(&key);
    world.see(&key);
    let next = format!("{:?}", world.go(&mut run));
    assert!(next.starts_with("Finish(Failed") && next.contains("first is not there any more"), "{next}");
}

#[test]
fn phases_follow_each_other_and_hooks_go_as_their_policies_say() {
    let mut world = World::default();
    let manifests = vec![
        hook("after", "PostSync", "HookSucceeded"),
        wave("main", 0),
        hook("before", "PreSync", "HookFailed"),
        hook("alarm", "SyncFail", "HookSucceeded"),
    ];
    let mut run = world.plan(&bundle(manifests), json!({}));
    assert!(waits_for(&world.go(&mut run), "completion of hook batch/Job/before"));
    world.set("before", "Complete");
    assert!(waits_for(&world.go(&mut run), "healthy state of batch/Job/main"));
    world.set("main", "Complete");
    assert!(waits_for(&world.go(&mut run), "completion of hook batch/Job/after"));
    world.set("after", "Complete");
    assert!(matches!(world.go(&mut run), Next::Finish(OperationPhase::Succeeded, _)));
    let expected =
        ["apply before", "apply main", "let go before", "apply after", "let go after", "delete after"];
    assert_eq!(world.log, expected);
}

#[test]
fn a_failed_hook_starts_those_for_failures_and_nothing_else() {
    let mut world = World::default();
    let manifests =
        vec![hook("before", "PreSync", ""), wave("main", 0), hook("alarm", "SyncFail", "HookFailed")];
    let mut run = world.plan(&bundle(manifests), json!({}));
    world.go(&mut run);
    world.set("before", "Failed");
    assert!(waits_for(&world.go(&mut run), "completion of hook batch/Job/alarm"));
    world.set("alarm", "Complete");
    let next = format!("{:?}", world.go(&mut run));
    assert!(next.starts_with("Finish(Failed") && next.contains("told"), "{next}");
    assert_eq!(world.log, ["apply before", "apply alarm", "let go before", "let go alarm", "delete alarm"]);
}

/// `ttlSecondsAfterFinished: 0` deletes a Job in the moment in which it is done.
#[test]
fn a_hook_that_removes_itself_has_ended_as_it_says() {
    let mut world = World::default();
    let mut run = world.plan(&bundle(vec![hook("before", "PreSync", ""), wave("main", 0)]), json!({}));
    world.go(&mut run);
    world.set("before", "Complete");
    let key = run.tasks[0].key.clone();
    world.delete(&key);
    assert!(waits_for(&world.go(&mut run), "healthy state of batch/Job/main"));
}

#[test]
fn a_hook_that_somebody_deletes_fails() {
    let mut world = World::default();
    let mut run = world.plan(&bundle(vec![hook("before", "PreSync", ""), wave("main", 0)]), json!({}));
    world.go(&mut run);
    let key = run.tasks[0].key.clone();
    world.delete(&key);
    let next = format!("{:?}", world.go(&mut run));
    assert!(next.starts_with("Finish(Failed") && next.contains("deleted while it ran"), "{next}");
}

#[test]
fn a_hook_of_an_earlier_operation_is_deleted_before_it_runs_again() {
    let mut world = World::default();
    let bundle = bundle(vec![hook("before", "PreSync", "")]);
    let mut first = world.plan(&bundle, json!({}));
    world.go(&mut first);
    let mut second = world.plan(&bundle, json!({}));
    second.retries = 1;
    second.again(bundle.clone(), &Comparison::default(), &world.records);
    assert!(waits_for(&world.go(&mut second), "completion of hook"));
    assert_eq!(world.log, ["apply before", "let go before", "delete before", "apply before"]);
}

#[test]
fn what_an_earlier_life_started_is_not_started_again() {
    let mut world = World::default();
    let bundle = bundle(vec![hook("before", "PreSync", ""), wave("main", 0)]);
    let mut run = world.plan(&bundle, json!({}));
    world.go(&mut run);
    let mut next = world.plan(&bundle, json!({}));
    next.recall(None, &world.records);
    assert!(waits_for(&world.go(&mut next), "completion of hook"));
    world.set("before", "Complete");
    world.go(&mut next);
    let recorded = next.result();
    let key = next.tasks[0].key.clone();
    world.delete(&key);
    let mut last = world.plan(&bundle, json!({}));
    last.recall(Some(&recorded), &world.records);
    assert!(waits_for(&world.go(&mut last), "healthy state"));
    assert_eq!(world.log.iter().filter(|done| *done == "apply before").count(), 1);
}

#[test]
fn a_namespace_comes_before_the_first_hook_that_lives_in_it() {
    let mut world = World::default();
    let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "web"}});
    let mut run = world.plan(&bundle(vec![hook("before", "PreSync", ""), namespace]), json!({}));
    world.go(&mut run);
    assert_eq!(world.log, ["apply web", "apply before"]);
}

#[test]
fn what_was_applied_last_is_pruned_first() {
    let mut world = World::default();
    let all = bundle(vec![wave("low", 0), wave("middle", 3), wave("high", 7)]);
    let mut run = world.plan(&all, json!({}));
    for name in ["low", "middle", "high"] {
        world.go(&mut run);
        world.set(name, "Complete");
    }
    world.log.clear();
    let mut run = world.plan(&bundle(Vec::new()), json!({"prune": true}));
    assert!(matches!(world.go(&mut run), Next::Finish(OperationPhase::Succeeded, _)));
    assert_eq!(world.log, ["delete high", "delete middle", "delete low"]);
}

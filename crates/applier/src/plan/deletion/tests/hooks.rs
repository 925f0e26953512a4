//! What an Application with hooks for its deletion goes through, in a small cluster of plain data.

use std::{collections::BTreeMap, sync::Arc};

use rstest::rstest;
use serde_json::{Value, json};

use super::*;
use crate::{
    object::GroupKind,
    plan::run::{Effect, Outcome},
};

const FINALIZERS: [&str; 5] = [
    annotation::PRE_DELETE_FINALIZER,
    annotation::PRE_DELETE_CLEANUP_FINALIZER,
    annotation::RESOURCES_FINALIZER,
    annotation::POST_DELETE_FINALIZER,
    annotation::POST_DELETE_CLEANUP_FINALIZER,
];

/// An Application that is being deleted, with a ConfigMap and with hooks.
struct Going {
    case: Case,
    bundle: Arc<Bundle>,
    run: Option<Run>,
    /// The objects of its hooks.
    live: BTreeMap<ObjectKey, Value>,
    /// The API server takes none of them.
    refuses: bool,
    /// What was done, in order.
    log: Vec<String>,
}

fn hook(name: &str, phase: &str, policy: &str) -> Value {
    let annotations =
        json!({"argocd.argoproj.io/hook": phase, "argocd.argoproj.io/hook-delete-policy": policy});
    json!({"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": name, "annotations": annotations}})
}

/// With a hook before that goes when it has succeeded, and one after that stays.
fn going() -> Going {
    let mut case = Case::foreground();
    case.application.metadata.finalizers = Some(FINALIZERS.map(str::to_owned).to_vec());
    case.has("settings", json!({}));
    case.records.set_watched(jobs(), true);
    let manifests = vec![hook("before", "PreDelete", "HookSucceeded"), hook("after", "PostDelete", "")];
    let assembly = crate::desired::assemble(manifests, &case.owner, &|_| Some(true));
    let bundle = Bundle::new(ithaca_proto::v1::BundleRendered::default(), Arc::new(assembly));
    let bundle = Arc::new(Bundle { digest: "d".to_owned(), ..bundle });
    Going { case, bundle, run: None, live: BTreeMap::new(), refuses: false, log: Vec::new() }
}

fn jobs() -> GroupKind {
    GroupKind { group: "batch".to_owned(), kind: "Job".to_owned() }
}

impl Going {
    fn decide(&self) -> Action {
        self.case.decide_with(Some(&self.bundle), self.run.as_ref())
    }

    /// Does what is decided, as long as nothing has to be waited for. Returns what is told then.
    fn go(&mut self) -> String {
        for _ in 0..100 {
            match self.decide() {
                Action::Begin(run) => self.run = Some(*run),
                Action::Perform(places) => places.into_iter().for_each(|place| self.start(place)),
                Action::Conclude(outcomes) => {
                    outcomes.into_iter().for_each(|(place, outcome)| self.set(place, outcome));
                }
                Action::LetGo(keys) => keys.iter().for_each(|key| self.let_go(key)),
                Action::Discard(keys) => keys.iter().for_each(|key| self.delete(key)),
                Action::Delete(keys, _) => keys.iter().for_each(|key| {
                    self.log.push(format!("delete {}", key.name));
                    self.case.records.remove(key);
                }),
                Action::Release(left) => self.release(left),
                Action::Write(change) => return change.status.conditions[0].message.clone(),
                Action::Postpone(reason) => {
                    let run = self.run.as_mut().expect("hooks that run");
                    (run.failed_at, run.failure) = (Some(self.case.now), Some(reason));
                }
                action => return format!("{action:?}"),
            }
        }
        "it never rests".to_owned()
    }

    fn set(&mut self, place: usize, outcome: Outcome) {
        let run = self.run.as_mut().expect("hooks that run");
        run.task_mut(place).expect("a task").outcome = Some(outcome);
    }

    fn start(&mut self, place: usize) {
        let task = &self.run.as_ref().expect("hooks that run").tasks[place];
        let Effect::Hook(hook) = &task.effect else { unreachable!("{task:?}") };
        let (key, live) = (task.key.clone(), hook.object.as_value().expect("an object"));
        self.log.push(format!("start {}", key.name));
        if self.refuses {
            return self.set(place, Outcome::failed("it is denied"));
        }
        self.live.insert(key.clone(), live);
        self.see(&key);
        self.set(place, Outcome::running("created"));
    }

    fn see(&mut self, key: &ObjectKey) {
        match self.live.get(key) {
            Some(live) => {
                let record = Record::of(key, live, None, None, &Default::default());
                drop(self.case.records.put(key.clone(), record));
            }
            None => drop(self.case.records.remove(key)),
        }
    }

    /// The Job ends so.
    fn end(&mut self, name: &str, condition: &str) {
        let key = ObjectKey::new("batch", "Job", "web", name);
        let live = self.live.get_mut(&key).expect("a hook");
        live["status"] =
            json!({"conditions": [{"type": condition, "status": "True", "message": "it is so"}]});
        self.see(&key);
    }

    fn let_go(&mut self, key: &ObjectKey) {
        self.log.push(format!("let go {}", key.name));
        let live = self.live.get_mut(key).expect("a hook");
        live["metadata"]["finalizers"] = json!(null);
        if live["metadata"].get("deletionTimestamp").is_some() {
            self.live.remove(key);
        }
        self.see(key);
    }

    /// Somebody deletes a hook's object.
    fn delete(&mut self, key: &ObjectKey) {
        self.log.push(format!("delete {}", key.name));
        match self.live.get_mut(key).filter(|live| !live["metadata"]["finalizers"].is_null()) {
            Some(live) => live["metadata"]["deletionTimestamp"] = json!("2026-01-01T13:00:00Z"),
            None => drop(self.live.remove(key)),
        }
        self.see(key);
    }

    fn release(&mut self, left: Vec<String>) {
        let before = self.case.application.metadata.finalizers.replace(left.clone()).unwrap_or_default();
        let gone = before.into_iter().filter(|name| !left.contains(name));
        self.log.extend(gone.map(|name| format!("release {name}")));
    }
}

const BEFORE: [&str; 5] = [
    "start before",
    "release pre-delete-finalizer.argocd.argoproj.io",
    "let go before",
    "delete before",
    "release pre-delete-finalizer.argocd.argoproj.io/cleanup",
];
const OBJECTS: [&str; 2] = ["delete settings", "release resources-finalizer.argocd.argoproj.io"];
const AFTER: [&str; 4] = [
    "start after",
    "release post-delete-finalizer.argocd.argoproj.io",
    "let go after",
    "release post-delete-finalizer.argocd.argoproj.io/cleanup",
];

#[test]
fn hooks_run_before_the_objects_go_and_after_and_their_ends_are_recorded_first() {
    let mut going = going();
    assert_eq!(going.go(), "waiting for completion of hook batch/Job/before");
    going.end("before", "Complete");
    assert_eq!(going.go(), "waiting for completion of hook batch/Job/after");
    assert_eq!(going.log, [&BEFORE[..], &OBJECTS, &AFTER[..1]].concat());
    going.end("after", "Complete");
    assert_eq!(going.go(), "Idle(None)");
    assert_eq!(going.log, [&BEFORE[..], &OBJECTS, &AFTER].concat());
    assert_eq!(going.case.application.metadata.finalizers, Some(Vec::new()));
}

#[test]
fn whoever_takes_over_starts_no_hook_of_a_deletion_again() {
    let mut going = going();
    going.go();
    going.run = None;
    assert_eq!(going.go(), "waiting for completion of hook batch/Job/before");
    going.end("before", "Complete");
    going.run = None;
    going.go();
    going.run = None;
    going.end("after", "Complete");
    assert_eq!(going.go(), "Idle(None)");
    assert_eq!(going.log, [&BEFORE[..], &OBJECTS, &AFTER].concat());
}

/// Was told to do so and waited for ever: the finalizer of the hook kept it.
#[test]
fn a_hook_that_failed_is_tried_again_when_somebody_deletes_it() {
    let mut going = going();
    going.go();
    going.end("before", "Failed");
    let told = going.go();
    assert!(told.starts_with("a PreDelete hook failed, and the Application waits: "), "{told}");
    let advice = "it is so. Delete batch/Job/web/before to try again, or take the finalizer \
                  pre-delete-finalizer.argocd.argoproj.io off the Application to go on without it";
    assert!(told.ends_with(advice), "{told}");
    assert_eq!(going.log, ["start before"]);
    going.case.now = at(30);
    going.delete(&ObjectKey::new("batch", "Job", "web", "before"));
    assert_eq!(going.go(), "waiting for completion of hook batch/Job/before");
    assert_eq!(going.log, ["start before", "delete before", "let go before", "start before"]);
    going.end("before", "Complete");
    assert_eq!(going.go(), "waiting for completion of hook batch/Job/after");
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).expect("a time")
}

/// Was asked for again and again without a pause, and nobody was told.
#[test]
fn a_hook_that_is_refused_is_told_of_and_tried_again_after_a_pause() {
    let mut going = going();
    going.refuses = true;
    going.case.now = at(100);
    let told = going.go();
    assert!(told.starts_with("a PreDelete hook failed, and the Application waits: "), "{told}");
    assert!(told.contains("batch/Job/web/before: it is denied. It is tried again every 30 s"), "{told}");
    assert_eq!(going.log, ["start before"]);
    going.case.now = at(129);
    going.go();
    assert_eq!(going.log, ["start before"]);
    going.case.now = at(130);
    going.refuses = false;
    assert_eq!(going.go(), "waiting for completion of hook batch/Job/before");
    assert_eq!(going.log, ["start before", "start before"]);
}

#[test]
fn an_application_whose_hook_is_refused_looks_again_by_itself_and_writes_nothing_meanwhile() {
    let mut going = going();
    going.refuses = true;
    going.case.now = at(100);
    going.go();
    match going.decide() {
        Action::Write(change) => going.case.application.status = Some(change.status),
        action => unreachable!("{action:?}"),
    }
    going.case.now = at(110);
    assert!(matches!(going.decide(), Action::Idle(Some(wake)) if wake == at(130)), "{:?}", going.decide());
}

/// Without content nobody knows what its hooks are, and while their kind is being listed nobody knows how they are.
#[test]
fn hooks_of_a_deletion_wait_until_they_are_known() {
    let mut going = going();
    assert!(matches!(going.case.decide_with(None, None), Action::Idle(None)));
    going.case.records.unwatch(&jobs());
    assert!(matches!(going.decide(), Action::Watch(kinds) if kinds.len() == 1), "{:?}", going.decide());
    going.case.records.set_watched(jobs(), false);
    assert!(matches!(going.decide(), Action::Idle(None)), "{:?}", going.decide());
}

/// Was taken for an Application without hooks: none of them ran, and its objects went.
#[test]
fn hooks_of_a_deletion_that_were_never_rendered_are_told_of_and_not_passed_over() {
    let mut going = going();
    let rendered = going.bundle.clone();
    let failure = crate::bundle::Failure { invalid_spec: false, message: "no chart".to_owned() };
    let empty = Bundle::new(ithaca_proto::v1::BundleRendered::default(), Arc::default());
    going.bundle = Arc::new(Bundle { failure: Some(failure), ..empty });
    let told = going.go();
    let advice = "failed to run the PreDelete hooks: no chart; mend that, or take the finalizer \
                  pre-delete-finalizer.argocd.argoproj.io off the Application to go on without them";
    assert_eq!(told, advice);
    assert!(going.log.is_empty(), "{:?}", going.log);
    going.bundle = rendered;
    assert_eq!(going.go(), "waiting for completion of hook batch/Job/before");
}

/// Was passed over, and the objects went without it.
#[rstest]
#[case::unserved(
    "/kind", json!("Backup"),
    "batch/Backup/web/backup: the cluster does not serve batch/v1 Backup; is its CustomResourceDefinition missing?"
)]
#[case::nameless("/metadata/name", Value::Null, "batch/Job/web/ has neither a name nor a generateName")]
#[case::invalid(
    "/metadata/annotations", json!({"argocd.argoproj.io/hook": "PreDelete", "argocd.argoproj.io/sync-wave": "first"}),
    "batch/Job/web/backup: annotation argocd.argoproj.io/sync-wave is not a whole number"
)]
fn a_hook_of_a_deletion_that_cannot_be_run_is_told_of_and_not_passed_over(
    #[case] field: &str,
    #[case] value: Value,
    #[case] why: &str,
) {
    let mut going = going();
    let mut barred = hook("backup", "PreDelete", "");
    *barred.pointer_mut(field).expect("a field") = value;
    let manifests = vec![barred, hook("after", "PostDelete", "")];
    let scopes = |kind: &Kind| (kind.kind != "Backup").then_some(true);
    let assembly = crate::desired::assemble(manifests, &going.case.owner, &scopes);
    going.bundle = Arc::new(Bundle { assembly: Arc::new(assembly), ..(*going.bundle).clone() });
    let told = going.go();
    assert!(told.starts_with(&format!("failed to run the PreDelete hooks: {why}")), "{told}");
    let advice = "; mend that, or take the finalizer pre-delete-finalizer.argocd.argoproj.io off the Application to \
                  go on without them";
    assert!(told.ends_with(advice), "{told}");
    assert!(going.log.is_empty(), "{:?}", going.log);
    going.case.application.metadata.finalizers =
        Some(FINALIZERS[1..].iter().map(ToString::to_string).collect());
    assert_eq!(going.go(), "waiting for completion of hook batch/Job/after", "somebody let it go on");
}

#[test]
fn an_application_that_lives_gets_the_finalizers_that_its_hooks_need() {
    let mut going = going();
    let guarded = |going: &Going| match going.case.guard_of(&going.bundle) {
        Some(Action::Guard(all)) => all,
        _ => Vec::new(),
    };
    going.case.application.metadata.finalizers = Some(vec!["example.org/theirs".to_owned()]);
    let hooks = [FINALIZERS[0], FINALIZERS[1], FINALIZERS[3], FINALIZERS[4]];
    let expected = [&["example.org/theirs"], &hooks[..]].concat();
    assert_eq!(guarded(&going), expected);
    going.case.application.metadata.finalizers = Some(guarded(&going));
    assert_eq!(guarded(&going), Vec::<String>::new(), "it has them");
    let assembly = crate::desired::Assembly::default();
    going.bundle = Arc::new(Bundle { assembly: Arc::new(assembly), ..(*going.bundle).clone() });
    going.case.application.metadata.finalizers = None;
    assert_eq!(guarded(&going), Vec::<String>::new(), "it has no hooks");
}

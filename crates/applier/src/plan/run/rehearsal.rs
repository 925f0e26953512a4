//! Which objects of an operation are tried before anything is changed.
//!
//! What comes in: the tasks of an operation, and the records. What goes out: places of tasks whose objects the API
//! server is asked about. What it does not do: ask.
//!
//! One invalid object among ten would otherwise leave nine changed. An object is left out where the answer could come out
//! differently in its turn, for something that is done before it, where it is known already, or surely right.
//! Source: compat 2.1, rule 5.

mod plain;

use ithaca_api::SyncOptions;

use super::{
    Effect, Outcome, Run, Task,
    step::{Settled, progress},
};
use crate::{
    desired::Desired,
    health::is_custom,
    live::{Records, Verdict},
    order::Phase,
    plan::told,
};

/// How far the objects of an operation were tried.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rehearsal {
    /// Those at these places are to be tried.
    Due(Vec<usize>),
    /// Nothing speaks against beginning.
    Over,
    /// Some are wrong in themselves, and the operation is not begun.
    Failed(String),
}

impl Rehearsal {
    /// What is to be tried of these tasks.
    pub(super) fn of(tasks: &[Task], options: &SyncOptions, records: &Records) -> Self {
        match places(tasks, options, records) {
            places if places.is_empty() => Self::Over,
            places => Self::Due(places),
        }
    }
}

impl Run {
    /// Notes which of the objects that were tried are wrong in themselves, and why.
    pub fn rehearsed(&mut self, faults: Vec<(usize, String)>) {
        self.rehearsal = Rehearsal::Over;
        let told = faults.iter().filter_map(|(place, reason)| {
            let task = self.tasks.get(*place)?;
            Some(format!("{}: {reason}", task.key))
        });
        if let Some(reasons) = told::listed(told) {
            let message =
                format!("one or more objects failed to apply (dry run), so none was applied: {reasons}");
            self.rehearsal = Rehearsal::Failed(message);
        }
        for (place, reason) in faults {
            if let Some(task) = self.task_mut(place) {
                task.outcome = Some(Outcome::failed(reason));
            }
        }
    }
}

fn places(tasks: &[Task], options: &SyncOptions, records: &Records) -> Vec<usize> {
    let regular = tasks.iter().enumerate().filter(|(_, task)| task.phase != Phase::SyncFail);
    let writes: Vec<_> = regular.filter(|(_, task)| task.outcome.is_none()).collect();
    // A single write changes all or nothing by itself.
    if writes.len() < 2 {
        return Vec::new();
    }
    let first = first_step(tasks, records);
    let untried = |task: &Task, desired: &Desired| {
        is_known(desired, records)
            || plain::is_plain(desired)
            || !options.overlaid_with(&desired.options).validates()
            || (is_custom(&desired.key.group)
                && (Some(step(task)) != first || is_redefined(desired, &writes)))
    };
    // What is written after those may not be what was asked for.
    let firm = writes.iter().take_while(|(_, task)| !changes_others(task));
    let tried = firm.filter(|(_, task)| object(task).is_some_and(|desired| !untried(task, desired)));
    tried.map(|(place, _)| *place).collect()
}

type Step = (Phase, i64);

fn step(task: &Task) -> Step {
    (task.phase, task.wave)
}

/// The first step that is not over: what it finds is there. Later ones may find more, such as what an operator brings
/// that an earlier one starts.
fn first_step(tasks: &[Task], records: &Records) -> Option<Step> {
    let open = |task: &&Task| task.outcome.is_none() || !matches!(progress(task, records), Settled::Yes);
    tasks.iter().find(open).map(step)
}

fn object(task: &Task) -> Option<&Desired> {
    match &task.effect {
        Effect::Apply(desired) => Some(desired),
        Effect::Hook(hook) => Some(&hook.object),
        Effect::Prune(_) => None,
    }
}

/// The comparison has had the API server's word on this very wish.
fn is_known(desired: &Desired, records: &Records) -> bool {
    let record = records.get(&desired.key).filter(|record| record.judged_for == desired.hash);
    record.is_some_and(
        |record| matches!(&record.verdict, Verdict::OutOfSync(drift) if drift.rejected.is_none()),
    )
}

/// Whether a definition of the object's group is about to be written. Definitions are named `<plural>.<group>`.
fn is_redefined(desired: &Desired, writes: &[(usize, &Task)]) -> bool {
    let defines = |task: &Task| {
        &*task.key.kind == "CustomResourceDefinition"
            && task.key.name.split_once('.').is_some_and(|(_, group)| *group == *desired.key.group)
    };
    writes.iter().any(|(_, task)| defines(task))
}

/// Whether the object of a task makes the API server change what is written later.
fn changes_others(task: &Task) -> bool {
    *task.key.group == *"admissionregistration.k8s.io" && task.key.kind.starts_with("Mutating")
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{
        super::{
            Next,
            tests::{World, bundle, job},
        },
        *,
    };
    use crate::live::{Drift, Record};

    fn object(api_version: &str, kind: &str, name: &str, annotations: &Value) -> Value {
        json!({"apiVersion": api_version, "kind": kind, "metadata": {"name": name, "annotations": annotations}})
    }

    fn service(name: &str) -> Value {
        object("v1", "Service", name, &json!({}))
    }

    /// The names of what is tried first in an operation on these manifests.
    fn tried(world: &World, manifests: Vec<Value>, sync: Value) -> Vec<String> {
        let run = world.plan(&bundle(manifests), sync);
        match run.next(&world.records, None) {
            Next::Rehearse(places) => {
                places.iter().map(|place| run.tasks[*place].key.name.to_string()).collect()
            }
            _ => Vec::new(),
        }
    }

    fn tried_anew(manifests: Vec<Value>) -> Vec<String> {
        tried(&World::default(), manifests, json!({}))
    }

    #[test]
    fn several_writes_are_tried_and_a_single_one_is_not() {
        assert_eq!(tried_anew(vec![service("a"), service("b")]), ["a", "b"]);
        assert!(tried_anew(vec![service("a")]).is_empty());
        assert!(
            tried(&World::default(), vec![service("a"), service("b")], json!({"dryRun": true})).is_empty()
        );
    }

    #[test]
    fn hooks_are_tried_but_those_for_failures() {
        let hook = |name: &str, phase: &str| job(name, &json!({"argocd.argoproj.io/hook": phase}));
        let manifests = vec![service("a"), hook("before", "PreSync"), hook("alarm", "SyncFail")];
        assert_eq!(tried_anew(manifests), ["before", "a"]);
    }

    #[test]
    fn an_object_that_says_so_is_not_tried() {
        let lax =
            object("v1", "Service", "lax", &json!({"argocd.argoproj.io/sync-options": "Validate=false"}));
        assert_eq!(tried_anew(vec![service("a"), lax]), ["a"]);
        let strict =
            object("v1", "Service", "strict", &json!({"argocd.argoproj.io/sync-options": "Validate=true"}));
        let sync = json!({"syncOptions": ["Validate=false"]});
        let tried = tried(&World::default(), vec![service("a"), strict], sync);
        assert_eq!(tried, ["strict"], "the operation's option is not for all, or an object's does not win");
    }

    #[test]
    fn what_the_comparison_has_had_a_word_on_is_not_tried_again() {
        let (first, second) = (service("a"), service("b"));
        let mut world = World::default();
        for desired in &bundle(vec![first.clone()]).assembly.objects {
            let live: Value = serde_json::from_str(desired.json.get()).expect("an object");
            let verdict = |rejected| Verdict::OutOfSync(Drift { rejected, ..Drift::default() }.into());
            let record = Record {
                verdict: verdict(None),
                ..Record::of(&desired.key, &live, Some(desired), None, &Default::default())
            };
            world.records.put(desired.key.clone(), record.clone());
            let manifests = vec![first.clone(), second.clone()];
            assert_eq!(tried(&world, manifests.clone(), json!({})), ["b"]);
            let refused = Record { verdict: verdict(Some("no".to_owned())), ..record };
            world.records.put(desired.key.clone(), refused);
            assert_eq!(tried(&world, manifests, json!({})), ["a", "b"]);
        }
    }

    /// An operator that an earlier wave starts may bring another schema.
    #[test]
    fn a_custom_object_is_tried_in_the_first_wave_alone() {
        let boat = |name: &str, wave: &str| {
            object("example.com/v1", "Boat", name, &json!({"argocd.argoproj.io/sync-wave": wave}))
        };
        assert_eq!(tried_anew(vec![service("a"), boat("argo", "0"), boat("later", "1")]), ["a", "argo"]);
    }

    #[test]
    fn a_custom_object_waits_for_its_definition_and_nothing_for_what_changes_it() {
        let boat = object("example.com/v1", "Boat", "argo", &json!({}));
        let definition =
            object("apiextensions.k8s.io/v1", "CustomResourceDefinition", "ships.example.com", &json!({}));
        assert_eq!(tried_anew(vec![boat, definition]), ["ships.example.com"]);
        let webhook = object(
            "admissionregistration.k8s.io/v1",
            "MutatingWebhookConfiguration",
            "injector",
            &json!({"argocd.argoproj.io/sync-wave": "-1"}),
        );
        let before = object("v1", "Service", "before", &json!({"argocd.argoproj.io/sync-wave": "-2"}));
        assert_eq!(tried_anew(vec![service("a"), webhook, before]), ["before"]);
    }

    #[test]
    fn a_fault_ends_the_operation_before_it_begins() {
        let world = World::default();
        let alarm = job("alarm", &json!({"argocd.argoproj.io/hook": "SyncFail"}));
        let mut run = world.plan(&bundle(vec![service("a"), service("b"), alarm]), json!({}));
        run.rehearsed(vec![(1, "wrong".to_owned())]);
        let next = format!("{:?}", run.next(&world.records, None));
        let told =
            "one or more objects failed to apply (dry run), so none was applied: /Service/web/b: wrong";
        assert_eq!(next, format!("Finish(Failed, {told:?})"));
        let results: Vec<_> = run.result().resources.iter().map(|result| result.name.clone()).collect();
        assert_eq!(results, ["b"]);
    }

    #[test]
    fn without_a_fault_it_goes_on() {
        let mut world = World::default();
        let mut run = world.plan(&bundle(vec![service("a"), service("b")]), json!({}));
        world.go(&mut run);
        assert_eq!(world.log, ["apply a", "apply b"]);
    }
}

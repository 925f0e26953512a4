//! What becomes of an operation when there is a newer revision.

use ithaca_api::ResultCode;
use serde_json::{Value, json};

use super::*;
use crate::live::Record;

/// An operation for revision b, which automation began, and nothing speaks against its first change.
fn under_way(mut case: Case) -> (Case, Run) {
    let mut run = case.taken_up().expect("an operation that is taken up");
    run.rehearsed(Vec::new());
    case.application.spec.sync_policy = serde_json::from_value(json!({"automated": {}})).ok();
    (case, run)
}

/// There is revision c by now.
fn overtake(case: &mut Case) {
    let mut source = case.bundle.sources[0].clone();
    source.revision = "c".to_owned();
    case.bundle =
        Arc::new(Bundle { sources: vec![source], digest: "e".to_owned(), ..(*case.bundle).clone() });
}

/// One that applies a ConfigMap, while there is revision c.
fn overtaken() -> (Case, Run) {
    let (mut case, run) = under_way(Case::new(running("b", true), json!([])));
    overtake(&mut case);
    (case, run)
}

fn outcome(run: &mut Run, outcome: Outcome) {
    run.task_mut(0).expect("a task").outcome = Some(outcome);
}

/// What becomes of it, in a word or two.
fn fate(case: &Case, run: &Run) -> String {
    match case.decide(Some(run)) {
        Action::Begin(next) => format!("gives way to {}", next.bundle.digest),
        Action::Again(next) => format!("goes on with {}", next.bundle.digest),
        Action::Perform(_) => "does what it is about".to_owned(),
        Action::Write(change) => {
            let state = change.status.operation_state.expect("an operation");
            format!("{}: {}", state.phase, state.message)
        }
        action => format!("{action:?}"),
    }
}

#[test]
fn an_operation_that_waits_or_fails_gives_way_to_a_newer_revision() {
    let (mut case, run) = overtaken();
    let mut unanswered = run.clone();
    unanswered.trouble = Some("no answer".to_owned());
    assert_eq!(fate(&case, &unanswered), "gives way to e", "what it did got no answer");
    let mut between = run.clone();
    between.failed_at = Some(second(-1));
    assert_eq!(fate(&case, &between), "gives way to e", "it is to be tried again");
    let mut failed = run.clone();
    outcome(&mut failed, Outcome::failed("it is immutable"));
    assert_eq!(fate(&case, &failed), "gives way to e", "it failed");
    let mut waits = run.clone();
    let desired = case.bundle.assembly.objects[0].clone();
    let live = desired.as_value().expect("an object");
    case.records.put(desired.key.clone(), Record::of(&desired.key, &live, None, None, &Default::default()));
    waits.task_mut(0).expect("a task").removed = true;
    assert_eq!(fate(&case, &waits), "gives way to e", "it waits for a deletion");
}

#[test]
fn an_operation_gives_way_before_its_objects_are_tried() {
    let service = |name| json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}});
    let mut case = with(running("b", true), vec![service("one"), service("two")]);
    case.records.set_watched(case.bundle.assembly.objects[0].key.group_kind(), true);
    let run = case.taken_up().expect("an operation that is taken up");
    assert!(matches!(case.decide(Some(&run)), Action::Rehearse(_)));
    let (mut case, _) = under_way(case);
    overtake(&mut case);
    assert_eq!(fate(&case, &run), "gives way to e");
}

/// A commit every few seconds would otherwise keep anything from being applied.
#[test]
fn an_operation_that_goes_well_is_not_held_up_by_a_newer_revision() {
    let (case, mut run) = overtaken();
    assert_eq!(fate(&case, &run), "does what it is about");
    outcome(&mut run, Outcome::done(ResultCode::Synced, "created"));
    assert_eq!(fate(&case, &run), "Succeeded: successfully synced (all tasks run)");
}

/// Nobody knows what a hook that is cut short leaves behind.
#[test]
fn a_hook_that_runs_is_waited_for_whatever_is_newer() {
    let (mut case, mut run) = under_way(with_hooks(running("b", true), &["before"]));
    overtake(&mut case);
    start_hook(&mut case, &mut run, 0, second(0));
    assert_eq!(fate(&case, &run), "Running: waiting for completion of hook batch/Job/before");
    outcome(&mut run, Outcome::done(ResultCode::Synced, "it is done"));
    assert_eq!(fate(&case, &run), "Running: hooks have ended");
}

/// By when the window opens, nobody wants the older revision.
#[test]
fn an_operation_that_a_window_catches_gives_way() {
    let (mut case, mut run) = overtaken();
    run.begun = true;
    let closed = json!([{"kind": "deny", "schedule": "* * * * *", "duration": "1h", "applications": ["*"]}]);
    case.project = Case::new(Value::Null, closed).project;
    assert_eq!(fate(&case, &run), "gives way to e");
}

/// Somebody asked for just this, or there is nothing newer that could be applied.
#[test]
fn an_operation_that_somebody_asked_for_and_one_before_a_failure_give_way_to_nothing() {
    let (mut case, mut run) = overtaken();
    run.trouble = Some("no answer".to_owned());
    let mut asked = run.clone();
    asked.operation.initiated_by.automated = false;
    assert_eq!(fate(&case, &asked), "Running: no answer");
    let failure = crate::bundle::Failure { invalid_spec: false, message: "no chart".to_owned() };
    case.bundle = Arc::new(Bundle { failure: Some(failure), ..(*case.bundle).clone() });
    assert_eq!(fate(&case, &run), "Running: no answer");
}

/// It would be told of as running for ever.
#[test]
fn an_operation_goes_on_with_the_newer_revision_where_automation_would_begin_none() {
    let (mut case, mut run) = overtaken();
    run.trouble = Some("no answer".to_owned());
    case.application.spec.sync_policy = None;
    assert_eq!(fate(&case, &run), "goes on with e");
}

/// What it heals may be of a kind that the cluster no longer serves.
#[test]
fn an_operation_that_heals_goes_on_with_what_is_wanted_now() {
    let (mut case, mut run) = under_way(Case::new(running("b", true), json!([])));
    run.trouble = Some("no answer".to_owned());
    let mut heals = run.clone();
    heals.operation.sync.as_mut().expect("a sync").resources =
        serde_json::from_value(json!([{"kind": "ConfigMap", "name": "a"}])).expect("resources");
    assert_eq!(fate(&case, &heals), "Running: no answer", "nothing else is wanted");
    case.bundle = with(Value::Null, Vec::new()).bundle;
    assert_eq!(fate(&case, &heals), "goes on with d");
    assert_eq!(fate(&case, &run), "Running: no answer", "it is for the whole revision");
}

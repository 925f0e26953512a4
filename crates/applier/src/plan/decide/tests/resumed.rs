//! Which bundle an operation takes, and how it goes on that an earlier life of the applier began.

use serde_json::{Value, json};

use super::*;

fn operation(value: Value) -> Operation {
    serde_json::from_value(value).expect("an operation")
}

#[test]
fn an_operation_that_names_a_revision_takes_what_was_rendered_for_its_own_request() {
    let mut case = Case::new(Value::Null, json!([]));
    let asks = |revision: &str| operation(json!({"sync": {"revision": revision}}));
    case.application.operation = Some(asks("v1"));
    let rendered = |case: &Case, revision: &str| {
        let request_key = operation_request_key(&asks(revision)).expect("a key");
        Arc::new(Bundle { request_key, digest: format!("of {revision}"), ..(*case.bundle).clone() })
    };
    assert!(matches!(case.decide(None), Action::Idle(None)), "nothing was rendered for it");
    case.requested = Some(rendered(&case, "v2"));
    assert!(matches!(case.decide(None), Action::Idle(None)), "that is another's");
    case.requested = Some(rendered(&case, "v1"));
    assert_eq!(case.taken_up().expect("an operation").bundle.digest, "of v1");
}

/// A hook of an operation for this revision has succeeded, and then the applier began anew.
fn after_a_hook(revision: &str, automated: bool) -> Case {
    let mut state = running(revision, automated);
    let hook = json!({
        "group": "batch", "version": "v1", "kind": "Job", "namespace": "web", "name": "before",
        "hookType": "PreSync", "hookPhase": "Succeeded", "status": "Synced",
    });
    state["syncResult"]["resources"] = json!([hook]);
    with_hooks(state, &["before"])
}

/// What ran for one revision says nothing of another.
#[test]
fn hooks_run_again_where_the_revision_is_another_by_now() {
    for automated in [false, true] {
        let same = after_a_hook("b", automated).taken_up().expect("it goes on");
        assert_eq!((same.retries, same.has_begun_hooks()), (0, true), "automated: {automated}");
        let other = after_a_hook("a", automated).taken_up().expect("it goes on");
        assert_eq!((other.retries, other.has_begun_hooks()), (1, false), "automated: {automated}");
    }
}

/// Whoever asked is told of the revision that it is by now, in the attempt that was begun.
#[test]
fn without_hooks_the_same_attempt_goes_on_at_another_revision() {
    let run = Case::new(running("a", false), json!([])).taken_up().expect("it goes on");
    assert_eq!((run.retries, run.bundle.revisions()), (0, vec!["b".to_owned()]));
    let run = Case::new(running("a", true), json!([])).taken_up().expect("it goes on");
    assert_eq!(run.retries, 1, "automation counts another revision as another attempt");
}

//! What becomes of an operation under way when the Application changes beneath it.

use ithaca_api::Operation;
use jiff::Timestamp;
use serde_json::json;

use super::*;
use crate::{
    bundle::Bundle,
    plan::{Comparison, Run},
};

const UID: &str = "5f0c2f2e-0000-4000-8000-000000000001";
const BEGUN: i64 = 1_790_000_000;

fn application(version: u32, begun: Option<i64>) -> Application {
    let state = begun
        .and_then(|begun| Timestamp::from_second(begun).ok())
        .map(|begun| json!({"operation": {}, "phase": "Running", "startedAt": begun.to_string()}));
    let application = json!({
        "metadata": {"name": "shop", "namespace": "argocd", "uid": UID, "resourceVersion": version.to_string()},
        "spec": {"project": "default", "destination": {"namespace": "shop"}},
        "status": {"operationState": state},
    });
    serde_json::from_value(application).expect("an Application")
}

/// An operation that began then is under way, and the Application tells of `told`.
fn under_way(told: Option<i64>) -> State {
    let mut state = State::default();
    state.put_application(application(1, told), "argocd");
    let bundle = Arc::new(Bundle::new(BundleRendered::default(), Arc::default()));
    let began = Timestamp::from_second(BEGUN).expect("a time");
    let run = Run::plan(Operation::default(), bundle, &Comparison::default(), &Records::default(), began);
    state.apps.get_mut(UID).expect("it is known").run = Some(run);
    state
}

fn goes_on(state: &State) -> bool {
    state.apps.get(UID).is_some_and(|app| app.run.is_some())
}

#[test]
fn an_operation_that_another_applier_began_or_ended_takes_the_place_of_ones_own() {
    for told in [None, Some(BEGUN - 60)] {
        let mut state = under_way(told);
        state.put_application(application(2, told), "argocd");
        assert!(goes_on(&state), "the Application tells of the one before");
        state.put_application(application(3, Some(BEGUN)), "argocd");
        assert!(goes_on(&state), "it tells of this one");
        state.put_application(application(4, None), "argocd");
        assert!(goes_on(&state), "somebody asked for another");
        state.put_application(application(5, Some(BEGUN + 3)), "argocd");
        assert!(!goes_on(&state), "somebody else began one");
    }
}

/// Few of many look like few of few.
#[test]
fn what_an_application_set_has_is_not_known_before_all_applications_are() {
    let mut generated = application(1, None);
    let owner = json!([{
        "apiVersion": "argoproj.io/v1alpha1", "kind": "ApplicationSet", "name": "shops", "uid": "a", "controller": true,
    }]);
    generated.metadata.owner_references = serde_json::from_value(owner).ok();
    let set = ApplicationSet::of(&generated).expect("an ApplicationSet");
    let mut state = State::default();
    state.put_application(generated, "argocd");
    assert!(state.generated_from(&set).is_none());
    state.listed = true;
    assert_eq!(state.generated_from(&set).map(|all| all.len()), Some(1));
}

#[test]
fn since_when_an_application_goes_is_told_from_the_first_word_of_it() {
    let going = |version| {
        let mut application = application(version, None);
        let long_ago = Timestamp::from_second(BEGUN).ok().map(|at| json!(at.to_string()));
        application.metadata.deletion_timestamp = long_ago.and_then(|at| serde_json::from_value(at).ok());
        application
    };
    let before = Timestamp::now();
    let mut state = State::default();
    let since = |state: &State| state.apps.get(UID).and_then(|app| app.going_since);
    state.put_application(application(1, None), "argocd");
    assert_eq!(since(&state), None);
    state.put_application(going(2), "argocd");
    let first = since(&state);
    assert!(first >= Some(before), "by its own clock: {first:?}");
    state.put_application(going(3), "argocd");
    assert_eq!(since(&state), first);
    let mut restarted = State::default();
    restarted.put_application(going(3), "argocd");
    assert!(since(&restarted) >= first, "another life hears of it when it begins");
}

/// Who waits for another was not woken once an older version of it, which names nobody, had passed by late.
#[test]
fn what_an_older_version_names_does_not_count() {
    let naming = |version, other: &str| {
        let mut application = application(version, None);
        let annotation = (ithaca_api::annotation::DEPENDS_ON.to_owned(), other.to_owned());
        application.metadata.annotations = Some([annotation].into());
        application
    };
    let mut base = application(1, None);
    (base.metadata.name, base.metadata.uid) = (Some("base".to_owned()), Some("base".to_owned()));
    let mut state = State::default();
    state.put_application(base.clone(), "argocd");
    state.put_application(naming(3, "base"), "argocd");
    state.put_application(naming(2, "other"), "argocd");
    assert_eq!(state.concerned_by(&base), [Uid::from(UID)]);
}

/// What was decided on a version that is not known any more was written over what somebody asked for since.
#[test]
fn a_decision_holds_for_the_version_that_it_was_made_on() {
    let mut state = State::default();
    state.put_application(application(1, None), "argocd");
    let version = Some("1".to_owned());
    assert!(state.at_version(UID, &version).is_some());
    state.put_application(application(2, None), "argocd");
    assert!(state.at_version(UID, &version).is_none());
}

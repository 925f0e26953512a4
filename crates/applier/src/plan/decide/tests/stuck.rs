//! What becomes of operations while nothing can be decided.

use serde_json::json;

use super::*;
use crate::{
    clusters::{Known, NoCluster, Reach},
    projects::Project,
};

/// What is written where the application is stuck in each of the ways in which it can be.
fn told(case: &mut Case, run: Option<&Run>) -> Vec<Change> {
    let mut known = Known::home();
    known.reach = Reach::Down("it is off".into());
    let mut actions =
        vec![case.decide_at(Err(NoCluster::Unknown("edge")), run), case.decide_at(Ok(&known), run)];
    let rules = case.owner.rules.clone();
    case.owner.rules =
        Arc::new(crate::rules::Rules { fault: Some("no rule".to_owned()), ..(*rules).clone() });
    actions.push(case.decide(run));
    case.owner.rules = rules;
    let permits_nothing = json!({"metadata": {"name": "default"}, "spec": {}});
    let strict = Project::of(serde_json::from_value(permits_nothing).expect("an AppProject"));
    let project = std::mem::replace(&mut case.project, strict);
    actions.push(case.decide(run));
    case.project = project;
    let bundle = case.bundle.clone();
    let failure = crate::bundle::Failure { invalid_spec: false, message: "no chart".to_owned() };
    let unrendered = Bundle { digest: String::new(), failure: Some(failure), ..(*bundle).clone() };
    case.bundle = Arc::new(unrendered);
    actions.push(case.decide(run));
    case.bundle = bundle;
    let changes = actions.into_iter().map(|action| match action {
        Action::Write(change) => Ok(*change),
        other => Err(other),
    });
    changes.collect::<Result<_, _>>().expect("each is told")
}

fn state(change: &Change) -> (OperationPhase, &str) {
    let state = change.status.operation_state.as_ref().expect("an operation");
    (state.phase, &state.message)
}

/// Was left on the Application for ever, and whoever asked for it never heard of it.
#[test]
fn an_operation_that_is_asked_for_ends_with_the_reason() {
    let mut case = Case::new(json!(null), json!([]));
    case.application.operation = serde_json::from_value(json!({"sync": {}})).ok();
    for (change, reason) in
        told(&mut case, None).iter().zip(["edge", "it is off", "no rule", "project", "no chart"])
    {
        let (phase, message) = state(change);
        assert_eq!(phase, OperationPhase::Error, "{message}");
        assert!(message.contains(reason), "{message} is not about {reason}");
        assert!(change.clears_operation && change.is_pressing, "{message}");
    }
}

#[test]
fn an_operation_under_way_tells_what_it_waits_for_and_is_not_given_up() {
    let mut case = Case::new(running("b", false), json!([]));
    let run = case.taken_up().expect("an operation that is taken up");
    for change in told(&mut case, Some(&run)) {
        let (phase, message) = state(&change);
        assert_eq!(phase, OperationPhase::Running, "{message}");
        assert!(message.starts_with("waiting: "), "{message}");
        assert!(!change.ends_run && !change.clears_operation && !change.is_pressing, "{message}");
    }
}

/// Was passed over: only an application that could be decided on could be told to stop.
#[test]
fn an_operation_under_way_can_be_stopped() {
    let mut case = Case::new(running("b", false), json!([]));
    let run = case.taken_up().expect("an operation that is taken up");
    let status = case.application.status.as_mut().and_then(|status| status.operation_state.as_mut());
    let under_way = status.expect("an operation");
    under_way.phase = OperationPhase::Terminating;
    case.application.operation = Some(under_way.operation.clone());
    for change in told(&mut case, Some(&run)) {
        assert_eq!(state(&change), (OperationPhase::Failed, "Operation terminated"));
        assert!(change.ends_run && change.clears_operation);
    }
}

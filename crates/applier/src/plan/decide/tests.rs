//! What is decided after a restart, and in closed windows.

mod attempts;
mod held;
mod history;
mod hooks;
mod newest;
mod resumed;
mod stuck;
mod superseded;
mod warned;
mod watched;
mod written;

use serde_json::{Value, json};

use super::*;
use crate::{
    clusters::{Known, NoCluster, Reach},
    desired::Owner,
    live::Record,
    orphans::Orphaned,
    plan::{Asked, Guard, dependencies::Nobody},
    projects::Project,
};

/// An Application at revision b with an operation for it or for another, in a project with these windows.
pub(super) struct Case {
    pub(super) application: Application,
    pub(super) project: Project,
    pub(super) bundle: Arc<Bundle>,
    pub(super) requested: Option<Arc<Bundle>>,
    pub(super) owner: Owner,
    pub(super) records: Records,
    pub(super) asked: Asked,
    pub(super) now: Timestamp,
}

impl Case {
    pub(super) fn new(state: Value, windows: Value) -> Self {
        let source = json!({"repoURL": "https://git.example.org/a", "path": "app", "targetRevision": "HEAD"});
        let destination = json!({"name": "in-cluster", "namespace": "web"});
        let application = json!({
            "metadata": {"name": "web", "namespace": "argocd"},
            "spec": {"project": "default", "source": source, "destination": destination},
            "status": {"operationState": state},
        });
        let project = json!({"metadata": {"name": "default"}, "spec": {
            "sourceRepos": ["*"], "destinations": [{"server": "*", "namespace": "*"}], "syncWindows": windows,
        }});
        let source = crate::bundle::Source {
            source: serde_json::from_value(source).expect("a source"),
            revision: "b".to_owned(),
            source_type: None,
            commit: Default::default(),
        };
        let owner = Owner { instance: "web".to_owned(), namespace: "web".to_owned(), ..Owner::default() };
        let manifest = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}});
        let assembly = crate::desired::assemble(vec![manifest], &owner, &|_| Some(true));
        let bundle = Bundle::new(ithaca_proto::v1::BundleRendered::default(), Arc::new(assembly));
        let mut records = Records::default();
        records.set_watched(bundle.assembly.objects[0].key.group_kind(), true);
        Self {
            application: serde_json::from_value(application).expect("an Application"),
            project: Project::of(serde_json::from_value(project).expect("an AppProject")),
            bundle: Arc::new(Bundle { sources: vec![source], digest: "d".to_owned(), ..bundle }),
            requested: None,
            owner,
            records,
            asked: Asked::default(),
            now: Timestamp::UNIX_EPOCH,
        }
    }

    pub(super) fn decide(&self, run: Option<&Run>) -> Action {
        self.decide_at(Ok(&Known::home()), run)
    }

    pub(super) fn decide_at(&self, cluster: Result<&Known, NoCluster<'_>>, run: Option<&Run>) -> Action {
        decide(View {
            cluster,
            application: &self.application,
            owner: &self.owner,
            tracked: Some(&self.bundle),
            requested: self.requested.as_ref(),
            asked: self.asked,
            project: Some(&self.project),
            orphaned: Orphaned::None,
            held: None,
            run,
            refreshed: 0,
            records: &self.records,
            guard: Guard::default(),
            others: &Nobody,
            control_plane: "argocd",
            now: self.now,
        })
    }

    /// The operation that is taken up.
    pub(super) fn taken_up(&self) -> Option<Run> {
        match self.decide(None) {
            Action::Begin(run) => Some(*run),
            _ => None,
        }
    }

    /// What is written.
    pub(super) fn told(&self, run: Option<&Run>) -> Option<Change> {
        match self.decide(run) {
            Action::Write(change) => Some(*change),
            _ => None,
        }
    }
}

pub(super) fn running(revision: &str, automated: bool) -> Value {
    json!({
        "operation": {"sync": {"revision": if automated { revision } else { "" }}, "initiatedBy": {"automated": automated}},
        "phase": "Running",
        "startedAt": "1970-01-01T00:00:00Z",
        "syncResult": {"revision": revision},
    })
}

pub(super) fn with(state: Value, manifests: Vec<Value>) -> Case {
    let mut case = Case::new(state, json!([]));
    let assembly = crate::desired::assemble(manifests, &case.owner, &|_| Some(true));
    case.bundle = Arc::new(Bundle { assembly: Arc::new(assembly), ..(*case.bundle).clone() });
    case
}

/// An Application with nothing but these hooks, which run before the sync.
pub(super) fn with_hooks(state: Value, names: &[&str]) -> Case {
    let hook = |name| {
        let metadata = json!({"name": name, "annotations": {"argocd.argoproj.io/hook": "PreSync"}});
        json!({"apiVersion": "batch/v1", "kind": "Job", "metadata": metadata})
    };
    let mut case = with(state, names.iter().map(hook).collect());
    case.records.set_watched(GroupKind { group: "batch".to_owned(), kind: "Job".to_owned() }, true);
    case
}

pub(super) fn second(second: i64) -> Timestamp {
    Timestamp::from_second(second).expect("a time")
}

/// A hook that its operation started, and that has run since then.
pub(super) fn start_hook(case: &mut Case, run: &mut Run, place: usize, since: Timestamp) {
    let task = run.task_mut(place).expect("a task");
    let Effect::Hook(hook) = &task.effect else { unreachable!("{task:?}") };
    let mut live = hook.object.as_value().expect("an object");
    live["metadata"]["creationTimestamp"] = json!(since.to_string());
    case.records.put(task.key.clone(), Record::of(&task.key, &live, None, None, &Default::default()));
    task.outcome = Some(Outcome::running("created"));
}

fn closed() -> Value {
    json!([{"kind": "deny", "schedule": "* * * * *", "duration": "1h", "applications": ["*"]}])
}

/// Automation may have been switched off meanwhile, or the newer revision may ask for nothing: the operation of the
/// earlier life would be told of as running for ever.
#[test]
fn an_operation_that_a_newer_revision_met_during_a_restart_still_ends() {
    let mut case = Case::new(running("a", true), json!([]));
    case.bundle = Arc::new(Bundle { assembly: Arc::default(), ..(*case.bundle).clone() });
    let run = case.taken_up().expect("an operation that is taken up");
    let change = case.told(Some(&run)).expect("an end that is told");
    let state = change.status.operation_state.expect("an operation");
    assert_eq!((state.phase, change.ends_run), (OperationPhase::Succeeded, true));
}

/// By when the window opens, the cluster may be another.
#[test]
fn an_operation_that_a_window_catches_is_planned_anew_when_it_opens() {
    let open = Case::new(running("b", false), json!([]));
    let mut run = open.taken_up().expect("an operation that is taken up");
    run.begun = true;
    let mut case = Case::new(running("b", false), closed());
    let change = case.told(Some(&run)).expect("why it waits");
    let state = change.status.operation_state.clone().expect("an operation");
    assert!(state.message.starts_with("Sync operation blocked by sync window"), "{}", state.message);
    assert_eq!(state.phase, OperationPhase::Running);
    case.application.status = Some(change.status);
    assert!(matches!(case.decide(Some(&run)), Action::SetAside));
    assert!(matches!(case.decide(None), Action::Idle(_)), "it waits without a plan");
}

#[test]
fn an_operation_that_waits_for_its_window_can_be_stopped() {
    let mut state = running("b", false);
    state["phase"] = json!("Terminating");
    let case = Case::new(state, closed());
    let run = case.taken_up().expect("an operation that is taken up");
    let change = case.told(Some(&run)).expect("an end that is told");
    let state = change.status.operation_state.expect("an operation");
    assert_eq!((state.phase, &*state.message), (OperationPhase::Failed, "Operation terminated"));
}

/// Was seen as an object that was gone for good: its operation was stopped while it was to be made anew.
#[test]
fn what_was_deleted_to_be_made_anew_is_made_before_a_stopped_operation_ends() {
    let mut state = running("b", false);
    state["phase"] = json!("Terminating");
    let mut case = Case::new(state, closed());
    let desired = case.bundle.assembly.objects[0].clone();
    let live = desired.as_value().expect("an object");
    let record = Record::of(&desired.key, &live, None, None, &Default::default());
    case.records.put(desired.key.clone(), record);
    let mut run = case.taken_up().expect("an operation that is taken up");
    run.task_mut(0).expect("a task").removed = true;
    let change = case.told(Some(&run)).expect("what it waits for");
    let state = change.status.operation_state.clone().expect("an operation");
    assert_eq!(state.phase, OperationPhase::Terminating);
    assert!(state.message.starts_with("waiting for deletion of /ConfigMap/a"), "{}", state.message);
    assert!(!change.ends_run);
    case.application.status = Some(change.status);
    assert!(matches!(case.decide(Some(&run)), Action::Idle(None)), "it is told once");
    case.records.remove(&desired.key);
    run.trouble = Some("no answer".to_owned());
    let action = case.decide(Some(&run));
    assert!(matches!(&action, Action::Perform(places) if places == &[0]), "{action:?}");
    run.task_mut(0).expect("a task").outcome = Some(Outcome::failed("no"));
    let state = case.told(Some(&run)).and_then(|change| change.status.operation_state).expect("an end");
    assert_eq!((state.phase, &*state.message), (OperationPhase::Failed, "Operation terminated"));
}

/// Was seen as a commit that was never synced: the operation for it was ended in the place of the one before.
#[test]
fn what_is_stopped_is_the_operation_that_ran_and_not_the_next() {
    let mut state = running("b", true);
    let mut case = Case::new(state.clone(), json!([]));
    let run = case.taken_up().expect("an operation that is taken up");
    state["phase"] = json!("Terminating");
    case.application = Case::new(state, json!([])).application;
    let automated: ithaca_api::sync_policy::SyncPolicy =
        serde_json::from_value(json!({"automated": {}})).expect("a policy");
    case.application.spec.sync_policy = Some(automated);
    let mut source = case.bundle.sources[0].clone();
    source.revision = "c".to_owned();
    case.bundle =
        Arc::new(Bundle { sources: vec![source], digest: "e".to_owned(), ..(*case.bundle).clone() });
    let change = case.told(Some(&run)).expect("an end that is told");
    let state = change.status.operation_state.expect("an operation");
    let revision = state.sync_result.map(|result| result.revision.clone());
    assert_eq!((state.phase, revision.as_deref()), (OperationPhase::Failed, Some("b")));
}

/// A cluster that stays down is told of once.
#[test]
fn a_cluster_that_is_down_is_told_of_and_then_nothing_is_written() {
    let mut case = Case::new(Value::Null, json!([]));
    let mut known = Known::home();
    known.reach = Reach::Down("it is off".into());
    let change = match case.decide_at(Ok(&known), None) {
        Action::Write(change) => Some(*change),
        _ => None,
    };
    let status = change.expect("a word of it").status;
    let told = "failed to reach cluster in-cluster (https://kubernetes.default.svc): it is off";
    assert_eq!(status.conditions[0].message, told);
    assert_eq!(status.sync.as_ref().map(|sync| sync.status), Some(ithaca_api::SyncStatusCode::Unknown));
    case.application.status = Some(status);
    assert!(matches!(case.decide_at(Ok(&known), None), Action::Idle(None)));
    known.reach = Reach::Connecting;
    assert!(matches!(case.decide_at(Ok(&known), None), Action::Idle(None)));
}

#[test]
fn an_application_that_goes_waits_for_a_cluster_that_is_down_and_for_none_that_is_unknown() {
    let mut case = Case::new(Value::Null, json!([]));
    let ours = ["resources-finalizer.argocd.argoproj.io", "post-delete-finalizer.argocd.argoproj.io/cleanup"];
    let finalizers = ours.into_iter().chain(["example.org/theirs"]).map(str::to_owned);
    case.application.metadata.finalizers = Some(finalizers.collect());
    case.application.metadata.deletion_timestamp = serde_json::from_str("\"2026-01-01T00:00:00Z\"").ok();
    let mut known = Known::home();
    known.reach = Reach::Down("it is off".into());
    let waits = case.decide_at(Ok(&known), None);
    assert!(
        matches!(&waits, Action::Write(change) if change.status.conditions[0].message.contains("it is off")),
        "{waits:?}"
    );
    let goes = case.decide_at(Err(NoCluster::Unknown("edge")), None);
    assert!(matches!(&goes, Action::Release(left) if left == &["example.org/theirs"]), "{goes:?}");
    case.application.metadata.finalizers = Some(vec!["example.org/theirs".to_owned()]);
    assert!(matches!(case.decide_at(Err(NoCluster::Unknown("edge")), None), Action::Idle(None)));
}

/// A branch that moved on is what a retry with `refresh` takes; without it each attempt is for the same commit.
#[test]
fn a_retry_takes_the_newest_revision_only_where_it_is_to_refresh() {
    for (refresh, automated, expected) in [(false, false, "d"), (true, false, "e"), (false, true, "e")] {
        let mut state = running("b", automated);
        let backoff = json!({"duration": "1s", "maxDuration": "1s"});
        state["operation"]["retry"] = json!({"limit": 1, "refresh": refresh, "backoff": backoff});
        let mut case = Case::new(state, json!([]));
        let mut run = case.taken_up().expect("an operation that is taken up");
        run.failed_at = Timestamp::from_second(-1).ok();
        case.bundle = Arc::new(Bundle { digest: "e".to_owned(), ..(*case.bundle).clone() });
        let action = case.decide(Some(&run));
        let Action::Again(next) = &action else { unreachable!("{refresh} {automated}: {action:?}") };
        assert_eq!((&*next.bundle.digest, next.retries), (expected, 1), "{refresh} {automated}");
    }
}

#[test]
fn an_operation_is_retried_as_often_as_it_says_and_no_earlier() {
    let mut state = running("b", false);
    let backoff = json!({"duration": "10s", "factor": 3, "maxDuration": "1m"});
    state["operation"]["retry"] = json!({"limit": 2, "backoff": backoff});
    let case = Case::new(state, json!([]));
    let mut run = case.taken_up().expect("an operation that is taken up");
    let due = |run: &Run, at: i64| run.retry_at(Timestamp::from_second(at).expect("a time"));
    let second = |at: i64| Timestamp::from_second(at).ok();
    assert_eq!(due(&run, 5), second(15));
    run.retries = 1;
    assert_eq!(due(&run, 5), second(35));
    run.retries = 2;
    assert_eq!(due(&run, 5), None);
    run.operation.retry = Default::default();
    run.retries = 0;
    assert_eq!(due(&run, 5), None, "nobody asked for it");
}

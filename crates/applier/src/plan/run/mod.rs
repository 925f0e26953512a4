//! An operation under way: its tasks, their order, and what comes next.
//!
//! What comes in: an operation, what is wanted, and how the cluster compares. What goes out: the tasks to do
//! next, or what is waited for, or how it ended. A run is thrown away freely: doing a task again changes nothing, and
//! hooks that were started are known by their marks.

mod hooks;
mod rehearsal;
mod step;
mod tasks;

use std::sync::Arc;

use ithaca_api::{
    Operation, OperationPhase, ResultCode, SyncOptions,
    operation::SyncOperation,
    status::{OperationState, ResourceResult, SyncOperationResult},
};
use jiff::{Timestamp, ToSpan};

pub use hooks::Unended;
use rehearsal::Rehearsal;

use super::comparison::Comparison;
use crate::{
    bundle::Bundle,
    desired::Desired,
    hook::{Attempt, Instance},
    live::{Drift, Records},
    object::ObjectKey,
    order::Phase,
};

/// An operation under way.
#[derive(Clone, Debug)]
pub struct Run {
    /// What was asked for.
    pub operation: Operation,
    /// What it applies.
    pub bundle: Arc<Bundle>,
    /// When it began.
    pub started_at: Timestamp,
    /// In the order in which they are done. Shared: of a run there are copies while it is told of.
    pub tasks: Arc<Vec<Task>>,
    /// How often it was repeated.
    pub retries: i64,
    /// The last attempt failed then, and another follows.
    pub failed_at: Option<Timestamp>,
    /// Why the last attempt failed.
    pub failure: Option<String>,
    /// Whether `status.operationState` tells of it.
    pub announced: bool,
    /// Why the last tasks got no answer; they are done again.
    pub trouble: Option<String>,
    /// The drift that it puts right.
    pub drift: Strayed,
    /// Whether anything was done already.
    pub begun: bool,
    /// How far its objects were tried before the first is changed.
    pub rehearsal: Rehearsal,
    /// Why it is refused as it was asked for.
    pub refused: Vec<String>,
    /// What the project does not permit of what it is about.
    pub forbidden: Vec<String>,
    /// The phase of an Application's deletion whose hooks it runs; None where it syncs.
    pub deletes: Option<Phase>,
}

/// Objects that are not as wanted, and how they differ; None where they are gone.
pub type Strayed = Vec<(ObjectKey, Option<Arc<Drift>>)>;

/// One object's part in an operation.
#[derive(Clone, Debug)]
pub struct Task {
    /// Which object.
    pub key: ObjectKey,
    /// The phase in which it is done.
    pub phase: Phase,
    /// The wave in which it is done.
    pub wave: i64,
    /// What is done to it.
    pub effect: Effect,
    /// Somebody has to confirm it first.
    pub confirm: bool,
    /// What became of it; None while it is to be done.
    pub outcome: Option<Outcome>,
    /// The live object was deleted to be made anew, by force.
    pub removed: bool,
}

/// What a task does.
#[derive(Clone, Debug)]
pub enum Effect {
    /// Applies the object.
    Apply(Arc<Desired>),
    /// Deletes the object, whose kind is served at this version.
    Prune(String),
    /// Creates the object and waits for its end.
    Hook(Arc<Instance>),
}

/// What became of a task.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// For `operationState.syncResult`.
    pub code: ResultCode,
    /// For people.
    pub message: String,
    /// How far it is: of a hook that was started, `Running`.
    pub phase: OperationPhase,
}

impl Outcome {
    /// It was done.
    pub fn done(code: ResultCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), phase: OperationPhase::Succeeded }
    }

    /// A hook was started.
    pub fn running(message: impl Into<String>) -> Self {
        Self { phase: OperationPhase::Running, ..Self::done(ResultCode::Synced, message) }
    }

    /// It failed.
    pub fn failed(message: impl Into<String>) -> Self {
        Self { phase: OperationPhase::Failed, ..Self::done(ResultCode::SyncFailed, message) }
    }
}

/// What comes next in a run.
#[derive(Debug, PartialEq)]
pub enum Next {
    /// The API server is asked about the objects of these tasks, before anything is changed.
    Rehearse(Vec<usize>),
    /// These tasks, side by side.
    Perform(Vec<usize>),
    /// This became of these tasks, as the cluster tells.
    Conclude(Vec<(usize, Outcome)>),
    /// The end of these hooks is known; once it is recorded their finalizer goes.
    LetGo(Vec<ObjectKey>),
    /// The objects of these hooks are deleted.
    Discard(Vec<ObjectKey>),
    /// Nothing until the cluster changes.
    Wait(String),
    /// The next attempt, not before then.
    RetryAt(Timestamp),
    /// It ended.
    Finish(OperationPhase, String),
}

impl Run {
    /// Plans an operation.
    pub fn plan(
        operation: Operation,
        bundle: Arc<Bundle>,
        comparison: &Comparison,
        records: &Records,
        now: Timestamp,
    ) -> Self {
        let mut run = Self::new(operation, bundle, now);
        run.set_tasks(comparison, records);
        run
    }

    fn new(operation: Operation, bundle: Arc<Bundle>, started_at: Timestamp) -> Self {
        Self {
            operation,
            bundle,
            started_at,
            tasks: Arc::default(),
            retries: 0,
            failed_at: None,
            failure: None,
            announced: false,
            trouble: None,
            drift: Vec::new(),
            begun: false,
            rehearsal: Rehearsal::Over,
            refused: Vec::new(),
            forbidden: Vec::new(),
            deletes: None,
        }
    }

    /// Where it has hooks, makes it begin after an operation that ended, by a whole second: hooks are marked with that
    /// time, and what is told of it has no finer one.
    pub fn begin_after(&mut self, last: Timestamp, comparison: &Comparison, records: &Records) {
        let hooks = self.tasks.iter().any(|task| matches!(task.effect, Effect::Hook(_)));
        if hooks && self.started_at.as_second() <= last.as_second() {
            self.started_at = last.checked_add(1.second()).unwrap_or(self.started_at);
            self.set_tasks(comparison, records);
        }
    }

    /// Plans the hooks of a phase of an Application's deletion, and goes on where an earlier life was.
    pub fn of_deletion(bundle: Arc<Bundle>, phase: Phase, since: Timestamp, records: &Records) -> Self {
        let mut run = Self::new(Operation::default(), bundle, since);
        run.tasks = Arc::new(tasks::hook_tasks(&run.bundle, run.attempt(), &[phase]));
        run.announced = true;
        run.deletes = Some(phase);
        run.recall(None, records);
        run
    }

    /// Goes on where an earlier life of the applier was.
    pub fn resume(&mut self, state: &OperationState, comparison: &Comparison, records: &Records) {
        self.started_at = state.started_at.0;
        self.retries = state.retry_count;
        self.announced = true;
        self.begun = state.sync_result.as_ref().is_some_and(|result| !result.resources.is_empty());
        self.set_tasks(comparison, records);
        self.recall(state.sync_result.as_ref(), records);
        if self.begun || self.has_running_hook() {
            self.rehearsal = Rehearsal::Over;
        }
    }

    /// The task at this place.
    pub fn task_mut(&mut self, place: usize) -> Option<&mut Task> {
        Arc::make_mut(&mut self.tasks).get_mut(place)
    }

    /// Plans the next attempt.
    pub fn again(&mut self, bundle: Arc<Bundle>, comparison: &Comparison, records: &Records) {
        self.bundle = bundle;
        self.retries += 1;
        self.failed_at = None;
        // Its hooks are marked with its number, which has to be known to whoever finds them.
        self.announced = false;
        self.set_tasks(comparison, records);
    }

    fn set_tasks(&mut self, comparison: &Comparison, records: &Records) {
        let sync = self.operation.sync.clone().unwrap_or_default();
        let tasks = tasks::tasks(&sync, self.attempt(), &self.bundle, comparison, records);
        self.tasks = Arc::new(tasks);
        if !sync.dry_run {
            let options = SyncOptions::from_list(&sync.sync_options);
            self.rehearsal = Rehearsal::of(&self.tasks, &options, records);
        }
        self.refused = refused(&sync, comparison);
        let nothing = "Invalid operation: operation.sync is missing, and nothing else can be asked for";
        self.refused.extend(self.operation.sync.is_none().then(|| nothing.to_owned()));
        self.forbidden = forbidden(&sync, comparison);
    }

    fn attempt(&self) -> Attempt {
        Attempt { started_at: self.started_at, retries: self.retries }
    }

    /// Whether nothing is changed for real.
    pub fn is_dry(&self) -> bool {
        self.operation.sync.as_ref().is_some_and(|sync| sync.dry_run)
    }

    /// Whether only named objects are synced.
    pub fn is_selective(&self) -> bool {
        self.operation.sync.as_ref().is_some_and(|sync| !sync.resources.is_empty())
    }

    /// What was done, for the status.
    pub fn result(&self) -> SyncOperationResult {
        let mut revisions = self.bundle.revisions();
        let mut sources: Vec<_> = self.bundle.sources.iter().map(|source| source.source.shown()).collect();
        let several =
            self.operation.sync.as_ref().is_some_and(|sync| !sync.revisions.is_empty()) || sources.len() > 1;
        let mut resources = Vec::with_capacity(self.tasks.len());
        resources.extend(self.tasks.iter().filter_map(resource_result));
        let mut result =
            SyncOperationResult { resources: Arc::new(resources), ..SyncOperationResult::default() };
        if several {
            (result.revisions, result.sources) = (revisions, sources);
        } else {
            (result.revision, result.source) = (revisions.pop().unwrap_or_default(), sources.pop());
        }
        let namespace = self.bundle.assembly.objects.iter().find(|desired| desired.is_destination);
        let metadata = namespace.and_then(|desired| desired.as_value()?.get("metadata").cloned());
        result.managed_namespace_metadata =
            metadata.and_then(|metadata| serde_json::from_value(metadata).ok());
        result
    }
}

/// What an operation asks for and cannot have.
fn refused(sync: &SyncOperation, comparison: &Comparison) -> Vec<String> {
    let manifests =
        "operation.sync.manifests is not supported: commit them, or name a revision that has them";
    let manifests = (!sync.manifests.is_empty()).then(|| manifests.to_owned());
    let fails = SyncOptions::from_list(&sync.sync_options).fail_on_shared_resource();
    let shared = comparison.shared.iter().filter(|_| fails);
    let shared = shared.map(|(key, other)| {
        format!(
            "Shared resource found: {key} is part of application {other} already (FailOnSharedResource=true)"
        )
    });
    manifests.into_iter().chain(shared).collect()
}

/// What the project does not permit of what an operation is about.
fn forbidden(sync: &SyncOperation, comparison: &Comparison) -> Vec<String> {
    let meant = comparison
        .forbidden
        .iter()
        .filter(|forbidden| forbidden.key.as_ref().is_none_or(|key| tasks::is_selected(sync, key)));
    meant.map(ToString::to_string).collect()
}

fn resource_result(task: &Task) -> Option<ResourceResult> {
    let outcome = task.outcome.as_ref()?;
    let (version, images, hook_type) = match &task.effect {
        Effect::Apply(desired) => (desired.version.clone(), desired.images.clone(), String::new()),
        Effect::Hook(hook) => {
            (hook.object.version.clone(), hook.object.images.clone(), task.phase.to_string())
        }
        Effect::Prune(version) => (version.clone(), Vec::new(), String::new()),
    };
    Some(ResourceResult {
        group: task.key.group.to_string(),
        version,
        kind: task.key.kind.to_string(),
        namespace: task.key.namespace.to_string(),
        name: task.key.name.to_string(),
        status: Some(outcome.code),
        message: outcome.message.clone(),
        hook_phase: Some(outcome.phase),
        hook_type,
        sync_phase: task.phase.to_string(),
        images,
    })
}

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;

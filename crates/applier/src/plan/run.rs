//! An operation under way: its tasks, their order, and what comes next.
//!
//! What comes in: an operation, what is wanted, and how the cluster compares. What goes out: the tasks to do
//! next, or what is waited for, or how it ended. A run is thrown away freely: doing a task again changes nothing.

use std::sync::Arc;

use ithaca_api::{
    HealthStatusCode, Operation, OperationPhase, ResultCode, SyncOptions, annotation,
    operation::SyncOperation,
    status::{ResourceResult, SyncOperationResult},
    sync_options::Deletion,
};
use jiff::Timestamp;

use super::{comparison::Comparison, decide::approves, deletion};
use crate::{
    bundle::Bundle,
    desired::Desired,
    live::{Drift, Records, Verdict},
    object::ObjectKey,
    order,
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
    /// In the order in which they are done.
    pub tasks: Vec<Task>,
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
    /// What the project does not permit of what it is about.
    pub forbidden: Vec<String>,
}

/// Objects that are not as wanted, and how they differ; None where they are gone.
pub type Strayed = Vec<(ObjectKey, Option<Arc<Drift>>)>;

/// One object's part in an operation.
#[derive(Clone, Debug)]
pub struct Task {
    /// Which object.
    pub key: ObjectKey,
    /// The wave in which it is done.
    pub wave: i64,
    /// What is done to it.
    pub effect: Effect,
    /// Somebody has to confirm it first.
    pub confirm: bool,
    /// What became of it; None while it is to be done.
    pub outcome: Option<Outcome>,
}

/// What a task does.
#[derive(Clone, Debug)]
pub enum Effect {
    /// Applies the object.
    Apply(Arc<Desired>),
    /// Deletes the object.
    Prune,
}

/// What became of a task.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// For `operationState.syncResult`.
    pub code: ResultCode,
    /// For people.
    pub message: String,
}

/// What comes next in a run.
#[derive(Debug, PartialEq)]
pub enum Next {
    /// These tasks, side by side.
    Perform(Vec<usize>),
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
        let tasks = tasks(&operation, &bundle, comparison, records);
        Self {
            forbidden: forbidden(&operation, comparison),
            operation,
            bundle,
            started_at: now,
            tasks,
            retries: 0,
            failed_at: None,
            failure: None,
            announced: false,
            trouble: None,
            drift: Vec::new(),
        }
    }

    /// Plans the next attempt.
    pub fn again(&mut self, bundle: Arc<Bundle>, comparison: &Comparison, records: &Records) {
        self.tasks = tasks(&self.operation, &bundle, comparison, records);
        self.forbidden = forbidden(&self.operation, comparison);
        self.bundle = bundle;
        self.retries += 1;
        self.failed_at = None;
    }

    /// Whether nothing is changed for real.
    pub fn is_dry(&self) -> bool {
        self.operation.sync.as_ref().is_some_and(|sync| sync.dry_run)
    }

    /// Whether only named objects are synced.
    pub fn is_selective(&self) -> bool {
        self.operation.sync.as_ref().is_some_and(|sync| !sync.resources.is_empty())
    }

    /// Decides what comes next. `approval`: when somebody confirmed that what asks for it may be pruned.
    pub fn next(&self, records: &Records, approval: Option<Timestamp>) -> Next {
        if let Some(failed_at) = self.failed_at {
            return Next::RetryAt(self.retry_at(failed_at).unwrap_or(failed_at));
        }
        // What drifted is put back to the last good content; nothing else is done with a bundle that failed.
        let heals = self.operation.initiated_by.automated && self.is_selective();
        if let Some(failure) = self.bundle.failure.as_ref().filter(|_| !heals) {
            return Next::Finish(OperationPhase::Error, format!("ComparisonError: {}", failure.message));
        }
        if let Some(reason) = self.refusal() {
            return Next::Finish(OperationPhase::Failed, reason);
        }
        let pending = self.tasks.iter().position(|task| task.outcome.is_none());
        let done = pending.unwrap_or(self.tasks.len());
        if let Some(failure) = self.failure() {
            return Next::Finish(OperationPhase::Failed, failure);
        }
        match self.unsettled(done, pending, records) {
            Some(Ok(message)) => return Next::Wait(message),
            Some(Err(message)) => return Next::Finish(OperationPhase::Failed, message),
            None => {}
        }
        match pending {
            Some(first) => self.perform(first, approves(approval, self.started_at)),
            None if self.tasks.is_empty() => {
                Next::Finish(OperationPhase::Succeeded, "successfully synced (no more tasks)".to_owned())
            }
            None => Next::Finish(OperationPhase::Succeeded, "successfully synced (all tasks run)".to_owned()),
        }
    }

    /// Whether another attempt follows a failed one, and when.
    pub fn retry_at(&self, failed_at: Timestamp) -> Option<Timestamp> {
        if !self.operation.retry.allows(self.retries) {
            return None;
        }
        let backoff = self.operation.retry.backoff.clone().unwrap_or_default();
        let delay = backoff.delay(u32::try_from(self.retries).unwrap_or(u32::MAX)).ok()?;
        failed_at.checked_add(delay).ok()
    }

    /// Why the operation is not begun at all.
    pub(super) fn refusal(&self) -> Option<String> {
        let assembly = &self.bundle.assembly;
        let unknown = assembly.unknown.iter().map(|(key, reason)| format!("{key}: {reason}"));
        let whole = unknown.chain(assembly.invalid.iter().cloned()).filter(|_| !self.is_selective());
        let reasons: Vec<String> = whole.chain(self.forbidden.iter().cloned()).collect();
        if reasons.is_empty() {
            return None;
        }
        Some(format!("one or more synchronization tasks are not valid: {}", reasons.join("; ")))
    }

    fn failure(&self) -> Option<String> {
        let failed = self.tasks.iter().filter_map(|task| {
            let outcome = task.outcome.as_ref().filter(|outcome| outcome.code == ResultCode::SyncFailed)?;
            Some(format!("{}: {}", task.key, outcome.message))
        });
        let failed: Vec<String> = failed.collect();
        if failed.is_empty() {
            return None;
        }
        Some(format!(
            "one or more synchronization tasks completed unsuccessfully, reason: {}",
            failed.join("; ")
        ))
    }

    /// What of the tasks before `done` is not settled yet although what follows needs it:
    /// what is waited for, or what went wrong.
    fn unsettled(
        &self,
        done: usize,
        pending: Option<usize>,
        records: &Records,
    ) -> Option<Result<String, String>> {
        let several_waves = self.tasks.iter().any(|task| task.wave != self.tasks[0].wave);
        let next_wave = pending.map(|place| self.tasks[place].wave);
        if self.is_dry() {
            return None;
        }
        let mut waiting = Vec::new();
        for task in &self.tasks[..done] {
            let definition = pending.is_some() && &*task.key.kind == "CustomResourceDefinition";
            let earlier_wave = several_waves && next_wave.is_none_or(|next| task.wave < next);
            if !(definition || earlier_wave) || !was_changed(task) {
                continue;
            }
            match (&task.effect, records.get(&task.key)) {
                (Effect::Prune, Some(_)) => waiting.push(task.key.to_string()),
                (Effect::Prune, None) => {}
                (Effect::Apply(_), None) if records.is_followed(&task.key.group_kind()) => {
                    return Some(Err(format!(
                        "{} is not there any more: it might have been deleted",
                        task.key
                    )));
                }
                (Effect::Apply(_), None) => waiting.push(task.key.to_string()),
                (Effect::Apply(_), Some(record)) => {
                    match record.health.as_ref().map(|health| health.status) {
                        None | Some(HealthStatusCode::Healthy | HealthStatusCode::Suspended) => {}
                        Some(HealthStatusCode::Degraded) => {
                            let message = record.health.as_ref().map_or("", |health| health.message.as_str());
                            return Some(Err(format!("{} is degraded: {message}", task.key)));
                        }
                        Some(_) => waiting.push(task.key.to_string()),
                    }
                }
            }
        }
        let first = waiting.first()?;
        Some(Ok(match waiting.len() {
            1 => format!("waiting for healthy state of {first}"),
            more => format!("waiting for healthy state of {first} and {} more resources", more - 1),
        }))
    }

    /// The tasks from `first` on, but for those that wait for a confirmation.
    fn perform(&self, first: usize, approved: bool) -> Next {
        let (unconfirmed, ready): (Vec<_>, Vec<_>) =
            self.group(first).into_iter().partition(|place| self.tasks[*place].confirm && !approved);
        if !ready.is_empty() {
            return Next::Perform(ready);
        }
        let keys: Vec<_> = unconfirmed.iter().map(|place| &self.tasks[*place].key).collect();
        Next::Wait(format!(
            "waiting for pruning confirmation of {}: annotate the Application with {}=<the time now, RFC 3339>",
            deletion::named(&keys),
            annotation::DELETION_APPROVED
        ))
    }

    /// The tasks from `first` on that may be done side by side.
    fn group(&self, first: usize) -> Vec<usize> {
        let like =
            |task: &Task| (task.wave, matches!(task.effect, Effect::Prune), order::kind_rank(&task.key.kind));
        let wanted = like(&self.tasks[first]);
        let rest = self.tasks.iter().enumerate().skip(first);
        let same =
            rest.take_while(|(_, task)| like(task) == wanted).filter(|(_, task)| task.outcome.is_none());
        same.map(|(place, _)| place).collect()
    }

    /// What was done, for the status.
    pub fn result(&self) -> SyncOperationResult {
        let mut revisions = self.bundle.revisions();
        let mut sources: Vec<_> = self.bundle.sources.iter().map(|source| source.source.clone()).collect();
        let several =
            self.operation.sync.as_ref().is_some_and(|sync| !sync.revisions.is_empty()) || sources.len() > 1;
        let resources = self.tasks.iter().filter_map(resource_result).collect();
        let mut result = SyncOperationResult { resources, ..SyncOperationResult::default() };
        if several {
            (result.revisions, result.sources) = (revisions, sources);
        } else {
            (result.revision, result.source) = (revisions.pop().unwrap_or_default(), sources.pop());
        }
        result
    }
}

fn was_changed(task: &Task) -> bool {
    task.outcome
        .as_ref()
        .is_some_and(|outcome| matches!(outcome.code, ResultCode::Synced | ResultCode::Pruned))
}

fn resource_result(task: &Task) -> Option<ResourceResult> {
    let outcome = task.outcome.as_ref()?;
    let (version, images) = match &task.effect {
        Effect::Apply(desired) => (desired.version.clone(), desired.images.clone()),
        Effect::Prune => (String::new(), Vec::new()),
    };
    let failed = outcome.code == ResultCode::SyncFailed;
    Some(ResourceResult {
        group: task.key.group.to_string(),
        version,
        kind: task.key.kind.to_string(),
        namespace: task.key.namespace.to_string(),
        name: task.key.name.to_string(),
        status: Some(outcome.code),
        message: outcome.message.clone(),
        hook_phase: Some(if failed { OperationPhase::Failed } else { OperationPhase::Succeeded }),
        sync_phase: "Sync".to_owned(),
        images,
        ..ResourceResult::default()
    })
}

/// All tasks of an operation, in order: wave by wave, pruned before applied, by kind, by name.
fn tasks(operation: &Operation, bundle: &Bundle, comparison: &Comparison, records: &Records) -> Vec<Task> {
    let sync = operation.sync.clone().unwrap_or_default();
    let options = SyncOptions::from_list(&sync.sync_options);
    let selected = |key: &ObjectKey| selects(&sync, key);
    let objects = bundle.assembly.objects.iter().filter(|desired| selected(&desired.key));
    let mut tasks: Vec<Task> = objects.map(|desired| apply_task(desired, records)).collect();
    let waves = || tasks.iter().map(|task| task.wave);
    let prune_wave =
        if options.prune_last() { waves().max().unwrap_or(0) + 1 } else { waves().min().unwrap_or(0) };
    let extras = comparison.extras.iter().filter(|key| bundle.assembly.is_whole() && selected(key));
    tasks.extend(
        extras.map(|key| prune_task(key, prune_wave, sync.prune, &options, records)).collect::<Vec<_>>(),
    );
    tasks.sort_by(|a, b| sort_key(a).cmp(&sort_key(b)));
    tasks
}

/// Whether an operation is about an object.
fn selects(sync: &SyncOperation, key: &ObjectKey) -> bool {
    sync.resources.is_empty()
        || sync.resources.iter().any(|resource| {
            resource.group == *key.group
                && resource.kind == *key.kind
                && resource.name == *key.name
                && (resource.namespace.is_empty() || resource.namespace == *key.namespace)
        })
}

/// What the project does not permit of what an operation is about.
fn forbidden(operation: &Operation, comparison: &Comparison) -> Vec<String> {
    let all = comparison.forbidden.iter();
    let meant = all.filter(|forbidden| match (&operation.sync, &forbidden.key) {
        (Some(sync), Some(key)) => selects(sync, key),
        _ => true,
    });
    meant
        .map(|forbidden| match &forbidden.key {
            Some(key) => format!("{key}: {}", forbidden.reason),
            None => forbidden.reason.clone(),
        })
        .collect()
}

/// Nothing has to be asked of the API server for an object that is known to be as wanted.
fn apply_task(desired: &Arc<Desired>, records: &Records) -> Task {
    let record = records.get(&desired.key);
    let synced =
        record.is_some_and(|r| r.judged_for == desired.hash && r.verdict == Verdict::Synced && !r.deleting);
    let outcome =
        synced.then(|| Outcome { code: ResultCode::Synced, message: format!("{} unchanged", desired.key) });
    let effect = Effect::Apply(desired.clone());
    Task { key: desired.key.clone(), wave: desired.wave, effect, confirm: false, outcome }
}

fn prune_task(key: &ObjectKey, wave: i64, prune: bool, options: &SyncOptions, records: &Records) -> Task {
    let record = records.get(key);
    let may = record.map_or(options.prune(), |record| options.overlaid_with(&record.options).prune());
    let skipped = match (prune, may) {
        (_, Deletion::Forbidden) => Some("ignored (no prune)"),
        (false, _) => Some("ignored (requires pruning)"),
        (true, _) => None,
    };
    let going = record.is_some_and(|record| record.deleting);
    let outcome = match skipped {
        Some(message) => Some(Outcome { code: ResultCode::PruneSkipped, message: message.to_owned() }),
        None => going.then(|| Outcome { code: ResultCode::Pruned, message: "pruned".to_owned() }),
    };
    Task { key: key.clone(), wave, effect: Effect::Prune, confirm: may == Deletion::Confirmed, outcome }
}

/// Pruning goes through the kinds the other way round.
fn sort_key(task: &Task) -> (i64, bool, i64, &ObjectKey) {
    let rank = i64::try_from(order::kind_rank(&task.key.kind)).unwrap_or(i64::MAX);
    match task.effect {
        Effect::Prune => (task.wave, false, -rank, &task.key),
        Effect::Apply(_) => (task.wave, true, rank, &task.key),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{desired, desired::Owner, live::Record};

    fn two_waves() -> Arc<Bundle> {
        let owner = Owner { instance: "web".to_owned(), namespace: "web".to_owned() };
        let manifests = ["0", "1"].map(|wave| {
            let annotations = json!({"argocd.argoproj.io/sync-wave": wave});
            let metadata = json!({"name": format!("wave-{wave}"), "annotations": annotations});
            json!({"apiVersion": "batch/v1", "kind": "Job", "metadata": metadata})
        });
        let assembly = desired::assemble(manifests.to_vec(), &owner, &|_| Some(true));
        let bundle = Bundle::new(ithaca_proto::v1::BundleRendered::default(), Arc::new(assembly));
        Arc::new(bundle)
    }

    /// A Job that removes itself when it is done would hold the next wave for ever.
    #[test]
    fn an_object_that_vanishes_while_it_is_waited_for_ends_the_operation() {
        let (bundle, comparison) = (two_waves(), Comparison::default());
        let mut records = Records::default();
        let now = Timestamp::UNIX_EPOCH;
        let mut run = Run::plan(Operation::default(), bundle, &comparison, &records, now);
        assert_eq!(run.next(&records, None), Next::Perform(vec![0]));
        let key = run.tasks[0].key.clone();
        let live = json!({"metadata": {"name": "wave-0", "namespace": "web"}});
        records.set_watched(key.group_kind(), true);
        records.put(key.clone(), Record::of(&key, &live, None, None));
        run.tasks[0].outcome = Some(Outcome { code: ResultCode::Synced, message: String::new() });
        assert!(matches!(run.next(&records, None), Next::Wait(_)));
        records.remove(&key);
        let next = format!("{:?}", run.next(&records, None));
        assert!(next.starts_with("Finish(Failed") && next.contains("wave-0 is not there any more"), "{next}");
    }
}

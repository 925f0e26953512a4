//! How far the hooks of a run are, as their live objects tell.
//!
//! What comes in: a run and the records. What goes out: hooks that ended, finalizers to take away, objects to delete.
//!
//! A hook's object is created with a finalizer, so that neither a time to live nor a hand takes its end away before it
//! is recorded in the status. Then the finalizer goes, and at the end of the operation, where its policy says so, the
//! object.

use std::sync::Arc;

use ithaca_api::{HealthStatusCode, OperationPhase, ResultCode, status::SyncOperationResult};
use jiff::{SignedDuration, Timestamp};

use super::{Effect, Next, Outcome, Run, Task};
use crate::{
    hook::Instance,
    live::{Record, Records},
    object::ObjectKey,
    order::DeletePolicy,
};

/// A hook that runs for longer is told of.
const PATIENCE: SignedDuration = SignedDuration::from_mins(10);

/// A hook that has not ended.
#[derive(Clone, Copy, Debug)]
pub struct Unended<'a> {
    /// Its object.
    pub key: &'a ObjectKey,
    /// When it was started.
    pub since: Timestamp,
    /// From when on it is told of.
    pub told_from: Timestamp,
}

impl Task {
    fn hook(&self) -> Option<&Instance> {
        match &self.effect {
            Effect::Hook(instance) => Some(instance),
            Effect::Apply(_) | Effect::Prune(_) => None,
        }
    }

    /// Whether it is a hook that was started and has not ended.
    pub(super) fn is_running_hook(&self) -> bool {
        self.hook().is_some() && self.outcome.as_ref().is_some_and(|outcome| !outcome.phase.is_completed())
    }

    /// The live object that was created for this very task.
    fn own<'a>(&self, records: &'a Records) -> Option<&'a Record> {
        let mark = &self.hook()?.mark;
        records
            .get(&self.key)
            .filter(|record| record.hook.as_ref().is_some_and(|hook| *hook.attempt == **mark))
    }
}

impl Run {
    /// Hooks whose objects tell that they ended.
    pub(super) fn ended_hooks(&self, records: &Records) -> Vec<(usize, Outcome)> {
        let running = self.tasks.iter().enumerate().filter(|(_, task)| task.is_running_hook());
        running.filter_map(|(place, task)| Some((place, end(task, records)?))).collect()
    }

    /// Hooks that were started and have not ended, as far as their objects tell since when.
    pub fn unended_hooks<'a>(&'a self, records: &'a Records) -> impl Iterator<Item = Unended<'a>> {
        let running = self.tasks.iter().filter(|task| task.is_running_hook());
        running.filter_map(|task| {
            let since = task.own(records)?.hook.as_ref()?.since?;
            Some(Unended { key: &task.key, since, told_from: since.checked_add(PATIENCE).ok()? })
        })
    }

    /// When the next of them is told of.
    pub fn next_told(&self, records: &Records, now: Timestamp) -> Option<Timestamp> {
        self.unended_hooks(records).map(|hook| hook.told_from).filter(|from| *from > now).min()
    }

    /// Hooks whose end is known and that still carry the finalizer.
    pub(super) fn held_hooks(&self, records: &Records) -> Vec<ObjectKey> {
        let ended = self.tasks.iter().filter(|task| {
            task.outcome.as_ref().is_some_and(|outcome| outcome.phase.is_completed())
                && task.own(records).is_some_and(Record::is_held_hook)
        });
        ended.map(|task| task.key.clone()).collect()
    }

    /// What stands in the way of the hooks among these tasks: objects of earlier attempts, which have to go first.
    pub(super) fn leftovers(&self, places: &[usize], records: &Records) -> Option<Next> {
        let hooks = places.iter().filter_map(|place| Some((*place, self.tasks[*place].hook()?)));
        let found = hooks
            .filter_map(|(place, hook)| Some((place, hook, records.get(&self.tasks[place].key)?)))
            .filter(|(place, ..)| self.tasks[*place].own(records).is_none());
        // What is no hook is deleted only where it is the application's own.
        let (stale, foreign): (Vec<_>, Vec<_>) = found.partition(|(_, hook, record)| {
            record.hook.is_some() || record.instance.as_deref() == Some(&*hook.application)
        });
        if !foreign.is_empty() {
            let refused = foreign.iter().map(|(place, ..)| {
                let message = format!(
                    "{} is there already and is no hook: rename one of the two, or delete it",
                    self.tasks[*place].key
                );
                (*place, Outcome::failed(message))
            });
            return Some(Next::Conclude(refused.collect()));
        }
        let keys = |wanted: fn(&Record) -> bool| -> Vec<ObjectKey> {
            let found = stale.iter().filter(|(.., record)| wanted(record));
            found.map(|(place, ..)| self.tasks[*place].key.clone()).collect()
        };
        put_away(keys(Record::is_held_hook), keys(|record| !record.deleting)).or_else(|| {
            let going = keys(|_| true);
            Some(Next::Wait(format!("waiting for deletion of hook {}", going.first()?.short_name())))
        })
    }

    /// Objects of hooks that are deleted now that the operation has succeeded or failed.
    pub(super) fn discarded(&self, policy: DeletePolicy, records: &Records) -> Vec<ObjectKey> {
        let doomed = self.tasks.iter().filter(|task| {
            task.hook().is_some_and(|hook| hook.delete.contains(&policy))
                && task.own(records).is_some_and(|record| !record.deleting)
        });
        doomed.map(|task| task.key.clone()).collect()
    }

    /// Hooks that failed and whose objects are there still.
    pub fn failed_hooks(&self, records: &Records) -> Vec<&ObjectKey> {
        let failed = self.tasks.iter().filter(|task| {
            let failed = task.outcome.as_ref().is_some_and(|outcome| outcome.code == ResultCode::SyncFailed);
            failed && task.own(records).is_some()
        });
        failed.map(|task| &task.key).collect()
    }

    /// What of these hooks' objects goes once a phase of an Application's deletion is over: first their finalizers, then
    /// those whose policy says so.
    pub fn cleared(&self, records: &Records) -> Option<Next> {
        let held = |task: &&Task| task.own(records).is_some_and(Record::is_held_hook);
        let held: Vec<_> = self.tasks.iter().filter(held).map(|task| task.key.clone()).collect();
        put_away(held, self.discarded(DeletePolicy::HookSucceeded, records))
    }

    /// What is left to do of an operation that somebody stops: its running hooks go, what it deleted to make it anew is
    /// made, then it has ended.
    pub fn stop(&self, records: &Records) -> Next {
        let running = || self.tasks.iter().filter(|task| task.is_running_hook());
        let keys = |wanted: fn(&Record) -> bool| -> Vec<ObjectKey> {
            let found = running().filter(|task| task.own(records).is_some_and(wanted));
            found.map(|task| task.key.clone()).collect()
        };
        let ended = || Next::Finish(OperationPhase::Failed, "Operation terminated".to_owned());
        put_away(keys(Record::is_held_hook), keys(|record| !record.deleting))
            .or_else(|| self.make_anew(records))
            .unwrap_or_else(ended)
    }

    /// Whether a hook runs. Nothing else may begin meanwhile.
    pub fn has_running_hook(&self) -> bool {
        self.tasks.iter().any(Task::is_running_hook)
    }

    /// Whether any hook was started.
    pub fn has_begun_hooks(&self) -> bool {
        self.tasks.iter().any(|task| task.hook().is_some() && task.outcome.is_some())
    }

    /// Takes over what an earlier life of the applier knew of this attempt's hooks: what it recorded, and what it had
    /// started.
    pub(super) fn recall(&mut self, recorded: Option<&SyncOperationResult>, records: &Records) {
        let results = recorded.into_iter().flat_map(|result| result.resources.iter());
        let results: Vec<_> = results.filter(|result| !result.hook_type.is_empty()).collect();
        for task in Arc::make_mut(&mut self.tasks).iter_mut().filter(|task| task.hook().is_some()) {
            let known = results.iter().find(|result| {
                result.kind == *task.key.kind
                    && result.group == *task.key.group
                    && result.namespace == *task.key.namespace
                    && result.name == *task.key.name
                    && result.hook_type == task.phase.to_string()
            });
            task.outcome = match known.and_then(|result| Some((result, result.hook_phase?))) {
                Some((result, phase)) => Some(Outcome {
                    code: result.status.unwrap_or(ResultCode::Synced),
                    message: result.message.clone(),
                    phase,
                }),
                None => task.own(records).map(|_| Outcome::running("created")),
            };
        }
    }
}

/// How a running hook ended, as its object tells. An object that is being deleted will tell no more than it does now.
fn end(task: &Task, records: &Records) -> Option<Outcome> {
    let succeeded = |message: &str| Outcome {
        code: ResultCode::Synced,
        message: message.to_owned(),
        phase: OperationPhase::Succeeded,
    };
    let Some(record) = task.own(records) else {
        let gone = records.is_followed(&task.key.group_kind());
        return gone.then(|| {
            Outcome::failed(format!(
                "{} is not there any more: it might have been deleted while it ran",
                task.key.short_name()
            ))
        });
    };
    let Some(health) = &record.health else { return Some(succeeded("created")) };
    match health.status {
        HealthStatusCode::Healthy => Some(succeeded(&health.message)),
        HealthStatusCode::Degraded | HealthStatusCode::Unknown => Some(Outcome::failed(&health.message)),
        HealthStatusCode::Progressing | HealthStatusCode::Suspended | HealthStatusCode::Missing => {
            let deleted = || Outcome::failed(format!("{} was deleted while it ran", task.key.short_name()));
            record.deleting.then(deleted)
        }
    }
}

/// First the finalizers go, then the objects.
fn put_away(held: Vec<ObjectKey>, doomed: Vec<ObjectKey>) -> Option<Next> {
    match (held.is_empty(), doomed.is_empty()) {
        (false, _) => Some(Next::LetGo(held)),
        (true, false) => Some(Next::Discard(doomed)),
        (true, true) => None,
    }
}

//! What comes next in a run.
//!
//! What comes in: a run, the records, and whether somebody confirmed what asks for it. What goes out: one step.
//! Source of the order: compat 2.1, rules 6 to 8 and 11. There is no fixed delay between waves.

use ithaca_api::{HealthStatusCode, OperationPhase, ResultCode, annotation};
use jiff::Timestamp;

use super::{Effect, Next, Outcome, Run, Task, rehearsal::Rehearsal};
use crate::{
    live::Records,
    object::ObjectKey,
    order::{self, DeletePolicy, Phase},
    plan::{told, view::approves},
};

impl Run {
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
        match &self.rehearsal {
            Rehearsal::Due(places) => return Next::Rehearse(places.clone()),
            Rehearsal::Failed(reason) => return Next::Finish(OperationPhase::Failed, reason.clone()),
            Rehearsal::Over => {}
        }
        let ended = self.ended_hooks(records);
        if !ended.is_empty() {
            return Next::Conclude(ended);
        }
        let next = self.running_hooks().map(Next::Wait).unwrap_or_else(|| self.step(records, approval));
        self.after_letting_go(next, records)
    }

    /// Hooks that ended are let go of as soon as there is nothing to be done: their end has to be recorded first, and
    /// what follows them need not wait for that. Whoever takes over before finds their objects.
    fn after_letting_go(&self, next: Next, records: &Records) -> Next {
        match (&next, self.held_hooks(records)) {
            (Next::Perform(_), _) => next,
            (_, held) if held.is_empty() => next,
            (_, held) => Next::LetGo(held),
        }
    }

    fn running_hooks(&self) -> Option<String> {
        let running = self.tasks.iter().filter(|task| task.is_running_hook()).map(|task| &task.key);
        waiting("waiting for completion of hook", &running.collect::<Vec<_>>())
    }

    fn step(&self, records: &Records, approval: Option<Timestamp>) -> Next {
        let regular = self.tasks.iter().take_while(|task| task.phase != Phase::SyncFail).count();
        if let Some(failure) = self.failure() {
            if let Some(next) = self.make_anew(records) {
                return next;
            }
            return match self.tasks[regular..].iter().position(|task| task.outcome.is_none()) {
                Some(first) => self.perform(regular + first, false, records),
                None => self.finish(OperationPhase::Failed, failure, DeletePolicy::HookFailed, records),
            };
        }
        let pending = self.tasks[..regular].iter().position(|task| task.outcome.is_none());
        match self.unsettled(pending.unwrap_or(regular), pending, records) {
            Some(next) => next,
            None => match pending {
                Some(first) => self.perform(first, approves(approval, self.started_at), records),
                None => {
                    let message = if regular == 0 { "no more tasks" } else { "all tasks run" };
                    let message = format!("successfully synced ({message})");
                    self.finish(OperationPhase::Succeeded, message, DeletePolicy::HookSucceeded, records)
                }
            },
        }
    }

    fn finish(
        &self,
        phase: OperationPhase,
        message: String,
        policy: DeletePolicy,
        records: &Records,
    ) -> Next {
        match self.discarded(policy, records) {
            doomed if doomed.is_empty() => Next::Finish(phase, message),
            doomed => Next::Discard(doomed),
        }
    }

    /// Whether another attempt follows a failed one, and when.
    pub fn retry_at(&self, failed_at: Timestamp) -> Option<Timestamp> {
        if !self.operation.retry.allows(self.retries) {
            return None;
        }
        let backoff = self.operation.retry.backoff.clone().unwrap_or_default();
        let delay = backoff.delay(u32::try_from(self.retries).unwrap_or(u32::MAX));
        failed_at.checked_add(delay).ok()
    }

    /// Why the operation is not begun at all.
    pub(in crate::plan) fn refusal(&self) -> Option<String> {
        if !self.refused.is_empty() {
            return told::listed(self.refused.iter().cloned());
        }
        let assembly = &self.bundle.assembly;
        let unknown = assembly.unknown.iter().map(|(key, reason)| format!("{key}: {reason}"));
        let whole = unknown.chain(assembly.invalid.iter().cloned()).filter(|_| !self.is_selective());
        let reasons = told::listed(whole.chain(self.forbidden.iter().cloned()))?;
        Some(format!("one or more synchronization tasks are not valid: {reasons}"))
    }

    fn failure(&self) -> Option<String> {
        let failed = self.tasks.iter().filter_map(|task| {
            let outcome = task.outcome.as_ref().filter(|outcome| outcome.code == ResultCode::SyncFailed)?;
            Some(format!("{}: {}", task.key, outcome.message))
        });
        let reasons = told::listed(failed)?;
        Some(format!("one or more synchronization tasks completed unsuccessfully, reason: {reasons}"))
    }

    /// What of the tasks before `done` is not settled yet although what follows needs it: what is waited for, or what
    /// went wrong. Nothing is waited for where all is done in one step.
    fn unsettled(&self, done: usize, pending: Option<usize>, records: &Records) -> Option<Next> {
        let step = |task: &Task| (task.phase, task.wave);
        let several_steps = self.tasks.iter().any(|task| step(task) != step(&self.tasks[0]));
        let next_step = pending.map(|place| step(&self.tasks[place]));
        if self.is_dry() {
            return None;
        }
        let (mut waits, mut failed) = (Vec::new(), Vec::new());
        for (place, task) in self.tasks[..done].iter().enumerate() {
            let definition = pending.is_some() && &*task.key.kind == "CustomResourceDefinition";
            let earlier_step = several_steps && next_step.is_none_or(|next| step(task) < next);
            if !(definition || earlier_step) || !was_changed(task) {
                continue;
            }
            match progress(task, records) {
                Settled::Yes => {}
                Settled::NotYet => waits.push(&task.key),
                Settled::Never(message) => failed.push((place, Outcome::failed(message))),
            }
        }
        match failed.is_empty() {
            true => waiting("waiting for healthy state of", &waits).map(Next::Wait),
            false => Some(Next::Conclude(failed)),
        }
    }

    /// What was deleted to be made anew is made, whatever else failed meanwhile.
    pub(super) fn make_anew(&self, records: &Records) -> Option<Next> {
        let open = |task: &Task| task.removed && task.outcome.is_none();
        let places: Vec<_> = (0..self.tasks.len()).filter(|place| open(&self.tasks[*place])).collect();
        if places.is_empty() {
            return None;
        }
        Some(self.still_going(&places, records).unwrap_or(Next::Perform(places)))
    }

    /// What has to be gone before it can be made anew.
    fn still_going(&self, places: &[usize], records: &Records) -> Option<Next> {
        let tasks = places.iter().map(|place| &self.tasks[*place]);
        let going = tasks.filter(|task| task.removed && records.get(&task.key).is_some());
        let going: Vec<_> = going.map(|task| &task.key).collect();
        waiting("waiting for deletion of", &going).map(Next::Wait)
    }

    /// The tasks from `first` on, but for those that wait for a confirmation.
    fn perform(&self, first: usize, approved: bool, records: &Records) -> Next {
        let (unconfirmed, ready): (Vec<_>, Vec<_>) =
            self.group(first).into_iter().partition(|place| self.tasks[*place].confirm && !approved);
        if let Some(next) = self.still_going(&ready, records) {
            return next;
        }
        if !ready.is_empty() {
            return self.leftovers(&ready, records).unwrap_or(Next::Perform(ready));
        }
        let keys: Vec<_> = unconfirmed.iter().map(|place| &self.tasks[*place].key).collect();
        Next::Wait(format!(
            "waiting for pruning confirmation of {}: annotate the Application with {}=<the time now, RFC 3339>",
            told::named(&keys, told::FEW),
            annotation::DELETION_APPROVED
        ))
    }

    /// The tasks from `first` on that may be done side by side.
    fn group(&self, first: usize) -> Vec<usize> {
        let like = |task: &Task| {
            let prunes = matches!(task.effect, Effect::Prune(_));
            (task.phase, task.wave, prunes, order::kind_rank(&task.key.kind))
        };
        let wanted = like(&self.tasks[first]);
        let rest = self.tasks.iter().enumerate().skip(first);
        let same =
            rest.take_while(|(_, task)| like(task) == wanted).filter(|(_, task)| task.outcome.is_none());
        same.map(|(place, _)| place).collect()
    }

    /// What comes next in a phase of an Application's deletion. Its hooks keep their finalizer until the Application has
    /// lost the phase's own: that is where their end is recorded.
    pub fn next_of_deletion(&self, records: &Records) -> Next {
        let ended = self.ended_hooks(records);
        if !ended.is_empty() {
            return Next::Conclude(ended);
        }
        if let Some(message) = self.running_hooks() {
            return Next::Wait(message);
        }
        if let Some(failure) = self.failure() {
            return Next::Finish(OperationPhase::Failed, failure);
        }
        match self.tasks.iter().position(|task| task.outcome.is_none()) {
            Some(first) => self.perform(first, false, records),
            None => Next::Finish(OperationPhase::Succeeded, String::new()),
        }
    }
}

fn was_changed(task: &Task) -> bool {
    task.outcome
        .as_ref()
        .is_some_and(|outcome| matches!(outcome.code, ResultCode::Synced | ResultCode::Pruned))
}

/// Whether what follows a task may begin.
pub(super) enum Settled {
    Yes,
    NotYet,
    Never(String),
}

pub(super) fn progress(task: &Task, records: &Records) -> Settled {
    match (&task.effect, records.get(&task.key)) {
        (Effect::Hook(_), _) | (Effect::Prune(_), None) => Settled::Yes,
        (Effect::Prune(_), Some(_)) => Settled::NotYet,
        (Effect::Apply(_), None) if records.is_followed(&task.key.group_kind()) => {
            Settled::Never(format!("{} is not there any more: it might have been deleted", task.key))
        }
        (Effect::Apply(_), None) => Settled::NotYet,
        (Effect::Apply(_), Some(record)) => match &record.health {
            None => Settled::Yes,
            Some(health) => match health.status {
                HealthStatusCode::Healthy => Settled::Yes,
                HealthStatusCode::Degraded => {
                    Settled::Never(format!("{} is degraded: {}", task.key, health.message))
                }
                HealthStatusCode::Suspended
                | HealthStatusCode::Progressing
                | HealthStatusCode::Missing
                | HealthStatusCode::Unknown => Settled::NotYet,
            },
        },
    }
}

/// What is waited for, in the words that scripts look for. None where it is nothing.
fn waiting(what: &str, keys: &[&ObjectKey]) -> Option<String> {
    let first = keys.first()?.short_name();
    Some(match keys.len() {
        1 => format!("{what} {first}"),
        more => format!("{what} {first} and {} more resources", more - 1),
    })
}

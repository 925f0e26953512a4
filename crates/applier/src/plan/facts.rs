//! What a written status says happened.
//!
//! What comes in: the status before and after, and the operation that ended. What goes out: facts to publish.

use ithaca_api::{
    ApplicationStatus, ConditionType, HealthStatusCode, SyncStatusCode,
    status::{OperationState, ResourceResult, one_or_several},
};
use ithaca_proto::v1::{self, event::Fact};
use jiff::Timestamp;

use super::{run::Run, status::Change};
use crate::{live::Drift, object::ObjectKey};

/// The facts between an Application's status and the change that was written to it.
pub fn facts(before: &ApplicationStatus, change: &Change, run: Option<&Run>, now: Timestamp) -> Vec<Fact> {
    let after = &change.status;
    let mut facts = Vec::new();
    facts.extend(
        run.iter().flat_map(|run| run.drift.iter().map(|(key, drift)| drifted(key, drift.as_deref(), true))),
    );
    facts.extend(change.drift.iter().map(|(key, drift)| drifted(key, drift.as_deref(), false)));
    facts.extend(operation(before, after, run, now));
    facts.extend(sync_status(before, after));
    facts.extend(health(before, after));
    facts.extend(conditions(before, after));
    facts
}

/// The fact that an object left the wanted state.
fn drifted(key: &ObjectKey, drift: Option<&Drift>, corrected: bool) -> Fact {
    let author = drift.and_then(|drift| drift.author.as_ref());
    Fact::DriftDetected(v1::DriftDetected {
        object: Some(object(key)),
        missing: drift.is_none(),
        fields: drift.map(|drift| drift.fields.clone()).unwrap_or_default(),
        manager: author.map(|author| author.manager.clone()).unwrap_or_default(),
        changed_at: author.and_then(|author| author.changed_at).unwrap_or_default(),
        corrected,
    })
}

fn operation(
    before: &ApplicationStatus,
    after: &ApplicationStatus,
    run: Option<&Run>,
    now: Timestamp,
) -> Option<Fact> {
    let state =
        after.operation_state.as_ref().filter(|state| before.operation_state.as_ref() != Some(*state))?;
    if !state.phase.is_completed() {
        let known = before.operation_state.as_ref().is_some_and(|known| known.started_at == state.started_at);
        let started = v1::SyncStarted { revisions: revisions(state), initiated_by: initiator(state) };
        return (!known).then_some(Fact::SyncStarted(started));
    }
    let result = state.sync_result.as_ref();
    Some(Fact::SyncFinished(v1::SyncFinished {
        phase: state.phase.to_string(),
        message: state.message.clone(),
        revisions: revisions(state),
        commits: run
            .iter()
            .flat_map(|run| run.bundle.sources.iter().map(|source| source.commit.clone()))
            .collect(),
        initiated_by: initiator(state),
        results: result.iter().flat_map(|result| result.resources.iter().map(object_result)).collect(),
        retries: u32::try_from(state.retry_count).unwrap_or_default(),
        timings: run.map(|run| timings(run, now)),
        dry_run: state.operation.sync.as_ref().is_some_and(|sync| sync.dry_run),
    }))
}

/// The steps from commit to applied; those before the operation only where it was the first for its bundle.
fn timings(run: &Run, now: Timestamp) -> v1::Timings {
    let first = !run.is_selective() && run.operation.initiated_by.automated;
    let step = |at: i64| if first { at } else { 0 };
    v1::Timings {
        observed_at: step(run.bundle.observed_at),
        render_started_at: step(run.bundle.render_started_at),
        rendered_at: step(run.bundle.rendered_at),
        started_at: run.started_at.as_microsecond(),
        finished_at: now.as_microsecond(),
    }
}

fn sync_status(before: &ApplicationStatus, after: &ApplicationStatus) -> Option<Fact> {
    let code =
        |status: &ApplicationStatus| status.sync.as_ref().map_or(SyncStatusCode::Unknown, |sync| sync.status);
    let (from, to) = (code(before), code(after));
    let sync = after.sync.as_ref()?;
    let revisions = one_or_several(&sync.revision, &sync.revisions);
    (from != to).then(|| {
        Fact::SyncStatusChanged(v1::SyncStatusChanged {
            from: from.to_string(),
            to: to.to_string(),
            revisions,
        })
    })
}

fn health(before: &ApplicationStatus, after: &ApplicationStatus) -> Option<Fact> {
    let of = |status: &ApplicationStatus| status.health.as_ref().and_then(|health| health.status);
    let (from, to) = (of(before), of(after)?);
    let worst =
        after.resources.iter().filter(|r| r.health.as_ref().and_then(|health| health.status) == Some(to));
    let message = worst.filter(|_| to > HealthStatusCode::Suspended).take(3).map(|resource| {
        let text = resource.health.as_ref().map_or("", |health| health.message.as_str());
        format!("{}/{}: {text}", resource.kind, resource.name)
    });
    (from != Some(to)).then(|| {
        Fact::HealthChanged(v1::HealthChanged {
            from: from.unwrap_or_default().to_string(),
            to: to.to_string(),
            message: message.collect::<Vec<_>>().join("; "),
        })
    })
}

fn conditions(before: &ApplicationStatus, after: &ApplicationStatus) -> Vec<Fact> {
    let fact = |type_: ConditionType, message: &str, resolved: bool| {
        Fact::ConditionChanged(v1::ConditionChanged {
            r#type: type_.to_string(),
            message: message.to_owned(),
            resolved,
        })
    };
    let holds = |status: &ApplicationStatus, type_: ConditionType, message: Option<&str>| {
        status
            .conditions
            .iter()
            .any(|c| c.type_ == type_ && message.is_none_or(|message| c.message == message))
    };
    let new = after.conditions.iter().filter(|c| !holds(before, c.type_, Some(&c.message)));
    let gone = before.conditions.iter().filter(|c| !holds(after, c.type_, None));
    let new = new.map(|c| fact(c.type_, &c.message, false));
    new.chain(gone.map(|c| fact(c.type_, &c.message, true))).collect()
}

/// The message form of a key.
fn object(key: &ObjectKey) -> v1::ObjectRef {
    v1::ObjectRef {
        group: key.group.to_string(),
        version: String::new(),
        kind: key.kind.to_string(),
        namespace: key.namespace.to_string(),
        name: key.name.to_string(),
    }
}

fn object_result(result: &ResourceResult) -> v1::ObjectResult {
    v1::ObjectResult {
        object: Some(v1::ObjectRef {
            group: result.group.clone(),
            version: result.version.clone(),
            kind: result.kind.clone(),
            namespace: result.namespace.clone(),
            name: result.name.clone(),
        }),
        status: result.status.map(|status| status.to_string()).unwrap_or_default(),
        message: result.message.clone(),
    }
}

fn revisions(state: &OperationState) -> Vec<String> {
    let Some(result) = &state.sync_result else { return Vec::new() };
    one_or_several(&result.revision, &result.revisions)
}

fn initiator(state: &OperationState) -> String {
    state.operation.initiated_by.username.clone()
}

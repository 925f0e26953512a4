//! One application, looked at until there is nothing left to do: fetch, decide, do, again.
//!
//! What comes in: a uid. What goes out: whatever the decisions say. What it does not do: decide.

use std::{sync::Arc, time::Duration};

use ithaca_proto::{subject, v1::BundleRendered};
use jiff::Timestamp;
use tracing::Instrument;
use tracing_opentelemetry::OpenTelemetrySpanExt;

use crate::{
    bundle::{self, Bundle},
    clusters::Holdings,
    desired::{Assembly, Owner},
    error::Error,
    follow,
    judge::Ignored,
    plan::{self, Action},
    service::{Shared, Site},
    state::{App, Loaded, State, Uid},
};

mod account;
mod application_set;
mod apply;
mod hooks;
mod objects;
mod rehearse;
mod status;

/// Status changes that no operation and no user waits for are written this far apart, and farther for each object that
/// they tell of: a status is always stored, and told to everybody who watches, as a whole.
const STATUS_PAUSE: Duration = Duration::from_millis(500);
const STATUS_PAUSE_PER_OBJECT: Duration = Duration::from_millis(5);
const LONGEST_STATUS_PAUSE: Duration = Duration::from_secs(5);

/// Works on an application until it is at rest.
pub async fn work(shared: Arc<Shared>, uid: Uid) {
    let Some(_at_work) = shared.membership.begin(subject::partition(&uid)) else { return };
    let (name, context) = {
        let state = shared.state();
        let Some(app) = state.apps.get(&uid) else { return };
        (app.owner.instance.clone(), app.tracked.context.clone())
    };
    let span = tracing::info_span!("reconcile", application = name);
    // Without a collector there is no parent to set, which is no error.
    let _ = span.set_parent(context);
    let timer = shared.metrics.reconcile_timer();
    let outcome = Box::pin(settle(&shared, &uid)).instrument(span).await;
    shared.metrics.reconciled(timer, &shared, &uid);
    if matches!(outcome, Err(Error::HandedOver)) {
        return tracing::debug!(application = name, "stopped: another applier has it now");
    }
    let failures = count_failures(&shared, &uid, outcome.is_err());
    if let Err(error) = outcome {
        let delay = Duration::from_millis(100 * 2_u64.pow(failures.min(5)));
        tracing::warn!(
            application = name,
            error = &error as &dyn std::error::Error,
            "trying again in {delay:?}"
        );
        shared.queue.dirty_after(&uid, delay);
    }
}

/// Failures in a row, this one included.
fn count_failures(shared: &Shared, uid: &Uid, failed: bool) -> u32 {
    let mut state = shared.state();
    let Some(app) = state.apps.get_mut(uid) else { return 0 };
    app.failures = if failed { app.failures + 1 } else { 0 };
    app.failures
}

async fn settle(shared: &Arc<Shared>, uid: &Uid) -> Result<(), Error> {
    loop {
        shared.expect_own(uid)?;
        let Some(site) = site(shared, uid) else { return adrift(shared, uid).await };
        load(&site, uid).await?;
        let (action, version) = {
            let state = shared.state();
            match state.view(uid, &shared.namespace, shared.guard, Timestamp::now()) {
                Some(view) => (plan::decide(view), version_of(view)),
                None => return Ok(()),
            }
        };
        match action {
            Action::Idle(wake) => {
                if let Some(wake) = wake {
                    let delay = wake.duration_since(Timestamp::now()).unsigned_abs();
                    shared.queue.dirty_after(uid, delay);
                }
                return Ok(());
            }
            Action::Watch(kinds) => kinds.iter().for_each(|kind| follow::watch_kind(&site, kind)),
            Action::Inspect(objects) => objects::inspect(&site, objects).await?,
            Action::Begin(run) | Action::Again(run) => set_run(shared, uid, Some(*run)),
            Action::Rehearse(tasks) => account::rehearse(&site, uid, &tasks).await,
            Action::Perform(tasks) => account::perform(&site, uid, &tasks).await?,
            Action::Conclude(outcomes) => {
                outcomes
                    .into_iter()
                    .for_each(|(place, outcome)| objects::conclude(&site, uid, place, outcome));
            }
            Action::LetGo(hooks) => hooks::let_go(&site, uid, &hooks).await?,
            Action::Discard(hooks) => hooks::discard(&site, uid, &hooks).await?,
            Action::SetAside => set_run(shared, uid, None),
            Action::Postpone(reason) => {
                if let Some(run) = shared.state().apps.get_mut(uid).and_then(|app| app.run.as_mut()) {
                    (run.failed_at, run.failure) = (Some(Timestamp::now()), Some(reason));
                }
            }
            Action::Write(change) => match pause(shared, uid, &change) {
                Some(pause) => {
                    shared.queue.dirty_after(uid, pause);
                    return Ok(());
                }
                None => Box::pin(status::write(shared, uid, &version, *change)).await?,
            },
            Action::Delete(objects, propagation) => {
                let deleted = account::delete(&site, uid, &objects, propagation).await;
                if let Some(refused) = deleted.as_ref().err().filter(|error| !error.is_passing()) {
                    tell_refused(shared, uid, refused).await?;
                }
                return deleted;
            }
            Action::Ask(set) => application_set::ask(shared, &set).await,
            Action::Release(finalizers) => {
                shared.state().take_along(uid, 0);
                Box::pin(status::set_finalizers(shared, uid, &version, &finalizers)).await?;
            }
            Action::Guard(finalizers) => {
                Box::pin(status::set_finalizers(shared, uid, &version, &finalizers)).await?;
            }
        }
    }
}

/// An application that has no cluster to go to is told so.
async fn adrift(shared: &Arc<Shared>, uid: &Uid) -> Result<(), Error> {
    let decided = {
        let mut state = shared.state();
        state.apps.get_mut(uid).into_iter().for_each(|app| app.tracked.note_fact());
        let view = state.view(uid, &shared.namespace, shared.guard, Timestamp::now());
        view.map(|view| (plan::decide(view), version_of(view)))
    };
    match decided {
        Some((Action::Write(change), version)) => {
            Box::pin(status::write(shared, uid, &version, *change)).await
        }
        Some((Action::Release(finalizers), version)) => {
            Box::pin(status::set_finalizers(shared, uid, &version, &finalizers)).await
        }
        _ => Ok(()),
    }
}

/// Where an application goes.
fn site(shared: &Arc<Shared>, uid: &Uid) -> Option<Site> {
    let state = shared.state();
    let there = state.clusters.of(&state.apps.get(uid)?.application)?;
    Some(Site::new(shared, there.cluster.clone()))
}

/// Tells of objects that could not be deleted with their application.
async fn tell_refused(shared: &Arc<Shared>, uid: &Uid, error: &Error) -> Result<(), Error> {
    let told = {
        let state = shared.state();
        let view = state.view(uid, &shared.namespace, shared.guard, Timestamp::now());
        view.map(|view| (plan::undeleted(view, &error.to_string()), version_of(view)))
    };
    match told {
        Some((Action::Write(change), version)) => {
            Box::pin(status::write(shared, uid, &version, *change)).await
        }
        _ => Ok(()),
    }
}

/// The version that is decided on: what is decided holds for no other.
fn version_of(view: plan::View<'_>) -> Option<String> {
    view.application.metadata.resource_version.clone()
}

fn set_run(shared: &Shared, uid: &Uid, run: Option<plan::Run>) {
    if let Some(app) = shared.state().apps.get_mut(uid) {
        app.run = run;
    }
}

/// How long a change that nobody waits for has to wait.
fn pause(shared: &Shared, uid: &Uid, change: &plan::Change) -> Option<Duration> {
    if change.is_pressing || change.clears_refresh || change.clears_operation {
        return None;
    }
    let state = shared.state();
    let app = state.apps.get(uid)?;
    let conditions = app.application.status.as_ref().map(|status| &status.conditions);
    if conditions != Some(&change.status.conditions) {
        return None;
    }
    let objects = u32::try_from(change.status.resources.len()).unwrap_or(u32::MAX);
    let pause = STATUS_PAUSE + STATUS_PAUSE_PER_OBJECT.saturating_mul(objects);
    let rest = pause.min(LONGEST_STATUS_PAUSE).checked_sub(app.written?.elapsed())?;
    (!rest.is_zero()).then_some(rest)
}

/// Makes bundles of the facts that are new.
async fn load(site: &Site, uid: &Uid) -> Result<(), Error> {
    for tracked in [true, false] {
        let (fact, known, owner, rules, ignored, epoch) = {
            let mut state = site.state();
            let State { apps, clusters, .. } = &mut *state;
            let there = clusters.get(site.cluster.id());
            let (Some(app), Some(there)) = (apps.get_mut(uid), there) else { return Ok(()) };
            let loaded = if tracked { &mut app.tracked } else { &mut app.requested };
            if loaded.is_current(&app.owner, app.ignored.as_ref(), there) {
                loaded.epoch = there.epoch;
                continue;
            }
            let loaded = if tracked { &app.tracked } else { &app.requested };
            let Some(fact) = loaded.fact.clone() else { continue };
            let known = reusable(loaded, app, there);
            let rules = there.records.rules().clone();
            (fact, known, app.owner.clone(), rules, app.ignored.clone(), there.epoch)
        };
        let assembly = match known.filter(|known| same_content(known, &fact)) {
            Some(known) => known.assembly.clone(),
            None => Arc::new(
                assemble(site, uid, &fact, &Owner { rules, ..owner.clone() }, ignored.clone()).await?,
            ),
        };
        let bundle = Arc::new(Bundle::new((*fact).clone(), assembly));
        let mut state = site.state();
        let State { apps, clusters, .. } = &mut *state;
        let Some(app) = apps.get_mut(uid) else { return Ok(()) };
        let loaded = if tracked { &mut app.tracked } else { &mut app.requested };
        if tracked {
            let before = clusters.forget(uid, loaded);
            before.iter().for_each(|other| site.queue.dirty(other));
            if let Some(there) = clusters.get_mut(site.cluster.id()) {
                there.claims.want(uid, &bundle.assembly.objects);
                there.claims.rivals(uid).for_each(|(_, other)| site.queue.dirty(other));
            }
        }
        (loaded.bundle, loaded.owner, loaded.epoch) = (Some(bundle), Some(owner), epoch);
        (loaded.ignored, loaded.cluster) = (ignored, Some(site.cluster.id()));
    }
    Ok(())
}

/// The bundle that was made before, where its objects would come out the same.
fn reusable(loaded: &Loaded, app: &App, there: &Holdings) -> Option<Arc<Bundle>> {
    let made = loaded.is_made_for(&app.owner, app.ignored.as_ref(), there);
    let bundle = loaded.bundle.clone().filter(|_| made)?;
    loaded.is_settled(there).then_some(bundle)
}

fn same_content(known: &Bundle, fact: &BundleRendered) -> bool {
    fact.content.as_ref().is_some_and(|content| content.digest == known.digest)
}

async fn assemble(
    site: &Site,
    uid: &str,
    fact: &BundleRendered,
    owner: &Owner,
    ignored: Option<Arc<Ignored>>,
) -> Result<Assembly, Error> {
    let Some(content) = &fact.content else { return Ok(Default::default()) };
    let compressed = site.bus.get_content(uid, content).await?;
    bundle::assemble(&compressed, owner, ignored, &|kind| site.cluster.scope(kind))
}

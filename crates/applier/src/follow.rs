//! What arrives by itself: Applications, facts, live objects, new kinds. Each goes into the state, and whoever it
//! concerns is looked at again.

use std::{collections::HashSet, pin::pin, sync::Arc, time::Duration};

use futures::{Stream, StreamExt};
use ithaca_chassis::ReadyFlag;
use ithaca_proto::v1::{ApplicationDeleted, event::Fact};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::{
    Api, Resource, ResourceExt,
    api::PartialObjectMeta,
    runtime::{WatchStreamExt, watcher},
};

use crate::{
    cluster::{self, Event, Served, Told},
    error::Error,
    live::{self, Record, Verdict},
    object::{GroupKind, Kind, ObjectKey},
    service::Shared,
    state::Uid,
};

/// How long definitions may keep coming before the kinds are asked for again.
const SETTLE: Duration = Duration::from_millis(100);

/// Asks for the cluster's kinds until it answers. Returns whether they are others than before.
pub async fn discover_patiently(shared: &Shared) -> bool {
    loop {
        match shared.cluster.discover().await {
            Ok(changed) => return changed,
            Err(error) => {
                tracing::warn!(error = &error as &dyn std::error::Error, "waiting for the API server");
                tokio::time::sleep(Duration::from_millis(250)).await;
            }
        }
    }
}

/// Follows the facts on the bus.
pub async fn bundles(shared: Arc<Shared>) {
    let mut facts = pin!(shared.bus.bundles(&[]));
    while let Some(fact) = facts.next().await {
        let dirty = shared.state().put_fact(fact);
        if let Some(uid) = dirty {
            shared.queue.dirty(&uid);
        }
    }
}

/// Follows the Applications.
pub async fn applications(shared: Arc<Shared>, ready: ReadyFlag) {
    let mut events = pin!(cluster::watch_applications(shared.cluster.client(), &shared.namespace));
    let mut listed = HashSet::new();
    let mut before = HashSet::new();
    while let Some(event) = events.next().await {
        match event {
            Ok(watcher::Event::Init) => {
                listed.clear();
                before = known(&shared);
            }
            Ok(watcher::Event::InitApply(told)) => listed.extend(put_application(&shared, told)),
            Ok(watcher::Event::Apply(told)) => drop(put_application(&shared, told)),
            Ok(watcher::Event::Delete(told)) => {
                if let Some(uid) = &told.meta().uid {
                    remove_application(&shared, uid);
                }
            }
            Ok(watcher::Event::InitDone) => {
                settle(&shared, before.iter().filter(|uid| !listed.contains(*uid)));
                ready.set(true);
            }
            Err(error) => {
                let why = ithaca_api::unreadable(&error);
                tracing::warn!(why, %error, "failed to watch Applications, trying again");
            }
        }
    }
}

fn put_application(shared: &Shared, told: Told) -> Option<Uid> {
    let name = told.name_any();
    match told.application {
        Ok(application) => {
            let uid = application.metadata.uid.as_deref().map(Uid::from);
            let mut state = shared.state();
            if uid.as_ref().is_some_and(|uid| !state.apps.contains_key(uid)) {
                shared.metrics.meet(&application);
            }
            let changed = state.put_application(application, &shared.namespace);
            let concerned = changed.iter().filter_map(|uid| state.apps.get(uid));
            let concerned: Vec<_> = concerned.flat_map(|app| state.concerned_by(&app.application)).collect();
            changed.iter().chain(&concerned).for_each(|uid| shared.queue.dirty(uid));
            uid
        }
        Err(error) => {
            tracing::error!(application = name, %error, "failed to read an Application; its CRD is not the one of this version");
            None
        }
    }
}

/// All Applications of which anything is known.
fn known(shared: &Shared) -> HashSet<Uid> {
    let state = shared.state();
    state.apps.keys().chain(state.early.keys().map(|(uid, _)| uid)).cloned().collect()
}

/// After a full list: what was known before it and is not in it is gone, and so is what the bus knows of it. One that
/// became known meanwhile may have been created after the list was made.
fn settle<'a>(shared: &Shared, gone: impl Iterator<Item = &'a Uid>) {
    let mut state = shared.state();
    state.listed = true;
    state.projects.note_applications();
    drop(state);
    gone.for_each(|uid| remove_application(shared, uid));
}

/// Forgets an Application that is gone, and says so.
pub fn remove_application(shared: &Shared, uid: &str) {
    let mut state = shared.state();
    state.early.retain(|(early, _), _| **early != *uid);
    if let Some(app) = state.remove_application(uid) {
        state.concerned_by(&app.application).iter().for_each(|uid| shared.queue.dirty(uid));
        let objects = app.taken_along.unwrap_or_default();
        let deleted = ApplicationDeleted { objects, orphans: app.taken_along.is_none() };
        shared.publisher.say(&app.application, vec![Fact::ApplicationDeleted(deleted)], &app.tracked.context);
    }
    // The bus may be away for long, and meanwhile other Applications change.
    let (bus, uid) = (shared.bus.clone(), uid.to_owned());
    tokio::spawn(async move {
        if let Err(error) = bus.forget(&uid).await {
            tracing::debug!(%error, uid, "failed to forget what the bus knows of a deleted Application");
        }
    });
}

/// Forgets the bundle that an operation asked for: the next one may ask in the same words and mean something newer.
pub fn forget_operation(shared: &Shared, uid: &Uid) {
    let Some(sequence) = shared.state().drop_requested(uid) else { return };
    let (bus, uid) = (shared.bus.clone(), uid.clone());
    tokio::spawn(async move {
        if let Err(error) = bus.forget_operation(&uid, sequence).await {
            tracing::debug!(%error, %uid, "failed to forget the bundle of an operation that ended");
        }
    });
}

/// Follows the definitions of kinds: when they change, the cluster is asked again what it serves.
pub async fn definitions(shared: Arc<Shared>) {
    let api: Api<PartialObjectMeta<CustomResourceDefinition>> = Api::all(shared.cluster.client());
    let mut events =
        pin!(watcher(api, watcher::Config::default().page_size(50)).backoff(cluster::patience()));
    while next_definition(&shared, &mut events).await {
        while let Ok(true) = tokio::time::timeout(SETTLE, next_definition(&shared, &mut events)).await {}
        rediscover(&shared).await;
        doubt_unknown(&shared);
    }
}

async fn next_definition<S>(shared: &Shared, events: &mut S) -> bool
where
    S: Stream<Item = watcher::Result<watcher::Event<PartialObjectMeta<CustomResourceDefinition>>>> + Unpin,
{
    let event = events.next().await;
    if let Some(Ok(watcher::Event::Apply(_) | watcher::Event::Delete(_))) = event {
        shared.cluster.note_definition();
    }
    event.is_some()
}

/// Has objects judged again whose unknown fields may be known now.
fn doubt_unknown(shared: &Shared) {
    let mut state = shared.state();
    let doubted = state.records.doubt_unknown();
    let wanted = doubted.iter().filter_map(|key| state.wanted(key));
    wanted.for_each(|(uid, _)| shared.queue.dirty(uid));
}

/// Asks the cluster again what it serves.
pub async fn rediscover(shared: &Shared) {
    if discover_patiently(shared).await {
        let mut state = shared.state();
        state.epoch += 1;
        state.projects.note_kinds();
        // Kinds that nothing served were noted as empty; they may be served now.
        for kind in state.records.unserved() {
            state.records.unwatch(&kind);
        }
        drop(state);
        shared.dirty_all();
    }
}

/// Starts to watch a kind. A kind that the cluster does not serve has no objects.
pub fn watch_kind(shared: &Arc<Shared>, kind: &Kind) {
    let group_kind = kind.group_kind();
    let served = shared.cluster.served(kind).or_else(|| shared.cluster.served_any(&group_kind));
    let mut state = shared.state();
    if state.records.is_watched(&group_kind) {
        return;
    }
    match served.filter(|served| served.watchable) {
        Some(served) => {
            state.records.set_watched(group_kind.clone(), false);
            tokio::spawn(objects(shared.clone(), group_kind, served));
        }
        None => state.records.set_unserved(group_kind),
    }
}

/// Follows the objects of one kind until the cluster no longer serves it.
async fn objects(shared: Arc<Shared>, kind: GroupKind, served: Served) {
    let watch = || Box::pin(cluster::watch(shared.cluster.client(), &served, None));
    let (mut events, mut changes) = (watch(), shared.settings.changes(&kind));
    let mut seen = HashSet::new();
    loop {
        let event = tokio::select! {
            event = events.next() => event,
            // Judged by other rules: all are looked at once more.
            () = changes.next() => {
                events = watch();
                continue;
            }
        };
        let Some(event) = event else { return };
        match event {
            Ok(Event::Init) => seen.clear(),
            Ok(Event::InitApply(passing)) => seen.extend(judge(&shared, &kind, &passing.value).await),
            Ok(Event::Apply(passing)) => drop(judge(&shared, &kind, &passing.value).await),
            Ok(Event::Delete(passing)) => {
                if let Some(key) = ObjectKey::of(&kind, &passing.value) {
                    remove(&shared, &key, live::version(&passing.value));
                }
            }
            Ok(Event::InitDone) => {
                let known = shared.state().records.of_kind(&kind);
                known.iter().filter(|key| !seen.contains(*key)).for_each(|key| remove(&shared, key, None));
                seen = HashSet::new();
                shared.state().records.set_watched(kind.clone(), true);
                shared.dirty_all();
            }
            Err(error) => {
                tracing::debug!(%error, ?kind, "a watch was interrupted");
                note_refusal(&shared, &kind, &error).await;
                if is_gone(&error)
                    && shared.cluster.discover().await.is_ok()
                    && shared.cluster.served_any(&kind).is_none()
                {
                    shared.state().records.unwatch(&kind);
                    shared.dirty_all();
                    return;
                }
            }
        }
    }
}

/// A kind that the API server, once it is ready, refuses to list holds up whoever manages objects of it: they are told.
async fn note_refusal(shared: &Shared, kind: &GroupKind, error: &watcher::Error) {
    let watcher::Error::InitialListFailed(kube::Error::Api(status)) = error else { return };
    if status.code == 404 || !Error::is_about_the_object(status.code, &status.message) {
        return;
    }
    if shared.cluster.discover().await.is_ok()
        && shared.state().records.set_refused(kind, status.message.clone())
    {
        shared.dirty_all();
    }
}

fn is_gone(error: &watcher::Error) -> bool {
    let status = match error {
        watcher::Error::InitialListFailed(kube::Error::Api(status))
        | watcher::Error::WatchStartFailed(kube::Error::Api(status)) => status,
        _ => return false,
    };
    status.code == 404
}

/// Looks at a live object as it passes by, and wakes whom it concerns if anything about it changed.
async fn judge(shared: &Shared, kind: &GroupKind, live: &serde_json::Value) -> Option<ObjectKey> {
    let key = ObjectKey::of(kind, live)?;
    let scripted = shared.settings.scripted_health(&key, live).await;
    let mut state = shared.state();
    let mut record = {
        let desired = state.wanted(&key).map(|(_, desired)| desired.as_ref());
        Record::of(&key, live, desired, state.records.get(&key))
    };
    record.overrule_health(scripted);
    let before = state.records.get(&key);
    let changed = before.is_none_or(|before| {
        before.verdict != record.verdict
            || before.health != record.health
            || before.deleting != record.deleting
            || before.instance != record.instance
            || before.hook != record.hook
            || (record.verdict == Verdict::Undecided && before.fingerprint != record.fingerprint)
    });
    let instances = [before.and_then(|before| before.instance.clone()), record.instance.clone()];
    state.records.put(key.clone(), record);
    if changed {
        let wanted = state.wanted(&key).map(|(uid, _)| uid);
        let tracked = instances.iter().flatten().filter_map(|instance| state.by_instance(instance));
        wanted.into_iter().chain(tracked).for_each(|uid| shared.queue.dirty(uid));
    }
    Some(key)
}

fn remove(shared: &Shared, key: &ObjectKey, version: Option<u64>) {
    let mut state = shared.state();
    let instance = state.records.remove_at(key, version).and_then(|record| record.instance);
    let wanted = state.wanted(key).map(|(uid, _)| uid);
    let tracked = instance.iter().filter_map(|instance| state.by_instance(instance));
    wanted.into_iter().chain(tracked).for_each(|uid| shared.queue.dirty(uid));
}

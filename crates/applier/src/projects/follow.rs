//! How AppProjects arrive, and the little that is written on them.
//!
//! What comes in: a watch of AppProjects. What goes out: word to the
//! applications of a project that changed; the project `default` where there is none, and the finalizer of one that
//! nobody uses any more. A project that is there is never overwritten.

use std::{collections::HashSet, pin::pin, sync::Arc, time::Duration};

use futures::StreamExt;
use ithaca_api::{
    AppProject,
    annotation::{DEFAULT_PROJECT, FIELD_MANAGER},
};
use ithaca_chassis::ReadyFlag;
use kube::{
    Api,
    api::{Patch, PatchParams, PostParams},
    core::{ApiResource, GroupVersionKind},
    runtime::watcher,
};
use serde_json::json;

use super::default_project;
use crate::{
    cluster::{self, Event, Served},
    error::Error,
    orphans,
    service::Shared,
    state::Uid,
};

/// How long the API server is left alone when it did not take the default project.
const PAUSE: Duration = Duration::from_millis(500);

/// When projects are let go again that were not: nothing tells when the API server would.
const AGAIN: Duration = Duration::from_secs(5);

/// Follows the projects of the control plane's namespace.
pub async fn follow(shared: Arc<Shared>, ready: ReadyFlag) {
    let kind = GroupVersionKind::gvk(ithaca_api::GROUP, ithaca_api::VERSION, "AppProject");
    let resource = ApiResource::from_gvk_with_plural(&kind, "appprojects");
    let served = Served { resource, namespaced: true, watchable: true };
    let mut events = pin!(cluster::watch(shared.home.client(), &served, Some(&shared.namespace)));
    let (mut unseen, look_again) = (HashSet::new(), shared.state().projects.look_again.clone());
    let mut is_behind = false;
    loop {
        tokio::select! {
            event = events.next() => match event {
                Some(Ok(event)) => pass(&shared, event, &mut unseen, &ready).await,
                Some(Err(error)) => {
                    let why = unreadable(&error);
                    tracing::warn!(why, %error, "failed to watch AppProjects, trying again; nothing is decided before they were read once");
                }
                None => return,
            },
            () = look_again.notified() => {}
            () = tokio::time::sleep(AGAIN), if is_behind => {}
        }
        is_behind = !release(&shared).await;
        orphans::settle(&shared);
    }
}

/// `unseen`: those that were known before a list and have not been in it so far. One that was asked for while the list is
/// made may be younger.
async fn pass(shared: &Shared, event: Event, unseen: &mut HashSet<Box<str>>, ready: &ReadyFlag) {
    match event {
        Event::Init => *unseen = shared.state().projects.known.keys().cloned().collect(),
        Event::InitApply(passing) => {
            if let Some(name) = take(shared, passing.value) {
                unseen.remove(&name);
            }
        }
        Event::Apply(passing) => drop(take(shared, passing.value)),
        Event::Delete(passing) => {
            forget(shared, passing.value["metadata"]["name"].as_str().unwrap_or_default());
        }
        Event::InitDone => {
            std::mem::take(unseen).iter().for_each(|name| forget(shared, name));
            if !shared.state().projects.listed {
                ensure_default(shared).await;
                shared.state().projects.listed = true;
                shared.dirty_all();
                ready.set(true);
            }
        }
    }
}

/// Asks for a project that nobody has heard of. The watch of Applications may be ahead of this one, and an operation must
/// not fail because a project was made a moment before its Application.
pub async fn look_for(shared: &Shared, name: &str) {
    let is_new = |shared: &Shared| {
        let projects = &shared.state().projects;
        projects.is_listed() && !projects.known.contains_key(name)
    };
    if !is_new(shared) {
        return;
    }
    let api: Api<AppProject> = Api::namespaced(shared.home.client(), &shared.namespace);
    match api.get_opt(name).await {
        Ok(Some(project)) if is_new(shared) => {
            if shared.state().projects.put(project) {
                wake(shared, name);
            }
        }
        Ok(_) => {}
        Err(error) => tracing::debug!(project = name, %error, "failed to ask for an AppProject"),
    }
}

/// Lets projects go that are being deleted and that no application is of any more. Returns whether all went.
async fn release(shared: &Shared) -> bool {
    let mut all_went = true;
    let free: Vec<_> = {
        let state = shared.state();
        let used = |name: &str| state.apps.values().any(|app| app.application.spec.project() == name);
        let leaving = state.projects.leaving.iter().filter(|(name, _)| state.listed && !used(name));
        leaving.map(|(name, others)| (name.clone(), others.clone())).collect()
    };
    let api: Api<AppProject> = Api::namespaced(shared.home.client(), &shared.namespace);
    for (name, others) in free {
        let patch = Patch::Merge(json!({"metadata": {"finalizers": others}}));
        match api.patch(&name, &PatchParams::default(), &patch).await {
            Ok(_) => drop(shared.state().projects.leaving.remove(&name)),
            Err(kube::Error::Api(status)) if status.code == 404 => {}
            Err(error) => {
                tracing::warn!(project = &*name, %error, "failed to let an AppProject go that nobody uses");
                all_went = false;
            }
        }
    }
    all_went
}

/// Takes over a project as it passes by, and wakes its applications. Returns its name.
fn take(shared: &Shared, value: serde_json::Value) -> Option<Box<str>> {
    match serde_json::from_value::<AppProject>(value) {
        Ok(project) => {
            let name: Box<str> = project.metadata.name.as_deref()?.into();
            if shared.state().projects.put(project) {
                wake(shared, &name);
            }
            Some(name)
        }
        Err(error) => {
            tracing::error!(%error, "failed to read an AppProject; its CRD is not the one of this version");
            None
        }
    }
}

fn forget(shared: &Shared, name: &str) {
    if shared.state().projects.remove(name) {
        wake(shared, name);
    }
}

/// The applications of a project have to be looked at again.
fn wake(shared: &Shared, project: &str) {
    let state = shared.state();
    let of_it = state.apps.iter().filter(|(_, app)| app.application.spec.project() == project);
    of_it.map(|(uid, _)| uid).for_each(|uid: &Uid| shared.queue.dirty(uid));
}

/// Makes the project `default` where there is none.
async fn ensure_default(shared: &Shared) {
    if shared.state().projects.known.contains_key(DEFAULT_PROJECT) {
        return;
    }
    let api: Api<AppProject> = Api::namespaced(shared.home.client(), &shared.namespace);
    let params = PostParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PostParams::default() };
    loop {
        match api.create(&params, &default_project()).await {
            Ok(project) => {
                shared.state().projects.put(project);
                return tracing::info!("made the AppProject default: it allows everything");
            }
            Err(kube::Error::Api(status)) if status.code == 409 => {
                tracing::debug!("somebody else made the AppProject default");
                // The watch will tell of it, but nothing may be decided without it.
                match api.get_opt(DEFAULT_PROJECT).await {
                    Ok(Some(project)) => {
                        shared.state().projects.put(project);
                        return;
                    }
                    Ok(None) => {}
                    Err(error) => {
                        tracing::warn!(%error, "failed to read the AppProject default, trying again in {PAUSE:?}");
                        tokio::time::sleep(PAUSE).await;
                    }
                }
            }
            Err(error) => match Error::of("the AppProject default", error) {
                error if error.is_passing() => {
                    tracing::warn!(error = &error as &dyn std::error::Error, "trying again in {PAUSE:?}");
                    tokio::time::sleep(PAUSE).await;
                }
                refused => {
                    return tracing::error!(
                        error = &refused as &dyn std::error::Error,
                        "failed to make the AppProject default; make it by hand"
                    );
                }
            },
        }
    }
}

/// What stands between the applier and the AppProjects.
fn unreadable(error: &watcher::Error) -> &'static str {
    let (watcher::Error::InitialListFailed(kube::Error::Api(status))
    | watcher::Error::WatchStartFailed(kube::Error::Api(status))) = error
    else {
        return "the cluster did not answer";
    };
    match status.code {
        404 => {
            "the cluster does not know AppProjects (argoproj.io/v1alpha1): apply the folder crds of Ithaca's chart"
        }
        403 => "this account may not read AppProjects: a Role must let it get, list, watch and create them",
        _ => "the API server refused",
    }
}

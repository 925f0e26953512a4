//! How clusters become known, and unknown: the Secrets that describe them.
//!
//! What comes in: a watch of the Secrets in the control plane's namespace. What goes out: word to every application, and
//! somebody who keeps the connection. What a Secret holds never goes out.

use std::{collections::HashSet, pin::pin, sync::Arc};

use futures::StreamExt;
use ithaca_api::{ClusterSpec, Destination, annotation::SECRET_TYPE_LABEL};
use ithaca_chassis::ReadyFlag;
use k8s_openapi::api::core::v1::Secret;
use kube::{
    Api, ResourceExt,
    api::ListParams,
    runtime::{
        WatchStreamExt,
        watcher::{self, Event, watcher},
    },
};

use super::{HOME, keep};
use crate::service::Shared;

/// Keeps the cluster that Ithaca runs in, as long as no Secret describes it.
pub fn start_home(shared: &Arc<Shared>) {
    let spec = shared.state().clusters.settle_home();
    if let Some(spec) = spec {
        keep::start(shared, HOME, spec);
    }
}

/// Follows the Secrets.
pub async fn follow(shared: Arc<Shared>, ready: ReadyFlag) {
    let api: Api<Secret> = Api::namespaced(shared.home.client(), &shared.namespace);
    let config = watcher::Config::default().labels(&format!("{SECRET_TYPE_LABEL}=cluster"));
    let mut events = pin!(watcher(api, config).backoff(ithaca_api::patience()));
    // One that was asked for while a list is made may be younger than the list.
    let mut unseen = HashSet::new();
    while let Some(event) = events.next().await {
        match event {
            Ok(Event::Init) => unseen = described(&shared),
            Ok(Event::InitApply(secret)) => {
                take(&shared, &secret);
                unseen.remove(&*secret.name_any());
            }
            Ok(Event::Apply(secret)) => take(&shared, &secret),
            Ok(Event::Delete(secret)) => forget(&shared, &secret.name_any()),
            Ok(Event::InitDone) => {
                std::mem::take(&mut unseen).iter().for_each(|name| forget(&shared, name));
                let listed = std::mem::replace(&mut shared.state().clusters.listed, true);
                if !listed {
                    shared.dirty_all();
                    ready.set(true);
                }
            }
            Err(error) => {
                let why = unreadable(&error);
                tracing::warn!(
                    why,
                    "failed to watch the Secrets of clusters, trying again; nothing is decided before they were read once"
                );
            }
        }
    }
}

/// The names of the Secrets that are known.
fn described(shared: &Shared) -> HashSet<Box<str>> {
    let state = shared.state();
    state.clusters.known.keys().filter(|name| &***name != HOME).cloned().collect()
}

/// Asks for the Secret of a cluster that nobody has heard of: the watch of Applications may be ahead of this one.
pub async fn look_for(shared: &Arc<Shared>, destination: &Destination) {
    let is_unknown = {
        let clusters = &shared.state().clusters;
        clusters.is_listed() && clusters.find(destination).is_err()
    };
    if !is_unknown {
        return;
    }
    let api: Api<Secret> = Api::namespaced(shared.home.client(), &shared.namespace);
    let params = ListParams::default().labels(&format!("{SECRET_TYPE_LABEL}=cluster"));
    match api.list(&params).await {
        // Of those that are known the watch may have told something newer.
        Ok(secrets) => secrets.iter().for_each(|secret| {
            if !shared.state().clusters.known.contains_key(&*secret.name_any()) {
                take(shared, secret);
            }
        }),
        Err(error) => tracing::debug!(%error, "failed to ask for the Secrets of clusters"),
    }
}

fn take(shared: &Arc<Shared>, secret: &Secret) {
    let name = secret.name_any();
    let Some(spec) = shared.state().clusters.put(&name, ClusterSpec::read(secret)) else { return };
    tracing::info!(secret = name, cluster = spec.name, server = spec.server, "a cluster is known");
    if let Err(error) = &spec.access {
        tracing::warn!(secret = name, %error, "failed to read the Secret of a cluster");
    }
    keep::start(shared, &name, spec);
    changed(shared);
}

fn forget(shared: &Arc<Shared>, secret: &str) {
    if shared.state().clusters.remove(secret) {
        tracing::info!(secret, "a cluster is no longer known");
        changed(shared);
    }
}

/// Names may mean other clusters now.
fn changed(shared: &Arc<Shared>) {
    start_home(shared);
    if shared.state().clusters.is_listed() {
        shared.dirty_all();
    }
}

fn unreadable(error: &watcher::Error) -> &'static str {
    let (watcher::Error::InitialListFailed(kube::Error::Api(status))
    | watcher::Error::WatchStartFailed(kube::Error::Api(status))) = error
    else {
        return "the cluster did not answer";
    };
    match status.code {
        403 => "this account may not read Secrets there: a Role must let it get, list and watch them",
        _ => "the API server refused",
    }
}

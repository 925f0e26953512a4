//! Which kinds a cluster serves, asked for again whenever that may be another answer.
//!
//! What comes in: what brings kinds to a cluster, definitions and API services. What goes out: what it serves, to everybody
//! who goes there. What it does not do: follow the objects of a kind.

use std::{fmt::Debug, pin::pin, time::Duration};

use futures::{Stream, StreamExt, stream};
use k8s_openapi::{
    ClusterResourceScope, apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition,
    kube_aggregator::pkg::apis::apiregistration::v1::APIService,
};
use kube::{
    Api, Resource,
    api::PartialObjectMeta,
    runtime::{WatchStreamExt, watcher},
};

use crate::{cluster::Cluster, service::Site};

/// How long definitions may keep coming before the kinds are asked for again.
const SETTLE: Duration = Duration::from_millis(100);

/// When the kinds are asked for once more: the API server tells of what brings them before it serves them.
const LAG: Duration = Duration::from_secs(3);

/// Asks for the cluster's kinds until it answers, or until the connection to it is over. Returns whether they are
/// others than before.
pub async fn discover_patiently(cluster: &Cluster) -> bool {
    loop {
        match cluster.discover().await {
            Ok(changed) => return changed,
            Err(_) if cluster.is_over() => return false,
            Err(error) => {
                tracing::warn!(error = &error as &dyn std::error::Error, "waiting for the API server");
                tokio::time::sleep(Duration::from_millis(250)).await;
            }
        }
    }
}

/// Follows what brings kinds, definitions and API services: when they change, the cluster is asked again what it serves.
pub async fn definitions(site: Site) {
    let defined = changes::<CustomResourceDefinition>(&site).inspect(|change| match change {
        Change::One => site.cluster.note_definition(),
        Change::All => {}
    });
    let mut changes = pin!(stream::select(defined, changes::<APIService>(&site)));
    let mut is_behind = false;
    loop {
        let next = changes.next();
        let told = if is_behind { tokio::time::timeout(LAG, next).await } else { Ok(next.await) };
        match told {
            Ok(Some(_)) => {
                while let Ok(Some(_)) = tokio::time::timeout(SETTLE, changes.next()).await {}
                rediscover(&site).await;
                doubt_unknown(&site);
            }
            Ok(None) => return,
            Err(_) => rediscover(&site).await,
        }
        is_behind = told.is_ok();
    }
}

/// What may bring other kinds.
enum Change {
    /// Something was made, changed or deleted.
    One,
    /// All were listed, and what happened before is not known.
    All,
}

/// Follows all objects of a type.
fn changes<K>(site: &Site) -> impl Stream<Item = Change> + use<K>
where
    K: Resource<DynamicType = (), Scope = ClusterResourceScope> + Clone + Debug + Send + 'static,
{
    let api: Api<PartialObjectMeta<K>> = Api::all(site.cluster.client());
    let events = watcher(api, watcher::Config::default().page_size(50)).backoff(ithaca_api::patience());
    events.filter_map(async |event| match event {
        Ok(watcher::Event::Apply(_) | watcher::Event::Delete(_)) => Some(Change::One),
        Ok(watcher::Event::InitDone) => Some(Change::All),
        Ok(watcher::Event::Init | watcher::Event::InitApply(_)) | Err(_) => None,
    })
}

/// Has objects judged again whose unknown fields may be known now.
fn doubt_unknown(site: &Site) {
    site.holdings(|there| {
        let doubted = there.records.doubt_unknown();
        let wanted = doubted.iter().flat_map(|key| there.claims.claimants(key));
        wanted.for_each(|uid| site.queue.dirty(uid));
    });
}

/// Asks the cluster again what it serves, until it answers.
pub async fn rediscover(site: &Site) {
    if discover_patiently(&site.cluster).await {
        note_kinds(site);
    }
}

/// The same once. Returns whether it answered.
pub(super) async fn discover(site: &Site) -> bool {
    let discovered = site.cluster.discover().await;
    if matches!(discovered, Ok(true)) {
        note_kinds(site);
    }
    discovered.is_ok()
}

/// The cluster serves other kinds than before: whoever learns it first has everybody look, for the next who asks finds
/// nothing new.
fn note_kinds(site: &Site) {
    site.holdings(|there| {
        there.epoch += 1;
        // Kinds that nothing served were noted as empty; they may be served now.
        for kind in there.records.unserved() {
            there.records.unwatch(&kind);
        }
    });
    site.state().projects.note_kinds();
    site.dirty_all();
}

//! What the destination's API server offers, as charts may ask: its version and API versions.
//! Found by discovery, and again when CustomResourceDefinitions change.

use std::collections::BTreeSet;
use std::time::Duration;

use futures::{Stream, StreamExt, TryStreamExt};
use ithaca_proto::v1::Capabilities;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::core::PartialObjectMeta;
use kube::core::discovery::v2::APIGroupDiscoveryList;
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Api, Client};

use crate::event::{Event, Events};

/// Definitions often come many at once; the API server also takes a moment to serve them.
const SETTLE: Duration = Duration::from_secs(2);

/// When is asked once more: an API server with much to do takes longer than that.
const LAG: Duration = Duration::from_secs(5);

/// Watches until nobody listens any more.
pub async fn watch(client: Client, events: Events) {
    let api: Api<PartialObjectMeta<CustomResourceDefinition>> = Api::all(client.clone());
    let mut changes = watcher(api, watcher::Config::default().page_size(100))
        .inspect_err(|error| tracing::warn!(%error, "failed to watch CustomResourceDefinitions"))
        .backoff(ithaca_api::patience())
        .boxed();
    let mut is_behind = false;
    loop {
        let capabilities = discover_patiently(&client).await;
        if events.send(Event::Capabilities(capabilities)).is_err() {
            return;
        }
        let next = next_change(&mut changes);
        match if is_behind { tokio::time::timeout(LAG, next).await } else { Ok(next.await) } {
            Ok(true) => {
                let quiet =
                    async { while let Ok(Some(_)) = tokio::time::timeout(SETTLE, changes.next()).await {} };
                // Something that changes all the time must not keep the rest from being seen.
                let _ = tokio::time::timeout(SETTLE * 5, quiet).await;
                is_behind = true;
            }
            Ok(false) => return,
            Err(_) => is_behind = false,
        }
    }
}

/// Waits until a definition may have changed; false where nobody tells any more.
async fn next_change<K>(
    changes: &mut (impl Stream<Item = watcher::Result<watcher::Event<K>>> + Unpin),
) -> bool {
    loop {
        match changes.next().await {
            Some(Ok(watcher::Event::Apply(_) | watcher::Event::Delete(_) | watcher::Event::InitDone)) => {
                return true;
            }
            Some(_) => {}
            None => return false,
        }
    }
}

async fn discover_patiently(client: &Client) -> Capabilities {
    loop {
        match discover(client).await {
            Ok(capabilities) => return capabilities,
            Err(error) => tracing::warn!(%error, "failed to find what the API server offers, trying again"),
        }
        tokio::time::sleep(SETTLE).await;
    }
}

async fn discover(client: &Client) -> Result<Capabilities, kube::Error> {
    let (version, core, groups) = futures::try_join!(
        client.apiserver_version(),
        client.list_core_api_versions_aggregated(),
        client.list_api_groups_aggregated(),
    )?;
    Ok(capabilities(version.git_version, &[core, groups]))
}

/// `group/version` and `group/version/Kind` for all that is served, sorted.
fn capabilities(kube_version: String, lists: &[APIGroupDiscoveryList]) -> Capabilities {
    let mut api_versions = BTreeSet::new();
    for group in lists.iter().flat_map(|list| &list.items) {
        let name = group.metadata.as_ref().and_then(|metadata| metadata.name.as_deref()).unwrap_or_default();
        for served in &group.versions {
            let Some(version) = &served.version else { continue };
            let group_version = if name.is_empty() { version.clone() } else { format!("{name}/{version}") };
            for kind in served.resources.iter().filter_map(|resource| resource.response_kind.as_ref()) {
                let kind = kind.kind.as_deref().unwrap_or_default();
                api_versions.insert(format!("{group_version}/{kind}"));
            }
            api_versions.insert(group_version);
        }
    }
    Capabilities { kube_version, api_versions: api_versions.into_iter().collect() }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn versions_and_kinds_are_listed_in_order() {
        let list = |value| serde_json::from_value::<APIGroupDiscoveryList>(value).expect("a list");
        let core = list(json!({"items": [{"metadata": {}, "versions": [{"version": "v1", "resources": [
            {"resource": "pods", "responseKind": {"kind": "Pod"}}]}]}]}));
        let groups = list(json!({"items": [{"metadata": {"name": "apps"}, "versions": [{"version": "v1",
            "resources": [{"resource": "deployments", "responseKind": {"kind": "Deployment"}}]}]}]}));
        let found = capabilities("v1.37.2".into(), &[groups, core]);
        assert_eq!(found.api_versions, ["apps/v1", "apps/v1/Deployment", "v1", "v1/Pod"]);
        assert_eq!(found.kube_version, "v1.37.2");
    }
}

//! Objects of the control plane's namespace, as they change.
//!
//! In: what to watch. Out: each state of it. A watch that fails is told of and tried again, for ever.

use futures::{Stream, StreamExt, TryStreamExt};
use ithaca_api::patience;
use k8s_openapi::NamespaceResourceScope;
use kube::runtime::WatchStreamExt;
use kube::runtime::watcher::watch_object;
use kube::{Api, Client, Resource};
use serde::de::DeserializeOwned;

/// One object, which may be absent: as it is now, and then with each change.
pub fn named<K>(
    client: Client,
    namespace: &str,
    name: &'static str,
) -> impl Stream<Item = Option<K>> + Send + Unpin + use<K>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
    K: Clone + std::fmt::Debug + DeserializeOwned + Send + 'static,
{
    let kind = K::kind(&());
    let api: Api<K> = Api::namespaced(client, namespace);
    let stream = watch_object(api, name)
        .inspect_err(move |error| tracing::warn!(%error, "failed to watch {kind} {name}, trying again"));
    stream.backoff(patience()).filter_map(async |object| object.ok()).boxed()
}

//! Objects of the control plane's namespace, as they change.
//!
//! In: what to watch. Out: each state of it. A watch that fails is told of and tried again, for ever.

use std::time::Duration;

use backon::ExponentialBuilder;
use futures::{Stream, StreamExt, TryStreamExt};
use k8s_openapi::NamespaceResourceScope;
use kube::runtime::WatchStreamExt;
use kube::runtime::watcher::{ExponentialBackoff, watch_object};
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

/// How long a watch that failed waits. All have to see soon that an API server is back, however long it was away.
pub fn patience() -> ExponentialBackoff {
    let (shortest, longest) = (Duration::from_millis(500), Duration::from_secs(4));
    let builder = ExponentialBuilder::new().with_min_delay(shortest).with_max_delay(longest);
    builder.without_max_times().with_jitter().into()
}

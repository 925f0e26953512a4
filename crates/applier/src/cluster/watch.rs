//! Watching one kind: every object once as it is, then each change.
//!
//! Objects pass by as plain JSON and are not kept.

use futures::{Stream, StreamExt};
use ithaca_api::patience;
use kube::{
    Api, Client, Resource,
    core::{ApiResource, ObjectMeta},
    runtime::{
        WatchStreamExt,
        watcher::{self, watcher},
    },
};
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use super::Served;

/// Objects listed in one page: what has to be held in memory at once.
pub(super) const PAGE: u32 = 100;

/// An object as it passes by.
#[derive(Clone, Debug)]
pub struct Passing {
    meta: ObjectMeta,
    /// The whole object.
    pub value: Value,
}

/// What a watch says.
pub type Event = watcher::Event<Passing>;

/// Every object of a kind, in one namespace or all, and then each change, for ever. Errors are passed on; the watch
/// goes on after them.
pub fn watch(
    client: Client,
    served: &Served,
    namespace: Option<&str>,
) -> impl Stream<Item = watcher::Result<Event>> + Send + use<> {
    let api: Api<Passing> = match namespace {
        Some(namespace) => Api::namespaced_with(client, namespace, &served.resource),
        None => Api::all_with(client, &served.resource),
    };
    watcher(api, watcher::Config::default().page_size(PAGE)).backoff(patience()).boxed()
}

impl<'de> Deserialize<'de> for Passing {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = Value::deserialize(deserializer)?;
        let text = |field: &str| {
            let metadata = value.get("metadata")?;
            metadata.get(field).and_then(Value::as_str).map(str::to_owned)
        };
        let meta = ObjectMeta {
            name: text("name"),
            namespace: text("namespace"),
            resource_version: text("resourceVersion"),
            uid: text("uid"),
            ..ObjectMeta::default()
        };
        Ok(Self { meta, value })
    }
}

impl Resource for Passing {
    type DynamicType = ApiResource;
    type Scope = kube::core::DynamicResourceScope;

    fn kind(resource: &ApiResource) -> std::borrow::Cow<'_, str> {
        resource.kind.as_str().into()
    }

    fn group(resource: &ApiResource) -> std::borrow::Cow<'_, str> {
        resource.group.as_str().into()
    }

    fn version(resource: &ApiResource) -> std::borrow::Cow<'_, str> {
        resource.version.as_str().into()
    }

    fn api_version(resource: &ApiResource) -> std::borrow::Cow<'_, str> {
        resource.api_version.as_str().into()
    }

    fn plural(resource: &ApiResource) -> std::borrow::Cow<'_, str> {
        resource.plural.as_str().into()
    }

    fn meta(&self) -> &ObjectMeta {
        &self.meta
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        &mut self.meta
    }
}

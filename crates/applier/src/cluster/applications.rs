//! Watching the Applications themselves.
//!
//! What comes in: a client, and where Applications may live. What goes out: each Application as it is read, or why it
//! cannot be. One that cannot be read is no reason not to see the others. They are read straight from their text, for as
//! plain JSON an application of thousands of objects takes many times its own memory.

use std::borrow::Cow;

use futures::{Stream, StreamExt, TryStreamExt, future::ready};
use ithaca_api::{Application, ApplicationNamespaces};
use kube::{
    Api, Client, Resource,
    core::{NamespaceResourceScope, ObjectMeta},
    runtime::{
        WatchStreamExt,
        watcher::{self, Event, watcher},
    },
};
use serde::{Deserialize, Deserializer, de::Error};
use serde_json::value::RawValue;

use super::watch::{PAGE, patience};

/// An Application as it passes by.
#[derive(Clone, Debug)]
pub struct Told {
    meta: ObjectMeta,
    /// The Application, without managedFields; or why it cannot be read. It is large, and each adaptor of a stream has
    /// room for an item on the stack.
    pub application: Result<Box<Application>, String>,
}

/// Every Application of the installation, and then each change, for ever. Errors are passed on; the watch goes on after
/// them.
pub fn watch_applications(
    client: Client,
    namespaces: ApplicationNamespaces,
) -> impl Stream<Item = watcher::Result<Event<Told>>> + Send + use<> {
    let api: Api<Told> = match namespaces.only() {
        Some(namespace) => Api::namespaced(client, namespace),
        None => Api::all(client),
    };
    let concerns = move |event: &Event<Told>| match event {
        Event::InitApply(told) | Event::Apply(told) | Event::Delete(told) => namespaces.includes(&told.meta),
        Event::Init | Event::InitDone => true,
    };
    let events = watcher(api, watcher::Config::default().page_size(PAGE)).backoff(patience());
    events.try_filter(move |event| ready(concerns(event))).boxed()
}

/// What is read of any object.
#[derive(Deserialize)]
struct Named {
    metadata: ObjectMeta,
}

impl<'de> Deserialize<'de> for Told {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Box::<RawValue>::deserialize(deserializer)?;
        let application = match serde_json::from_str::<Box<Application>>(text.get()) {
            Ok(mut application) => {
                application.metadata.managed_fields = None;
                Ok(application)
            }
            Err(error) => Err(error.to_string()),
        };
        let meta = match &application {
            Ok(application) => application.metadata.clone(),
            Err(_) => serde_json::from_str::<Named>(text.get()).map_err(D::Error::custom)?.metadata,
        };
        Ok(Self { meta, application })
    }
}

impl Resource for Told {
    type DynamicType = ();
    type Scope = NamespaceResourceScope;

    fn kind(_: &()) -> Cow<'_, str> {
        Application::kind(&())
    }

    fn group(_: &()) -> Cow<'_, str> {
        Application::group(&())
    }

    fn version(_: &()) -> Cow<'_, str> {
        Application::version(&())
    }

    fn plural(_: &()) -> Cow<'_, str> {
        Application::plural(&())
    }

    fn meta(&self) -> &ObjectMeta {
        &self.meta
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        &mut self.meta
    }
}

#[cfg(test)]
mod tests {
    use kube::core::{ObjectList, WatchEvent};

    use super::*;

    const GOOD: &str = r#"{"metadata":{"name":"good"},"spec":{"destination":{},"project":"default"}}"#;
    const BAD: &str = r#"{"metadata":{"name":"bad","resourceVersion":"7"},"spec":{"destination":[1]}}"#;

    #[test]
    fn one_that_cannot_be_read_hides_no_other() {
        let list = format!(
            r#"{{"kind":"ApplicationList","apiVersion":"argoproj.io/v1alpha1","metadata":{{}},"items":[{BAD},{GOOD}]}}"#
        );
        let list: ObjectList<Told> = serde_json::from_str(&list).expect("a list");
        assert!(list.items[0].application.is_err());
        assert_eq!(list.items[0].meta.resource_version.as_deref(), Some("7"));
        let good = list.items[1].application.as_ref().expect("an Application");
        assert_eq!(good.metadata.name.as_deref(), Some("good"));
    }

    #[test]
    fn an_event_is_read_from_its_text() {
        let event = format!(r#"{{"type":"MODIFIED","object":{GOOD}}}"#);
        let event: WatchEvent<Told> = serde_json::from_str(&event).expect("an event");
        assert!(matches!(event, WatchEvent::Modified(told) if told.application.is_ok()));
    }
}

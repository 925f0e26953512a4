//! Watching the Applications themselves.
//!
//! What comes in: a client, and where Applications may live. What goes out: each Application as its text, for whoever does
//! not know it yet to read. One that cannot be read is no reason not to see the others. They are read straight from their
//! text, for as plain JSON an application of thousands of objects takes many times its own memory.

use std::borrow::Cow;

use futures::{Stream, StreamExt, TryStreamExt, future::ready};
use ithaca_api::{Application, ApplicationNamespaces, patience};
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

use super::watch::PAGE;

/// An Application as it passes by: most are what this process wrote itself, and need not be read again.
#[derive(Clone, Debug)]
pub struct Told {
    /// Without managedFields.
    meta: ObjectMeta,
    text: Box<RawValue>,
}

impl Told {
    /// The Application, without managedFields; or why it cannot be read. It is large, and each adaptor of a stream has
    /// room for an item on the stack.
    pub fn read(&self) -> Result<Box<Application>, String> {
        let mut application: Box<Application> =
            serde_json::from_str(self.text.get()).map_err(|error| error.to_string())?;
        application.metadata.managed_fields = None;
        Ok(application)
    }
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
        let Named { metadata } = serde_json::from_str(text.get()).map_err(D::Error::custom)?;
        Ok(Self { meta: ObjectMeta { managed_fields: None, ..metadata }, text })
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
        assert!(list.items[0].read().is_err());
        assert_eq!(list.items[0].meta.resource_version.as_deref(), Some("7"));
        let good = list.items[1].read().expect("an Application");
        assert_eq!(good.metadata.name.as_deref(), Some("good"));
    }

    #[test]
    fn an_event_is_read_from_its_text() {
        let event = format!(r#"{{"type":"MODIFIED","object":{GOOD}}}"#);
        let event: WatchEvent<Told> = serde_json::from_str(&event).expect("an event");
        assert!(matches!(event, WatchEvent::Modified(told) if told.read().is_ok()));
    }
}

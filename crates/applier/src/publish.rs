//! Facts on their way to the bus: in order, and never in the way of applying.
//!
//! What comes in: facts about applications. What goes out: events. A bus that is away is waited for; what piles up
//! beyond a bound is dropped, the oldest first, and said so in the log.

use std::{
    hash::{DefaultHasher, Hash, Hasher},
    time::Duration,
};

use ithaca_api::Application;
use ithaca_bus::Bus;
use ithaca_proto::v1::{ApplicationRef, Event, event::Fact};
use jiff::Timestamp;
use opentelemetry::Context;
use prost::Message;
use tokio::sync::mpsc;
use tracing::Instrument;
use tracing_opentelemetry::OpenTelemetrySpanExt;

/// Events that wait for the bus at most.
const BACKLOG: usize = 20_000;

/// The way out for facts, cheap to clone.
#[derive(Clone)]
pub struct Publisher(mpsc::Sender<(Event, Context)>);

/// Both ends.
pub fn publisher() -> (Publisher, mpsc::Receiver<(Event, Context)>) {
    let (tx, rx) = mpsc::channel(BACKLOG);
    (Publisher(tx), rx)
}

impl Publisher {
    /// Says what happened to an application.
    pub fn say(&self, application: &Application, facts: Vec<Fact>, context: &Context) {
        let reference = application_ref(application);
        for fact in facts {
            let mut event = Event {
                application: Some(reference.clone()),
                project: application.spec.project().to_owned(),
                happened_at: Timestamp::now().as_microsecond(),
                fact: Some(fact),
                ..Event::default()
            };
            event.id = id(&event, application);
            if self.0.try_send((event, context.clone())).is_err() {
                tracing::warn!(
                    application = reference.name,
                    "dropped an event: the bus has been away too long"
                );
            }
        }
    }
}

/// Publishes for ever.
pub async fn publish(bus: Bus, mut events: mpsc::Receiver<(Event, Context)>) {
    while let Some((event, context)) = events.recv().await {
        let span = tracing::info_span!("publish", event = event.id);
        // Without a collector there is no parent to set, which is no error.
        let _ = span.set_parent(context);
        publish_one(&bus, &event).instrument(span).await;
    }
}

async fn publish_one(bus: &Bus, event: &Event) {
    let mut delay = Duration::from_millis(50);
    while let Err(error) = bus.publish_event(event).await {
        tracing::debug!(%error, "failed to publish an event, trying again");
        tokio::time::sleep(delay).await;
        delay = (delay * 2).min(Duration::from_secs(5));
    }
}

/// The message form of an Application's name.
pub fn application_ref(application: &Application) -> ApplicationRef {
    let metadata = &application.metadata;
    ApplicationRef {
        uid: metadata.uid.clone().unwrap_or_default(),
        namespace: metadata.namespace.clone().unwrap_or_default(),
        name: metadata.name.clone().unwrap_or_default(),
    }
}

/// The same for the same fact about the same version of an Application.
fn id(event: &Event, application: &Application) -> String {
    let mut hasher = DefaultHasher::new();
    application.metadata.resource_version.hash(&mut hasher);
    let timeless = Event { happened_at: 0, ..event.clone() };
    timeless.encode_to_vec().hash(&mut hasher);
    format!("{:016x}", hasher.finish())
}

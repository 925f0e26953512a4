//! Facts on their way to the bus: in order, and never in the way of applying.
//!
//! What comes in: facts about applications. What goes out: events. A bus that is away is waited for; what piles up
//! beyond a bound is dropped, the oldest first, and said so in the log.

use std::{
    borrow::Cow,
    hash::{DefaultHasher, Hash, Hasher},
    time::Duration,
};

use ithaca_api::{Application, ResultCode};
use ithaca_bus::Bus;
use ithaca_proto::v1::{ApplicationRef, Event, event::Fact};
use jiff::Timestamp;
use opentelemetry::Context;
use prost::Message;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tracing::Instrument;
use tracing_opentelemetry::OpenTelemetrySpanExt;

/// Bytes of an event; the bus takes messages of 1 MiB.
const LARGEST: usize = 512 << 10;

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
                fact: Some(fact),
                ..Event::default()
            };
            event.id = id(&event, application);
            event.happened_at = Timestamp::now().as_microsecond();
            if self.0.try_send((event, context.clone())).is_err() {
                tracing::warn!(
                    application = reference.name,
                    "dropped an event: the bus has been away too long"
                );
            }
        }
    }
}

/// Publishes until it is `over`, and then what is left.
pub async fn publish(bus: Bus, mut events: mpsc::Receiver<(Event, Context)>, over: CancellationToken) {
    loop {
        let next = tokio::select! {
            biased;
            next = events.recv() => next,
            () = over.cancelled(), if !events.is_closed() => {
                events.close();
                continue;
            }
        };
        let Some((event, context)) = next else { return };
        let span = tracing::info_span!("publish", event = event.id);
        // Without a collector there is no parent to set, which is no error.
        let _ = span.set_parent(context);
        publish_one(&bus, &event).instrument(span).await;
    }
}

async fn publish_one(bus: &Bus, event: &Event) {
    let event = &fitting(event);
    let mut delay = Duration::from_millis(50);
    while let Err(error) = bus.publish_event(event).await {
        tracing::debug!(%error, "failed to publish an event, trying again");
        tokio::time::sleep(delay).await;
        delay = (delay * 2).min(Duration::from_secs(5));
    }
}

/// An event that the bus takes: of a sync of very many objects the results at the end are left out, those that failed
/// last of all.
fn fitting(event: &Event) -> Cow<'_, Event> {
    let mut event = Cow::Borrowed(event);
    while event.encoded_len() > LARGEST {
        let Some(Fact::SyncFinished(finished)) = &mut event.to_mut().fact else { break };
        if finished.results.is_empty() {
            break;
        }
        finished.results.sort_by_key(|result| result.status != ResultCode::SyncFailed.as_str());
        finished.results.truncate(finished.results.len() / 2);
    }
    event
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

/// The same for the same fact about the same version of an Application; the event has no time yet.
fn id(event: &Event, application: &Application) -> String {
    let mut hasher = DefaultHasher::new();
    application.metadata.resource_version.hash(&mut hasher);
    event.encode_to_vec().hash(&mut hasher);
    format!("{:016x}", hasher.finish())
}

#[cfg(test)]
mod tests {
    use ithaca_proto::v1::{ObjectResult, SyncFinished};

    use super::*;

    /// The bus leaves out what has the same id as something before it.
    #[test]
    fn what_is_said_again_is_the_same_event_at_another_time() {
        let (publisher, mut events) = publisher();
        let mut application = Application::default();
        let fact =
            || vec![Fact::SyncFinished(SyncFinished { message: "done".to_owned(), ..Default::default() })];
        let mut say = |application: &Application, facts| {
            publisher.say(application, facts, &Context::new());
            events.try_recv().expect("an event").0
        };
        let (one, again) = (say(&application, fact()), say(&application, fact()));
        assert!(one.happened_at > 0 && one.happened_at <= again.happened_at);
        assert_eq!(one.id, again.id);
        assert_ne!(one.id, say(&application, vec![Fact::SyncFinished(SyncFinished::default())]).id);
        application.metadata.resource_version = Some("2".to_owned());
        assert_ne!(one.id, say(&application, fact()).id, "another version has gone the same way again");
    }

    #[test]
    fn an_event_of_very_many_results_keeps_those_that_failed() {
        let result = |place: usize| ObjectResult {
            status: if place == 29_999 { "SyncFailed" } else { "Synced" }.to_owned(),
            message: "configmap/settings serverside-applied".to_owned(),
            ..ObjectResult::default()
        };
        let finished = SyncFinished { results: (0..30_000).map(result).collect(), ..SyncFinished::default() };
        let event = Event { fact: Some(Fact::SyncFinished(finished)), ..Event::default() };
        assert!(event.encoded_len() > LARGEST);
        let fitting = fitting(&event);
        assert!(fitting.encoded_len() <= LARGEST);
        assert!(
            matches!(&fitting.fact, Some(Fact::SyncFinished(kept)) if kept.results[0].status == "SyncFailed")
        );
    }
}

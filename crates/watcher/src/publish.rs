//! Says facts until the bus has them: many at once, but of one application one at a time and in order, so
//! that an older fact never comes to stand where a newer one was.

use std::collections::{HashMap, HashSet, VecDeque};
use std::time::Duration;

use futures::StreamExt;
use futures::stream::FuturesUnordered;
use ithaca_bus::Bus;
use ithaca_proto::v1::failure::Reason;
use ithaca_proto::v1::{Failure, Purpose, Refresh, RevisionObserved};
use opentelemetry::KeyValue;
use tokio::sync::mpsc;
use tracing::Instrument;
use tracing_opentelemetry::OpenTelemetrySpanExt;

use crate::metrics::Metrics;
use crate::observe::{Key, Publication};

/// How many facts are on their way at once.
const AT_ONCE: usize = 64;
/// How long to wait after the bus refused one.
const PAUSE: Duration = Duration::from_millis(250);

/// What the publisher is told.
pub enum Order {
    /// Say this.
    Say(Box<Publication>),
    /// Do not say what waits under this key.
    Discard(Key),
}

/// The facts that wait, the newest for each key, in the order in which the keys came.
#[derive(Default)]
struct Queue {
    waiting: HashMap<Key, Box<Publication>>,
    order: VecDeque<Key>,
    in_flight: HashSet<Key>,
}

impl Queue {
    fn take(&mut self, order: Order) {
        match order {
            Order::Discard(key) => {
                self.waiting.remove(&key);
                self.order.retain(|other| *other != key);
            }
            Order::Say(publication) => {
                let key = publication.key.clone();
                if self.waiting.insert(key.clone(), publication).is_none() {
                    self.order.push_back(key);
                }
            }
        }
    }

    /// The next fact whose key is not on its way.
    fn next(&mut self) -> Option<Box<Publication>> {
        let at = self.order.iter().position(|key| !self.in_flight.contains(key))?;
        let key = self.order.remove(at)?;
        let publication = self.waiting.remove(&key)?;
        self.in_flight.insert(key);
        Some(publication)
    }

    /// A fact is said, or is to be said again unless there is a newer one.
    fn done(&mut self, publication: Box<Publication>, is_said: bool) {
        self.in_flight.remove(&publication.key);
        if !is_said && !self.waiting.contains_key(&publication.key) {
            self.take(Order::Say(publication));
        }
    }

    fn len(&self) -> usize {
        self.waiting.len() + self.in_flight.len()
    }
}

/// Publishes until the orders end and all is said.
pub async fn publish(bus: Bus, mut orders: mpsc::UnboundedReceiver<Order>, metrics: Metrics) {
    let mut queue = Queue::default();
    let mut in_flight = FuturesUnordered::new();
    let mut is_open = true;
    while is_open || queue.len() > 0 {
        while in_flight.len() < AT_ONCE
            && let Some(publication) = queue.next()
        {
            in_flight.push(say(&bus, publication, &metrics));
        }
        metrics.queue.record(queue.len() as u64, &[]);
        tokio::select! {
            order = orders.recv(), if is_open => match order {
                Some(order) => queue.take(order),
                None => is_open = false,
            },
            Some((publication, is_said)) = in_flight.next() => queue.done(publication, is_said),
        }
    }
}

async fn say(bus: &Bus, publication: Box<Publication>, metrics: &Metrics) -> (Box<Publication>, bool) {
    let fact = &publication.fact;
    let application = fact.application.as_ref().map_or("", |application| application.name.as_str());
    let revision = fact.sources.first().map_or("", |source| source.revision.as_str());
    let span = tracing::info_span!("publish revision", application, revision);
    let _ = span.set_parent(publication.context.clone());
    let mut outcome = bus.publish_revision(fact).instrument(span.clone()).await;
    if let Err(ithaca_bus::Error::TooLong { .. }) = &outcome {
        tracing::warn!(application, "a revision is too long for the bus");
        outcome = bus.publish_revision(&too_long(fact)).instrument(span).await;
    }
    if let Err(error) = outcome {
        tracing::warn!(
            error = &error as &dyn std::error::Error,
            application,
            "failed to publish a revision, trying again"
        );
        tokio::time::sleep(PAUSE).await;
        return (publication, false);
    }
    let seconds = publication.since.elapsed().as_secs_f64();
    let outcome = match (&fact.failure, publication.is_calm) {
        (Some(_), _) => "failed",
        (None, true) => "moved",
        (None, false) => "changed",
    };
    let purpose = if fact.purpose() == Purpose::Operation { "operation" } else { "tracked" };
    metrics.observed.add(1, &[KeyValue::new("purpose", purpose), KeyValue::new("outcome", outcome)]);
    if !publication.is_calm {
        metrics.observe.record(seconds, &[]);
    }
    let failure = fact.failure.as_ref().map(|failure| failure.message.as_str());
    let is_refresh = fact.refresh() != Refresh::Unspecified;
    let milliseconds = (seconds * 1_000.0) as u64;
    tracing::info!(
        application,
        revision,
        purpose,
        outcome,
        failure,
        is_refresh,
        milliseconds,
        "revision observed"
    );
    (publication, true)
}

/// What is said in place of a fact that the bus does not take, so that its application tells of it.
fn too_long(fact: &RevisionObserved) -> RevisionObserved {
    let message = "failed to tell of the application's sources: with all that they say and read they are too long; put \
                   values of charts into a value file, or let sources begin deeper in their repositories";
    RevisionObserved {
        sources: Vec::new(),
        capabilities: None,
        failure: Some(Failure { reason: Reason::Source.into(), message: message.to_owned() }),
        ..fact.clone()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    fn publication(uid: &str, stamp: i64) -> Box<Publication> {
        Box::new(Publication {
            key: Key { uid: uid.into(), purpose: Purpose::Tracked },
            fact: RevisionObserved { observed_at: stamp, ..Default::default() },
            is_calm: false,
            since: Instant::now(),
            context: opentelemetry::Context::new(),
        })
    }

    fn next(queue: &mut Queue) -> Option<(String, i64)> {
        queue.next().map(|publication| (publication.key.uid.to_string(), publication.fact.observed_at))
    }

    #[test]
    fn of_one_application_the_newest_fact_is_said_and_one_at_a_time() {
        let mut queue = Queue::default();
        queue.take(Order::Say(publication("a", 1)));
        queue.take(Order::Say(publication("b", 2)));
        assert_eq!(next(&mut queue), Some(("a".into(), 1)));
        queue.take(Order::Say(publication("a", 3)));
        queue.take(Order::Say(publication("a", 4)));
        assert_eq!(next(&mut queue), Some(("b".into(), 2)));
        assert_eq!(next(&mut queue), None);
        queue.done(publication("a", 1), true);
        assert_eq!(next(&mut queue), Some(("a".into(), 4)));
    }

    #[test]
    fn what_failed_is_said_again_unless_there_is_a_newer_fact() {
        let mut queue = Queue::default();
        queue.take(Order::Say(publication("a", 1)));
        assert_eq!(next(&mut queue), Some(("a".into(), 1)));
        queue.done(publication("a", 1), false);
        assert_eq!(next(&mut queue), Some(("a".into(), 1)));
        queue.take(Order::Say(publication("a", 2)));
        queue.done(publication("a", 1), false);
        assert_eq!(next(&mut queue), Some(("a".into(), 2)));
        queue.done(publication("a", 2), true);
        assert_eq!(queue.len(), 0);
    }

    #[test]
    fn what_is_discarded_is_not_said() {
        let mut queue = Queue::default();
        queue.take(Order::Say(publication("a", 1)));
        queue.take(Order::Say(publication("b", 2)));
        queue.take(Order::Discard(publication("a", 1).key));
        assert_eq!(next(&mut queue), Some(("b".into(), 2)));
        assert_eq!(next(&mut queue), None);
    }
}

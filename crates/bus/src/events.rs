//! `Event`: what happened, published once and read by each reader at its own pace.

use std::time::Duration;

use async_nats::jetstream::{consumer, message::PublishMessage};
use futures::{Stream, StreamExt};
use ithaca_proto::{subject, v1::Event};
use prost::Message;

use crate::{Bus, Delivery, Error, delivery, trace};

impl Bus {
    /// Says what happened. An event whose id was said in the last two minutes is not said again.
    pub async fn publish_event(&self, event: &Event) -> Result<(), Error> {
        let uid = event.application.as_ref().map_or("", |application| application.uid.as_str());
        let Some(fact) = &event.fact else {
            return Ok(());
        };
        let message = PublishMessage::build()
            .headers(trace::inject())
            .message_id(&event.id)
            .payload(event.encode_to_vec().into());
        self.publish(subject::event(uid, fact), message).await.map(drop)
    }

    /// Every event, each once per `durable` reader, from the oldest that it has not answered for.
    pub fn events(&self, durable: &str, batch: usize) -> impl Stream<Item = Delivery<Event>> + Send + use<> {
        let config = consumer::pull::Config {
            durable_name: Some(durable.to_owned()),
            ack_policy: consumer::AckPolicy::Explicit,
            ack_wait: delivery::ACK_WAIT,
            max_ack_pending: 1_000,
            ..Default::default()
        };
        delivery::deliveries(self, subject::EVENTS, config, batch)
    }

    /// The events from now on, for as long as somebody listens; nothing is kept for a reader that is away.
    pub async fn live_events(&self) -> Result<impl Stream<Item = Event> + Send + use<>, Error> {
        self.ordered(subject::ALL_EVENTS.to_owned(), consumer::DeliverPolicy::New)
            .await
            .map(|events| Box::pin(events.map(|(event, _)| event)))
    }

    /// What is still known to have happened to an application, the oldest first.
    pub async fn event_history(&self, uid: &str) -> Result<Vec<Event>, Error> {
        let subject = subject::events_of(uid);
        let failed = |source: async_nats::Error| Error::Read { what: subject.clone(), source };
        let stream =
            self.jetstream.get_stream_no_info(subject::EVENTS).await.map_err(|e| failed(e.into()))?;
        let mut counts = stream.info_with_subjects(subject.as_str()).await.map_err(|e| failed(e.into()))?;
        let mut expected = 0;
        while let Some(next) = counts.next().await {
            expected += next.map_err(|e| failed(e.into()))?.1;
        }
        let mut history = Vec::with_capacity(expected);
        if expected == 0 {
            return Ok(history);
        }
        let mut events = Box::pin(self.ordered(subject.clone(), consumer::DeliverPolicy::All).await?);
        let deadline = tokio::time::Instant::now() + Duration::from_secs(5);
        while let Ok(Some((event, pending))) = tokio::time::timeout_at(deadline, events.next()).await {
            history.push(event);
            if pending == 0 {
                break;
            }
        }
        history.sort_by_key(|event| event.happened_at);
        Ok(history)
    }

    async fn ordered(
        &self,
        filter_subject: String,
        deliver_policy: consumer::DeliverPolicy,
    ) -> Result<impl Stream<Item = (Event, u64)> + Send + use<>, Error> {
        let failed = |source: async_nats::Error| Error::Read { what: subject::EVENTS.to_owned(), source };
        let config = consumer::pull::OrderedConfig { filter_subject, deliver_policy, ..Default::default() };
        let stream =
            self.jetstream.get_stream_no_info(subject::EVENTS).await.map_err(|e| failed(e.into()))?;
        let consumer = stream.create_consumer(config).await.map_err(|e| failed(e.into()))?;
        let messages = consumer.messages().await.map_err(|e| failed(e.into()))?;
        Ok(messages.take_while(|next| futures::future::ready(next.is_ok())).filter_map(async |next| {
            let message = next.ok()?;
            let pending = message.info().map_or(0, |info| info.pending);
            Event::decode(message.payload.clone()).ok().map(|event| (event, pending))
        }))
    }
}

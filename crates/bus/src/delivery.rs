//! A message taken from a durable consumer, to be answered for: acknowledged, retried or rejected.

use std::time::Duration;

use async_nats::jetstream::{self, AckKind};
use futures::{Stream, StreamExt};
use opentelemetry::Context;
use prost::Message;

use crate::{Bus, metrics::Pending, trace};

/// How long the server waits for an answer before it delivers again; `progress` starts the time anew.
pub(crate) const ACK_WAIT: Duration = Duration::from_secs(10);

/// How often the server shows that it still knows of our request while there are no messages. After two that are missing
/// the request is made again: one that was lost would otherwise be waited for.
const HEARTBEAT: Duration = Duration::from_secs(15);

/// A message and the duty to answer for it. Dropped without an answer, it comes back after `ACK_WAIT`.
#[derive(Debug)]
pub struct Delivery<M> {
    /// What was said.
    pub message: M,
    /// The trace that it belongs to.
    pub context: Context,
    /// 1 for the first delivery.
    pub attempt: u64,
    raw: jetstream::Message,
}

impl<M> Delivery<M> {
    /// The effect has happened.
    pub async fn ack(&self) {
        self.answer(AckKind::Ack).await;
    }

    /// To be delivered again after `delay`.
    pub async fn retry(&self, delay: Duration) {
        self.answer(AckKind::Nak(Some(delay))).await;
    }

    /// Can never succeed.
    pub async fn reject(&self) {
        self.answer(AckKind::Term).await;
    }

    /// Still at it: to be called well within 10 seconds of the last call.
    pub async fn progress(&self) {
        self.answer(AckKind::Progress).await;
    }

    /// An answer that is lost is not an error: the message comes back, and messages are idempotent.
    async fn answer(&self, kind: AckKind) {
        if let Err(error) = self.raw.ack_with(kind).await {
            tracing::debug!(%error, subject = %self.raw.subject, "failed to answer for a message");
        }
    }
}

/// All deliveries of a durable consumer, for ever: it is made again whenever it is lost.
pub(crate) fn deliveries<M>(
    bus: &Bus,
    stream: &'static str,
    config: jetstream::consumer::pull::Config,
    batch: usize,
) -> impl Stream<Item = Delivery<M>> + Send + use<M>
where
    M: Message + Default + Send + 'static,
{
    let jetstream = bus.jetstream.clone();
    let incarnation = bus.incarnation();
    let sessions = futures::stream::unfold((), move |()| {
        let (jetstream, config, mut incarnation) = (jetstream.clone(), config.clone(), incarnation.clone());
        async move {
            incarnation.mark_unchanged();
            let session = match open(&jetstream, stream, config, batch).await {
                Ok(messages) => messages.left_stream(),
                Err(error) => {
                    tracing::debug!(%error, stream, "failed to consume, trying again");
                    tokio::time::sleep(Duration::from_millis(200)).await;
                    futures::stream::empty().right_stream()
                }
            };
            let lost = async move { drop(incarnation.changed().await) };
            Some((session.take_until(Box::pin(lost)), ()))
        }
    });
    let pending = Pending::new();
    let seen = sessions.flatten().inspect(move |raw| pending.delivered(raw));
    Box::pin(seen.filter_map(async |raw| decode(raw).await))
}

async fn open(
    jetstream: &jetstream::Context,
    stream: &str,
    config: jetstream::consumer::pull::Config,
    batch: usize,
) -> Result<impl Stream<Item = jetstream::Message> + Send + use<>, async_nats::Error> {
    let stream = jetstream.get_stream(stream).await?;
    let name = config.durable_name.clone().unwrap_or_default();
    let consumer = stream.get_or_create_consumer(&name, config).await?;
    let messages = consumer.stream().max_messages_per_batch(batch).heartbeat(HEARTBEAT).messages().await?;
    Ok(messages
        .take_while(|next| {
            if let Err(error) = next {
                tracing::debug!(%error, "the consumer was lost, making it again");
            }
            futures::future::ready(next.is_ok())
        })
        .filter_map(async |next| next.ok()))
}

async fn decode<M: Message + Default>(raw: jetstream::Message) -> Option<Delivery<M>> {
    match M::decode(raw.payload.clone()) {
        Ok(message) => {
            let context = trace::extract(raw.headers.as_ref());
            let attempt = raw.info().map_or(1, |info| info.delivered.max(1).unsigned_abs());
            Some(Delivery { message, context, attempt, raw })
        }
        Err(error) => {
            tracing::warn!(%error, subject = %raw.subject, "rejected a message that cannot be decoded");
            let _ = raw.ack_with(AckKind::Term).await;
            None
        }
    }
}

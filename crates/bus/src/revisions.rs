//! `RevisionObserved`: said by the watcher, taken by whichever renderer is free.

use async_nats::jetstream::{consumer, message::PublishMessage};
use futures::Stream;
use ithaca_proto::{
    subject,
    v1::{Purpose, RevisionObserved},
};
use prost::Message;

use crate::{Bus, Delivery, Error, delivery, trace};

impl Bus {
    /// Says a revision; returns when the server has it. Replaces what was said of the application before.
    pub async fn publish_revision(&self, fact: &RevisionObserved) -> Result<(), Error> {
        let uid = fact.application.as_ref().map_or("", |application| application.uid.as_str());
        let subject = subject::revision(uid, fact.purpose());
        let message = PublishMessage::build().headers(trace::inject()).payload(fact.encode_to_vec().into());
        self.publish(subject, message).await.map(drop)
    }

    /// Revisions to render, shared with all other renderers; at most `batch` are held at once.
    pub fn revisions(&self, batch: usize) -> impl Stream<Item = Delivery<RevisionObserved>> + Send + use<> {
        let config = consumer::pull::Config {
            durable_name: Some(subject::RENDERER.to_owned()),
            description: Some("all renderers".to_owned()),
            ack_policy: consumer::AckPolicy::Explicit,
            ack_wait: delivery::ACK_WAIT,
            // What waits to be tried again counts as well, and must not keep others from being taken.
            max_ack_pending: 100_000,
            ..Default::default()
        };
        delivery::deliveries(self, subject::REVISIONS, config, batch)
    }

    pub(crate) async fn publish(&self, subject: String, message: PublishMessage) -> Result<u64, Error> {
        let failed = |subject: String, error: async_nats::jetstream::context::PublishError| match error.kind()
        {
            async_nats::jetstream::context::PublishErrorKind::WrongLastSequence => {
                Error::Outdated { subject }
            }
            async_nats::jetstream::context::PublishErrorKind::MaxPayloadExceeded => {
                Error::TooLong { subject, source: error.into() }
            }
            _ => Error::Publish { subject, source: error.into() },
        };
        let pending = self.jetstream.send_publish(subject.clone(), message).await;
        match pending {
            Ok(ack) => ack.await.map(|ack| ack.sequence).map_err(|error| failed(subject, error)),
            Err(error) => Err(failed(subject, error)),
        }
    }

    /// Forgets what was said of an application that is gone.
    pub async fn forget(&self, uid: &str) -> Result<(), Error> {
        for purpose in [Purpose::Tracked, Purpose::Operation] {
            if let Some(stored) = self.last_bundle(uid, purpose).await?
                && let Some(content) = stored.bundle.content
            {
                self.delete_content(uid, &content.digest).await;
            }
        }
        self.purge(subject::REVISIONS, subject::revisions_of(uid)).await?;
        self.purge(subject::BUNDLES, subject::bundles_of(uid)).await
    }

    /// Forgets the bundle that an operation asked for, now that it has ended. A newer one than at `sequence` stays.
    pub async fn forget_operation(&self, uid: &str, sequence: u64) -> Result<(), Error> {
        let purpose = Purpose::Operation;
        let stored = self.last_bundle(uid, purpose).await?.filter(|stored| stored.sequence <= sequence);
        let Some(stored) = stored else { return Ok(()) };
        let tracked =
            self.last_bundle(uid, Purpose::Tracked).await?.and_then(|tracked| tracked.bundle.content);
        let is_shared = |digest: &str| tracked.as_ref().is_some_and(|tracked| tracked.digest == digest);
        if let Some(content) = stored.bundle.content.filter(|content| !is_shared(&content.digest)) {
            self.delete_content(uid, &content.digest).await;
        }
        self.purge_until(subject::BUNDLES, subject::bundle(uid, purpose), Some(sequence)).await
    }

    async fn purge(&self, stream: &'static str, filter: String) -> Result<(), Error> {
        self.purge_until(stream, filter, None).await
    }

    async fn purge_until(
        &self,
        stream: &'static str,
        filter: String,
        last: Option<u64>,
    ) -> Result<(), Error> {
        let failed = |source: async_nats::Error| Error::Publish { subject: filter.clone(), source };
        let stream = self.jetstream.get_stream_no_info(stream).await.map_err(|e| failed(e.into()))?;
        let purge = stream.purge().filter(&filter);
        let purged = match last {
            Some(last) => purge.sequence(last + 1).await,
            None => purge.await,
        };
        purged.map(drop).map_err(|e| failed(e.into()))
    }
}

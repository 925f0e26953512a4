//! `BundleRendered`: said by a renderer, the state from which appliers start.

use std::{collections::BTreeSet, time::Duration};

use async_nats::jetstream::{consumer, message::PublishMessage, stream::DirectGetErrorKind};
use futures::{Stream, StreamExt};
use ithaca_proto::{
    subject,
    v1::{BundleRendered, Purpose},
};
use opentelemetry::Context;
use prost::Message;
use tokio::sync::watch;

use crate::{Bus, Error, Partitions, trace};

/// The last bundle of an application, as the server holds it.
#[derive(Debug)]
pub struct StoredBundle {
    /// What was said.
    pub bundle: BundleRendered,
    /// Its place in the stream, to replace exactly this one.
    pub sequence: u64,
}

/// A bundle on its way to an applier.
#[derive(Debug)]
pub struct BundleFact {
    /// What was said.
    pub bundle: BundleRendered,
    /// The trace that it belongs to.
    pub context: Context,
    /// Its place in the stream.
    pub sequence: u64,
}

/// Whose bundles are read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Interest {
    /// All bundles of all applications of these partitions.
    pub partitions: Partitions,
    /// What is tracked of these applications of other partitions, by uid.
    pub applications: BTreeSet<String>,
}

impl Interest {
    fn subjects(&self) -> Vec<String> {
        if self.partitions == Partitions::ALL {
            return vec![subject::ALL_BUNDLES.to_owned()];
        }
        let partitions = self.partitions.iter().map(subject::bundles_in);
        let others =
            self.applications.iter().filter(|uid| !self.partitions.contains(subject::partition(uid)));
        partitions.chain(others.map(|uid| subject::bundle(uid, Purpose::Tracked))).collect()
    }
}

impl Bus {
    /// The last bundle that was said of an application, if any.
    pub async fn last_bundle(&self, uid: &str, purpose: Purpose) -> Result<Option<StoredBundle>, Error> {
        let subject = subject::bundle(uid, purpose);
        let failed = |source: async_nats::Error| Error::Read { what: subject.clone(), source };
        let stream =
            self.jetstream.get_stream_no_info(subject::BUNDLES).await.map_err(|e| failed(e.into()))?;
        match stream.direct_get_last_for_subject(subject.as_str()).await {
            Ok(message) => match BundleRendered::decode(message.payload) {
                Ok(bundle) => Ok(Some(StoredBundle { bundle, sequence: message.sequence })),
                Err(source) => Err(Error::Undecodable { subject, source }),
            },
            Err(error) if error.kind() == DirectGetErrorKind::NotFound => Ok(None),
            Err(error) => Err(failed(error.into())),
        }
    }

    /// Says a bundle in the place of the one at `replaces` (0: where there was none).
    /// `Error::Outdated` when another one was said meanwhile.
    pub async fn publish_bundle(&self, bundle: &BundleRendered, replaces: u64) -> Result<u64, Error> {
        let uid = bundle.application.as_ref().map_or("", |application| application.uid.as_str());
        let subject = subject::bundle(uid, bundle.purpose());
        let message = PublishMessage::build()
            .headers(trace::inject())
            .expected_last_subject_sequence(replaces)
            .payload(bundle.encode_to_vec().into());
        self.publish(subject, message).await
    }

    /// The last bundle of every application that is of interest, then each new one, for ever.
    /// Starts from the beginning again when the streams are new, and when others are of interest.
    pub fn bundles(
        &self,
        interest: watch::Receiver<Interest>,
    ) -> impl Stream<Item = BundleFact> + Send + use<> {
        let bus = self.clone();
        let sessions = futures::stream::unfold(bus, move |bus| {
            let mut interest = interest.clone();
            async move {
                let mut incarnation = bus.incarnation();
                incarnation.mark_unchanged();
                let filter_subjects = interest.borrow_and_update().subjects();
                let session = match open(&bus, filter_subjects).await {
                    Ok(facts) => facts.left_stream(),
                    Err(error) => {
                        tracing::debug!(%error, "failed to follow the bundles, trying again");
                        tokio::time::sleep(Duration::from_millis(200)).await;
                        futures::stream::empty().right_stream()
                    }
                };
                let renewed = async move {
                    tokio::select! {
                        _ = incarnation.changed() => {}
                        _ = interest.changed() => {}
                    }
                };
                Some((session.take_until(Box::pin(renewed)), bus))
            }
        });
        Box::pin(sessions.flatten())
    }
}

async fn open(
    bus: &Bus,
    filter_subjects: Vec<String>,
) -> Result<impl Stream<Item = BundleFact> + Send + use<>, async_nats::Error> {
    // Without a filter all would be read.
    if filter_subjects.is_empty() {
        return Ok(futures::stream::pending().left_stream());
    }
    let config = consumer::pull::OrderedConfig {
        deliver_policy: consumer::DeliverPolicy::LastPerSubject,
        filter_subjects,
        ..Default::default()
    };
    let stream = bus.jetstream.get_stream(subject::BUNDLES).await?;
    let messages = stream.create_consumer(config).await?.messages().await?;
    let facts = messages.take_while(|next| futures::future::ready(next.is_ok())).filter_map(async |next| {
        let message = next.ok()?;
        let sequence = message.info().map_or(0, |info| info.stream_sequence);
        match BundleRendered::decode(message.payload.clone()) {
            Ok(bundle) => {
                Some(BundleFact { bundle, context: trace::extract(message.headers.as_ref()), sequence })
            }
            Err(error) => {
                tracing::warn!(%error, subject = %message.subject, "skipped a bundle that cannot be decoded");
                None
            }
        }
    });
    Ok(facts.right_stream())
}

//! The settings of streams and buckets, and their creation where they are missing.

use std::time::Duration;

use async_nats::jetstream::{self, object_store, stream};
use ithaca_proto::subject;

use crate::{Error, Incarnation, members};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Tries until the streams exist. Fails only for a server that will never do.
pub(crate) async fn ensure_patiently(
    client: &async_nats::Client,
    jetstream: &jetstream::Context,
    replicas: usize,
) -> Result<Incarnation, Error> {
    let mut told = false;
    loop {
        match ensure(client, jetstream, replicas).await {
            Err(error) if !matches!(error, Error::Version { .. }) => {
                if !told {
                    tracing::warn!(error = &error as &dyn std::error::Error, "waiting for NATS");
                    told = true;
                }
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            other => return other,
        }
    }
}

async fn ensure(
    client: &async_nats::Client,
    jetstream: &jetstream::Context,
    replicas: usize,
) -> Result<Incarnation, Error> {
    let version = client.server_info().version;
    if !version.is_empty() && !client.is_server_compatible(2, 12, 0) {
        return Err(Error::Version { found: version });
    }
    let revisions = create(jetstream, subject::REVISIONS, revisions(replicas)).await?;
    create(jetstream, subject::BUNDLES, bundles(replicas)).await?;
    create(jetstream, subject::EVENTS, events(replicas)).await?;
    create(jetstream, subject::MEMBERS, members_bucket(replicas)).await?;
    ensure_contents(jetstream, replicas).await?;
    Ok(Incarnation(revisions.cached_info().created.unix_timestamp_nanos()))
}

async fn create(
    jetstream: &jetstream::Context,
    what: &'static str,
    config: stream::Config,
) -> Result<stream::Stream, Error> {
    let replicas = config.num_replicas;
    let stream = jetstream
        .get_or_create_stream(config)
        .await
        .map_err(|source| Error::Prepare { what, source: source.into() })?;
    keep_copies(jetstream, what, &stream.cached_info().config, replicas).await?;
    Ok(stream)
}

/// Raises the number of copies to what is asked for. It is never lowered here: while a release rolls out, processes of
/// the one before still ask for fewer.
async fn keep_copies(
    jetstream: &jetstream::Context,
    what: &'static str,
    found: &stream::Config,
    replicas: usize,
) -> Result<(), Error> {
    if found.num_replicas >= replicas {
        return Ok(());
    }
    tracing::info!(stream = what, from = found.num_replicas, to = replicas, "keeping more copies");
    jetstream
        .update_stream(stream::Config { num_replicas: replicas, ..found.clone() })
        .await
        .map(drop)
        .map_err(|source| Error::Prepare { what, source: source.into() })
}

async fn ensure_contents(jetstream: &jetstream::Context, replicas: usize) -> Result<(), Error> {
    if jetstream.get_object_store(subject::CONTENTS).await.is_ok() {
        // NATS keeps a bucket of objects in a stream of this name.
        let stream = jetstream.get_stream(format!("OBJ_{}", subject::CONTENTS)).await;
        let stream =
            stream.map_err(|source| Error::Prepare { what: subject::CONTENTS, source: source.into() })?;
        return keep_copies(jetstream, subject::CONTENTS, &stream.cached_info().config, replicas).await;
    }
    let config = object_store::Config {
        bucket: subject::CONTENTS.to_owned(),
        description: Some("contents of bundles too large for a message".to_owned()),
        num_replicas: replicas,
        ..Default::default()
    };
    jetstream
        .create_object_store(config)
        .await
        .map(drop)
        .map_err(|source| Error::Prepare { what: subject::CONTENTS, source: source.into() })
}

fn revisions(replicas: usize) -> stream::Config {
    stream::Config {
        name: subject::REVISIONS.to_owned(),
        description: Some("which revision each application should run".to_owned()),
        subjects: vec![subject::ALL_REVISIONS.to_owned()],
        retention: stream::RetentionPolicy::WorkQueue,
        discard: stream::DiscardPolicy::Old,
        max_messages_per_subject: 1,
        num_replicas: replicas,
        ..Default::default()
    }
}

fn bundles(replicas: usize) -> stream::Config {
    stream::Config {
        name: subject::BUNDLES.to_owned(),
        description: Some("the rendered manifests of each application".to_owned()),
        subjects: vec![subject::ALL_BUNDLES.to_owned()],
        discard: stream::DiscardPolicy::Old,
        max_messages_per_subject: 1,
        allow_direct: true,
        num_replicas: replicas,
        ..Default::default()
    }
}

/// A week, 256 MiB and the last 100 of a kind for each application.
fn events(replicas: usize) -> stream::Config {
    stream::Config {
        name: subject::EVENTS.to_owned(),
        description: Some("what happened to each application".to_owned()),
        subjects: vec![subject::ALL_EVENTS.to_owned()],
        discard: stream::DiscardPolicy::Old,
        max_age: 7 * DAY,
        max_bytes: 256 << 20,
        max_messages_per_subject: 100,
        num_replicas: replicas,
        ..Default::default()
    }
}

/// A KV bucket, by the settings that make a stream one. A member that was not heard of for as long as its record lives is
/// forgotten.
fn members_bucket(replicas: usize) -> stream::Config {
    stream::Config {
        name: subject::MEMBERS.to_owned(),
        description: Some("who takes part in a service's work".to_owned()),
        subjects: vec![subject::ALL_MEMBERS.to_owned()],
        discard: stream::DiscardPolicy::New,
        max_messages_per_subject: 1,
        max_age: members::TTL,
        duplicate_window: members::TTL,
        allow_direct: true,
        allow_rollup: true,
        deny_delete: true,
        num_replicas: replicas,
        ..Default::default()
    }
}

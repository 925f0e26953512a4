//! What can go wrong on the bus, each with what it was about.

use crate::SealError;

/// A failure of the bus. All but `Outdated`, `Undecodable`, `Replaced` and `Version` are worth another try.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The server could not be reached or refused the credentials.
    #[error("failed to connect to NATS at {url}")]
    Connect {
        /// Where, without credentials.
        url: String,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The server is too old to honour what the streams ask for.
    #[error(
        "NATS server {found} is too old: 2.12 or later is required, as older ones ignore stream settings they do not know"
    )]
    Version {
        /// What the server said of itself.
        found: String,
    },
    /// A stream or bucket could not be created.
    #[error("failed to prepare {what}")]
    Prepare {
        /// The stream or bucket.
        what: &'static str,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A message did not reach its stream.
    #[error("failed to publish on {subject}")]
    Publish {
        /// Where.
        subject: String,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A message is longer than the server takes: it will not be taken another time either.
    #[error("failed to publish on {subject}: it is too long")]
    TooLong {
        /// Where.
        subject: String,
        /// How long it is, and may be.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// Another process published a newer fact first.
    #[error("a newer fact is already on {subject}")]
    Outdated {
        /// Where.
        subject: String,
    },
    /// Another process takes part under the name of this one.
    #[error("another process takes part under the name {name}: give each a name of its own")]
    Replaced {
        /// The name that both have.
        name: String,
    },
    /// A message or content could not be read.
    #[error("failed to read {what}")]
    Read {
        /// The message or content.
        what: String,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A content could not be sealed, or is not sealed as it should be.
    #[error("failed to use content {content}")]
    Seal {
        /// Which.
        content: String,
        /// Why.
        #[source]
        source: SealError,
    },
    /// A message is not what its subject promises.
    #[error("failed to decode the message on {subject}")]
    Undecodable {
        /// Where.
        subject: String,
        /// Why.
        #[source]
        source: prost::DecodeError,
    },
}

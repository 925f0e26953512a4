//! What a request can come to instead of an answer.

use axum::http::StatusCode;

use crate::summary::Key;

/// Why a request cannot be answered.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no such Application.
    #[error("failed to find application {0}")]
    NoApplication(Key),
    /// There is no such page.
    #[error("failed to find the page")]
    NoPage,
    /// The Kubernetes API did not give the Application.
    #[error("failed to read application {key} from the Kubernetes API")]
    Read {
        /// Which.
        key: Key,
        /// Why.
        #[source]
        source: Box<kube::Error>,
    },
    /// What the API gave is no Application.
    #[error("failed to read application {key}, which is not what an Application should be")]
    Invalid {
        /// Which.
        key: Key,
        /// Why.
        #[source]
        source: serde_json::Error,
    },
    /// The events cannot be had.
    #[error("failed to read the events, as the bus does not answer")]
    NoEvents,
}

impl Error {
    /// The message with all causes.
    pub fn in_full(&self) -> String {
        let mut text = self.to_string();
        let mut cause = std::error::Error::source(self);
        while let Some(inner) = cause {
            text = format!("{text}: {inner}");
            cause = inner.source();
        }
        text
    }

    pub fn status(&self) -> StatusCode {
        match self {
            Self::NoApplication(_) | Self::NoPage => StatusCode::NOT_FOUND,
            Self::Read { .. } | Self::NoEvents => StatusCode::SERVICE_UNAVAILABLE,
            Self::Invalid { .. } => StatusCode::UNPROCESSABLE_ENTITY,
        }
    }
}

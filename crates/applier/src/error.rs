//! What can go wrong while applying, and whether another try helps.

use crate::object::ObjectKey;

/// A failure of the applier.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The API server did not answer, or not in a way that says anything about the object.
    #[error("failed to reach the API server for {what}")]
    Unreachable {
        /// The object or list.
        what: String,
        /// Why.
        #[source]
        source: kube::Error,
    },
    /// The API server refused an object.
    #[error("{message}")]
    Rejected {
        /// In the API server's words.
        message: String,
        /// HTTP status.
        code: u16,
    },
    /// The cluster does not serve the object's kind.
    #[error("failed to apply {key}: the cluster does not serve {api_version} {kind}", kind = key.kind)]
    UnknownKind {
        /// The object.
        key: ObjectKey,
        /// The version that was asked for.
        api_version: String,
    },
    /// A bundle's content is not what its digest promised.
    #[error("failed to read the content of the bundle: {reason}")]
    Content {
        /// Why.
        reason: String,
    },
    /// The bus failed.
    #[error("failed to use the bus")]
    Bus(#[from] ithaca_bus::Error),
}

impl Error {
    /// Sorts the client's errors: an answer about the object, or no answer.
    pub fn of(what: impl ToString, error: kube::Error) -> Self {
        match error {
            kube::Error::Api(status) if status.code < 500 && status.code != 429 => {
                Self::Rejected { message: status.message.clone(), code: status.code }
            }
            source => Self::Unreachable { what: what.to_string(), source },
        }
    }

    /// Whether another try may succeed without anybody changing anything.
    pub fn is_passing(&self) -> bool {
        match self {
            Self::Unreachable { .. } | Self::Bus(_) => true,
            Self::Rejected { code, .. } => *code == 409,
            Self::UnknownKind { .. } | Self::Content { .. } => false,
        }
    }

    /// Whether the object is not there.
    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::Rejected { code: 404, .. })
    }
}

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
    /// The API server refused an object for fields that a definition may have brought a moment ago.
    #[error("{message}; definitions have just changed, trying again")]
    UnsettledSchema {
        /// In the API server's words.
        message: String,
    },
    /// The cluster does not serve the object's kind.
    #[error("failed to apply {key}: the cluster does not serve {api_version} {kind}", kind = key.kind)]
    UnknownKind {
        /// The object.
        key: ObjectKey,
        /// The version that was asked for.
        api_version: String,
    },
    /// Another object has the name of one that is to be created.
    #[error("failed to create {key}: another object of that name is there still")]
    InTheWay {
        /// The object.
        key: ObjectKey,
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
            kube::Error::Api(status) if Self::is_about_the_object(status.code, &status.message) => {
                Self::Rejected { message: status.message.clone(), code: status.code }
            }
            source => Self::Unreachable { what: what.to_string(), source },
        }
    }

    /// Whether an answer speaks of the object rather than of the API server's own state. The API server says 500 also
    /// where an object does not fit its schema or where an admission webhook fails.
    pub fn is_about_the_object(code: u16, message: &str) -> bool {
        const OF_THE_OBJECT: [&str; 3] =
            ["failed to create typed patch object", "failed calling webhook", "failed to convert"];
        match code {
            429 => false,
            500.. => OF_THE_OBJECT.iter().any(|phrase| message.contains(phrase)),
            _ => true,
        }
    }

    /// Whether another try may succeed without anybody changing anything.
    pub fn is_passing(&self) -> bool {
        match self {
            Self::Unreachable { .. }
            | Self::UnsettledSchema { .. }
            | Self::Bus(_)
            | Self::InTheWay { .. } => true,
            Self::Rejected { code, .. } => *code == 409,
            Self::UnknownKind { .. } | Self::Content { .. } => false,
        }
    }

    /// Whether the object as it lives cannot become the one that is wanted, which says nothing against the wanted one.
    pub fn is_unchangeable(&self) -> bool {
        matches!(self, Self::Rejected { code: 422, .. })
    }

    /// Whether the object is not there.
    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::Rejected { code: 404, .. })
    }
}

#[cfg(test)]
mod tests {
    use super::Error;

    #[test]
    fn an_object_that_does_not_fit_its_schema_is_rejected_although_the_answer_is_500() {
        let message = "failed to create typed patch object (a/b; /v1, Kind=ConfigMap): .data.true: expected string, got true";
        assert!(Error::is_about_the_object(500, message));
        assert!(Error::is_about_the_object(422, "is invalid"));
    }

    #[test]
    fn a_store_that_is_away_says_nothing_about_the_object() {
        assert!(!Error::is_about_the_object(500, "etcdserver: request timed out"));
        assert!(!Error::is_about_the_object(429, "too many requests"));
        assert!(!Error::is_about_the_object(503, "apiserver is shutting down"));
    }
}

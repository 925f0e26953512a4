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
    /// The API server took its time, and more.
    #[error("failed to reach the API server for {what}: it does not answer")]
    Unanswered {
        /// The object or list.
        what: String,
    },
    /// The connection to the cluster came to its end.
    #[error("failed to reach the API server for {what}: the connection to its cluster is over")]
    Lost {
        /// The object or list.
        what: String,
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
    /// Another applier has the Application now, or this one cannot know that none has.
    #[error("the application was handed over to another applier")]
    HandedOver,
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
            | Self::Unanswered { .. }
            | Self::Lost { .. }
            | Self::UnsettledSchema { .. }
            | Self::Bus(_)
            | Self::HandedOver
            | Self::InTheWay { .. } => true,
            Self::Rejected { code, .. } => *code == 409,
            Self::UnknownKind { .. } | Self::Content { .. } => false,
        }
    }

    /// Whether the object as it lives cannot become the one that is wanted, which says nothing against the wanted one.
    pub fn is_unchangeable(&self) -> bool {
        matches!(self, Self::Rejected { code: 422, .. })
    }

    /// Whether the API server finds an object wrong in itself, whatever else is or comes in the cluster: neither
    /// forbidden, nor refused by an admission webhook or policy, nor in need of something that is taken now.
    pub fn is_fault_of_the_object(&self) -> bool {
        const OF_OTHERS: [&str; 3] = ["admission webhook", "is forbidden", "already allocated"];
        match self {
            Self::Rejected { code: 400 | 422, message } => {
                !OF_OTHERS.iter().any(|phrase| message.contains(phrase))
            }
            Self::Rejected { code: 500, message } => message.contains("failed to create typed patch object"),
            _ => false,
        }
    }

    /// Whether the object is not there.
    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::Rejected { code: 404, .. })
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::Error;

    #[test]
    fn an_object_that_does_not_fit_its_schema_is_rejected_although_the_answer_is_500() {
        let message = "failed to create typed patch object (a/b; /v1, Kind=ConfigMap): .data.true: expected string, got true";
        assert!(Error::is_about_the_object(500, message));
        assert!(Error::is_about_the_object(422, "is invalid"));
    }

    #[rstest]
    #[case::value(
        422,
        "Service \"a\" is invalid: spec.ports[0].port: Invalid value: 99999: must be between 1 and 65535",
        true
    )]
    #[case::form(
        400,
        "ConfigMap in version \"v1\" cannot be handled as a ConfigMap: json: cannot unmarshal number",
        true
    )]
    #[case::type_(
        500,
        "failed to create typed patch object (a/b; /v1, Kind=ConfigMap): .data.n: expected string",
        true
    )]
    #[case::kept(
        422,
        "ConfigMap \"a\" is invalid: data: Forbidden: field is immutable when `immutable` is set",
        true
    )]
    #[case::taken(
        422,
        "Service \"a\" is invalid: spec.ports[0].nodePort: Invalid value: 30080: provided port is already allocated",
        false
    )]
    #[case::webhook(400, "admission webhook \"a.example.com\" denied the request: no", false)]
    #[case::policy(
        422,
        "configmaps \"a\" is forbidden: ValidatingAdmissionPolicy 'p' with binding 'b' denied request: no",
        false
    )]
    #[case::quota(403, "pods \"a\" is forbidden: exceeded quota: compute", false)]
    #[case::namespace(404, "namespaces \"a\" not found", false)]
    #[case::call(
        500,
        "Internal error occurred: failed calling webhook \"a.example.com\": connection refused",
        false
    )]
    fn only_what_nothing_else_could_make_right_is_the_objects_own_fault(
        #[case] code: u16,
        #[case] message: &str,
        #[case] expected: bool,
    ) {
        let refusal = Error::Rejected { message: message.to_owned(), code };
        assert_eq!(refusal.is_fault_of_the_object(), expected);
    }

    #[test]
    fn a_store_that_is_away_says_nothing_about_the_object() {
        assert!(!Error::is_about_the_object(500, "etcdserver: request timed out"));
        assert!(!Error::is_about_the_object(429, "too many requests"));
        assert!(!Error::is_about_the_object(503, "apiserver is shutting down"));
    }
}

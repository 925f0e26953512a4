//! Failures as facts: a text in the user's words comes in, the message for the next stage goes out.

use ithaca_proto::v1::{Failure, failure::Reason};

/// The Application's spec cannot be followed.
pub fn invalid_spec(message: String) -> Failure {
    Failure { reason: Reason::InvalidSpec.into(), message }
}

/// A source cannot be read or rendered.
pub fn source(message: String) -> Failure {
    Failure { reason: Reason::Source.into(), message }
}

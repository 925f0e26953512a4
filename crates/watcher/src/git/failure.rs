//! What a failed call of libgit2 means to whoever wrote the repository's URL.

use std::time::Duration;

use git2::{ErrorClass, ErrorCode};

use super::http::{UNSUPPORTED_FORMAT, WAIT};
use super::limits::Limits;
use crate::credentials::Access;
use crate::repository::{RepositoryError, RepositoryKey};

/// How hosts say over SSH that they have no such repository.
const NOWHERE: [&str; 3] = [
    "does not appear to be a git repository",
    "repository not found",
    "project you were looking for could not be found",
];

/// What a failed call to a remote means, in words that stay the same from one try to the next.
pub(super) fn explain(
    key: &RepositoryKey,
    access: &Access,
    limits: Limits,
    error: &git2::Error,
) -> RepositoryError {
    let repository = key.to_string();
    let message = error.message();
    let http_status = message.rsplit_once("status code: ").map(|(_, status)| status.trim());
    if message.contains(UNSUPPORTED_FORMAT) {
        let reason = "it names objects by SHA-256, and only SHA-1 is supported";
        return RepositoryError::Unsupported { repository, reason };
    }
    match (error.code(), error.class()) {
        // Our own callbacks end a call that takes too long.
        (ErrorCode::User, _) => RepositoryError::Timeout { repository, limit: limits.call },
        (ErrorCode::Timeout, _) => RepositoryError::Timeout { repository, limit: limits.silence },
        _ if matches!(http_status, Some("429" | "503")) => {
            RepositoryError::Busy { repository, hold: hold(message) }
        }
        // Some hosts refuse who asks too often with 403, and say until when.
        (ErrorCode::Auth, _) if hold(message).is_some() => {
            RepositoryError::Busy { repository, hold: hold(message) }
        }
        (ErrorCode::Auth, _) => access.refused(key),
        _ if message.contains("timed out") => RepositoryError::Timeout { repository, limit: limits.silence },
        _ if NOWHERE.iter().any(|words| message.to_lowercase().contains(words)) => {
            RepositoryError::UnknownRepository { repository }
        }
        (ErrorCode::NotFound, _) => RepositoryError::UnknownRepository { repository },
        (_, ErrorClass::Os) if message.contains("No such file") => {
            RepositoryError::UnknownRepository { repository }
        }
        _ => RepositoryError::Remote { repository, reason: message.to_owned() },
    }
}

/// How long the server wants to be left alone.
fn hold(message: &str) -> Option<Duration> {
    let (_, seconds) = message.split_once(WAIT)?;
    seconds.split(' ').next()?.parse().ok().map(Duration::from_secs)
}

//! What a failed call of libgit2 means to whoever wrote the repository's URL.

use std::time::Duration;

use git2::{ErrorClass, ErrorCode};

use crate::credentials::Access;
use crate::repository::{RepositoryError, RepositoryKey};

/// How hosts say over SSH that they have no such repository.
const NOWHERE: [&str; 3] = [
    "does not appear to be a git repository",
    "repository not found",
    "project you were looking for could not be found",
];

/// What a failed call to a remote means.
pub(super) fn explain(
    key: &RepositoryKey,
    access: &Access,
    limit: Duration,
    error: &git2::Error,
) -> RepositoryError {
    let repository = key.to_string();
    let message = error.message();
    match (error.code(), error.class()) {
        (ErrorCode::Timeout | ErrorCode::User, _) => RepositoryError::Timeout { repository, limit },
        (ErrorCode::Auth, _) => access.refused(key),
        _ if message.contains("timed out") => RepositoryError::Timeout { repository, limit },
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

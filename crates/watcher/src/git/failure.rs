//! What a failed call of libgit2 means to whoever wrote the repository's URL.

use std::time::Duration;

use git2::{ErrorClass, ErrorCode};

use crate::credentials::Access;
use crate::repository::{RepositoryError, RepositoryKey};

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
        (ErrorCode::NotFound, _) => RepositoryError::UnknownRepository { repository },
        (_, ErrorClass::Os) if message.contains("No such file") => {
            RepositoryError::UnknownRepository { repository }
        }
        _ => RepositoryError::Remote { repository, reason: message.to_owned() },
    }
}

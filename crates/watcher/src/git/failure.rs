//! What a failed call of libgit2 means to whoever wrote the repository's URL.

use std::time::Duration;

use git2::{ErrorClass, ErrorCode};

use crate::repository::RepositoryError;

/// What a failed call to a remote means.
pub(super) fn explain(repository: &str, limit: Duration, error: &git2::Error) -> RepositoryError {
    let repository = repository.to_owned();
    let message = error.message();
    let http_status = message.rsplit_once("status code: ").map(|(_, status)| status.trim());
    match (error.code(), error.class(), http_status) {
        (ErrorCode::Timeout | ErrorCode::User, ..) => RepositoryError::Timeout { repository, limit },
        (ErrorCode::Auth, ..) | (_, _, Some("401" | "403")) => RepositoryError::Authentication { repository },
        _ if message.contains("authentication required") => RepositoryError::Authentication { repository },
        _ if message.contains("timed out") => RepositoryError::Timeout { repository, limit },
        (_, _, Some("404")) | (ErrorCode::NotFound, ..) => RepositoryError::UnknownRepository { repository },
        (_, ErrorClass::Os, _) if message.contains("No such file") => {
            RepositoryError::UnknownRepository { repository }
        }
        _ => RepositoryError::Remote { repository, reason: message.to_owned() },
    }
}

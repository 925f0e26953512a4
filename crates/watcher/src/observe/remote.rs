//! What is known of a repository: its newest answer, its failures, and when it is asked next.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use crate::repository::{Observation, RepositoryError};
use crate::schedule::Schedule;

/// As long as a remote that once answered fails for less than this, its last answer holds.
const GRACE: Duration = Duration::from_secs(180);

/// One repository.
#[derive(Debug, Default)]
pub(super) struct Remote {
    pub(super) schedule: Schedule,
    /// How many requests use it.
    pub(super) users: usize,
    answer: Option<Answer>,
    failure: Option<(RepositoryError, Instant)>,
    /// The revisions that the running call asks for.
    pub(super) asked: BTreeSet<String>,
    /// Whether it asks for proof as well.
    pub(super) with_proof: bool,
    /// Why it is asked, where that is not just the time.
    pub(super) reason: Option<(Instant, opentelemetry::Context)>,
}

/// What a remote answered.
#[derive(Debug)]
pub(super) struct Answer {
    /// When the call was started: what was pushed later may be missing.
    pub(super) started: Instant,
    /// Since when it was wanted.
    pub(super) since: Instant,
    /// The trace of the call.
    pub(super) context: opentelemetry::Context,
    /// The revisions.
    pub(super) revisions: Observation,
}

impl Remote {
    /// Takes an answer or a failure.
    pub(super) fn take(&mut self, now: Instant, answer: Result<Answer, RepositoryError>) {
        match answer {
            Ok(answer) => {
                self.answer = Some(answer);
                self.failure = None;
            }
            Err(error) => {
                let since = self.failure.as_ref().map_or(now, |(_, since)| *since);
                self.failure = Some((error, since));
            }
        }
    }

    /// The answer or the failure that holds now; None where the remote was not asked yet.
    pub(super) fn standing(&self, now: Instant) -> Option<Result<&Answer, &RepositoryError>> {
        match (&self.answer, &self.failure) {
            (Some(answer), Some((_, since))) if now.duration_since(*since) < GRACE => Some(Ok(answer)),
            (_, Some((error, _))) => Some(Err(error)),
            (Some(answer), None) => Some(Ok(answer)),
            (None, None) => None,
        }
    }

    /// The last answer, however old.
    pub(super) fn answer(&self) -> Option<&Answer> {
        self.answer.as_ref()
    }

    /// Why the last call failed, if it did.
    pub(super) fn failure(&self) -> Option<&RepositoryError> {
        self.failure.as_ref().map(|(error, _)| error)
    }

    /// Whether the last call failed.
    pub(super) fn is_failing(&self) -> bool {
        self.failure.is_some()
    }
}

//! What can go wrong with a repository, in the words of someone who wrote its URL into a spec.

use std::time::Duration;

use ithaca_api::repository::RepositoryAccessError;

/// A failure of one repository. Repositories are shown without credentials.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RepositoryError {
    /// A URL of a kind that is not served.
    #[error("failed to use repository {repository}: {reason}")]
    Unsupported {
        /// Which.
        repository: String,
        /// Why.
        reason: &'static str,
    },
    /// A project does not permit it.
    #[error(
        "repo {repository} is not permitted in project '{project}': its spec.sourceRepos has to allow it"
    )]
    Forbidden {
        /// Which.
        repository: String,
        /// The project's name.
        project: String,
    },
    /// A project lets nobody use it who writes Applications where this one is.
    #[error(
        "an application in namespace '{namespace}' is not allowed to use project '{project}': its \
         spec.sourceNamespaces has to name the namespace"
    )]
    NotAdmitted {
        /// The Application's namespace.
        namespace: String,
        /// The project's name.
        project: String,
    },
    /// It is where nobody may be led by what a repository says.
    #[error(
        "failed to use repository {repository}: its host is an internal one, which content may name only where a \
         repository Secret has its URL: add one, or put what is meant into the repository"
    )]
    Internal {
        /// Which.
        repository: String,
    },
    /// Its Secret cannot be read.
    #[error("failed to use repository {repository}: Secret {secret}: {reason}")]
    Secret {
        /// Which.
        repository: String,
        /// The Secret's name.
        secret: String,
        /// Why.
        reason: RepositoryAccessError,
    },
    /// A chart's dependency names a repository that is not known.
    #[error(
        "failed to use repository {alias}: no Secret of a repository that the project may use has this name; write the \
         repository's URL into the chart, or a Secret with this name"
    )]
    UnknownAlias {
        /// As the chart has it.
        alias: String,
    },
    /// The server knows no such repository.
    #[error("failed to read repository {repository}: it does not exist, or it is not public")]
    UnknownRepository {
        /// Which.
        repository: String,
    },
    /// The server wants to know who asks.
    #[error(
        "failed to read repository {repository}: authentication is needed, and no Secret has credentials for it"
    )]
    Authentication {
        /// Which.
        repository: String,
    },
    /// The server knows who asks, and says no.
    #[error("failed to read repository {repository}: the server refused the credentials of {origin}")]
    Refused {
        /// Which.
        repository: String,
        /// Where the credentials are from.
        origin: String,
    },
    /// The server was too slow.
    #[error("failed to read repository {repository}: no answer within {} s", .limit.as_secs())]
    Timeout {
        /// Which.
        repository: String,
        /// How long was waited.
        limit: Duration,
    },
    /// The server has too much to do, or was asked too often.
    #[error("failed to read repository {repository}: the server wants to be asked less often")]
    Busy {
        /// Which.
        repository: String,
        /// How long it wants to be left alone, where it says so. It is not told: it is another time with each answer.
        hold: Option<Duration>,
    },
    /// The server could not be reached or gave an answer that makes no sense.
    #[error("failed to read repository {repository}: {reason}")]
    Remote {
        /// Which.
        repository: String,
        /// Why.
        reason: String,
    },
    /// The repository holds no such branch, tag or commit.
    #[error(
        "failed to resolve revision {revision:?} of repository {repository}: no such branch, tag or commit"
    )]
    UnknownRevision {
        /// Which repository.
        repository: String,
        /// Which revision.
        revision: String,
    },
    /// The commit is not among those that may be searched.
    #[error(
        "failed to resolve revision {revision:?} of repository {repository}: no such branch or tag, and no such commit \
         among the last {depth} of each, which is what depth in its Secret lets be searched"
    )]
    BeyondDepth {
        /// Which repository.
        repository: String,
        /// Which revision.
        revision: String,
        /// How many commits were searched.
        depth: u32,
    },
    /// No tag of the repository is a version that a constraint takes.
    #[error("failed to resolve revision {revision:?} of repository {repository}: no {} is such a version", tag_with(.tag_prefix))]
    NoVersion {
        /// Which repository.
        repository: String,
        /// The constraint.
        revision: String,
        /// What stands before versions in the tags.
        tag_prefix: String,
    },
    /// More than one commit begins with these digits.
    #[error("failed to resolve revision {revision:?} of repository {repository}: several commits begin so")]
    AmbiguousRevision {
        /// Which repository.
        repository: String,
        /// Which revision.
        revision: String,
    },
    /// The index of a Helm repository does not name the chart.
    #[error("failed to read repository {repository}: chart not found in its index")]
    UnknownChart {
        /// Which, with the chart.
        repository: String,
    },
    /// None of the versions that there are is meant.
    #[error(
        "failed to resolve revision {revision:?} of repository {repository}: none of its {known} versions matches"
    )]
    UnknownVersion {
        /// Which repository.
        repository: String,
        /// Which revision.
        revision: String,
        /// How many versions there are.
        known: usize,
    },
    /// What a revision consists of cannot be used.
    #[error("failed to use revision {revision:?} of repository {repository}: {reason}")]
    Content {
        /// Which repository.
        repository: String,
        /// Which revision.
        revision: String,
        /// Why.
        reason: String,
    },
    /// Git LFS does not give what pointers point at.
    #[error("failed to have files of repository {repository} from Git LFS: {reason}")]
    Lfs {
        /// Which.
        repository: String,
        /// Why.
        reason: String,
    },
    /// The file at a URL cannot be had.
    #[error("failed to fetch file {url}: {reason}")]
    ValueFile {
        /// Where.
        url: String,
        /// Why.
        reason: String,
    },
    /// The cache on disk failed.
    #[error("failed to use the cache of repository {repository}: {reason}")]
    Cache {
        /// Which.
        repository: String,
        /// Why.
        reason: String,
    },
}

fn tag_with(prefix: &str) -> String {
    if prefix.is_empty() { "tag".to_owned() } else { format!("tag that begins with {prefix:?}") }
}

impl RepositoryError {
    /// How long the server wants to be left alone, where it says so.
    pub fn hold(&self) -> Option<Duration> {
        match self {
            Self::Busy { hold, .. } => *hold,
            _ => None,
        }
    }

    /// Whether something new in the repository may end it.
    pub fn may_heal(&self) -> bool {
        matches!(
            self,
            Self::UnknownRevision { .. }
                | Self::BeyondDepth { .. }
                | Self::NoVersion { .. }
                | Self::UnknownRepository { .. }
                | Self::UnknownChart { .. }
                | Self::UnknownVersion { .. }
                | Self::ValueFile { .. }
        )
    }

    /// What a failed use of the cache means.
    pub(crate) fn of_cache(repository: &str, reason: impl ToString) -> Self {
        Self::Cache { repository: repository.to_owned(), reason: reason.to_string() }
    }
}

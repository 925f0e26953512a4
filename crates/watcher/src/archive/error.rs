//! Why an archive is not unpacked, in words that name the file in it.

/// What is wrong with an archive.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ArchiveError {
    /// It cannot be read.
    #[error("the archive cannot be read: {reason}")]
    Unreadable {
        /// Why.
        reason: String,
    },
    /// A name that is no path in the archive.
    #[error("the archive holds {path:?}, and {reason}")]
    Path {
        /// As written.
        path: String,
        /// Why it is none.
        reason: &'static str,
    },
    /// Two files of one name, or a file where a folder is.
    #[error("the archive holds {path:?} twice")]
    Twice {
        /// The path.
        path: String,
    },
    /// Neither file, folder nor link.
    #[error("the archive holds {path:?}, which is neither a file, a folder nor a link")]
    Special {
        /// The path.
        path: String,
    },
    /// A link out of the archive, or to what is not in it.
    #[error("the archive holds the link {path:?} to {target:?}, which is not in it")]
    Link {
        /// The link.
        path: String,
        /// What it leads to, as written.
        target: String,
    },
    /// More than a limit allows.
    #[error("the archive is too large: {0}")]
    TooLarge(String),
    /// Much that was packed into very little.
    #[error("the archive unpacks to more than {ratio} times its size, as no chart does")]
    Bomb {
        /// The limit.
        ratio: u64,
    },
    /// There is nothing in it.
    #[error("the archive holds no files")]
    Empty,
    /// The cache on disk failed.
    #[error("failed to use the cache: {reason}")]
    Cache {
        /// Why.
        reason: String,
    },
}

impl ArchiveError {
    /// What a failed use of the cache means.
    pub(super) fn of_cache(error: &git2::Error) -> Self {
        Self::Cache { reason: error.message().to_owned() }
    }
}

/// A limit that was met while reading comes back as what it is.
impl From<std::io::Error> for ArchiveError {
    fn from(error: std::io::Error) -> Self {
        match error.get_ref().and_then(|inner| inner.downcast_ref::<Self>()) {
            Some(met) => met.clone(),
            None => Self::Unreadable { reason: error.to_string() },
        }
    }
}

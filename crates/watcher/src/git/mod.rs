//! Git: from a repository's URL and the revisions that applications name to commits, trees and files.
//!
//! What comes in: URLs and revisions. What goes out: commit ids, tree entries and file contents from a
//! bare repository on disk that is nothing but a cache. What it does not do: hold credentials, or know
//! why a revision is asked for. All calls that block say so; the asynchronous rim is `Repository`.

mod cache;
mod error;
mod http;
mod limits;
mod refs;
mod remote;
mod repository;
mod snapshot;
mod url;

pub use cache::Handle;
pub use error::GitError;
pub use limits::{Limits, prepare_process};
pub use repository::{Observation, Repository};
pub use snapshot::{CommitInfo, Snapshot, kind};
pub use url::{RepositoryUrl, match_key};

#[cfg(test)]
mod tests;

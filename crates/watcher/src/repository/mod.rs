//! What a repository is called and how it fails, whatever protocol it speaks.
//!
//! What comes in: the sources of applications. What goes out: keys that tell one repository from another, errors in
//! the words of whoever wrote the source. What it does not do: touch a network or a disk.

mod error;
mod internal;
mod key;
mod proof;
pub mod wanted;

use std::collections::BTreeMap;
use std::sync::Arc;

pub use error::RepositoryError;
pub use internal::{host, is_internal, is_internal_address};
pub use key::{Protocol, RepositoryKey, match_key, plain};
pub use proof::{Artifact, Attached, ChartArchive, Proof};
pub use wanted::Wanted;

/// What a revision was found to be.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Resolved {
    /// As it is shown and asked for: a full commit id, a chart's version, an OCI artifact's digest.
    pub revision: String,
    /// The commit in the cache that holds its files. Behind a chart's version it may change.
    pub commit: String,
    /// The annotated tag that was asked for, which may have a signature of its own.
    pub tag: Option<Tag>,
    /// What it shows beside its files; None where that was not looked for.
    pub proof: Option<Arc<Proof>>,
}

/// An annotated tag.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Tag {
    /// Its name, without `refs/tags/`.
    pub name: String,
    /// The id of its object in the cache.
    pub id: String,
}

impl Resolved {
    /// A commit, which is its own revision.
    pub fn commit(id: String) -> Self {
        Self { revision: id.clone(), commit: id, tag: None, proof: None }
    }
}

/// What each asked revision was found to be, or why it is nothing.
pub type Observation = BTreeMap<String, Result<Resolved, RepositoryError>>;

//! What a repository is called and how it fails, whatever protocol it speaks.
//!
//! What comes in: the sources of applications. What goes out: keys that tell one repository from another, errors in
//! the words of whoever wrote the source. What it does not do: touch a network or a disk.

mod error;
mod key;
mod wanted;

use std::collections::BTreeMap;

pub use error::RepositoryError;
pub use key::{Protocol, RepositoryKey, match_key};
pub use wanted::Wanted;

/// What each asked revision was found to be: a revision that never changes its content, or why it is none.
/// Of Git that is a full commit id, of a chart its version, of an OCI artifact its digest.
pub type Observation = BTreeMap<String, Result<String, RepositoryError>>;

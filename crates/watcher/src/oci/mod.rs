//! OCI registries: from a repository and the revisions that applications name to the files of charts and other content.
//!
//! What comes in: a registry's answers, any of which may be a lie, and tags, version ranges and digests. What goes out:
//! versions of charts and digests of artifacts, their files in the cache, and what lies beside them as a signature. What
//! it does not do: run or read images, verify signatures, or know why a revision is asked for.

mod address;
mod challenge;
mod client;
mod manifest;
mod proof;
mod repository;

pub use address::{Address, HUB};
pub use repository::OciRepository;

#[cfg(test)]
mod tests;

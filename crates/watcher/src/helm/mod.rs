//! Helm repositories: from a repository's URL, a chart and the versions that applications name to their files.
//!
//! What comes in: an index that anybody may have made, and archives that it names. What goes out: versions, and their
//! files in the cache. What it does not do: render a chart, or know why a version is asked for.
//! Charts in OCI registries are the module `oci`'s.

mod catalog;
mod choice;
mod index;
mod place;
mod repository;

pub use catalog::Catalogs;
pub use repository::{HelmRepository, Parts};

#[cfg(test)]
mod tests;

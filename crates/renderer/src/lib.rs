//! The renderer turns the content of an application's sources into a bundle of manifests.

pub mod bundle;
pub mod directory;
pub mod manifest;
pub mod tree;
pub mod yaml;

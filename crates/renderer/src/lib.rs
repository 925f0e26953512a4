//! The renderer turns the content of an application's sources into a bundle of manifests.

pub mod yaml;

//! The renderer turns the content of an application's sources into a bundle of manifests.

pub mod bundle;
pub mod content;
pub mod directory;
pub mod environment;
pub mod failure;
pub mod helm;
pub mod key;
pub mod kustomize;
pub mod manifest;
pub mod render;
pub mod request;
pub mod sandbox;
pub mod source;
pub mod tree;
pub mod yaml;

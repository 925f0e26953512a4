//! The renderer turns the content of an application's sources into a bundle of manifests.
//!
//! What comes in: `RevisionObserved` from the bus, content from the watcher over gRPC.
//! What goes out: `BundleRendered` on the bus, its content inside or in the object store.
//! What it does not do: hold credentials, reach Kubernetes or any network beyond bus and watcher.
//!
//! Where to start reading: `service` is the loop, `worker` does one revision, `render` turns sources into objects,
//! `directory` (with `jsonnet`), `helm` and `kustomize` each do one kind of source, `plugin` asks others to do theirs,
//! `sandbox` runs programs,
//! `ithaca_api::yaml` reads what they print.

mod args;
mod cache;
mod content;
mod environment;
mod fact;
mod failure;
mod key;
mod metrics;
mod service;
mod worker;

pub mod bundle;
pub mod directory;
pub mod helm;
pub mod jsonnet;
pub mod kustomize;
pub mod manifest;
pub mod plugin;
pub mod render;
pub mod request;
pub mod sandbox;
pub mod source;
pub mod tree;

pub use args::Args;
pub use jsonnet::JsonnetArgs;
pub use service::run;

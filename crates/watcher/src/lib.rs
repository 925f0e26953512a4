//! The watcher: observes Git and Applications, and says which revision each application should run.
//!
//! What comes in: Applications as they change, Git remotes, webhooks. What goes out: `RevisionObserved` on
//! the bus, and the content of sources over gRPC. What it does not do: render, or write to a cluster.
//!
//! Where to start: `observe` decides, `reads` says what an application is concerned by, `git` fetches
//! commits into a `cache`; `run` ties them to the world.

mod applications;
mod args;
mod build_options;
mod capabilities;
mod content;
mod event;
mod lookup;
mod publish;
mod run;
mod settings;
mod watch;
mod webhook;

pub mod application;
pub mod archive;
pub mod cache;
pub mod credentials;
pub mod git;
pub mod helm;
pub mod metrics;
pub mod observe;
pub mod oci;
pub mod reads;
pub mod registry;
pub mod repository;
pub mod schedule;
pub mod signature;
pub mod sops;
pub mod tools;
pub mod value_file;
pub mod web;

pub use args::Args;
pub use run::run;

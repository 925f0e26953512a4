//! The watcher: observes Git and Applications, and says which revision each application should run.
//!
//! What comes in: Applications as they change, Git remotes, webhooks. What goes out: `RevisionObserved` on
//! the bus, and the content of sources over gRPC. What it does not do: render, or write to a cluster.
//!
//! Where to start: `observe` decides, `reads` says what an application is concerned by, `git` has the
//! commits; `run` ties them to the world.

mod applications;
mod args;
mod capabilities;
mod content;
mod event;
mod publish;
mod registry;
mod run;
mod settings;
mod webhook;

pub mod application;
pub mod git;
pub mod metrics;
pub mod observe;
pub mod reads;
pub mod schedule;

pub use args::Args;
pub use run::run;

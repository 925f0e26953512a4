//! Makes clusters match bundles and keeps them matched.
//!
//! What comes in: `BundleRendered`, Applications, live objects. What goes out: objects in clusters, the status of
//! Applications, events. What it does not do: fetch sources, render, call people.

mod bundle;
mod cluster;
mod desired;
mod error;
mod follow;
mod health;
mod judge;
mod live;
mod metrics;
mod object;
mod order;
mod orphans;
mod plan;
mod projects;
mod publish;
mod queue;
mod service;
mod state;
mod work;

pub use service::{Args, run};

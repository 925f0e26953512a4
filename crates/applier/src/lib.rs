//! Makes clusters match bundles and keeps them matched.
//!
//! What comes in: `BundleRendered`, Applications, live objects. What goes out: objects in clusters, the status of
//! Applications, events. What it does not do: fetch sources, render, call people.
//! `actions` is for the command line, which does to objects what people ask for.

pub mod actions;
mod answer;
mod bundle;
mod bundle_key;
mod cluster;
mod clusters;
mod desired;
mod error;
mod follow;
mod health;
mod hook;
mod json;
mod judge;
mod links;
mod live;
mod lua;
mod metrics;
mod object;
mod order;
mod orphans;
mod ownership;
mod plan;
mod projects;
mod publish;
mod queue;
mod rules;
mod scripts;
mod service;
mod settings;
mod state;
mod tracked;
mod work;

pub use service::{Args, run};

#[cfg(test)]
mod properties;

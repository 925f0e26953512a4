//! Behaviours of the whole, against a real control plane, a real NATS server and real Git: one file each.
//!
//! All tests share one stack unless they stop parts of it, so each names what it makes after itself.

mod scene;

mod app_of_apps;
mod bad_input;
mod command_line;
mod create;
mod delete;
mod drift;
mod health;
mod idle;
mod impersonation;
mod manual_sync;
mod metrics;
mod notification_webhook;
mod notifications;
mod order;
mod orphaned_resources;
mod project_default;
mod project_permissions;
mod prune;
mod refresh;
mod relocate;
mod restart;
mod retry;
mod rollback;
mod skip;
mod sync_windows;
mod takeover;
mod testbed;
mod trace;
mod update;
mod webhook;

//! Behaviours of the whole, against a real control plane, a real NATS server and real Git: one file each.
//!
//! All tests share one stack unless they stop parts of it, so each names what it makes after itself.

mod scene;

mod actions;
mod app_of_apps;
mod bad_cluster;
mod bad_input;
mod command_line;
mod create;
mod delete;
mod deletion_guard;
mod dependencies;
mod differences_shown;
mod drift;
mod encrypted_sources;
mod excluded_kinds;
mod extraneous;
mod health;
mod health_scripts;
mod hooks;
mod hooks_of_deletion;
mod idle;
mod ignored_differences;
mod impersonation;
mod managed_namespace;
mod manual_sync;
mod members;
mod metrics;
mod notification_webhook;
mod notifications;
mod order;
mod orphaned_resources;
mod project_default;
mod project_permissions;
mod prune;
mod refresh;
mod rehearsal;
mod relocate;
mod remote_clusters;
mod respect_ignored;
mod restart;
mod retry;
mod rollback;
mod sealed_bundles;
mod sharding;
mod skip;
mod sync_options;
mod sync_windows;
mod takeover;
mod testbed;
mod trace;
mod tracking;
mod unknown_fields;
mod update;
mod webhook;

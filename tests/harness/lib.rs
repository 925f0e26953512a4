//! The harness: real counterparts for Ithaca's services, on one machine and without containers.
//!
//! In: the Go module in `tests/tools` and the binary `ithaca`.
//! Out: a running [`Stack`] (control plane, NATS, Git server, services) and short verbs for behaviour tests.
//! It fakes nothing: API server, NATS, Git, Helm and Kustomize are the programs that users run.

mod admission;
mod ansible;
mod built;
mod chance;
mod chart_repository;
mod cluster;
mod collector;
mod control_plane;
mod cosign;
mod empty_cluster;
mod git_server;
mod helm_controller;
mod kubelet;
mod nats;
mod oci_registry;
mod port;
mod process;
mod progress;
mod prometheus;
mod repository;
pub mod sample;
mod services;
mod sops;
mod spawner;
mod ssh_server;
mod stack;
mod tools;
mod wait;

pub use admission::Denial;
pub use ansible::Ansible;
pub use chance::Chance;
pub use chart_repository::ChartRepository;
pub use cluster::Cluster;
pub use collector::{Collector, Span};
pub use control_plane::ControlPlane;
pub use cosign::{Cosign, SignatureForm};
pub use empty_cluster::EmptyCluster;
pub use git_server::GitServer;
pub use helm_controller::HelmController;
pub use kubelet::Kubelet;
pub use nats::Nats;
pub use oci_registry::{LOGIN, OciRegistry};
pub use port::free as free_port;
pub use process::{Process, Program, Ready};
pub use progress::Progress;
pub use prometheus::{Prometheus, Target};
pub use repository::Repository;
pub use services::{SERVICES, Services};
pub use sops::Sops;
pub use ssh_server::SshServer;
pub use stack::{Options, Record, RecordedProcess, Stack, binary, empty, fresh_folder};
pub use tools::{LINKER_FLAGS, Tools, repository_root, target_folder};
pub use wait::wait_until;

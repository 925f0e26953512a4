//! The `argoproj.io/v1alpha1` resources as plain data: Application and AppProject with their exact
//! JSON names, their defaults, the small languages inside them (sync options, durations, tracking ids,
//! annotations), and the YAML that they are written in. Everything here is pure: no I/O, no clock, no runtime.
//!
//! Absent is omitted when writing; unknown fields are ignored when reading. Where Kubernetes has
//! no difference between an absent and an empty string or list, neither have these types.

mod access;
pub mod annotation;
pub mod application;
mod application_namespaces;
pub mod build_environment;
pub mod cluster;
pub mod crd;
pub mod customizations;
pub mod destination;
mod directory_pattern;
pub mod duration;
pub mod exclusions;
pub mod generate_paths;
mod glob;
pub mod kind_pattern;
pub mod operation;
pub mod project;
pub mod repository;
pub mod request;
pub mod source;
pub mod source_override;
pub mod source_type;
pub mod status;
pub mod sync_options;
pub mod sync_policy;
pub mod time;
pub mod tracking;
pub mod version_constraint;
pub mod yaml;

mod object;
mod patience;
mod schema;
mod sensitive;

pub use access::unreadable;
pub use application::{Application, ApplicationSpec};
pub use application_namespaces::{ApplicationNamespaces, NamespacePatterns};
pub use cluster::ClusterSpec;
pub use crd::crds;
pub use customizations::Customizations;
pub use destination::Destination;
pub use directory_pattern::DirectoryPattern;
pub use exclusions::Exclusions;
pub use generate_paths::GeneratePaths;
pub use kind_pattern::KindPattern;
pub use operation::Operation;
pub use patience::patience;
pub use project::AppProject;
pub use repository::RepositorySpec;
pub use request::operation_request_key;
pub use sensitive::Sensitive;
pub use source::{ApplicationSource, without_credentials};
pub use source_type::SourceType;
pub use status::{
    ApplicationStatus, ConditionType, HealthStatusCode, OperationPhase, ResultCode, SyncStatusCode,
};
pub use sync_options::SyncOptions;
pub use time::Time;
pub use version_constraint::{Version, VersionConstraint};

/// The API group of all resources here.
pub const GROUP: &str = "argoproj.io";
/// The only version of the group.
pub const VERSION: &str = "v1alpha1";
/// The `apiVersion` of all resources here.
pub const API_VERSION: &str = "argoproj.io/v1alpha1";

/// True for what is omitted when written: Kubernetes clients take absent and empty as the same.
fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

#[cfg(test)]
mod properties;

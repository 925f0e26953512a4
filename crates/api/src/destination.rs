//! Where an Application's objects go.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::is_default;

/// The API URL that means the cluster Ithaca runs in.
pub const IN_CLUSTER_SERVER: &str = "https://kubernetes.default.svc";
/// The name of the cluster Ithaca runs in.
pub const IN_CLUSTER_NAME: &str = "in-cluster";

/// A cluster, by URL or by name, and the namespace of objects that name none.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Destination {
    /// The API server's URL.
    #[serde(skip_serializing_if = "is_default")]
    pub server: String,
    /// The cluster's name, in place of `server`.
    #[serde(skip_serializing_if = "is_default")]
    pub name: String,
    /// The namespace of namespaced objects that name none.
    #[serde(skip_serializing_if = "is_default")]
    pub namespace: String,
}

/// A destination that names no one cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DestinationError {
    /// Neither `server` nor `name` is set.
    #[error("destination server or name must be set")]
    Missing,
    /// Both are set.
    #[error("destination has both server and name, and only one may be set")]
    Ambiguous,
}

impl Destination {
    /// Checks that exactly one of `server` and `name` is set.
    pub fn validate(&self) -> Result<(), DestinationError> {
        match (self.server.is_empty(), self.name.is_empty()) {
            (true, true) => Err(DestinationError::Missing),
            (false, false) => Err(DestinationError::Ambiguous),
            _ => Ok(()),
        }
    }

    /// True for the cluster that Ithaca runs in.
    pub fn is_in_cluster(&self) -> bool {
        if self.name.is_empty() {
            self.server.trim_end_matches('/') == IN_CLUSTER_SERVER
        } else {
            self.server.is_empty() && self.name == IN_CLUSTER_NAME
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn destination(server: &str, name: &str) -> Destination {
        Destination { server: server.into(), name: name.into(), namespace: String::new() }
    }

    #[test]
    fn exactly_one_of_server_and_name_names_a_cluster() {
        assert_eq!(destination("", "").validate(), Err(DestinationError::Missing));
        assert_eq!(destination("a", "b").validate(), Err(DestinationError::Ambiguous));
        assert!(destination(IN_CLUSTER_SERVER, "").is_in_cluster());
        assert!(destination("", IN_CLUSTER_NAME).is_in_cluster());
        assert!(!destination("", "other").is_in_cluster());
        assert!(!destination("https://elsewhere", "").is_in_cluster());
    }
}

//! Which kinds a cluster serves, under which path, and whether they live in namespaces.

use std::{
    collections::{BTreeMap, HashMap},
    sync::PoisonError,
};

use kube::{
    Discovery,
    core::ApiResource,
    discovery::{Scope, verbs},
};

use super::Cluster;
use crate::{
    error::Error,
    object::{GroupKind, Kind},
};

/// A kind that a cluster serves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Served {
    /// Where it is.
    pub resource: ApiResource,
    /// Whether its objects live in namespaces.
    pub namespaced: bool,
    /// Whether it can be listed and watched.
    pub watchable: bool,
}

/// All kinds of a cluster, each by version.
pub(super) type Kinds = HashMap<GroupKind, BTreeMap<String, Served>>;

impl Cluster {
    /// Asks the cluster what it serves. Returns whether that is different from before.
    pub async fn discover(&self) -> Result<bool, Error> {
        self.ensure_ready().await?;
        let what = "the list of its kinds";
        let discovery = Discovery::new(self.client.clone()).run_aggregated();
        let discovery = self.answered(&what, discovery).await?.map_err(|error| Error::of(what, error))?;
        let mut kinds = Kinds::new();
        for group in discovery.groups() {
            for version in group.versions() {
                for (resource, capabilities) in group.versioned_resources(version) {
                    let key = GroupKind { group: resource.group.clone(), kind: resource.kind.clone() };
                    let served = Served {
                        namespaced: capabilities.scope == Scope::Namespaced,
                        watchable: capabilities.supports_operation(verbs::WATCH),
                        resource,
                    };
                    kinds.entry(key).or_default().insert(version.to_owned(), served);
                }
            }
        }
        let mut known = self.kinds.write().unwrap_or_else(PoisonError::into_inner);
        let changed = *known != kinds;
        *known = kinds;
        Ok(changed)
    }

    /// A kind in the version asked for.
    pub fn served(&self, kind: &Kind) -> Option<Served> {
        let kinds = self.kinds.read().unwrap_or_else(PoisonError::into_inner);
        kinds.get(&kind.group_kind())?.get(&kind.version).cloned()
    }

    /// A kind in any version, to find objects by.
    pub fn served_any(&self, kind: &GroupKind) -> Option<Served> {
        let kinds = self.kinds.read().unwrap_or_else(PoisonError::into_inner);
        kinds.get(kind)?.values().next_back().cloned()
    }

    /// Whether a kind is still served at a version.
    pub fn serves(&self, served: &Served) -> bool {
        let ApiResource { group, version, kind, .. } = served.resource.clone();
        self.served(&Kind { group, version, kind }).is_some()
    }

    /// Every kind whose objects live in namespaces and can be watched, each in one version.
    pub fn namespaced_kinds(&self) -> HashMap<GroupKind, Served> {
        let kinds = self.kinds.read().unwrap_or_else(PoisonError::into_inner);
        let newest = kinds.iter().filter_map(|(kind, versions)| Some((kind, versions.values().next_back()?)));
        let watchable = newest.filter(|(_, served)| served.namespaced && served.watchable);
        watchable.map(|(kind, served)| (kind.clone(), served.clone())).collect()
    }

    /// Whether a kind's objects live in namespaces; None where the cluster does not serve it.
    pub fn scope(&self, kind: &Kind) -> Option<bool> {
        self.served(kind).map(|served| served.namespaced)
    }
}

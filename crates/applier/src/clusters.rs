//! The clusters that Applications go to: what is known of each.
//!
//! What comes in: Secrets, connections, and what applications want. What goes out: where an application goes, who wants
//! an object there, and the records of its objects. No I/O.

mod claims;
mod follow;
mod keep;

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use ithaca_api::{
    Application, ClusterSpec, Destination,
    cluster::normalized,
    destination::{DestinationError, IN_CLUSTER_SERVER},
};
use tokio::task::AbortHandle;

use crate::{
    cluster::{Cluster, ClusterId},
    live::Records,
    orphans::Orphans,
    rules::Rules,
    state::{Loaded, Uid},
};

use claims::Claims;
pub use follow::{follow, look_for, start_home};

/// The key of the cluster that Ithaca runs in, where no Secret describes it.
const HOME: &str = "";

/// What is known of one cluster's objects. Losing it costs another look at all of them.
#[derive(Debug)]
pub struct Holdings {
    /// The way to it.
    pub cluster: Arc<Cluster>,
    /// What it is called, and what of it is managed.
    pub spec: Arc<ClusterSpec>,
    /// Its objects.
    pub records: Records,
    /// Objects that nobody manages, where a project wants to hear of them.
    pub orphans: Orphans,
    /// Counts the discoveries of kinds that found something new.
    pub epoch: u64,
    /// Who wants what of it.
    pub claims: Claims,
}

impl Holdings {
    /// Nothing is known yet.
    fn new(cluster: Arc<Cluster>, spec: Arc<ClusterSpec>, rules: &Rules) -> Self {
        let (mut records, orphans) = (Records::default(), Orphans::default());
        records.set_rules(Arc::new(rules.at(&spec.server)));
        Self { cluster, spec, records, orphans, epoch: 0, claims: Claims::default() }
    }
}

/// How far a cluster is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reach {
    /// Nobody knows yet.
    Connecting,
    /// By this connection.
    Connected(ClusterId),
    /// Not, for this reason.
    Down(Arc<str>),
}

/// A cluster that is known by name.
#[derive(Debug)]
pub struct Known {
    /// As its Secret describes it.
    pub spec: Arc<ClusterSpec>,
    /// How far it is reached.
    pub reach: Reach,
    /// Who keeps the connection.
    keeper: Option<AbortHandle>,
}

#[cfg(test)]
impl Known {
    /// The cluster that Ithaca runs in, reached.
    pub fn home() -> Self {
        let reach = Reach::Connected(ClusterId::default());
        Self { spec: Arc::new(ClusterSpec::in_cluster()), reach, keeper: None }
    }
}

impl Drop for Known {
    fn drop(&mut self) {
        self.keeper.iter().for_each(AbortHandle::abort);
    }
}

/// Why a destination means no cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoCluster<'a> {
    /// It is not one destination.
    #[error("failed to read spec.destination: {0}")]
    Misnamed(DestinationError),
    /// No cluster has the name or the URL.
    #[error(
        "there are no clusters with this name or server: {0}; a Secret with the label argocd.argoproj.io/secret-type=cluster makes one known"
    )]
    Unknown(&'a str),
    /// Several have the name.
    #[error("there are {1} clusters with the same name: {0}; name one by spec.destination.server")]
    Ambiguous(&'a str, usize),
    /// It is the cluster that Ithaca runs in, and nothing may go there.
    #[error(
        "the cluster https://kubernetes.default.svc is disabled: see cluster.inClusterEnabled in ConfigMap argocd-cm"
    )]
    Disabled,
}

/// All clusters.
#[derive(Debug)]
pub struct Clusters {
    /// By the name of the Secret, which is `HOME` where there is none.
    known: BTreeMap<Box<str>, Known>,
    connected: HashMap<ClusterId, Holdings>,
    /// What the installation says of all objects.
    rules: Arc<Rules>,
    /// Whether all Secrets are known.
    listed: bool,
    /// Whether Applications may go to the cluster that Ithaca runs in.
    in_cluster_enabled: bool,
}

impl Default for Clusters {
    fn default() -> Self {
        Self {
            known: BTreeMap::new(),
            connected: HashMap::new(),
            rules: Arc::default(),
            listed: false,
            in_cluster_enabled: true,
        }
    }
}

impl Clusters {
    /// Takes over what the installation says of all objects.
    pub fn set_rules(&mut self, rules: Arc<Rules>) {
        for there in self.connected.values_mut() {
            there.records.set_rules(Arc::new(rules.at(&there.spec.server)));
            // Whom objects belong to may be another question now.
            there.orphans = Orphans::default();
        }
        self.rules = rules;
    }

    /// Whether all are known. Before that nothing is decided.
    pub fn is_listed(&self) -> bool {
        self.listed
    }

    /// Notes whether Applications may go to the cluster that Ithaca runs in. Returns whether that is news.
    pub fn enable_in_cluster(&mut self, enabled: bool) -> bool {
        std::mem::replace(&mut self.in_cluster_enabled, enabled) != enabled
    }

    /// All that are connected.
    pub fn all(&self) -> impl Iterator<Item = &Holdings> {
        self.connected.values()
    }

    /// All that are known.
    pub fn known(&self) -> impl Iterator<Item = &Known> {
        self.known.values()
    }

    /// A connection; None where it is over.
    pub fn get(&self, id: ClusterId) -> Option<&Holdings> {
        self.connected.get(&id)
    }

    /// The same, to change what is known.
    pub fn get_mut(&mut self, id: ClusterId) -> Option<&mut Holdings> {
        self.connected.get_mut(&id)
    }

    /// The cluster that a destination means.
    pub fn find<'a>(&self, destination: &'a Destination) -> Result<&Known, NoCluster<'a>> {
        destination.validate().map_err(NoCluster::Misnamed)?;
        let Destination { server, name, .. } = destination;
        let same = |known: &&Known| match name.is_empty() {
            true => known.spec.server == normalized(server),
            false => known.spec.name == *name,
        };
        let mut found = self.known.values().filter(same);
        let named = if name.is_empty() { server } else { name };
        let first = found.next().ok_or(NoCluster::Unknown(named))?;
        match found.count() {
            0 => {}
            more if !name.is_empty() => return Err(NoCluster::Ambiguous(name, more + 1)),
            _ => {}
        }
        if first.spec.is_in_cluster() && !self.in_cluster_enabled {
            return Err(NoCluster::Disabled);
        }
        Ok(first)
    }

    /// Where an application goes, as far as that is reached.
    pub fn of(&self, application: &Application) -> Option<&Holdings> {
        match self.find(&application.spec.destination).ok()?.reach {
            Reach::Connected(id) => self.connected.get(&id),
            Reach::Connecting | Reach::Down(_) => None,
        }
    }

    /// Why an application's cluster cannot be asked, where that is so.
    pub fn obstacle(&self, application: &Application) -> Option<String> {
        match self.find(&application.spec.destination) {
            Err(reason) => Some(reason.to_string()),
            Ok(known) => match &known.reach {
                Reach::Connected(_) => None,
                Reach::Connecting => Some("its cluster is not connected yet".to_owned()),
                Reach::Down(reason) => {
                    Some(format!("failed to reach cluster {}: {reason}", known.spec.server))
                }
            },
        }
    }

    /// Whether that is this one.
    pub fn goes_to(&self, application: &Application, id: ClusterId) -> bool {
        self.of(application).is_some_and(|there| there.cluster.id() == id)
    }

    /// What an application wanted is wanted no more. Returns who wants something of it as well.
    pub fn forget(&mut self, uid: &str, tracked: &Loaded) -> Vec<Uid> {
        let there = tracked.cluster.and_then(|id| self.connected.get_mut(&id));
        let (Some(there), Some(bundle)) = (there, &tracked.bundle) else { return Vec::new() };
        let rivals = there.claims.rivals(uid).map(|(_, other)| other.clone()).collect();
        there.claims.forget(uid, &bundle.assembly.objects);
        rivals
    }

    /// Takes over a cluster as a Secret describes it. Returns it where that is news: then it has to be kept anew.
    fn put(&mut self, secret: &str, spec: ClusterSpec) -> Option<Arc<ClusterSpec>> {
        if self.known.get(secret).is_some_and(|known| *known.spec == spec) {
            return None;
        }
        self.remove(secret);
        let spec = Arc::new(spec);
        let reach = match &spec.access {
            Ok(_) => Reach::Connecting,
            Err(error) => Reach::Down(format!("Secret {secret} cannot be read: {error}").into()),
        };
        self.known.insert(secret.into(), Known { spec: spec.clone(), reach, keeper: None });
        Some(spec)
    }

    /// Forgets a cluster, and all that is known of it. Returns whether it was known.
    fn remove(&mut self, secret: &str) -> bool {
        let Some(known) = self.known.remove(secret) else { return false };
        self.disconnect(&known.reach);
        true
    }

    fn disconnect(&mut self, reach: &Reach) {
        if let Reach::Connected(id) = reach
            && let Some(there) = self.connected.remove(id)
        {
            there.cluster.end();
        }
    }

    /// Notes who keeps the connection to a cluster.
    fn set_keeper(&mut self, secret: &str, keeper: AbortHandle) {
        if let Some(known) = self.known.get_mut(secret) {
            known.keeper = Some(keeper);
        }
    }

    /// A cluster is reached, if that is how it is still described.
    fn connect(&mut self, secret: &str, spec: Arc<ClusterSpec>, cluster: Arc<Cluster>) {
        let Some(known) = self.described(secret, &spec) else { return cluster.end() };
        let before = std::mem::replace(&mut known.reach, Reach::Connected(cluster.id()));
        self.disconnect(&before);
        self.connected.insert(cluster.id(), Holdings::new(cluster, spec, &self.rules));
    }

    /// A cluster that is still described so is not reached. Returns whether that is news.
    fn lose(&mut self, secret: &str, spec: &Arc<ClusterSpec>, reason: &str) -> bool {
        let Some(known) = self.described(secret, spec) else { return false };
        let before = std::mem::replace(&mut known.reach, Reach::Down(reason.into()));
        let is_news = known.reach != before;
        self.disconnect(&before);
        is_news
    }

    /// The word of a keeper that was told to end counts no more.
    fn described(&mut self, secret: &str, spec: &Arc<ClusterSpec>) -> Option<&mut Known> {
        self.known.get_mut(secret).filter(|known| Arc::ptr_eq(&known.spec, spec))
    }

    /// The cluster that Ithaca runs in is known even where no Secret describes it. Returns whether it has to be kept.
    fn settle_home(&mut self) -> Option<Arc<ClusterSpec>> {
        let described = self
            .known
            .iter()
            .any(|(secret, known)| &**secret != HOME && normalized(&known.spec.server) == IN_CLUSTER_SERVER);
        match described {
            true => {
                self.remove(HOME);
                None
            }
            false => self.put(HOME, ClusterSpec::in_cluster()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(name: &str, server: &str) -> ClusterSpec {
        ClusterSpec { name: name.to_owned(), server: server.to_owned(), ..ClusterSpec::in_cluster() }
    }

    fn clusters(specs: &[(&str, &str)]) -> Clusters {
        let mut clusters = Clusters::default();
        clusters.settle_home();
        for (place, (name, server)) in specs.iter().enumerate() {
            clusters.put(&format!("secret-{place}"), spec(name, server));
        }
        clusters.settle_home();
        clusters
    }

    fn found(clusters: &Clusters, server: &str, name: &str) -> Result<String, String> {
        let destination = Destination { server: server.into(), name: name.into(), namespace: String::new() };
        let found = clusters.find(&destination).map(|known| known.spec.name.clone());
        found.map_err(|error| error.to_string())
    }

    #[test]
    fn a_destination_is_found_by_server_or_by_name() {
        let known = clusters(&[("edge", "https://edge"), ("twin", "https://a"), ("twin", "https://b")]);
        assert_eq!(found(&known, "https://edge/", ""), Ok("edge".to_owned()));
        assert_eq!(found(&known, "", "edge"), Ok("edge".to_owned()));
        assert_eq!(found(&known, IN_CLUSTER_SERVER, ""), Ok("in-cluster".to_owned()));
        assert_eq!(found(&known, "", "in-cluster"), Ok("in-cluster".to_owned()));
        assert_eq!(found(&known, "https://b", ""), Ok("twin".to_owned()));
        for (server, name, part) in [
            ("", "", "must be set"),
            ("https://edge", "edge", "only one"),
            ("", "nowhere", "no clusters with this name or server: nowhere"),
            ("https://c", "", "no clusters with this name or server: https://c"),
            ("", "twin", "2 clusters with the same name: twin"),
        ] {
            let error = found(&known, server, name).expect_err("no cluster");
            assert!(error.contains(part), "{error}");
        }
    }

    #[test]
    fn a_secret_may_rename_the_cluster_that_ithaca_runs_in() {
        let mut known = clusters(&[("home", IN_CLUSTER_SERVER)]);
        assert_eq!(found(&known, IN_CLUSTER_SERVER, ""), Ok("home".to_owned()));
        assert!(found(&known, "", "in-cluster").is_err());
        known.remove("secret-0");
        assert!(known.settle_home().is_some(), "it is kept again");
        assert_eq!(found(&known, "", "in-cluster"), Ok("in-cluster".to_owned()));
        assert!(known.enable_in_cluster(false));
        assert!(found(&known, IN_CLUSTER_SERVER, "").is_err_and(|error| error.contains("disabled")));
    }

    #[test]
    fn what_is_the_same_is_no_news() {
        let mut known = clusters(&[("edge", "https://edge")]);
        assert!(known.put("secret-0", spec("edge", "https://edge")).is_none());
        let before = known.known["secret-0"].spec.clone();
        assert!(known.lose("secret-0", &before, "it is off"));
        assert!(!known.lose("secret-0", &before, "it is off"));
        assert!(known.put("secret-0", spec("edge", "https://other")).is_some());
        assert!(!known.lose("secret-0", &before, "it is off"), "whoever says so was told to end");
        assert!(known.remove("secret-0") && !known.remove("secret-0"));
    }
}

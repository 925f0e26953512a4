//! The clusters that Applications go to: what is known of each.
//!
//! What comes in: clusters, and what applications want of them. What goes out: where an application goes, who wants an
//! object there, and the records of its objects. No I/O.

use std::{collections::HashMap, sync::Arc};

use ithaca_api::{Application, destination::IN_CLUSTER_SERVER};

use crate::{
    cluster::{Cluster, ClusterId},
    desired::Desired,
    live::Records,
    object::ObjectKey,
    orphans::Orphans,
    rules::Rules,
    state::{Loaded, Uid},
};

/// What is known of one cluster's objects. Losing it costs another look at all of them.
#[derive(Debug)]
pub struct Holdings {
    /// The way to it.
    pub cluster: Arc<Cluster>,
    /// The URL of its API server.
    server: Box<str>,
    /// Its objects.
    pub records: Records,
    /// Objects that nobody manages, where a project wants to hear of them.
    pub orphans: Orphans,
    /// Counts the discoveries of kinds that found something new.
    pub epoch: u64,
    wanted: HashMap<ObjectKey, (Uid, Arc<Desired>)>,
}

impl Holdings {
    /// Nothing is known yet.
    fn new(cluster: Arc<Cluster>, server: &str, rules: &Rules) -> Self {
        let (mut records, orphans) = (Records::default(), Orphans::default());
        records.set_rules(Arc::new(rules.at(server)));
        Self { cluster, server: server.into(), records, orphans, epoch: 0, wanted: HashMap::new() }
    }

    /// Who wants an object, and how.
    pub fn wanted(&self, key: &ObjectKey) -> Option<(&Uid, &Arc<Desired>)> {
        self.wanted.get(key).map(|(uid, desired)| (uid, desired))
    }

    /// An application wants this from now on.
    pub fn want(&mut self, uid: &Uid, objects: &[Arc<Desired>]) {
        for desired in objects {
            self.wanted.insert(desired.key.clone(), (uid.clone(), desired.clone()));
        }
    }

    fn forget(&mut self, uid: &str, objects: &[Arc<Desired>]) {
        for desired in objects {
            if self.wanted.get(&desired.key).is_some_and(|(owner, _)| **owner == *uid) {
                self.wanted.remove(&desired.key);
            }
        }
    }
}

/// All clusters.
#[derive(Debug, Default)]
pub struct Clusters {
    known: HashMap<ClusterId, Holdings>,
    /// What the installation says of all objects.
    rules: Arc<Rules>,
    /// The one that Ithaca runs in.
    home: Option<ClusterId>,
}

impl Clusters {
    /// Takes over the cluster that Ithaca runs in.
    pub fn set_home(&mut self, cluster: Arc<Cluster>) {
        self.home = Some(cluster.id());
        self.known.insert(cluster.id(), Holdings::new(cluster, IN_CLUSTER_SERVER, &self.rules));
    }

    /// Takes over what the installation says of all objects.
    pub fn set_rules(&mut self, rules: Arc<Rules>) {
        for there in self.known.values_mut() {
            there.records.set_rules(Arc::new(rules.at(&there.server)));
            // Whom objects belong to may be another question now.
            there.orphans = Orphans::default();
        }
        self.rules = rules;
    }

    /// All of them.
    pub fn all(&self) -> impl Iterator<Item = &Holdings> {
        self.known.values()
    }

    /// One of them; None where nobody goes there any more.
    pub fn get(&self, id: ClusterId) -> Option<&Holdings> {
        self.known.get(&id)
    }

    /// The same, to change what is known.
    pub fn get_mut(&mut self, id: ClusterId) -> Option<&mut Holdings> {
        self.known.get_mut(&id)
    }

    /// Where an application goes.
    pub fn of(&self, application: &Application) -> Option<&Holdings> {
        let home = self.home.filter(|_| application.spec.destination.is_in_cluster());
        self.known.get(&home?)
    }

    /// Whether that is this one.
    pub fn goes_to(&self, application: &Application, id: ClusterId) -> bool {
        self.of(application).is_some_and(|there| there.cluster.id() == id)
    }

    /// What an application wanted is wanted no more.
    pub fn forget(&mut self, uid: &str, tracked: &Loaded) {
        let there = tracked.cluster.and_then(|id| self.known.get_mut(&id));
        if let (Some(there), Some(bundle)) = (there, &tracked.bundle) {
            there.forget(uid, &bundle.assembly.objects);
        }
    }
}

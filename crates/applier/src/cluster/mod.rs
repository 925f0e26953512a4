//! The rim towards a cluster's API server: what it serves, what lives in it, and writing to it.
//!
//! What comes in: objects to apply, compare and delete. What goes out: what the API server answered.
//! What it does not do: decide.

mod account;
mod kinds;
mod ready;
mod watch;
mod write;

pub use account::acting_as;
pub use kinds::Served;
pub use watch::{Event, patience, watch};

use std::{
    collections::HashSet,
    sync::{Mutex, PoisonError, RwLock},
};

use kube::Client;

use kinds::Kinds;

/// A cluster that applications go to.
pub struct Cluster {
    client: Client,
    kinds: RwLock<Kinds>,
    /// Namespaces that are known to exist.
    namespaces: Mutex<HashSet<String>>,
}

impl Cluster {
    /// A cluster behind a client. Knows no kinds until `discover`.
    pub fn new(client: Client) -> Self {
        Self { client, kinds: RwLock::default(), namespaces: Mutex::default() }
    }

    /// The client, for watching.
    pub fn client(&self) -> Client {
        self.client.clone()
    }

    fn knows_namespace(&self, name: &str) -> bool {
        self.namespaces.lock().unwrap_or_else(PoisonError::into_inner).contains(name)
    }

    fn learn_namespace(&self, name: &str, exists: bool) {
        let mut namespaces = self.namespaces.lock().unwrap_or_else(PoisonError::into_inner);
        if exists {
            namespaces.insert(name.to_owned());
        } else {
            namespaces.remove(name);
        }
    }
}

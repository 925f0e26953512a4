//! The rim towards a cluster's API server: what it serves, what lives in it, and writing to it.
//!
//! What comes in: objects to apply, compare and delete. What goes out: what the API server answered.
//! What it does not do: decide.

mod account;
mod applications;
mod connect;
mod kinds;
mod reach;
mod ready;
mod watch;
mod write;

pub use account::acting_as;
pub use applications::{Told, watch_applications};
pub use connect::{Token, connect};
pub use kinds::Served;
pub use watch::{Event, watch};
pub use write::Mode;

use std::{
    collections::HashSet,
    fmt,
    sync::{
        Mutex, PoisonError, RwLock,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use kube::Client;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use kinds::Kinds;

use crate::{health, object::ObjectKey};

/// A connection to a cluster. One that is made anew has another.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct ClusterId(u64);

#[cfg(test)]
impl ClusterId {
    /// Of no cluster that there is.
    pub const fn made_up(number: u64) -> Self {
        Self(number)
    }
}

/// A cluster that applications go to.
pub struct Cluster {
    id: ClusterId,
    client: Client,
    kinds: RwLock<Kinds>,
    /// Namespaces that are known to exist.
    namespaces: Mutex<HashSet<String>>,
    /// When a definition of kinds last changed.
    definitions: Mutex<Option<Instant>>,
    /// Whether namespaces are made there.
    manages_namespaces: bool,
    /// Word that it may be down.
    doubt: Notify,
    /// The connection is no longer the one to it.
    over: CancellationToken,
}

/// How long the API server may take to follow a definition that has changed.
const SCHEMA_LAG: Duration = Duration::from_secs(5);

impl Cluster {
    /// A cluster behind a client. Knows no kinds until `discover`.
    pub fn new(client: Client, manages_namespaces: bool) -> Self {
        static CONNECTIONS: AtomicU64 = AtomicU64::new(0);
        Self {
            id: ClusterId(CONNECTIONS.fetch_add(1, Ordering::Relaxed)),
            client,
            kinds: RwLock::default(),
            namespaces: Mutex::default(),
            definitions: Mutex::default(),
            manages_namespaces,
            doubt: Notify::new(),
            over: CancellationToken::new(),
        }
    }

    /// Tells this connection from all others.
    pub fn id(&self) -> ClusterId {
        self.id
    }

    /// The client, for watching.
    pub fn client(&self) -> Client {
        self.client.clone()
    }

    /// Notes that a definition of kinds has changed.
    pub fn note_definition(&self) {
        *self.definitions.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
    }

    /// Whether the schema of a kind may be about to change.
    fn is_schema_settling(&self, key: &ObjectKey) -> bool {
        let changed = *self.definitions.lock().unwrap_or_else(PoisonError::into_inner);
        health::is_custom(&key.group) && changed.is_some_and(|changed| changed.elapsed() < SCHEMA_LAG)
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

impl fmt::Debug for Cluster {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("Cluster").field(&self.id.0).finish()
    }
}

//! What projects ask of signatures, and the keys for it, as far as they are known.

use std::collections::BTreeMap;
use std::sync::Arc;

use ithaca_api::annotation::DEFAULT_PROJECT;
use ithaca_api::project::Integrity;

use super::Keyring;

/// All projects, and the installation's keys.
#[derive(Clone, Debug, Default)]
pub struct Rules {
    /// What each asks.
    pub projects: BTreeMap<String, Arc<Integrity>>,
    /// The keys.
    pub keyring: Arc<Keyring>,
}

/// What holds for the applications of one project.
#[derive(Clone, Debug, Default)]
pub struct Rule {
    /// What the project asks.
    pub integrity: Arc<Integrity>,
    /// The keys.
    pub keyring: Arc<Keyring>,
}

impl Rules {
    /// What holds for a project; None where there is no such project. The default one allows everything where nobody
    /// made it.
    pub fn of(&self, project: &str) -> Option<Rule> {
        let integrity = match self.projects.get(project) {
            Some(integrity) => integrity.clone(),
            None if project == DEFAULT_PROJECT => Arc::default(),
            None => return None,
        };
        Some(Rule { integrity, keyring: self.keyring.clone() })
    }
}

impl Rule {
    /// Whether anything is asked at all.
    pub fn asks(&self) -> bool {
        *self.integrity != Integrity::default()
    }

    /// Whether both judge all sources alike. Keys play no part where nothing is asked.
    pub fn judges_as(&self, other: &Self) -> bool {
        let same_keys = || Arc::ptr_eq(&self.keyring, &other.keyring) || self.keyring == other.keyring;
        self.integrity == other.integrity && (!self.asks() || same_keys())
    }
}

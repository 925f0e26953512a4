//! What the installation allows sources to be made with, as its ConfigMap has it.

use std::collections::BTreeMap;

use ithaca_api::source_type::EnabledTools;

/// What is allowed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tools {
    /// The tools.
    pub enabled: EnabledTools,
}

impl Tools {
    /// What the ConfigMap says.
    pub fn of(data: &BTreeMap<String, String>) -> Self {
        Self { enabled: EnabledTools::of(data) }
    }
}

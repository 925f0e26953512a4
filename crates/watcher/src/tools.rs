//! What the installation allows sources to be made with, as its ConfigMap has it.

use std::collections::{BTreeMap, BTreeSet};

use ithaca_api::source_type::EnabledTools;

const SCHEMES: &str = "helm.valuesFileSchemes";
const DEFAULT_SCHEMES: &str = "https, http";

/// What is allowed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tools {
    /// The tools.
    pub enabled: EnabledTools,
    /// The schemes of URLs that value files may be named by.
    pub value_file_schemes: BTreeSet<String>,
}

impl Default for Tools {
    fn default() -> Self {
        Self::of(&BTreeMap::new())
    }
}

impl Tools {
    /// What the ConfigMap says. An empty list of schemes allows none.
    pub fn of(data: &BTreeMap<String, String>) -> Self {
        let schemes = data.get(SCHEMES).map_or(DEFAULT_SCHEMES, String::as_str).split(',');
        let schemes = schemes.map(|scheme| scheme.trim().trim_end_matches("://").to_ascii_lowercase());
        Self {
            enabled: EnabledTools::of(data),
            value_file_schemes: schemes.filter(|scheme| !scheme.is_empty()).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn schemes_are_a_list_by_commas() {
        let of = |text: Option<&str>| {
            let data = text.map(|text| (SCHEMES.to_owned(), text.to_owned())).into_iter().collect();
            Tools::of(&data).value_file_schemes.into_iter().collect::<Vec<_>>()
        };
        assert_eq!(of(None), ["http", "https"]);
        assert_eq!(of(Some(" HTTPS,s3://, ")), ["https", "s3"]);
        assert!(of(Some("")).is_empty());
    }
}

//! What the installation's settings say of all objects: how they tell whose they are, and which kinds are not managed.
//!
//! What comes in: the data of ConfigMap `argocd-cm`. What goes out: the rules, and why nothing may be decided where one
//! of them cannot be read. A rule that is not known could be the one that keeps an object from being deleted.

use std::collections::BTreeMap;

use ithaca_api::{Exclusions, customizations::Unreadable, tracking::Tracking};

/// The rules, all over or in one cluster.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Rules {
    /// How objects tell whose they are.
    pub tracking: Tracking,
    /// Which kinds are not managed.
    pub exclusions: Exclusions,
    /// Why nothing may be decided by them.
    pub fault: Option<String>,
}

impl Rules {
    /// Reads the settings. What cannot be read stays as it was before; `unreadable` is what cannot be read elsewhere.
    pub fn read(data: &BTreeMap<String, String>, unreadable: &[Unreadable], before: &Self) -> Self {
        let (tracking, exclusions) = (Tracking::read(data), Exclusions::read(data));
        let faults = tracking.as_ref().err().into_iter().chain(exclusions.as_ref().err());
        let of_differences = unreadable.iter().filter(|part| part.protects).map(ToString::to_string);
        let faults: Vec<_> = faults.map(ToString::to_string).chain(of_differences).collect();
        Self {
            tracking: tracking.unwrap_or_else(|_| before.tracking.clone()),
            exclusions: exclusions.unwrap_or_else(|_| before.exclusions.clone()),
            fault: Some(faults.join("; ")).filter(|fault| !fault.is_empty()),
        }
    }

    /// The rules in one cluster, by its API server's URL.
    pub fn at(&self, server: &str) -> Self {
        Self { exclusions: self.exclusions.at(server), ..self.clone() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn data(method: &str, exclusions: &str) -> BTreeMap<String, String> {
        let keys = [("application.resourceTrackingMethod", method), ("resource.exclusions", exclusions)];
        keys.map(|(key, text)| (key.to_owned(), text.to_owned())).into()
    }

    #[test]
    fn what_cannot_be_read_stays_and_nothing_may_be_decided() {
        let before = Rules::read(&data("label", "- {kinds: [Secret]}"), &[], &Rules::default());
        assert_eq!(before.fault, None);
        let after = Rules::read(&data("labels", "- {kinds: [Secret"), &[], &before);
        assert_eq!((&after.tracking, &after.exclusions), (&before.tracking, &before.exclusions));
        let fault = after.fault.expect("a fault");
        for word in ["application.resourceTrackingMethod", "resource.exclusions", "argocd-cm"] {
            assert!(fault.contains(word), "{word} is not in {fault}");
        }
    }
    /// Was logged and passed over, and what it protects was put right.
    #[test]
    fn differences_that_may_have_to_be_left_alone_stop_decisions() {
        for (key, text, stops) in [
            ("resource.customizations.ignoreDifferences.apps_Deployment", "jsonPointer: [/spec]", true),
            ("resource.customizations.ignoreDifferences.a_b_c", "jsonPointers: [/spec]", true),
            ("resource.customizations", "apps/Deployment: {ignoreDifferences: [1]}", true),
            ("resource.customizations", "apps/Deployment: [", true),
            ("resource.compareoptions", "ignoreAggregatedRoles: maybe", true),
            ("resource.customizations.health.a_b_c", "return {}", false),
            ("resource.customizations.ignoreDifferences.apps_Deployment", "jsonPointers: [/spec]", false),
        ] {
            let data = BTreeMap::from([(key.to_owned(), text.to_owned())]);
            let (_, unreadable) = ithaca_api::Customizations::read(&data);
            let fault = Rules::read(&data, &unreadable, &Rules::default()).fault;
            assert_eq!(fault.is_some(), stops, "{key}: {text}: {fault:?}");
            assert!(fault.is_none_or(|fault| fault.contains(key)));
        }
    }
}

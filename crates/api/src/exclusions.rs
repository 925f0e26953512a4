//! `resource.exclusions` and `resource.inclusions` of ConfigMap `argocd-cm`: kinds that an installation does not manage.
//!
//! What comes in: the ConfigMap's data, lists of `{apiGroups, kinds, clusters}` in YAML. What goes out: whether a kind
//! is excluded in a cluster. It holds nothing against an object. Absent keys exclude nothing: there is no list that
//! holds by default, for whoever watches only what is managed has nothing to be spared.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::{
    customizations::{Unreadable, yaml},
    glob::{Glob, Separator},
};

const EXCLUSIONS: &str = "resource.exclusions";
const INCLUSIONS: &str = "resource.inclusions";

/// Kinds that are not managed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Exclusions {
    excluded: Vec<Filter>,
    /// Where there are any, all other kinds are excluded.
    included: Option<Vec<Filter>>,
}

/// An entry of a list. A list of patterns without any means all.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Filter {
    groups: Vec<Glob>,
    kinds: Vec<Glob>,
    clusters: Vec<Glob>,
}

/// An entry as it is written.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Written {
    #[serde(default)]
    api_groups: Option<Vec<String>>,
    #[serde(default)]
    kinds: Option<Vec<String>>,
    #[serde(default)]
    clusters: Option<Vec<String>>,
}

impl Exclusions {
    /// Reads the ConfigMap's data. Where one entry cannot be read, nothing is known of what should be left alone.
    pub fn read(data: &BTreeMap<String, String>) -> Result<Self, Unreadable> {
        let list = |key: &str| -> Result<Vec<Filter>, Unreadable> {
            let text = data.get(key).map(String::as_str).unwrap_or_default();
            read_list(text).map_err(|reason| Unreadable { key: key.to_owned(), reason, protects: true })
        };
        let included = Some(list(INCLUSIONS)?).filter(|included| !included.is_empty());
        Ok(Self { excluded: list(EXCLUSIONS)?, included })
    }

    /// Those that hold in one cluster, by its API server's URL.
    pub fn at(&self, server: &str) -> Self {
        let here = |filters: &Vec<Filter>| -> Vec<Filter> {
            let here = filters.iter().filter(|filter| matches(&filter.clusters, server));
            here.map(|filter| Filter { clusters: Vec::new(), ..filter.clone() }).collect()
        };
        Self { excluded: here(&self.excluded), included: self.included.as_ref().map(here) }
    }

    /// Whether a kind is not managed. What is excluded and included is excluded.
    pub fn excludes(&self, group: &str, kind: &str) -> bool {
        let any = |filters: &[Filter]| filters.iter().any(|filter| filter.means(group, kind));
        any(&self.excluded) || self.included.as_deref().is_some_and(|included| !any(included))
    }
}

impl Filter {
    fn of(written: Written) -> Result<Self, String> {
        let globs = |texts: Option<Vec<String>>| -> Result<Vec<Glob>, String> {
            let globs = texts.unwrap_or_default().into_iter();
            globs.map(|text| Glob::parse(&text, Separator::None).ok_or_else(|| Glob::fault(&text))).collect()
        };
        Ok(Self {
            groups: globs(written.api_groups)?,
            kinds: globs(written.kinds)?,
            clusters: globs(written.clusters)?,
        })
    }

    fn means(&self, group: &str, kind: &str) -> bool {
        matches(&self.groups, group) && matches(&self.kinds, kind)
    }
}

fn matches(globs: &[Glob], text: &str) -> bool {
    globs.is_empty() || globs.iter().any(|glob| glob.matches(text))
}

fn read_list(text: &str) -> Result<Vec<Filter>, String> {
    let written = yaml::<Option<Vec<Written>>>(text)?.unwrap_or_default();
    written.into_iter().map(Filter::of).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    fn read(exclusions: &str, inclusions: &str) -> Result<Exclusions, Unreadable> {
        let data = [(EXCLUSIONS, exclusions), (INCLUSIONS, inclusions)];
        Exclusions::read(&data.map(|(key, text)| (key.to_owned(), text.to_owned())).into())
    }

    const HERE: &str = "https://kubernetes.default.svc";

    #[rstest]
    #[case::nothing_is_said("", "", ("", "Endpoints"), false)]
    #[case::a_kind("- {apiGroups: [''], kinds: [Endpoints]}", "", ("", "Endpoints"), true)]
    #[case::another_kind("- {apiGroups: [''], kinds: [Endpoints]}", "", ("", "Secret"), false)]
    #[case::the_kind_of_another_group("- {apiGroups: [''], kinds: [Event]}", "", ("events.k8s.io", "Event"), false)]
    #[case::a_group("- {apiGroups: ['*.cilium.io', cilium.io]}", "", ("cilium.io", "CiliumIdentity"), true)]
    #[case::all_kinds("- {apiGroups: [kyverno.io], kinds: ['*']}", "", ("kyverno.io", "Report"), true)]
    #[case::a_glob_of_kinds("- {kinds: ['*Report']}", "", ("a.io", "PolicyReport"), true)]
    #[case::this_cluster("- {kinds: [Lease], clusters: ['https://kubernetes.*']}", "", ("", "Lease"), true)]
    #[case::another_cluster("- {kinds: [Lease], clusters: ['https://other']}", "", ("", "Lease"), false)]
    #[case::included("", "- {apiGroups: [apps]}", ("apps", "Deployment"), false)]
    #[case::not_included("", "- {apiGroups: [apps]}", ("", "ConfigMap"), true)]
    #[case::excluded_and_included("- {kinds: [Job]}", "- {}", ("batch", "Job"), true)]
    #[case::included_elsewhere("", "- {apiGroups: [apps], clusters: [other]}", ("apps", "Deployment"), true)]
    #[case::a_later_entry("- {kinds: [A]}\n- {kinds: [B]}", "", ("", "B"), true)]
    #[case::empty_lists("- {apiGroups: [], kinds: [A], clusters: }", "", ("any", "A"), true)]
    fn kinds(
        #[case] exclusions: &str,
        #[case] inclusions: &str,
        #[case] kind: (&str, &str),
        #[case] expected: bool,
    ) {
        let exclusions = read(exclusions, inclusions).expect("lists").at(HERE);
        assert_eq!(exclusions.excludes(kind.0, kind.1), expected);
    }

    #[rstest]
    #[case("kinds: [A]", "", EXCLUSIONS, "YAML")]
    #[case("- {kind: [A]}", "", EXCLUSIONS, "kind")]
    #[case("- {kinds: ['{A']}", "", EXCLUSIONS, "\"{A\" is no pattern")]
    #[case("", "- [", INCLUSIONS, "YAML")]
    fn what_cannot_be_read_names_its_key(
        #[case] exclusions: &str,
        #[case] inclusions: &str,
        #[case] key: &str,
        #[case] word: &str,
    ) {
        let unreadable = read(exclusions, inclusions).expect_err("an error");
        assert_eq!(unreadable.key, key);
        assert!(unreadable.reason.contains(word), "{unreadable}");
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "[-{}\\[\\]:,' \nakindsGroup*]{0,60}") {
            if let Ok(exclusions) = read(&text, "") {
                exclusions.at(HERE).excludes("apps", "Deployment");
            }
        }
    }
}

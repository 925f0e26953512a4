//! Which objects that no Application manages a project wants to hear of. Pure.
//!
//! In: `orphanedResources`, and an object's name. Out: whether it counts. It knows nothing of who manages what.

use super::OrphanedResources;
use crate::glob::{Glob, Separator};

/// What every namespace has without anybody's doing, as group, kind and name.
const OF_KUBERNETES: [(&str, &str, &str); 2] =
    [("", "ServiceAccount", "default"), ("", "ConfigMap", "kube-root-ca.crt")];

/// What a project says of orphaned objects.
#[derive(Clone, Debug, Default)]
pub struct Orphans {
    warns: bool,
    ignored: Vec<Ignored>,
}

#[derive(Clone, Debug)]
struct Ignored {
    group: Glob,
    kind: Glob,
    name: Glob,
}

impl Orphans {
    /// Reads the setting; without one nobody is warned.
    pub fn of(orphans: Option<&OrphanedResources>) -> Self {
        let glob = |text: &str| Glob::parse(text, Separator::None).unwrap_or(Glob::Nothing);
        let any = |text: &str| if text.is_empty() { Glob::Any } else { glob(text) };
        let ignored = orphans.iter().flat_map(|orphans| &orphans.ignore).map(|ignored| Ignored {
            group: glob(&ignored.group),
            kind: any(&ignored.kind),
            name: any(&ignored.name),
        });
        Self { warns: orphans.is_some_and(|orphans| orphans.warn == Some(true)), ignored: ignored.collect() }
    }

    /// Whether anybody wants to hear of them.
    pub fn warns(&self) -> bool {
        self.warns
    }

    /// Whether an object that nobody manages counts.
    pub fn counts(&self, group: &str, kind: &str, namespace: &str, name: &str) -> bool {
        let of_kubernetes = OF_KUBERNETES.contains(&(group, kind, name))
            || (group, kind, namespace, name) == ("", "Service", "default", "kubernetes");
        let is_ignored = |ignored: &Ignored| {
            ignored.group.matches(group) && ignored.kind.matches(kind) && ignored.name.matches(name)
        };
        !of_kubernetes && !self.ignored.iter().any(is_ignored)
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::{Value, json};

    use super::*;

    fn orphans(spec: Value) -> Orphans {
        let spec: Option<OrphanedResources> = serde_json::from_value(spec).expect("a setting");
        Orphans::of(spec.as_ref())
    }

    #[rstest]
    #[case::absent(json!(null), false)]
    #[case::silent(json!({}), false)]
    #[case::off(json!({"warn": false}), false)]
    #[case::on(json!({"warn": true}), true)]
    fn only_who_asks_is_warned(#[case] spec: Value, #[case] expected: bool) {
        assert_eq!(orphans(spec).warns(), expected);
    }

    #[rstest]
    #[case::anything(json!([]), ("", "ConfigMap", "web", "a"), true)]
    #[case::account(json!([]), ("", "ServiceAccount", "web", "default"), false)]
    #[case::other_account(json!([]), ("", "ServiceAccount", "web", "deployer"), true)]
    #[case::certificates(json!([]), ("", "ConfigMap", "web", "kube-root-ca.crt"), false)]
    #[case::kubernetes(json!([]), ("", "Service", "default", "kubernetes"), false)]
    #[case::another_kubernetes(json!([]), ("", "Service", "web", "kubernetes"), true)]
    #[case::ignored_kind(json!([{"kind": "Config*"}]), ("", "ConfigMap", "web", "a"), false)]
    #[case::ignored_group(json!([{"group": "apps"}]), ("apps", "Deployment", "web", "a"), false)]
    #[case::no_group_is_the_core(json!([{"name": "a"}]), ("apps", "Deployment", "web", "a"), true)]
    #[case::ignored_name(json!([{"group": "*", "name": "a*"}]), ("apps", "Deployment", "web", "abc"), false)]
    #[case::another_name(json!([{"kind": "ConfigMap", "name": "b"}]), ("", "ConfigMap", "web", "a"), true)]
    fn what_counts(
        #[case] ignore: Value,
        #[case] (group, kind, namespace, name): (&str, &str, &str, &str),
        #[case] expected: bool,
    ) {
        let orphans = orphans(json!({"warn": true, "ignore": ignore}));
        assert_eq!(orphans.counts(group, kind, namespace, name), expected);
    }
}

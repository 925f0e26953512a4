//! What a project permits: sources, destinations, kinds, and namespaces of Applications. Pure.
//!
//! In: an AppProject's spec. Out: yes or no. What cannot be read permits nothing and denies everything, so a slip of
//! the pen never opens a door.

use crate::NamespacePatterns;
use crate::glob::{Glob, Separator};

use super::account::Accounts;
use super::{AppProject, AppProjectSpec, ClusterResource, GroupKind};

/// The sign in front of a pattern that denies.
const DENIES: char = '!';

/// A cluster as projects name it. An Application that names one half of it means the whole.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ClusterRef<'a> {
    /// The API server's URL.
    pub server: &'a str,
    /// The cluster's name.
    pub name: &'a str,
    /// The project that alone may use it; empty where all may.
    pub project: &'a str,
}

/// The repositories that a project permits, ready to be asked.
#[derive(Clone, Debug, PartialEq)]
pub struct SourceRepos(Vec<Rule>);

impl SourceRepos {
    /// Reads `spec.sourceRepos`.
    pub fn of(patterns: &[String]) -> Self {
        Self(patterns.iter().map(|url| Rule::of_repository(url)).collect())
    }

    /// Whether manifests may come from a repository.
    pub fn permits(&self, url: &str) -> bool {
        let url = normalized(url);
        permitted(self.0.iter().map(|rule| rule.judge(&url)))
    }

    /// Whether a pattern with `!` in front is about a repository.
    pub fn denies(&self, url: &str) -> bool {
        let url = normalized(url);
        self.0.iter().any(|rule| rule.judge(&url) == Judgement::Denies)
    }
}

/// What a project permits, ready to be asked.
#[derive(Clone, Debug)]
pub struct Permissions {
    project: Box<str>,
    sources: SourceRepos,
    destinations: Vec<DestinationRule>,
    cluster_allowed: Vec<KindRule>,
    cluster_denied: Vec<KindRule>,
    namespaced_allowed: Option<Vec<KindRule>>,
    namespaced_denied: Vec<KindRule>,
    source_namespaces: NamespacePatterns,
    own_clusters_only: bool,
    accounts: Accounts,
}

impl Permissions {
    /// Reads what a project permits.
    pub fn of(project: &AppProject) -> Self {
        let spec: &AppProjectSpec = &project.spec;
        Self {
            project: project.metadata.name.as_deref().unwrap_or_default().into(),
            sources: SourceRepos::of(&spec.source_repos),
            destinations: spec.destinations.iter().map(DestinationRule::of).collect(),
            cluster_allowed: cluster_rules(spec.cluster_resource_whitelist.as_deref(), &Glob::Nothing),
            cluster_denied: cluster_rules(spec.cluster_resource_blacklist.as_deref(), &Glob::Any),
            namespaced_allowed: spec
                .namespace_resource_whitelist
                .as_deref()
                .map(|kinds| namespaced_rules(kinds, &Glob::Nothing)),
            namespaced_denied: namespaced_rules(
                spec.namespace_resource_blacklist.as_deref().unwrap_or_default(),
                &Glob::Any,
            ),
            source_namespaces: NamespacePatterns::of(&spec.source_namespaces),
            accounts: Accounts::of(&spec.destination_service_accounts),
            own_clusters_only: spec.permit_only_project_scoped_clusters,
        }
    }

    /// Whether manifests may come from a repository.
    pub fn permits_source(&self, url: &str) -> bool {
        self.sources.permits(url)
    }

    /// Whether objects may go to a namespace of a cluster.
    pub fn permits_destination(&self, cluster: ClusterRef<'_>, namespace: &str) -> bool {
        let scoped = !self.own_clusters_only || cluster.project == &*self.project;
        scoped && permitted(self.destinations.iter().map(|rule| rule.judge(cluster, namespace)))
    }

    /// Whether objects of a kind may be managed; the name counts for cluster-scoped ones alone.
    pub fn permits_kind(&self, group: &str, kind: &str, namespaced: bool, name: &str) -> bool {
        let any = |rules: &[KindRule]| rules.iter().any(|rule| rule.matches(group, kind, name));
        if namespaced {
            return self.namespaced_allowed.as_deref().is_none_or(any) && !any(&self.namespaced_denied);
        }
        any(&self.cluster_allowed) && !any(&self.cluster_denied)
    }

    /// Whether an object may be managed: its kind and, where it has one, its namespace.
    pub fn permits_object(
        &self,
        cluster: ClusterRef<'_>,
        (group, kind): (&str, &str),
        namespace: &str,
        name: &str,
    ) -> bool {
        let namespaced = !namespace.is_empty();
        self.permits_kind(group, kind, namespaced, name)
            && (!namespaced || self.permits_destination(cluster, namespace))
    }

    /// The user as whom a sync to this destination acts where syncs act as accounts of their project, or why there is
    /// none.
    pub fn user(
        &self,
        cluster: ClusterRef<'_>,
        namespace: &str,
        application_namespace: &str,
    ) -> Result<String, String> {
        self.accounts.user(cluster, namespace, application_namespace)
    }

    /// Whether the project's Applications may live in a namespace; in the control plane's they always may.
    pub fn permits_application_in(&self, namespace: &str, control_plane: &str) -> bool {
        namespace.is_empty() || namespace == control_plane || self.source_namespaces.matches(namespace)
    }
}

/// What one rule says about one thing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Judgement {
    Allows,
    Denies,
    Silent,
}

/// Somebody has to allow, and nobody may deny.
fn permitted(judgements: impl Iterator<Item = Judgement>) -> bool {
    let mut allowed = false;
    for judgement in judgements {
        match judgement {
            Judgement::Denies => return false,
            Judgement::Allows => allowed = true,
            Judgement::Silent => {}
        }
    }
    allowed
}

/// A pattern, or one with `!` in front. As with Argo CD, a denial allows all that it does not deny.
#[derive(Clone, Debug, PartialEq)]
struct Rule {
    denies: bool,
    glob: Glob,
}

impl Rule {
    fn of(text: &str, separator: Separator) -> Self {
        match text.strip_prefix(DENIES) {
            Some(denied) => Self { denies: true, glob: Glob::parse(denied, separator).unwrap_or(Glob::Any) },
            None => Self { denies: false, glob: Glob::parse(text, separator).unwrap_or(Glob::Nothing) },
        }
    }

    fn of_repository(text: &str) -> Self {
        match text.strip_prefix(DENIES) {
            Some(denied) => Self::of(&format!("{DENIES}{}", normalized(denied)), Separator::Slash),
            None => Self::of(&normalized(text), Separator::Slash),
        }
    }

    fn judge(&self, text: &str) -> Judgement {
        match (self.denies, self.glob.matches(text)) {
            (true, true) => Judgement::Denies,
            (true, false) | (false, true) => Judgement::Allows,
            (false, false) => Judgement::Silent,
        }
    }
}

/// One entry of `destinations`.
#[derive(Clone, Debug)]
struct DestinationRule {
    server: Rule,
    name: Rule,
    namespace: Rule,
}

impl DestinationRule {
    fn of(destination: &crate::Destination) -> Self {
        let rule = |text: &str| Rule::of(text, Separator::None);
        Self {
            server: rule(&destination.server),
            name: rule(&destination.name),
            namespace: rule(&destination.namespace),
        }
    }

    /// A cluster is meant by its URL or by its name. What one part denies, no other part allows.
    fn judge(&self, cluster: ClusterRef<'_>, namespace: &str) -> Judgement {
        let about = |rule: &Rule, text: &str| match text.is_empty() {
            true => Judgement::Silent,
            false => rule.judge(text),
        };
        let (server, name) = (about(&self.server, cluster.server), about(&self.name, cluster.name));
        let namespace = self.namespace.judge(namespace);
        if [server, name, namespace].contains(&Judgement::Denies) {
            return Judgement::Denies;
        }
        let clusters = server == Judgement::Allows || name == Judgement::Allows;
        if clusters && namespace == Judgement::Allows { Judgement::Allows } else { Judgement::Silent }
    }
}

/// One entry of a list of kinds.
#[derive(Clone, Debug)]
struct KindRule {
    group: Glob,
    kind: Glob,
    name: Glob,
}

impl KindRule {
    fn matches(&self, group: &str, kind: &str, name: &str) -> bool {
        self.group.matches(group) && self.kind.matches(kind) && self.name.matches(name)
    }
}

/// `unreadable` is what a pattern that is none stands for.
fn kind_rule(group: &str, kind: &str, name: &str, unreadable: &Glob) -> KindRule {
    let glob = |text: &str| Glob::parse(text, Separator::None).unwrap_or_else(|| unreadable.clone());
    KindRule {
        group: glob(group),
        kind: glob(kind),
        name: if name.is_empty() { Glob::Any } else { glob(name) },
    }
}

fn cluster_rules(kinds: Option<&[ClusterResource]>, unreadable: &Glob) -> Vec<KindRule> {
    let kinds = kinds.unwrap_or_default().iter();
    kinds.map(|rule| kind_rule(&rule.group, &rule.kind, &rule.name, unreadable)).collect()
}

fn namespaced_rules(kinds: &[GroupKind], unreadable: &Glob) -> Vec<KindRule> {
    kinds.iter().map(|rule| kind_rule(&rule.group, &rule.kind, "", unreadable)).collect()
}

/// A repository's URL in the form in which two that mean the same are equal.
pub(super) fn normalized(url: &str) -> String {
    let url = url.trim().to_lowercase();
    let url = match url.split_once("://") {
        None if url.contains('@') => url.replacen(':', "/", 1),
        Some(("ssh", rest)) => rest.to_owned(),
        _ => url,
    };
    url.strip_suffix(".git").unwrap_or(&url).to_owned()
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::{Value, json};

    use super::*;

    const HERE: ClusterRef<'static> =
        ClusterRef { server: "https://kubernetes.default.svc", name: "in-cluster", project: "" };

    fn permissions(spec: Value) -> Permissions {
        let project = json!({"metadata": {"name": "shop"}, "spec": spec});
        Permissions::of(&serde_json::from_value(project).expect("an AppProject"))
    }

    #[rstest]
    #[case::nothing(json!([]), "https://git.example.org/a", false)]
    #[case::all(json!(["*"]), "https://git.example.org/team/a", true)]
    #[case::exact(json!(["https://git.example.org/a"]), "https://git.example.org/a", true)]
    #[case::suffix_and_case(json!(["https://git.example.org/a.git"]), "https://Git.example.org/a", true)]
    #[case::ssh_in_two_forms(json!(["ssh://git@git.example.org/a"]), "git@git.example.org:a.git", true)]
    #[case::one_segment(json!(["https://git.example.org/*"]), "https://git.example.org/a", true)]
    #[case::not_two_segments(json!(["https://git.example.org/*"]), "https://git.example.org/team/a", false)]
    #[case::denied(json!(["*", "!https://git.example.org/a"]), "https://git.example.org/a.git", false)]
    #[case::denied_first(json!(["!https://git.example.org/a", "*"]), "https://git.example.org/a", false)]
    #[case::denial_allows_the_rest(json!(["!https://git.example.org/a"]), "https://git.example.org/b", true)]
    #[case::unreadable(json!(["https://git.example.org/[a"]), "https://git.example.org/[a", false)]
    #[case::unreadable_denial(json!(["*", "![a"]), "https://git.example.org/a", false)]
    fn sources(#[case] repositories: Value, #[case] url: &str, #[case] expected: bool) {
        assert_eq!(permissions(json!({"sourceRepos": repositories})).permits_source(url), expected);
    }

    #[rstest]
    #[case::nothing(json!([]), "web", false)]
    #[case::by_server(json!([{"server": "https://kubernetes.default.svc", "namespace": "web"}]), "web", true)]
    #[case::by_name(json!([{"name": "in-cluster", "namespace": "web"}]), "web", true)]
    #[case::another_namespace(json!([{"server": "*", "namespace": "web"}]), "shop", false)]
    #[case::another_cluster(json!([{"server": "https://elsewhere", "namespace": "*"}]), "web", false)]
    #[case::no_cluster(json!([{"namespace": "*"}]), "web", false)]
    #[case::no_separator(json!([{"server": "https*svc", "namespace": "w*"}]), "web", true)]
    #[case::denied_namespace(json!([{"server": "*", "namespace": "*"}, {"server": "*", "namespace": "!kube-*"}]), "kube-system", false)]
    #[case::others_than_denied(json!([{"server": "*", "namespace": "!kube-*"}]), "web", true)]
    #[case::denied_server(json!([{"server": "!https://kubernetes*", "namespace": "*"}, {"server": "*", "namespace": "*"}]), "web", false)]
    #[case::denied_name(json!([{"name": "!in-cluster", "namespace": "*"}, {"server": "*", "namespace": "*"}]), "web", false)]
    fn destinations(#[case] entries: Value, #[case] namespace: &str, #[case] expected: bool) {
        let permissions = permissions(json!({"destinations": entries}));
        assert_eq!(permissions.permits_destination(HERE, namespace), expected);
    }

    #[test]
    fn only_clusters_of_the_project_where_it_says_so() {
        let spec = json!({"destinations": [{"server": "*", "namespace": "*"}], "permitOnlyProjectScopedClusters": true});
        let permissions = permissions(spec);
        assert!(!permissions.permits_destination(HERE, "web"));
        assert!(permissions.permits_destination(ClusterRef { project: "shop", ..HERE }, "web"));
        assert!(!permissions.permits_destination(ClusterRef { project: "bank", ..HERE }, "web"));
    }

    #[rstest]
    #[case::namespaced_by_default(json!({}), ("apps", "Deployment", true), true)]
    #[case::cluster_scoped_by_default(json!({}), ("", "Namespace", false), false)]
    #[case::cluster_scoped_allowed(json!({"clusterResourceWhitelist": [{"group": "", "kind": "Namespace"}]}), ("", "Namespace", false), true)]
    #[case::all_cluster_scoped(json!({"clusterResourceWhitelist": [{"group": "*", "kind": "*"}]}), ("rbac.authorization.k8s.io", "ClusterRole", false), true)]
    #[case::denied_wins(json!({"clusterResourceWhitelist": [{"group": "*", "kind": "*"}], "clusterResourceBlacklist": [{"group": "", "kind": "Name*"}]}), ("", "Namespace", false), false)]
    #[case::by_name(json!({"clusterResourceWhitelist": [{"group": "", "kind": "Namespace", "name": "we*"}]}), ("", "Namespace", false), true)]
    #[case::by_another_name(json!({"clusterResourceWhitelist": [{"group": "", "kind": "Namespace", "name": "shop"}]}), ("", "Namespace", false), false)]
    #[case::no_namespaced(json!({"namespaceResourceWhitelist": []}), ("apps", "Deployment", true), false)]
    #[case::namespaced_allowed(json!({"namespaceResourceWhitelist": [{"group": "apps", "kind": "*"}]}), ("apps", "Deployment", true), true)]
    #[case::namespaced_not_allowed(json!({"namespaceResourceWhitelist": [{"group": "apps", "kind": "*"}]}), ("", "Secret", true), false)]
    #[case::namespaced_denied(json!({"namespaceResourceBlacklist": [{"group": "", "kind": "Secret"}]}), ("", "Secret", true), false)]
    #[case::others_than_denied(json!({"namespaceResourceBlacklist": [{"group": "", "kind": "Secret"}]}), ("", "ConfigMap", true), true)]
    #[case::unreadable_denial(json!({"namespaceResourceBlacklist": [{"group": "", "kind": "[S"}]}), ("", "ConfigMap", true), false)]
    fn kinds(#[case] spec: Value, #[case] kind: (&str, &str, bool), #[case] expected: bool) {
        assert_eq!(permissions(spec).permits_kind(kind.0, kind.1, kind.2, "web"), expected);
    }

    #[test]
    fn an_object_needs_its_kind_and_its_namespace() {
        let permissions = permissions(json!({"destinations": [{"server": "*", "namespace": "web"}]}));
        assert!(permissions.permits_object(HERE, ("", "ConfigMap"), "web", "a"));
        assert!(!permissions.permits_object(HERE, ("", "ConfigMap"), "shop", "a"));
        assert!(!permissions.permits_object(HERE, ("", "Namespace"), "", "web"));
    }

    #[rstest]
    #[case::control_plane(json!([]), "argocd", true)]
    #[case::elsewhere(json!([]), "team", false)]
    #[case::glob(json!(["team-*"]), "team-a", true)]
    #[case::expression(json!(["/^team-[0-9]$/"]), "team-1", true)]
    #[case::no_match(json!(["/^team-[0-9]$/"]), "team-a", false)]
    #[case::unreadable(json!(["/(/"]), "(", false)]
    fn namespaces_of_applications(
        #[case] namespaces: Value,
        #[case] namespace: &str,
        #[case] expected: bool,
    ) {
        let permissions = permissions(json!({"sourceNamespaces": namespaces}));
        assert_eq!(permissions.permits_application_in(namespace, "argocd"), expected);
    }
}

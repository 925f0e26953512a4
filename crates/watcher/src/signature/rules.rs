//! What projects ask of sources, and the keys to verify signatures with, as far as they are known.

use std::collections::BTreeMap;
use std::sync::Arc;

use ithaca_api::annotation::DEFAULT_PROJECT;
use ithaca_api::project::{AppProjectSpec, Depth, GitDemand, HelmDemand, Integrity, OciDemand, SourceRepos};
use ithaca_api::{NamespacePatterns, without_credentials};
use url::Url;

use super::Keyring;
use crate::oci::HUB;
use crate::repository::{Protocol, RepositoryKey, plain};

/// All projects, and the installation's keys.
#[derive(Clone, Debug, Default)]
pub struct Rules {
    /// What each asks of signatures.
    pub projects: BTreeMap<String, Arc<Integrity>>,
    /// Where what each permits may come from.
    pub origins: BTreeMap<String, Arc<Origins>>,
    /// The keys.
    pub keyring: Arc<Keyring>,
}

/// Where what a project permits may come from.
#[derive(Clone, Debug, PartialEq)]
pub struct Origins {
    /// Repositories of manifests.
    pub repositories: SourceRepos,
    /// Namespaces of Applications beside the control plane's.
    pub namespaces: NamespacePatterns,
}

impl Origins {
    /// Reads a project's spec.
    pub fn of(spec: &AppProjectSpec) -> Self {
        Self {
            repositories: SourceRepos::of(&spec.source_repos),
            namespaces: NamespacePatterns::of(&spec.source_namespaces),
        }
    }
}

/// What holds for the applications of one project.
#[derive(Clone, Debug, Default)]
pub struct Rule {
    /// What the project asks.
    pub integrity: Arc<Integrity>,
    /// The keys.
    pub keyring: Arc<Keyring>,
}

/// What a project asks of what is in one repository.
#[derive(Clone, Copy, Debug, Default)]
pub struct Demands<'a> {
    /// Of commits and tags.
    pub git: Option<&'a GitDemand>,
    /// Of charts.
    pub chart: Option<&'a HelmDemand>,
    /// Of artifacts.
    pub artifact: Option<&'a OciDemand>,
}

impl Demands<'_> {
    /// Whether the repository has to show more than files for it.
    pub fn want_proof(self) -> bool {
        let is_strict = |demand: &GitDemand| demand.depth == Depth::Strict;
        self.git.is_some_and(is_strict) || self.chart.is_some() || self.artifact.is_some()
    }
}

impl Rules {
    /// What holds for a project; None where there is no such project. The default one allows everything where nobody
    /// made it.
    pub fn of(&self, project: &str) -> Option<Rule> {
        let integrity = match self.projects.get(project) {
            Some(integrity) => integrity.clone(),
            None if project == DEFAULT_PROJECT && !self.origins.contains_key(project) => Arc::default(),
            None => return None,
        };
        Some(Rule { integrity, keyring: self.keyring.clone() })
    }

    /// Whether a project permits a repository, which somebody calls by a URL. What it denies it denies by any spelling. One
    /// that is not known permits nothing.
    pub fn permits(&self, project: &str, url: &str, repository: &RepositoryKey) -> bool {
        match self.origins.get(project) {
            Some(origins) => {
                let repositories = &origins.repositories;
                let denies = |spelling: &String| {
                    let bare = spelling.strip_prefix("oci://").unwrap_or(spelling);
                    repositories.denies(spelling) || repositories.denies(bare)
                };
                repositories.permits(url) && !spellings(url, repository).iter().any(denies)
            }
            None => project == DEFAULT_PROJECT && !self.projects.contains_key(project),
        }
    }

    /// Whether a project may be used from a namespace beside the control plane's.
    pub fn admits(&self, project: &str, namespace: &str) -> bool {
        self.origins.get(project).is_some_and(|origins| origins.namespaces.matches(namespace))
    }
}

impl Rule {
    /// Whether anything is asked at all.
    pub fn asks(&self) -> bool {
        *self.integrity != Integrity::default()
    }

    /// What is asked of a repository, which a source or a chart names by a URL.
    ///
    /// # Errors
    /// Why nothing may come from it.
    pub fn demands(&self, url: &str, repository: &RepositoryKey) -> Result<Demands<'_>, String> {
        if !self.asks() {
            return Ok(Demands::default());
        }
        let (spellings, integrity) = (spellings(url, repository), &self.integrity);
        Ok(match repository.protocol() {
            Protocol::Git => Demands { git: integrity.git(&spellings)?, ..Demands::default() },
            Protocol::Helm => Demands { chart: integrity.helm(&spellings)?, ..Demands::default() },
            Protocol::Oci => Demands {
                chart: integrity.helm(&spellings)?,
                artifact: integrity.oci(&spellings)?,
                ..Demands::default()
            },
            // Nothing vouches for it.
            Protocol::ValueFile => match (integrity.git(&spellings)?, integrity.helm(&spellings)?) {
                (None, None) => Demands::default(),
                _ => {
                    return Err("a file at a URL cannot be signed: put it into the repository".to_owned());
                }
            },
        })
    }

    /// Whether a repository has to show more than files.
    pub fn wants_proof(&self, url: &str, repository: &RepositoryKey) -> bool {
        self.demands(url, repository).is_ok_and(Demands::want_proof)
    }

    /// Whether both judge all sources alike. Keys play no part where nothing is asked.
    pub fn judges_as(&self, other: &Self) -> bool {
        let same_keys = || Arc::ptr_eq(&self.keyring, &other.keyring) || self.keyring == other.keyring;
        self.integrity == other.integrity && (!self.asks() || same_keys())
    }
}

/// How policies may name a repository: as it was written, and as it is reached. A chart in a registry goes by the
/// registry's folder and by its own name.
fn spellings(url: &str, repository: &RepositoryKey) -> Vec<String> {
    let reached = without_credentials(repository.url());
    let parsed = Url::parse(&reached).map(String::from);
    let (written, plain_reached) = (url.trim(), plain(&reached));
    let mut spellings = vec![written.to_owned(), plain(written), reached, plain_reached];
    spellings.extend(parsed);
    if repository.protocol() == Protocol::Oci {
        let (name, server) = HUB;
        let other = |text: &String| match text {
            _ if text.contains(server) => Some(text.replacen(server, name, 1)),
            _ if text.contains(name) => Some(text.replacen(name, server, 1)),
            _ => None,
        };
        let others: Vec<String> = spellings.iter().filter_map(other).collect();
        spellings.extend(others);
    }
    for spelling in &mut spellings {
        spelling.truncate(spelling.trim_end_matches('/').len());
    }
    if repository.protocol() == Protocol::Oci && !repository.chart().is_empty() {
        let charts: Vec<String> =
            spellings.iter().map(|folder| format!("{folder}/{}", repository.chart())).collect();
        spellings.extend(charts);
    }
    spellings
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    /// Whether a project that asks for signatures at a place asks for one of a source.
    fn asks(kind: &str, place: &str, url: &str, chart: &str) -> bool {
        let policy = match kind {
            "git" => json!({"repos": [place], "gpg": {"mode": "head"}}),
            "helm" => json!({"repos": [place], "provenance": {"keys": []}}),
            _ => json!({"repos": [place], "cosign": {"keys": []}}),
        };
        let spec: Value = json!({"sourceIntegrity": {kind: {"policies": [policy]}}});
        let integrity = Integrity::of(&serde_json::from_value(spec).expect("a spec"));
        let rule = Rule { integrity: Arc::new(integrity), ..Rule::default() };
        let repository = RepositoryKey::new(url, chart, false).expect(url);
        let demands = rule.demands(url, &repository).expect("a readable policy");
        demands.git.is_some() || demands.chart.is_some() || demands.artifact.is_some()
    }

    #[test]
    fn no_spelling_of_a_repository_escapes_its_policy() {
        for (kind, place, url, chart) in [
            ("git", "https://example.org/team/*", "https://me:secret@example.org/team/shop/", ""),
            ("git", "https://example.org/team/*", "HTTPS://Example.org:443/team/shop.git", ""),
            ("git", "git@example.org:team/*", "ssh://git@example.org/team/shop.git", ""),
            ("git", "git@example.org:team/*", "ssh://git@example.org:22//te%61m/shop.git", ""),
            ("helm", "https://example.org/charts", "https://example.org/charts/", "web"),
            ("helm", "https://example.org", "https://me@example.org", "web"),
            ("helm", "example.org/charts", "oci://example.org/charts", "web"),
            ("oci", "oci://example.org/charts/*", "example.org/charts", "web"),
            ("oci", "example.org/charts/web", "example.org/charts/", "web"),
            ("oci", "example.org/charts", "oci://example.org/charts", "web"),
            ("oci", "example.org/charts/*", "oci://Example.org/charts/web/", ""),
            ("oci", "docker.io/team/*", "oci://registry-1.docker.io/team/web", ""),
            ("oci", "registry-1.docker.io/team/web", "docker.io/team", "web"),
        ] {
            assert!(asks(kind, place, url, chart), "{kind} {place}: {url} {chart}");
        }
        assert!(!asks("oci", "example.org/charts/web", "example.org/charts", "till"));
        assert!(!asks("git", "*", "example.org/charts", "web"));
        assert!(!asks("oci", "*", "https://example.org/team/shop", ""));
    }

    #[test]
    fn no_spelling_of_a_repository_escapes_its_denial() {
        let permits = |denied: &str, url: &str, chart: &str| {
            let spec = json!({"sourceRepos": ["*", format!("!{denied}")]});
            let origins = Origins::of(&serde_json::from_value(spec).expect("a spec"));
            let origins = [("shop".to_owned(), Arc::new(origins))].into();
            let repository = RepositoryKey::new(url, chart, false).expect(url);
            Rules { origins, ..Rules::default() }.permits("shop", url, &repository)
        };
        for (denied, url, chart) in [
            ("https://example.org/secret/*", "https://example.org/secret/app", ""),
            ("https://example.org/secret/app", "https://example.org/secret/app/", ""),
            ("https://example.org/secret/app", "https://example.org/secret/app.git/", ""),
            ("https://example.org/secret/*", "https://me@example.org/secret/app", ""),
            ("https://example.org/secret/*", "https://me:secret@Example.org:443/secret/app", ""),
            ("https://example.org/secret/*", "https://example.org/%73ecret/app", ""),
            ("https://example.org/secret/*", "https://example.org//secret/app", ""),
            ("git@example.org:secret/*", "git@example.org:/secret/app", ""),
            ("git@example.org:secret/*", "ssh://git@example.org:22/secret/app.git", ""),
            ("ssh://git@example.org/secret/*", "ssh://git@example.org/%73ecret//app", ""),
            ("example.org/charts", "oci://example.org/charts/", "web"),
            ("docker.io/team/*", "oci://registry-1.docker.io/team/web", ""),
        ] {
            assert!(!permits(denied, url, chart), "{denied}: {url} {chart}");
            assert!(permits("https://example.org/other/*", url, chart), "{url} {chart}");
        }
    }

    #[test]
    fn a_value_file_is_refused_where_its_place_asks_for_signatures() {
        let file = RepositoryKey::value_file("https://example.org/values/a.yaml").expect("a URL");
        let demands = |kind: &str, policy: Value| {
            let spec = json!({"sourceIntegrity": {kind: {"policies": [policy]}}});
            let integrity = Integrity::of(&serde_json::from_value(spec).expect("a spec"));
            let rule = Rule { integrity: Arc::new(integrity), ..Rule::default() };
            rule.demands(file.url(), &file).map(|demands| demands.git.is_none() && demands.chart.is_none())
        };
        let git = |place: &str| demands("git", json!({"repos": [place], "gpg": {"mode": "head"}}));
        let helm = |place: &str| demands("helm", json!({"repos": [place], "provenance": {"keys": []}}));
        for refused in [git("https://example.org/*/*"), helm("https://example.org/values/*")] {
            assert!(refused.is_err_and(|reason| reason.contains("cannot be signed")));
        }
        assert_eq!(git("https://example.org/team/*"), Ok(true));
        assert!(Rule::default().demands(file.url(), &file).is_ok());
    }
}

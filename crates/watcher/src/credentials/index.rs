//! Which Secret a repository is reached with. Pure.
//!
//! What comes in: what Secrets and ConfigMaps say. What goes out: for a repository its access, in Argo CD's order: its
//! own Secret, and where that has no credentials the template with the longest URL.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::sync::Arc;

use ithaca_api::RepositorySpec;
use ithaca_api::repository::{Credential, RepositoryAccess, Role, covers, is_ssh, normalized};
use percent_encoding::percent_decode_str;
use url::Url;

use crate::repository::{RepositoryError, RepositoryKey};
use crate::web::same_server;

/// All that is known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Index {
    /// By the names of their Secrets.
    specs: BTreeMap<String, RepositorySpec>,
    /// Who signs the certificates of hosts, as PEM.
    authorities: BTreeMap<String, Arc<str>>,
    known_hosts: Arc<str>,
}

/// How one repository is reached, and as whom.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Access {
    /// What its Secrets say.
    pub settings: RepositoryAccess,
    /// The Secret that the credentials are from.
    pub secret: Option<String>,
    /// Who signs the server's certificate, as PEM; none where that is as everywhere.
    pub authorities: Option<Arc<str>>,
    /// The keys of hosts, for SSH, as lines.
    pub known_hosts: Option<Arc<str>>,
}

impl Access {
    /// What it means that the server wants to know who asks, or says no to who asks.
    pub fn refused(&self, repository: &RepositoryKey) -> RepositoryError {
        let repository = repository.to_string();
        match (&self.secret, self.settings.has_credentials()) {
            (_, false) => RepositoryError::Authentication { repository },
            (Some(secret), true) => {
                RepositoryError::Refused { repository, origin: format!("Secret {secret}") }
            }
            (None, true) => RepositoryError::Refused { repository, origin: "its URL".to_owned() },
        }
    }
}

/// The Secrets that a repository is reached with.
#[derive(Default)]
struct Found<'a> {
    own: Option<(&'a str, &'a RepositorySpec)>,
    template: Option<(&'a str, &'a RepositorySpec)>,
}

impl Index {
    /// Takes what a Secret says, or that it says nothing any more.
    pub fn put(&mut self, secret: &str, spec: Option<RepositorySpec>) {
        match spec {
            Some(spec) => self.specs.insert(secret.to_owned(), spec),
            None => self.specs.remove(secret),
        };
    }

    /// These are all Secrets that there are.
    pub fn only(&mut self, is_there: impl Fn(&str) -> bool) {
        self.specs.retain(|secret, _| is_there(secret));
    }

    /// Takes who signs the certificates of which hosts.
    pub fn set_authorities(&mut self, authorities: BTreeMap<String, String>) {
        let lower = |(host, pem): (String, String)| (host.to_lowercase(), pem.into());
        self.authorities = authorities.into_iter().map(lower).collect();
    }

    /// Takes the keys of hosts.
    pub fn set_known_hosts(&mut self, lines: &str) {
        self.known_hosts = lines.into();
    }

    /// The project whose alone a repository is, as an application of a project sees it; empty where all share it.
    pub fn scope<'a>(&self, url: &str, project: &'a str) -> &'a str {
        let Found { own, template } = self.find(url, project);
        let is_scoped = own.into_iter().chain(template).any(|(_, spec)| !spec.project.is_empty());
        if is_scoped { project } else { "" }
    }

    /// How a repository is reached, and as whom.
    pub fn access(&self, repository: &RepositoryKey) -> Result<Access, RepositoryError> {
        let url = repository.url();
        let Found { own, template } = self.find(url, repository.scope());
        let said = |(secret, spec): (&str, &RepositorySpec)| {
            let said = spec.kind.clone().and_then(|_| spec.access.clone());
            said.map_err(|reason| RepositoryError::Secret {
                repository: repository.to_string(),
                secret: secret.to_owned(),
                reason,
            })
        };
        let mut settings = own.map(said).transpose()?.unwrap_or_default();
        let mut secret = own.filter(|_| settings.has_credentials()).map(|(secret, _)| secret);
        if let Some(template) = template {
            settings = settings.inherit(&said(template)?);
            secret = Some(template.0);
        }
        if let Some(written) = written(url, settings.credential.is_some()) {
            settings.credential = Some(written);
            secret = None;
        }
        Ok(Access {
            settings,
            secret: secret.map(str::to_owned),
            authorities: self.authorities(url),
            known_hosts: is_ssh(url).then(|| self.known_hosts.clone()),
        })
    }

    /// Whether a Secret that a project may use is about a repository on the very server of a URL. For SSH and registries,
    /// whose URLs tell no server apart, it has to have that repository, or its beginning.
    pub fn names(&self, url: &str, project: &str) -> bool {
        let web = Url::parse(url).ok().filter(|url| matches!(url.scheme(), "http" | "https"));
        let Some(url) = web else {
            let Found { own, template } = self.find(url, project);
            return own.or(template).is_some();
        };
        let mut usable =
            self.specs.values().filter(|spec| spec.project.is_empty() || spec.project == project);
        usable.any(|spec| Url::parse(&spec.url).is_ok_and(|known| same_server(&known, &url)))
    }

    /// The URL of a repository that a chart may name as `@name` or `alias:name`, by the name that its Secret gives it.
    pub fn aliased<'a>(&'a self, repository: &'a str, project: &str) -> Result<&'a str, RepositoryError> {
        let name = repository.strip_prefix('@').or_else(|| repository.strip_prefix("alias:"));
        let Some(name) = name else { return Ok(repository) };
        let usable = |spec: &&RepositorySpec| spec.project.is_empty() || spec.project == project;
        let named = self.specs.values().filter(|spec| spec.role == Role::Repository && spec.name == name);
        let found = named.filter(usable).min_by_key(|spec| spec.project.is_empty());
        found
            .filter(|_| !name.is_empty())
            .map(|spec| spec.url.as_str())
            .ok_or_else(|| RepositoryError::UnknownAlias { alias: repository.to_owned() })
    }

    /// Who signs the certificate of a URL's host, where that is noted.
    pub(super) fn authorities(&self, url: &str) -> Option<Arc<str>> {
        host(url).and_then(|host| self.authorities.get(&host).cloned())
    }

    fn find(&self, url: &str, project: &str) -> Found<'_> {
        if self.specs.is_empty() {
            return Found::default();
        }
        let usable = |role: Role| {
            let may_use = move |spec: &RepositorySpec| spec.project.is_empty() || spec.project == project;
            let specs = self.specs.iter().map(|(secret, spec)| (secret.as_str(), spec));
            specs.filter(move |(_, spec)| spec.role == role && may_use(spec))
        };
        let compared = normalized(url);
        // A project's own comes first, then the first by name.
        let own = usable(Role::Repository)
            .filter(|(_, spec)| normalized(&spec.url) == compared)
            .min_by_key(|(_, spec)| spec.project.is_empty());
        let lacks = |spec: &RepositorySpec| spec.access.as_ref().is_ok_and(|own| !own.has_credentials());
        let template = usable(Role::Template)
            .filter(|(_, spec)| own.is_none_or(|(_, own)| lacks(own)) && covers(&spec.url, url))
            .max_by_key(|(secret, spec)| {
                (normalized(&spec.url).len(), !spec.project.is_empty(), Reverse(*secret))
            });
        Found { own, template }
    }
}

/// The credentials that somebody wrote into a URL; a name alone counts where there are no others.
fn written(url: &str, has_others: bool) -> Option<Credential> {
    let url = Url::parse(url).ok().filter(|url| matches!(url.scheme(), "http" | "https"))?;
    let decode = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
    let (username, password) = (decode(url.username()), url.password().map(decode));
    let counts = password.is_some() || !username.is_empty() && !has_others;
    counts.then(|| Credential::Basic { username, password: password.unwrap_or_default().into() })
}

fn host(url: &str) -> Option<String> {
    let with_scheme = if url.contains("://") { url.to_owned() } else { format!("oci://{url}") };
    Some(Url::parse(&with_scheme).ok()?.host_str()?.trim_matches(['[', ']']).to_lowercase())
}

#[cfg(test)]
mod tests {
    use ithaca_api::annotation::SECRET_TYPE_LABEL;
    use ithaca_api::repository::RepositoryAccessError;
    use k8s_openapi::ByteString;
    use k8s_openapi::api::core::v1::Secret;

    use super::*;

    const URL: &str = "https://git.example.org/team/app";

    fn spec(role: &str, data: &[(&str, &str)]) -> Option<RepositorySpec> {
        let data = data.iter().map(|(key, text)| ((*key).to_owned(), ByteString(text.as_bytes().to_vec())));
        let mut secret = Secret { data: Some(data.collect()), ..Secret::default() };
        secret.metadata.labels = Some([(SECRET_TYPE_LABEL.to_owned(), role.to_owned())].into());
        RepositorySpec::read(&secret)
    }

    fn repository(name: &str, url: &str, data: &[(&str, &str)]) -> (String, Option<RepositorySpec>) {
        (name.to_owned(), spec("repository", &[&[("url", url)], data].concat()))
    }

    fn template(name: &str, url: &str, data: &[(&str, &str)]) -> (String, Option<RepositorySpec>) {
        (name.to_owned(), spec("repo-creds", &[&[("url", url)], data].concat()))
    }

    fn index(specs: impl IntoIterator<Item = (String, Option<RepositorySpec>)>) -> Index {
        let mut index = Index::default();
        specs.into_iter().for_each(|(name, spec)| index.put(&name, spec));
        index
    }

    fn access(index: &Index, url: &str, project: &str) -> Result<Access, RepositoryError> {
        let key = RepositoryKey::new(url, "", true).expect("a URL");
        index.access(&key.within(index.scope(url, project)))
    }

    /// The token that a repository is reached with.
    fn token(index: &Index, url: &str, project: &str) -> String {
        match access(index, url, project).expect("access").settings.credential {
            Some(Credential::Bearer(token)) => token.reveal().to_owned(),
            Some(Credential::Basic { username, password }) => format!("{username}:{}", password.reveal()),
            other => format!("{other:?}"),
        }
    }

    #[test]
    fn a_repositorys_own_secret_counts_and_else_the_longest_template() {
        let index = index([
            repository("own", "https://GIT.example.org/team/app.git/", &[("bearerToken", "own")]),
            repository("bare", "https://git.example.org/team/bare", &[("insecure", "true")]),
            template("host", "https://git.example.org", &[("bearerToken", "host")]),
            template("team", "https://git.example.org/team/", &[("bearerToken", "team")]),
        ]);
        assert_eq!(token(&index, URL, "any"), "own");
        assert_eq!(token(&index, "https://git.example.org/team/other", "any"), "team");
        assert_eq!(token(&index, "https://git.example.org/else", "any"), "host");
        assert_eq!(token(&index, "https://example.org/else", "any"), "None");
        let bare = access(&index, "https://git.example.org/team/bare", "any").expect("access");
        assert!(bare.settings.insecure && bare.secret.as_deref() == Some("team"), "{bare:?}");
    }

    #[test]
    fn what_a_project_owns_is_for_that_project_alone() {
        let index = index([
            repository("a-shared", URL, &[("bearerToken", "shared")]),
            repository("b-shop", URL, &[("bearerToken", "shop"), ("project", "shop")]),
            template("web", "https://example.org/", &[("bearerToken", "web"), ("project", "web")]),
        ]);
        assert_eq!((token(&index, URL, "shop"), index.scope(URL, "shop")), ("shop".to_owned(), "shop"));
        assert_eq!((token(&index, URL, "web"), index.scope(URL, "web")), ("shared".to_owned(), ""));
        assert_eq!(token(&index, "https://example.org/a", "web"), "web");
        assert_eq!(token(&index, "https://example.org/a", "shop"), "None");
        assert_eq!(index.scope("https://example.org/a", "web"), "web");
        assert!(index.names("https://example.org/a", "web") && !index.names("https://example.org/a", "shop"));
        assert!(index.names(URL, "any") && !index.names("https://other.example.org/team", "any"));
    }

    #[test]
    fn what_is_spoken_to_over_ssh_or_in_a_registry_is_named_by_the_secret_that_it_is_reached_with() {
        let index = index([
            repository("ssh", "ssh://git@git.internal/team/app", &[("sshPrivateKey", "key")]),
            template("registry", "registry.internal:5000", &[("username", "me")]),
        ]);
        for (url, is_named) in [
            ("ssh://git@git.internal/team/app", true),
            ("git@git.internal:team/app.git", true),
            ("ssh://git@git.internal/team/other", false),
            ("oci://registry.internal:5000/charts", true),
            ("oci://registry.internal/charts", false),
        ] {
            assert_eq!(index.names(url, "any"), is_named, "{url}");
        }
    }

    #[test]
    fn a_bad_secret_concerns_its_own_repositories() {
        let index = index([
            repository("bad", URL, &[("insecure", "perhaps")]),
            template("host", "https://git.example.org", &[("type", "svn")]),
            template("nowhere", "https://", &[("bearerToken", "all")]),
        ]);
        let error = access(&index, URL, "any").expect_err("a bad Secret").to_string();
        assert!(error.contains("Secret bad") && error.contains("insecure"), "{error}");
        assert!(!error.contains("perhaps"), "{error}");
        let other = access(&index, "https://git.example.org/other", "any").expect_err("a bad template");
        let reason = RepositoryAccessError::UnknownType;
        assert!(matches!(other, RepositoryError::Secret { reason: found, .. } if found == reason));
        assert_eq!(token(&index, "https://example.org/a", "any"), "None");
    }

    #[test]
    fn a_password_in_a_url_is_its_own() {
        let index = index([template("host", "https://git.example.org", &[("bearerToken", "host")])]);
        assert_eq!(token(&index, "https://me:p%40ss@git.example.org/app", "any"), "me:p@ss");
        assert_eq!(token(&index, "https://me@git.example.org/app", "any"), "host");
        assert_eq!(token(&Index::default(), "https://me@git.example.org/app", "any"), "me:");
    }

    #[test]
    fn a_chart_may_call_a_repository_by_the_name_of_its_secret() {
        let index = index([
            repository("a", "https://charts.example.org", &[("name", "ours"), ("type", "helm")]),
            repository("b", "https://shop.example.org", &[("name", "ours"), ("project", "shop")]),
            repository("c", "registry.example.org/charts", &[("name", "packed"), ("enableOCI", "true")]),
            template("d", "https://example.org", &[("name", "template")]),
        ]);
        for (repository, project, expected) in [
            ("@ours", "any", Ok("https://charts.example.org")),
            ("alias:ours", "shop", Ok("https://shop.example.org")),
            ("@packed", "any", Ok("registry.example.org/charts")),
            ("https://else.example.org", "any", Ok("https://else.example.org")),
            ("@template", "any", Err("@template")),
            ("alias:", "any", Err("alias:")),
        ] {
            let found = index.aliased(repository, project).map_err(|error| error.to_string());
            match expected {
                Ok(url) => assert_eq!(found, Ok(url)),
                Err(name) => assert!(found.is_err_and(|error| error.contains(name)), "{repository}"),
            }
        }
    }

    #[test]
    fn certificates_are_by_host() {
        let mut index = Index::default();
        index.set_authorities([("Git.example.org".to_owned(), "PEM".to_owned())].into());
        let authorities = |url: &str| access(&index, url, "any").expect("access").authorities;
        assert_eq!(authorities("https://git.example.org:8443/app").as_deref(), Some("PEM"));
        assert_eq!(authorities("https://example.org/app"), None);
    }
}

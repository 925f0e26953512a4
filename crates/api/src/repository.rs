//! Repositories as their Secrets describe them (label `argocd.argoproj.io/secret-type`, with the value `repository` or
//! `repo-creds`). Pure.
//!
//! In: a Secret. Out: which repositories it is about, who may use it and how to reach them, or why that cannot be read.
//! No credential shows in an error or in what is printed for people.

mod address;

use std::borrow::Cow;

use k8s_openapi::api::core::v1::Secret;

pub use address::{covers, is_ssh, normalized};

use crate::{annotation::SECRET_TYPE_LABEL, sensitive::Sensitive};

/// What a Secret says of a repository, or of all whose URLs begin alike.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RepositorySpec {
    /// Whether it is about one repository or many.
    pub role: Role,
    /// The repository's URL, or its beginning, as it was written.
    pub url: String,
    /// What kind of repository it is.
    pub kind: Result<RepositoryKind, RepositoryAccessError>,
    /// What people may call it.
    pub name: String,
    /// The project whose alone it is; empty where all may use it.
    pub project: String,
    /// How to reach it.
    pub access: Result<RepositoryAccess, RepositoryAccessError>,
}

/// What a Secret is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// One repository.
    Repository,
    /// All repositories whose URLs begin with its URL and that have no credentials of their own.
    Template,
}

/// What kind of repository it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RepositoryKind {
    /// Git.
    #[default]
    Git,
    /// A Helm repository, or a registry of charts.
    Helm,
    /// An OCI registry of artifacts.
    Oci,
}

/// How a repository is reached, and as whom. `forceHttpBasicAuth` is not here: a user's name and password always go with
/// the first request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RepositoryAccess {
    /// As whom.
    pub credential: Option<Credential>,
    /// What the client shows of itself as the connection is made.
    pub client_certificate: Option<ClientCertificate>,
    /// Neither the certificate nor the host key of the server is checked.
    pub insecure: bool,
    /// Files that Git LFS holds are fetched.
    pub enable_lfs: bool,
    /// How many commits of each branch and tag may be searched for one that nothing points at; all where none is set.
    pub depth: Option<u32>,
    /// A Helm repository is a registry.
    pub enable_oci: bool,
    /// The registry is spoken to without TLS.
    pub oci_over_http: bool,
    /// A proxy that leads there. It may hold a password.
    pub proxy: Sensitive,
    /// What is reached without the proxy, by commas.
    pub no_proxy: String,
}

/// As whom a repository is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Credential {
    /// A user's name and password.
    Basic {
        /// The name.
        username: String,
        /// The password, or a token in its place.
        password: Sensitive,
    },
    /// A token.
    Bearer(Sensitive),
    /// A private key, in one of the formats that ssh-keygen writes.
    SshKey(Sensitive),
    /// A GitHub App, from which short-lived tokens are had.
    GitHubApp(GitHubApp),
}

/// A GitHub App.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct GitHubApp {
    /// The App's id.
    pub id: u64,
    /// The id of its installation; none where it is found by the repository.
    pub installation: Option<u64>,
    /// Its private key, in PEM.
    pub private_key: Sensitive,
    /// Where the API of a GitHub Enterprise server is; empty for github.com.
    pub base_url: String,
}

/// A client's certificate and its key, in PEM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientCertificate {
    /// The certificate, and what signed it.
    pub certificate: String,
    /// Its private key.
    pub key: Sensitive,
}

/// Why a Secret does not say how to reach a repository.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RepositoryAccessError {
    /// It names no repository.
    #[error("its key url is missing or has no host: write the address of the repository")]
    NoUrl,
    /// A kind that is not known.
    #[error("its key type is none of git, helm and oci")]
    UnknownType,
    /// Neither true nor false.
    #[error("its key {key} is neither true nor false")]
    NotABool {
        /// Which.
        key: &'static str,
    },
    /// No number.
    #[error("its key {key} is no number")]
    NotANumber {
        /// Which.
        key: &'static str,
    },
    /// No URL.
    #[error("its key {key} is no URL of the schemes {schemes}")]
    NotAUrl {
        /// Which.
        key: &'static str,
        /// What it may be.
        schemes: &'static str,
    },
    /// One half of a pair.
    #[error("its keys {one} and {other} go together, and one of them is missing")]
    Half {
        /// One.
        one: &'static str,
        /// The other.
        other: &'static str,
    },
    /// Access by the services of one cloud.
    #[error("{key} is not supported: use username and password, bearerToken, sshPrivateKey or a GitHub App")]
    Unsupported {
        /// Which.
        key: &'static str,
    },
}

impl RepositorySpec {
    /// Reads a Secret; none where it is about something else.
    #[must_use]
    pub fn read(secret: &Secret) -> Option<Self> {
        let labels = secret.metadata.labels.as_ref()?;
        let role = match labels.get(SECRET_TYPE_LABEL)?.as_str() {
            "repository" => Role::Repository,
            "repo-creds" => Role::Template,
            _ => return None,
        };
        let keys = Keys(secret);
        let url = keys.text("url");
        let access = if has_host(&url) { keys.access(&url) } else { Err(RepositoryAccessError::NoUrl) };
        let kind = match keys.text("type").to_lowercase().as_str() {
            "" | "git" => Ok(RepositoryKind::Git),
            "helm" => Ok(RepositoryKind::Helm),
            "oci" => Ok(RepositoryKind::Oci),
            _ => Err(RepositoryAccessError::UnknownType),
        };
        Some(Self { role, url, kind, name: keys.text("name"), project: keys.text("project"), access })
    }
}

impl RepositoryAccess {
    /// True where it says as whom the repository is reached.
    #[must_use]
    pub fn has_credentials(&self) -> bool {
        self.credential.is_some() || self.client_certificate.is_some()
    }

    /// Takes what a template says where this says nothing.
    #[must_use]
    pub fn inherit(mut self, template: &Self) -> Self {
        if !self.has_credentials() {
            self.credential.clone_from(&template.credential);
            self.client_certificate.clone_from(&template.client_certificate);
        }
        if self.proxy.is_empty() {
            self.proxy = template.proxy.clone();
            self.no_proxy.clone_from(&template.no_proxy);
        }
        self.enable_oci |= template.enable_oci;
        self.oci_over_http |= template.oci_over_http;
        self
    }
}

/// The keys of a Secret.
struct Keys<'a>(&'a Secret);

impl Keys<'_> {
    fn raw(&self, key: &str) -> Cow<'_, str> {
        let value = self.0.data.as_ref().and_then(|data| data.get(key));
        value.map(|value| String::from_utf8_lossy(&value.0)).unwrap_or_default()
    }

    fn text(&self, key: &str) -> String {
        self.raw(key).trim().to_owned()
    }

    /// A password may end in a space, but the end of a line comes from the tool that wrote it.
    fn sensitive(&self, key: &str) -> Sensitive {
        self.raw(key).trim_matches(['\r', '\n']).to_owned().into()
    }

    fn flag(&self, key: &'static str) -> Result<bool, RepositoryAccessError> {
        match self.text(key).as_str() {
            "" | "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(false),
            "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(true),
            _ => Err(RepositoryAccessError::NotABool { key }),
        }
    }

    fn number(&self, key: &'static str) -> Result<Option<u64>, RepositoryAccessError> {
        match self.text(key).as_str() {
            "" => Ok(None),
            text => text.parse().map(Some).map_err(|_| RepositoryAccessError::NotANumber { key }),
        }
    }

    /// Zero is as if it were not set.
    fn depth(&self) -> Result<Option<u32>, RepositoryAccessError> {
        let depth = self.number("depth")?.filter(|depth| *depth > 0);
        Ok(depth.map(|depth| u32::try_from(depth).unwrap_or(u32::MAX)))
    }

    fn access(&self, url: &str) -> Result<RepositoryAccess, RepositoryAccessError> {
        let proxy = Sensitive::from(self.text("proxy"));
        if !proxy.is_empty() && !is_url(proxy.reveal(), &["http", "https", "socks5", "socks5h"]) {
            return Err(RepositoryAccessError::NotAUrl { key: "proxy", schemes: "http, https and socks5" });
        }
        Ok(RepositoryAccess {
            credential: self.credential(url)?,
            client_certificate: self.client_certificate()?,
            insecure: self.flag("insecure")? || self.flag("insecureIgnoreHostKey")?,
            enable_lfs: self.flag("enableLfs")?,
            depth: self.depth()?,
            enable_oci: self.flag("enableOCI")?,
            oci_over_http: self.flag("insecureOCIForceHttp")?,
            proxy,
            no_proxy: self.text("noProxy"),
        })
    }

    /// Of several credentials the one that the URL can use.
    fn credential(&self, url: &str) -> Result<Option<Credential>, RepositoryAccessError> {
        if is_ssh(url) {
            let key = self.text("sshPrivateKey");
            // The last line of a key has to end, and whoever pastes one often loses that end.
            return Ok((!key.is_empty()).then(|| Credential::SshKey(format!("{key}\n").into())));
        }
        let (username, password) = (self.text("username"), self.sensitive("password"));
        if !username.is_empty() || !password.is_empty() {
            return Ok(Some(Credential::Basic { username, password }));
        }
        let token = self.sensitive("bearerToken");
        if !token.is_empty() {
            return Ok(Some(Credential::Bearer(token)));
        }
        if let Some(app) = self.github_app()? {
            return Ok(Some(Credential::GitHubApp(app)));
        }
        if !self.text("gcpServiceAccountKey").is_empty() {
            return Err(RepositoryAccessError::Unsupported { key: "gcpServiceAccountKey" });
        }
        if self.flag("useAzureWorkloadIdentity")? {
            return Err(RepositoryAccessError::Unsupported { key: "useAzureWorkloadIdentity" });
        }
        Ok(None)
    }

    fn github_app(&self) -> Result<Option<GitHubApp>, RepositoryAccessError> {
        let (id, private_key) = (self.number("githubAppID")?, self.sensitive("githubAppPrivateKey"));
        let base_url = self.text("githubAppEnterpriseBaseUrl").trim_end_matches('/').to_owned();
        if !base_url.is_empty() && !is_url(&base_url, &["http", "https"]) {
            let key = "githubAppEnterpriseBaseUrl";
            return Err(RepositoryAccessError::NotAUrl { key, schemes: "http and https" });
        }
        let installation = self.number("githubAppInstallationID")?;
        match (id, private_key.is_empty()) {
            (None, true) => Ok(None),
            (Some(id), false) => Ok(Some(GitHubApp { id, installation, private_key, base_url })),
            _ => Err(RepositoryAccessError::Half { one: "githubAppID", other: "githubAppPrivateKey" }),
        }
    }

    fn client_certificate(&self) -> Result<Option<ClientCertificate>, RepositoryAccessError> {
        let (certificate, key) = (self.text("tlsClientCertData"), self.sensitive("tlsClientCertKey"));
        match (certificate.is_empty(), key.is_empty()) {
            (true, true) => Ok(None),
            (false, false) => Ok(Some(ClientCertificate { certificate, key })),
            _ => Err(RepositoryAccessError::Half { one: "tlsClientCertData", other: "tlsClientCertKey" }),
        }
    }
}

fn is_url(text: &str, schemes: &[&str]) -> bool {
    let uri = text.parse::<http::Uri>();
    uri.is_ok_and(|uri| {
        uri.scheme_str().is_some_and(|scheme| schemes.contains(&scheme)) && uri.host().is_some()
    })
}

/// A beginning of URLs that names no host would hand credentials to anybody.
fn has_host(url: &str) -> bool {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let is_local = url.starts_with('/') || url.starts_with("file:///");
    is_local
        || rest
            .split('/')
            .next()
            .is_some_and(|authority| !authority.rsplit('@').next().unwrap_or("").is_empty())
}

#[cfg(test)]
mod tests;

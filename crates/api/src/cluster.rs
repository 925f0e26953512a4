//! Clusters as their Secrets describe them (label `argocd.argoproj.io/secret-type: cluster`). Pure.
//!
//! In: a Secret. Out: what the cluster is called, who may use it and how to reach it, or why that cannot be read. No
//! credential shows in an error or in what is printed for people.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::Secret;
use serde::Deserialize;

use crate::{
    annotation,
    destination::{IN_CLUSTER_NAME, IN_CLUSTER_SERVER},
    project::ClusterRef,
    sensitive::Sensitive,
};

/// A cluster that Applications may go to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClusterSpec {
    /// What destinations may call it.
    pub name: String,
    /// The API server's URL, without a slash at its end.
    pub server: String,
    /// The namespaces that Ithaca keeps to; none means all.
    pub namespaces: Vec<String>,
    /// Whether objects outside of namespaces are managed where `namespaces` names some.
    pub cluster_resources: bool,
    /// The project whose alone it is; empty where all may use it.
    pub project: String,
    /// Its Applications are not worked on.
    pub skips_reconcile: bool,
    /// How to reach it.
    pub access: Result<ClusterAccess, ClusterError>,
}

/// How a cluster is reached, and as whom.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct ClusterAccess {
    /// A user's name, with `password`.
    pub username: String,
    /// The user's password.
    pub password: Sensitive,
    /// A token, in place of a user.
    pub bearer_token: Sensitive,
    /// How the connection is secured.
    pub tls_client_config: Tls,
    /// A program that gives credentials.
    pub exec_provider_config: Option<Exec>,
    /// A proxy that leads there. It may hold a password.
    pub proxy_url: Sensitive,
    /// Answers are asked for as they are.
    pub disable_compression: bool,
    #[serde(rename = "awsAuthConfig")]
    aws: Option<serde_json::Value>,
}

/// How a connection to an API server is secured. Data is base64 of PEM.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Tls {
    /// The API server's certificate is not checked.
    pub insecure: bool,
    /// The name that the API server's certificate has to bear, where the URL has another.
    pub server_name: String,
    /// Who signs the API server's certificate.
    pub ca_data: String,
    /// The client's certificate.
    pub cert_data: String,
    /// The key of the client's certificate.
    pub key_data: Sensitive,
}

/// A program that gives credentials, as kubeconfigs have it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Exec {
    /// The program.
    pub command: String,
    /// Its arguments.
    pub args: Vec<Sensitive>,
    /// What its environment has beside our own.
    pub env: BTreeMap<String, Sensitive>,
    /// In which words it is asked and answers.
    pub api_version: String,
    /// For people, where it is not there.
    pub install_hint: String,
}

/// Why a Secret does not say how to reach a cluster.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ClusterError {
    /// It names no API server.
    #[error("its key server is missing or no URL: write https:// and the address of the API server")]
    NoServer,
    /// The configuration is not what it should be.
    #[error("its key config is no JSON of a cluster's configuration: {what} at line {line}, column {column}")]
    Unreadable {
        /// What is wrong, without what is there.
        what: &'static str,
        /// Where.
        line: usize,
        /// Where in the line.
        column: usize,
    },
    /// Access of a kind that needs a program of one cloud.
    #[error(
        "awsAuthConfig is not supported: use execProviderConfig with a command such as argocd-k8s-auth or aws"
    )]
    Aws,
    /// A program is asked for and not named.
    #[error("its execProviderConfig names no command")]
    NoCommand,
    /// A certificate that is checked and not checked.
    #[error("its tlsClientConfig has caData and insecure: take one of them away")]
    InsecureAuthority,
    /// One half of a client's certificate.
    #[error("its tlsClientConfig has one of certData and keyData: both are needed")]
    HalfCertificate,
}

impl ClusterSpec {
    /// The cluster that Ithaca runs in, where no Secret describes it.
    #[must_use]
    pub fn in_cluster() -> Self {
        Self {
            name: IN_CLUSTER_NAME.to_owned(),
            server: IN_CLUSTER_SERVER.to_owned(),
            namespaces: Vec::new(),
            cluster_resources: false,
            project: String::new(),
            skips_reconcile: false,
            access: Ok(ClusterAccess::default()),
        }
    }

    /// Reads a Secret. `shard` has no meaning here: any applier reaches any cluster.
    #[must_use]
    pub fn read(secret: &Secret) -> Self {
        let data = secret.data.as_ref();
        let bytes = |key: &str| data.and_then(|data| data.get(key)).map(|value| value.0.as_slice());
        let text = |key: &str| bytes(key).map(String::from_utf8_lossy).unwrap_or_default().trim().to_owned();
        let server = normalized(&text("server")).to_owned();
        let namespaces = text("namespaces");
        let namespaces = namespaces.split(',').map(str::trim).filter(|name| !name.is_empty());
        let annotations = secret.metadata.annotations.as_ref();
        let skips = annotations.and_then(|annotations| annotations.get(annotation::SKIP_RECONCILE));
        let access = match server.as_str() {
            // It is reached as the process itself is told to.
            IN_CLUSTER_SERVER => Ok(ClusterAccess::default()),
            server if is_url(server) => ClusterAccess::read(bytes("config").unwrap_or_default()),
            _ => Err(ClusterError::NoServer),
        };
        Self {
            name: text("name"),
            namespaces: namespaces.map(str::to_owned).collect(),
            cluster_resources: text("clusterResources") == "true",
            project: text("project"),
            skips_reconcile: annotation::skips_reconcile(skips.map(String::as_str)),
            server,
            access,
        }
    }

    /// True for the cluster that Ithaca runs in.
    #[must_use]
    pub fn is_in_cluster(&self) -> bool {
        self.server == IN_CLUSTER_SERVER
    }

    /// As projects name it.
    #[must_use]
    pub fn reference(&self) -> ClusterRef<'_> {
        ClusterRef { server: &self.server, name: &self.name, project: &self.project }
    }

    /// Why an object of this kind may not be managed where Ithaca keeps to some namespaces; `namespace` is empty for
    /// what lives outside of them.
    #[must_use]
    pub fn refusal(&self, kind: &str, namespace: &str, name: &str) -> Option<String> {
        if self.namespaces.is_empty() {
            return None;
        }
        match namespace {
            "" if self.cluster_resources => None,
            "" => Some(format!(
                "Cluster level {kind} \"{name}\" can not be managed when in namespaced mode: the cluster's Secret needs \
                 clusterResources: \"true\""
            )),
            namespace if self.namespaces.iter().any(|known| known == namespace) => None,
            namespace => Some(format!(
                "Namespace \"{namespace}\" for {kind} \"{name}\" is not managed: the cluster's Secret has to name it in \
                 namespaces"
            )),
        }
    }
}

/// The server's URL as it is compared.
#[must_use]
pub fn normalized(server: &str) -> &str {
    server.trim_end_matches('/')
}

fn is_url(server: &str) -> bool {
    let uri = server.parse::<http::Uri>();
    uri.is_ok_and(|uri| matches!(uri.scheme_str(), Some("http" | "https")) && uri.host().is_some())
}

impl ClusterAccess {
    fn read(config: &[u8]) -> Result<Self, ClusterError> {
        if config.trim_ascii().is_empty() {
            return Ok(Self::default());
        }
        let access: Self = serde_json::from_slice(config).map_err(|error| ClusterError::Unreadable {
            what: match error.classify() {
                serde_json::error::Category::Data => "a value of another type than expected",
                _ => "a slip of syntax",
            },
            line: error.line(),
            column: error.column(),
        })?;
        let tls = &access.tls_client_config;
        if access.aws.is_some() {
            return Err(ClusterError::Aws);
        }
        if access.exec_provider_config.as_ref().is_some_and(|exec| exec.command.is_empty()) {
            return Err(ClusterError::NoCommand);
        }
        if tls.insecure && !tls.ca_data.is_empty() {
            return Err(ClusterError::InsecureAuthority);
        }
        if tls.cert_data.is_empty() != tls.key_data.is_empty() {
            return Err(ClusterError::HalfCertificate);
        }
        Ok(access)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn secret(data: &[(&str, &str)]) -> Secret {
        let data = data
            .iter()
            .map(|(key, value)| ((*key).to_owned(), k8s_openapi::ByteString(value.as_bytes().to_vec())));
        Secret { data: Some(data.collect()), ..Secret::default() }
    }

    fn access(config: &str) -> Result<ClusterAccess, ClusterError> {
        ClusterSpec::read(&secret(&[("server", "https://a"), ("config", config)])).access
    }

    #[test]
    fn a_secret_says_all_that_argo_cd_knows() {
        let config = json!({
            "bearerToken": "t0ken",
            "tlsClientConfig": {"insecure": false, "serverName": "api", "caData": "Y2E="},
            "execProviderConfig": {"command": "aws", "args": ["--secret"], "env": {"KEY": "v4lue"}},
            "proxyUrl": "http://me:pass@proxy",
            "disableCompression": true,
        });
        let mut secret = secret(&[
            ("name", "edge"),
            ("server", "https://edge.example.org:6443/"),
            ("namespaces", "web, shop,"),
            ("clusterResources", "true"),
            ("project", "shop"),
            ("shard", "1"),
            ("config", &config.to_string()),
        ]);
        let skip = (annotation::SKIP_RECONCILE.to_owned(), "true".to_owned());
        secret.metadata.annotations = Some([skip].into());
        let cluster = ClusterSpec::read(&secret);
        assert_eq!(cluster.server, "https://edge.example.org:6443");
        assert_eq!(cluster.namespaces, ["web", "shop"]);
        assert!(cluster.cluster_resources && cluster.skips_reconcile);
        assert_eq!((cluster.name.as_str(), cluster.project.as_str()), ("edge", "shop"));
        let access = cluster.access.as_ref().expect("access");
        assert_eq!(access.bearer_token.reveal(), "t0ken");
        assert_eq!(access.tls_client_config.server_name, "api");
        let printed = format!("{cluster:?}");
        for hidden in ["t0ken", "--secret", "v4lue", "pass@"] {
            assert!(!printed.contains(hidden), "{printed}");
        }
    }

    #[test]
    fn what_cannot_be_read_is_told_without_what_is_there() {
        let wrong_type = access(r#"{"bearerToken": 5318008}"#).expect_err("a number is no token");
        assert!(matches!(wrong_type, ClusterError::Unreadable { line: 1, .. }), "{wrong_type:?}");
        assert!(!wrong_type.to_string().contains("5318008"), "{wrong_type}");
        assert!(matches!(access("{"), Err(ClusterError::Unreadable { .. })));
        assert_eq!(access(r#"{"awsAuthConfig": {"clusterName": "a"}}"#), Err(ClusterError::Aws));
        assert_eq!(access(r#"{"execProviderConfig": {}}"#), Err(ClusterError::NoCommand));
        let both = r#"{"tlsClientConfig": {"insecure": true, "caData": "Y2E="}}"#;
        assert_eq!(access(both), Err(ClusterError::InsecureAuthority));
        let half = r#"{"tlsClientConfig": {"certData": "Y2E="}}"#;
        assert_eq!(access(half), Err(ClusterError::HalfCertificate));
        assert!(access("").is_ok() && access(r#"{"awsAuthConfig": null}"#).is_ok());
        for server in ["", "edge", "ftp://edge"] {
            let cluster = ClusterSpec::read(&secret(&[("name", "edge"), ("server", server)]));
            assert_eq!(cluster.access, Err(ClusterError::NoServer), "{server}");
        }
    }

    #[test]
    fn where_namespaces_are_named_only_they_are_managed() {
        let cluster = ClusterSpec::in_cluster();
        assert_eq!(cluster.refusal("Namespace", "", "web"), None);
        let kept = ClusterSpec { namespaces: vec!["web".to_owned()], ..cluster };
        assert_eq!(kept.refusal("ConfigMap", "web", "a"), None);
        assert!(kept.refusal("ConfigMap", "shop", "a").is_some_and(|why| why.contains("\"shop\"")));
        assert!(kept.refusal("Namespace", "", "web").is_some_and(|why| why.contains("clusterResources")));
        let whole = ClusterSpec { cluster_resources: true, ..kept };
        assert_eq!(whole.refusal("Namespace", "", "web"), None);
    }
}

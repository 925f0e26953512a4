//! The way to a cluster that a Secret describes.
//!
//! What comes in: how to reach it. What goes out: a client, and what its credentials are when they come from a program.
//! What it does not do: ask the cluster anything, or let a credential into an error.

use std::{
    process::Stdio,
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use base64::{Engine, prelude::BASE64_STANDARD};
use http::{HeaderValue, Request, header::AUTHORIZATION};
use ithaca_api::cluster::{ClusterAccess, Exec};
use ithaca_chassis::CountRequests;
use jiff::Timestamp;
use kube::{
    Client, Config,
    client::{Body, ClientBuilder},
    config::{
        AuthInfo, Cluster as Server, Context, KubeConfigOptions, Kubeconfig, NamedAuthInfo, NamedCluster,
        NamedContext,
    },
};
use serde::Deserialize;
use tokio::process::Command;
use tower::util::MapRequestLayer;

/// How long a connection may take to be there, secured.
const CONNECT: Duration = Duration::from_secs(5);
/// How long a program may take to give credentials.
const EXEC: Duration = Duration::from_secs(15);

/// A token that may be another later.
#[derive(Clone, Default)]
pub struct Token(Arc<RwLock<Option<HeaderValue>>>);

/// A way to a cluster.
pub struct Way {
    /// The client.
    pub client: Client,
    /// The token that it sends, where it came from a program.
    pub token: Token,
    /// When the program has to be asked again.
    pub expires: Option<Timestamp>,
}

/// Finds the way, or why there is none.
pub async fn connect(server: &str, access: &ClusterAccess, requests: &CountRequests) -> Result<Way, String> {
    let given = match &access.exec_provider_config {
        Some(exec) => Some(ask(exec).await?),
        None => None,
    };
    let config = config(server, access, given.as_ref()).await?;
    let token = Token::default();
    let sent = token.clone();
    let authorize = MapRequestLayer::new(move |mut request: Request<Body>| {
        let token = sent.0.read().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(token) = token {
            request.headers_mut().insert(AUTHORIZATION, token);
        }
        request
    });
    let builder = ClientBuilder::try_from(config).map_err(|_| UNUSABLE.to_owned())?;
    let client = builder.with_layer(&authorize).with_layer(requests).build();
    let expires = given.as_ref().and_then(|given| given.expires());
    if let Some(given) = given {
        token.set(&given)?;
    }
    Ok(Way { client, token, expires })
}

const UNUSABLE: &str =
    "its certificates cannot be used: caData, certData and keyData have to be base64 of PEM";

async fn config(server: &str, access: &ClusterAccess, given: Option<&Given>) -> Result<Config, String> {
    let tls = &access.tls_client_config;
    let some = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
    let (mut certificate, mut key) = (some(&tls.cert_data), some(tls.key_data.reveal()));
    if let Some((own, own_key)) = given.and_then(|given| given.certificate()) {
        (certificate, key) = (Some(BASE64_STANDARD.encode(own)), Some(BASE64_STANDARD.encode(own_key)));
    }
    let name = "cluster".to_owned();
    let cluster = Server {
        server: Some(server.to_owned()),
        insecure_skip_tls_verify: Some(tls.insecure),
        certificate_authority_data: some(&tls.ca_data),
        proxy_url: some(access.proxy_url.reveal()),
        disable_compression: Some(access.disable_compression),
        tls_server_name: some(&tls.server_name),
        ..Server::default()
    };
    let user = AuthInfo {
        username: some(&access.username),
        password: some(access.password.reveal()).map(Into::into),
        token: some(access.bearer_token.reveal()).map(Into::into),
        client_certificate_data: certificate,
        client_key_data: key.map(Into::into),
        ..AuthInfo::default()
    };
    let context = Context { cluster: name.clone(), user: Some(name.clone()), ..Context::default() };
    let kubeconfig = Kubeconfig {
        clusters: vec![NamedCluster {
            name: name.clone(),
            cluster: Some(cluster),
            ..NamedCluster::default()
        }],
        auth_infos: vec![NamedAuthInfo {
            name: name.clone(),
            auth_info: Some(user),
            ..NamedAuthInfo::default()
        }],
        contexts: vec![NamedContext {
            name: name.clone(),
            context: Some(context),
            ..NamedContext::default()
        }],
        current_context: Some(name),
        ..Kubeconfig::default()
    };
    // What the error says may be what is in the Secret.
    let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await;
    let mut config = config.map_err(|_| UNUSABLE.to_owned())?;
    config.connect_timeout = Some(CONNECT);
    Ok(config)
}

impl Token {
    fn set(&self, given: &Given) -> Result<(), String> {
        let Some(token) = &given.token else { return Ok(()) };
        let value = HeaderValue::try_from(format!("Bearer {token}"));
        let mut value =
            value.map_err(|_| "its credentials program gave a token that cannot be sent".to_owned())?;
        value.set_sensitive(true);
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Some(value);
        Ok(())
    }

    /// Asks the program for another. Returns when to ask again; None where only a new connection would do.
    pub async fn renew(&self, exec: &Exec) -> Result<Option<Timestamp>, String> {
        let given = ask(exec).await?;
        if given.certificate().is_some() {
            return Ok(None);
        }
        self.set(&given)?;
        Ok(given.expires())
    }
}

/// What a program gives.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Given {
    token: Option<String>,
    client_certificate_data: Option<String>,
    client_key_data: Option<String>,
    expiration_timestamp: Option<Timestamp>,
}

impl Given {
    fn certificate(&self) -> Option<(&str, &str)> {
        self.client_certificate_data.as_deref().zip(self.client_key_data.as_deref())
    }

    fn expires(&self) -> Option<Timestamp> {
        self.expiration_timestamp
    }
}

#[derive(Deserialize)]
struct ExecCredential {
    status: Option<Given>,
}

/// Runs the program. It ends with its time.
async fn ask(exec: &Exec) -> Result<Given, String> {
    let failed = |reason: String| format!("the program {} of its execProviderConfig {reason}", exec.command);
    let version = match exec.api_version.as_str() {
        "" => "client.authentication.k8s.io/v1beta1",
        version => version,
    };
    let info =
        serde_json::json!({"apiVersion": version, "kind": "ExecCredential", "spec": {"interactive": false}});
    let output = Command::new(&exec.command)
        .args(exec.args.iter().map(|argument| argument.reveal()))
        .envs(exec.env.iter().map(|(name, value)| (name, value.reveal())))
        .env("KUBERNETES_EXEC_INFO", info.to_string())
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .output();
    let output = match tokio::time::timeout(EXEC, output).await {
        Ok(Ok(output)) => output,
        Ok(Err(error)) => {
            let hint = Some(&exec.install_hint).filter(|hint| !hint.is_empty());
            let hint = hint.map(|hint| format!(": {hint}")).unwrap_or_default();
            return Err(failed(format!("did not start: {error}{hint}")));
        }
        Err(_) => return Err(failed(format!("gave nothing within {EXEC:?}"))),
    };
    if !output.status.success() {
        return Err(failed(format!("failed with {}", output.status)));
    }
    let credential = serde_json::from_slice::<ExecCredential>(&output.stdout).ok();
    let given = credential.and_then(|credential| credential.status);
    given
        .filter(|given| given.token.is_some() || given.certificate().is_some())
        .ok_or_else(|| failed("wrote no ExecCredential with a token or a certificate".to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exec(script: &str) -> Exec {
        let exec = serde_json::json!({"command": "sh", "args": ["-c", script], "env": {"WHO": "ada"}});
        serde_json::from_value(exec).expect("an execProviderConfig")
    }

    #[tokio::test]
    async fn a_program_gives_a_token() {
        let given = ask(&exec(
            r#"echo '{"kind": "ExecCredential", "status": {"token": "'$WHO'", "expirationTimestamp": "2026-01-01T00:00:00Z"}}'"#,
        ))
        .await
        .expect("credentials");
        assert_eq!(given.token.as_deref(), Some("ada"));
        assert_eq!(given.expires().map(|at| at.as_second()), Some(1_767_225_600));
    }

    #[tokio::test]
    async fn what_a_program_writes_is_not_told() {
        for script in ["echo s3cret; exit 3", "echo s3cret", "echo '{\"status\": {}}' s3cret"] {
            let reason = ask(&exec(script)).await.err().expect("no credentials");
            assert!(reason.contains("the program sh") && !reason.contains("s3cret"), "{reason}");
        }
    }
}

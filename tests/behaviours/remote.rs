//! A cluster beside the one that Ithaca runs in: its control plane, its Secret, and Applications that go there.

use anyhow::{Context, ensure};
use base64::{Engine, prelude::BASE64_STANDARD};
use ithaca_tests::{Cluster, ControlPlane, Stack, wait_until};
use kube::config::Kubeconfig;
use serde_json::{Value, json};

use crate::scene::{DEADLINE, automated};

/// Where the Secrets of clusters are.
pub const SECRETS: &str = "/api/v1/namespaces/argocd/secrets";

/// A second cluster.
pub struct Remote {
    pub plane: ControlPlane,
    pub cluster: Cluster,
    pub server: String,
    authority: String,
}

impl Remote {
    pub async fn start(stack: &Stack, name: &str) -> anyhow::Result<Self> {
        let plane = ControlPlane::start(&stack.dir.join(name), &stack.tools, 0).await?;
        let kubeconfig = Kubeconfig::read_from(&plane.kubeconfig)?;
        let cluster = kubeconfig.clusters.first().and_then(|named| named.cluster.clone());
        let cluster = cluster.context("the kubeconfig names no cluster")?;
        Ok(Self {
            cluster: Cluster::new(plane.kubeconfig.clone(), stack.tools.clone()),
            server: cluster.server.unwrap_or_default(),
            authority: cluster.certificate_authority_data.unwrap_or_default(),
            plane,
        })
    }

    /// Its Secret, with this token.
    pub fn secret(&self, name: &str, token: &str) -> Value {
        secret(name, &self.server, &self.config(&json!({"bearerToken": token})))
    }

    /// A configuration with these credentials.
    pub fn config(&self, credentials: &Value) -> Value {
        let mut config = credentials.clone();
        config["tlsClientConfig"]["caData"] = json!(self.authority);
        config
    }

    /// A configuration with a client certificate.
    pub fn certificate(&self) -> anyhow::Result<Value> {
        let encoded = |path| anyhow::Ok(BASE64_STANDARD.encode(std::fs::read(path)?));
        let certificate = encoded(&self.plane.client_certificate)?;
        let tls = json!({"certData": certificate, "keyData": encoded(&self.plane.client_key)?});
        Ok(self.config(&json!({"tlsClientConfig": tls})))
    }

    /// Waits until a ConfigMap there has this value.
    pub async fn holds(&self, path: &str, value: &str) -> anyhow::Result<()> {
        wait_until(&format!("{path} is {value} there"), DEADLINE, async || {
            let found = self.cluster.get(path).await?.context("it is not there")?;
            ensure!(found["data"]["value"] == value, "it is {}", found["data"]);
            Ok(())
        })
        .await
    }
}

/// The Secret of a cluster.
pub fn secret(name: &str, server: &str, config: &Value) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Secret",
        "metadata": {"name": name, "labels": {"argocd.argoproj.io/secret-type": "cluster"}},
        "stringData": {"name": name, "server": server, "config": config.to_string()},
    })
}

/// The spec of an Application that goes to the cluster of this name.
pub fn by_name(name: &str) -> Value {
    let mut spec = automated();
    spec["destination"] = json!({"server": null, "name": name});
    spec
}

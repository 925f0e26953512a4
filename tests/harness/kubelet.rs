//! Runs the containers of Ithaca's own pods as processes, since the nodes of the control plane only pretend to.
//!
//! In: the Deployments of an installed chart. Out: for each a process with exactly the arguments and environment that
//! its container is given, under a token of its ServiceAccount.
//! Only what a pod has of its own is translated: addresses (every pod has its own 8080), folders of its mounts, and the
//! names that a cluster's DNS would resolve. A pod waits for the Secrets of its environment; one without a token gets no cluster at all.

use std::collections::{BTreeMap, VecDeque};
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use anyhow::{Context, ensure};
use base64::{Engine, prelude::BASE64_STANDARD};
use serde_json::{Value, json};

use crate::{EmptyCluster, Process, Program, Ready, SERVICES, port};

/// What users and tests ask.
#[derive(Clone, Copy)]
struct Ports {
    grpc: u16,
    webhook: u16,
    console: u16,
}

/// Plays the node of a chart's pods.
pub struct Kubelet<'a> {
    on: &'a EmptyCluster,
    binary: PathBuf,
    namespace: String,
    ports: Ports,
    running: Mutex<BTreeMap<String, Running>>,
}

struct Running {
    template: Value,
    generation: u32,
    process: std::sync::Arc<Process>,
}

impl<'a> Kubelet<'a> {
    /// Starts all services of the chart in a namespace.
    ///
    /// # Errors
    /// When a container is given what cannot be translated, or a process does not get ready.
    pub async fn start(on: &'a EmptyCluster, binary: PathBuf, namespace: &str) -> anyhow::Result<Self> {
        let ports = Ports { grpc: port::free()?, webhook: port::free()?, console: port::free()? };
        let kubelet = Self { on, binary, namespace: namespace.to_owned(), ports, running: Mutex::default() };
        kubelet.follow().await?;
        on.git.set_webhook(Some(kubelet.webhook()?));
        Ok(kubelet)
    }

    /// Where an Ingress leads pushes of Git hosts.
    ///
    /// # Errors
    /// When no watcher runs.
    pub fn webhook(&self) -> anyhow::Result<String> {
        let base = self.variable_of("watcher", "ITHACA_WEBHOOK_BASE_PATH")?;
        Ok(format!("http://127.0.0.1:{}{base}/api/webhook", self.ports.webhook))
    }

    /// Where an Ingress leads people.
    ///
    /// # Errors
    /// When no console runs.
    pub fn console(&self) -> anyhow::Result<String> {
        let base = self.variable_of("console", "ITHACA_CONSOLE_BASE_PATH")?;
        Ok(format!("http://127.0.0.1:{}{base}/", self.ports.console))
    }

    fn variable_of(&self, service: &str, name: &str) -> anyhow::Result<String> {
        let process = self.process(service)?;
        let variable = process.program().environment.iter().find(|(known, _)| known == name);
        Ok(variable.map(|(_, value)| value.clone()).unwrap_or_default())
    }

    /// A service's process.
    ///
    /// # Errors
    /// When it does not run.
    pub fn process(&self, name: &str) -> anyhow::Result<std::sync::Arc<Process>> {
        let running = self.running();
        running.get(name).map(|running| running.process.clone()).with_context(|| format!("no {name} runs"))
    }

    /// Replaces the processes whose pod template has changed, as a rolling update does: the new one is ready before the
    /// old one is asked to go. Services that share a fixed port are asked first.
    ///
    /// # Errors
    /// As [`Kubelet::start`].
    pub async fn follow(&self) -> anyhow::Result<Vec<String>> {
        let mut replaced = Vec::new();
        let mut waiting = VecDeque::from(SERVICES);
        let mut put_off = 0;
        while let Some(name) = waiting.pop_front() {
            let template = self.template(name).await?;
            // A pod waits for the Secrets that it names, which others may make.
            if let Some(secret) = self.missing_secret(&template).await? {
                put_off += 1;
                ensure!(put_off <= waiting.len(), "{name} waits for Secret {secret} in vain");
                waiting.push_back(name);
                continue;
            }
            put_off = 0;
            let (same, generation) = {
                let running = self.running();
                let known = running.get(name);
                (
                    known.is_some_and(|known| known.template == template),
                    known.map_or(0, |known| known.generation),
                )
            };
            if same {
                continue;
            }
            let old = self.running().remove(name);
            let listens = matches!(name, "watcher" | "console");
            if let Some(old) = old.as_ref().filter(|_| listens) {
                old.process.stop().await?;
            }
            let program = self.program(name, &template, generation + 1).await?;
            let process = std::sync::Arc::new(Process::start(program).await?);
            if let Some(old) = old {
                old.process.stop().await?;
                replaced.push(name.to_owned());
            }
            self.running().insert(name.to_owned(), Running { template, generation: generation + 1, process });
        }
        Ok(replaced)
    }

    /// The first Secret that a container's environment names and that is not there.
    async fn missing_secret(&self, template: &Value) -> anyhow::Result<Option<String>> {
        for variable in template["spec"]["containers"][0]["env"].as_array().into_iter().flatten() {
            let reference = &variable["valueFrom"]["secretKeyRef"];
            if let Some(name) = reference["name"].as_str()
                && self.secret(reference).await?.is_none()
            {
                return Ok(Some(name.to_owned()));
            }
        }
        Ok(None)
    }

    /// What an entry of a Secret holds.
    async fn secret(&self, reference: &Value) -> anyhow::Result<Option<String>> {
        let [name, key] = ["name", "key"].map(|part| reference[part].as_str().unwrap_or_default());
        let path = format!("/api/v1/namespaces/{}/secrets/{name}", self.namespace);
        let Some(secret) = self.on.cluster.get(&path).await? else { return Ok(None) };
        let Some(encoded) = secret["data"][key].as_str() else { return Ok(None) };
        Ok(Some(String::from_utf8(BASE64_STANDARD.decode(encoded)?)?))
    }

    fn running(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, Running>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The pod template of a service's Deployment.
    async fn template(&self, name: &str) -> anyhow::Result<Value> {
        let selector = format!("app.kubernetes.io%2Fpart-of%3Dithaca,app.kubernetes.io%2Fcomponent%3D{name}");
        let path =
            format!("/apis/apps/v1/namespaces/{}/deployments?labelSelector={selector}", self.namespace);
        let found = self.on.cluster.get(&path).await?.context("no Deployments")?;
        let items = found["items"].as_array().map(Vec::as_slice).unwrap_or_default();
        ensure!(items.len() == 1, "{} Deployments for {name} in {}", items.len(), self.namespace);
        Ok(items[0]["spec"]["template"].clone())
    }

    async fn program(&self, name: &str, template: &Value, generation: u32) -> anyhow::Result<Program> {
        let container = &template["spec"]["containers"][0];
        let arguments = container["args"].as_array().into_iter().flatten();
        let arguments: Vec<_> = arguments.filter_map(Value::as_str).map(str::to_owned).collect();
        let http = port::free()?;
        let mut environment = vec![("ITHACA_HTTP_LISTEN".to_owned(), format!("127.0.0.1:{http}"))];
        for variable in container["env"].as_array().into_iter().flatten() {
            environment.push(self.variable(name, generation, variable).await?);
        }
        let listens = match name {
            "watcher" => {
                vec![("ITHACA_GRPC_LISTEN", self.ports.grpc), ("ITHACA_WEBHOOK_LISTEN", self.ports.webhook)]
            }
            "applier" => vec![("ITHACA_LIVE_LISTEN", 0)],
            "console" => vec![("ITHACA_CONSOLE_LISTEN", self.ports.console)],
            _ => Vec::new(),
        };
        let address = |(name, port): (&str, u16)| (name.to_owned(), format!("127.0.0.1:{port}"));
        environment.extend(listens.into_iter().map(address));
        if template["spec"]["automountServiceAccountToken"] == true {
            let kubeconfig = self.kubeconfig(name, template).await?;
            environment.push(("KUBECONFIG".to_owned(), kubeconfig.display().to_string()));
        }
        if name == "renderer" {
            // The image has helm and kustomize in its PATH.
            environment
                .push(("PATH".to_owned(), format!("{}:/usr/bin:/bin", self.on.tools.folder().display())));
        }
        Ok(Program {
            name: format!("{name}-{generation}"),
            path: self.binary.clone(),
            arguments,
            environment,
            log: self.on.dir.join(format!("logs/{name}.log")),
            ready: Ready::Answers(format!("http://127.0.0.1:{http}/readyz")),
            metrics: Some(format!("http://127.0.0.1:{http}/metrics")),
        })
    }

    async fn variable(
        &self,
        service: &str,
        generation: u32,
        variable: &Value,
    ) -> anyhow::Result<(String, String)> {
        let name = variable["name"].as_str().context("a variable without name")?;
        let field = &variable["valueFrom"]["fieldRef"]["fieldPath"];
        let value = match name {
            "ITHACA_NATS_URL" => self.on.nats.url.clone(),
            "ITHACA_WATCHER_URL" => format!("http://127.0.0.1:{}", self.ports.grpc),
            "ITHACA_CACHE_DIR" | "ITHACA_WORK_DIR" => self.on.dir.join(service).display().to_string(),
            _ if field == "metadata.namespace" => self.namespace.clone(),
            _ if field == "metadata.name" => format!("{service}-{generation}"),
            _ if field == "status.podIP" => "127.0.0.1".to_owned(),
            _ if variable["valueFrom"]["secretKeyRef"].is_object() => {
                let value = self.secret(&variable["valueFrom"]["secretKeyRef"]).await?;
                value.with_context(|| format!("{service}: {name} comes from a Secret that is not there"))?
            }
            _ => {
                ensure!(
                    variable["valueFrom"].is_null(),
                    "{service}: {name} comes from where no value is known"
                );
                variable["value"].as_str().unwrap_or_default().to_owned()
            }
        };
        Ok((name.to_owned(), value))
    }

    /// The cluster's kubeconfig with a token of the pod's ServiceAccount.
    async fn kubeconfig(&self, name: &str, template: &Value) -> anyhow::Result<PathBuf> {
        let account = template["spec"]["serviceAccountName"].as_str().context("a pod without account")?;
        let path = self.on.dir.join(format!("{name}.kubeconfig"));
        let text = self.account(account).await?;
        std::fs::write(&path, text)?;
        Ok(path)
    }

    /// A kubeconfig for a ServiceAccount of the namespace, by TokenRequest.
    ///
    /// # Errors
    /// When there is no such account.
    pub async fn account(&self, account: &str) -> anyhow::Result<String> {
        let cluster = &self.on.cluster;
        let create = ["create", "token", account, "--namespace", &self.namespace, "--duration=24h"];
        let token = cluster.kubectl(&create).await?;
        let view = cluster.kubectl(&["config", "view", "--raw", "--minify", "--output=json"]).await?;
        let mut config: Value = serde_json::from_str(&view)?;
        config["users"][0]["user"] = json!({"token": token.trim()});
        Ok(config.to_string())
    }
}

//! Ithaca's services, each a process of its own as in a cluster.
//!
//! In: the binary, the bus and a kubeconfig. Out: processes by name, and the addresses that people use.

use std::path::Path;

use crate::{Process, Program, Ready, Tools, port};

/// In the order in which facts pass them.
pub const SERVICES: [&str; 5] = ["watcher", "renderer", "applier", "notifier", "console"];

/// Where Applications may live beside the control plane's namespace, if their projects let them.
const APPLICATION_NAMESPACES: &str = "--application-namespaces=apps-*";

/// What bundles are sealed with; the tests look into the bus and find nothing.
const BUNDLE_KEY: &str = "dGhpcnR5LXR3byBieXRlcyBvZiBhIHRlc3QncyBrZXk=";

/// The running services.
pub struct Services {
    /// In the order of [`SERVICES`], then further appliers.
    pub processes: Vec<Process>,
    /// Where Git hosts tell about pushes.
    pub webhook: String,
    /// The web page.
    pub console: String,
}

/// What the services are started with.
pub struct Surroundings<'a> {
    /// State and logs go below it.
    pub dir: &'a Path,
    /// The binary `ithaca`.
    pub binary: &'a Path,
    /// helm and kustomize.
    pub tools: &'a Tools,
    /// The bus.
    pub nats: &'a str,
    /// The cluster.
    pub kubeconfig: &'a Path,
    /// How many appliers there are.
    pub appliers: usize,
    /// Variables that all services get.
    pub environment: Vec<(String, String)>,
}

struct Ports {
    grpc: u16,
    webhook: u16,
    console: u16,
}

impl Services {
    /// Starts all of them and waits until each is ready.
    ///
    /// # Errors
    /// When one fails, with the end of its log.
    pub async fn start(surroundings: &Surroundings<'_>) -> anyhow::Result<Self> {
        let ports = Ports { grpc: port::free()?, webhook: port::free()?, console: port::free()? };
        let mut programs = Vec::new();
        for service in SERVICES {
            programs.push(surroundings.program(service, service, &ports)?);
        }
        for number in 2..=surroundings.appliers {
            programs.push(surroundings.program("applier", &format!("applier-{number}"), &ports)?);
        }
        let started = programs.into_iter().map(Process::start);
        let processes = futures::future::try_join_all(started).await?;
        Ok(Self {
            processes,
            webhook: format!("http://127.0.0.1:{}/api/webhook", ports.webhook),
            console: format!("http://127.0.0.1:{}", ports.console),
        })
    }
}

impl Surroundings<'_> {
    fn program(&self, service: &str, name: &str, ports: &Ports) -> anyhow::Result<Program> {
        let http = port::free()?;
        let mut arguments = vec![
            service.to_owned(),
            format!("--nats-url={}", self.nats),
            format!("--http-listen=127.0.0.1:{http}"),
            "--namespace=argocd".to_owned(),
            "--log-format=json".to_owned(),
        ];
        arguments.extend(self.own_arguments(service, name, ports)?);
        let mut environment = self.environment.clone();
        // As in the images.
        environment.push(("MIMALLOC_PURGE_DELAY".to_owned(), "0".to_owned()));
        // The renderer knows no cluster.
        if service != "renderer" {
            let kubeconfig = self.kubeconfig.display().to_string();
            environment.push(("KUBECONFIG".to_owned(), kubeconfig));
        }
        Ok(Program {
            name: name.to_owned(),
            path: self.binary.to_path_buf(),
            arguments,
            environment,
            log: self.dir.join(format!("logs/{name}.log")),
            ready: Ready::Answers(format!("http://127.0.0.1:{http}/readyz")),
            metrics: Some(format!("http://127.0.0.1:{http}/metrics")),
        })
    }

    fn own_arguments(&self, service: &str, name: &str, ports: &Ports) -> anyhow::Result<Vec<String>> {
        let folder = |name: &str| self.dir.join(name).display().to_string();
        let tool = |name: &str| self.tools.path(name).display().to_string();
        Ok(match service {
            "watcher" => vec![
                APPLICATION_NAMESPACES.to_owned(),
                format!("--grpc-listen=127.0.0.1:{}", ports.grpc),
                format!("--webhook-listen=127.0.0.1:{}", ports.webhook),
                format!("--cache-dir={}", folder("watcher")),
                "--allow-file-repositories".to_owned(),
                "--plugin-files=*.settings".to_owned(),
            ],
            "renderer" => vec![
                format!("--watcher-url=http://127.0.0.1:{}", ports.grpc),
                format!("--work-dir={}", folder("renderer")),
                format!("--plugins={}", folder("plugins")),
                format!("--helm={}", tool("helm")),
                format!("--kustomize={}", tool("kustomize")),
                format!("--bundle-key={BUNDLE_KEY}"),
            ],
            "applier" => vec![
                APPLICATION_NAMESPACES.to_owned(),
                format!("--live-listen=127.0.0.1:{}", port::free()?),
                "--live-host=127.0.0.1".to_owned(),
                format!("--name={name}"),
                format!("--bundle-key={BUNDLE_KEY}"),
            ],
            "console" => vec![
                APPLICATION_NAMESPACES.to_owned(),
                format!("--console-listen=127.0.0.1:{}", ports.console),
            ],
            _ => Vec::new(),
        })
    }
}

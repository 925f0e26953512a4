//! The loop itself, from a push to a changed cluster, with what `compose.yaml` says and without an engine.
//!
//! Ithaca's services run in containers of their packed images, with the file's commands, variables and mounts. The Git
//! server and the bootstrap run as processes from the same scripts. The harness is K3s and NATS. Names of hosts become
//! 127.0.0.1, ports become free ones, and volumes become folders: nothing else differs.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, ensure};
use ithaca_tests::{Process, Program, Ready, Stack, free_port, repository_root, wait_until};
use tokio::process::Command;

use super::file::{Compose, Service};
use super::settings::Settings;
use crate::image::container::Container;
use crate::image::packed::Packed;

#[tokio::test]
async fn a_push_to_the_git_server_changes_the_cluster() -> anyhow::Result<()> {
    let compose = Compose::read()?;
    let packed = Packed::shared().await?;
    let stack = Stack::without_services().await?;
    let place = Place::new(&compose, &stack)?;
    place.play_k3s().await?;
    let _git = Process::start(place.git(compose.service("git")?)?).await?;
    place.bootstrap(compose.service("bootstrap")?).await?;
    let mut services = Vec::new();
    for service in compose.ours() {
        let container = place.container(service)?;
        let port = place.port(service.name, 8080)?;
        let ready = Ready::Answers(format!("http://127.0.0.1:{port}/readyz"));
        services.push(Process::start(container.program(packed, &stack.dir, ready)?).await?);
        let probed = place.health_check(service, &container)?.run(packed, &stack.dir).await?;
        ensure!(probed.status.success(), "{probed:?}");
    }
    place.sees("3.9").await?;

    let pushed = place.push("lab/website/values-home.yaml", "\"3.9\"", "\"3.10\"").await?;
    // The watcher's own words: it believed the signature, and knows the repository.
    ensure!(pushed.contains("1 repositories are looked at"), "{pushed}");
    place.sees("3.10").await
}

/// The file's world on this machine.
struct Place<'a> {
    stack: &'a Stack,
    /// The port that stands for a port of a host.
    ports: BTreeMap<(String, u16), u16>,
}

impl<'a> Place<'a> {
    fn new(compose: &Compose, stack: &'a Stack) -> anyhow::Result<Self> {
        let mut ports = BTreeMap::new();
        for (host, listening) in super::listening(compose)? {
            for port in listening {
                ports.insert((host.clone(), port), free_port()?);
            }
        }
        let nats = stack.nats.url.rsplit(':').next().context("NATS has no port")?.parse()?;
        ports.insert(("nats".to_owned(), 4222), nats);
        Ok(Self { stack, ports })
    }

    fn port(&self, host: &str, port: u16) -> anyhow::Result<u16> {
        let found = self.ports.get(&(host.to_owned(), port));
        found.copied().with_context(|| format!("nobody listens at {host}:{port}"))
    }

    /// A text of the file with the addresses of this machine.
    fn here(&self, text: &str) -> String {
        self.ports.iter().fold(text.to_owned(), |text, ((host, port), free)| {
            text.replace(&format!("{host}:{port}"), &format!("127.0.0.1:{free}"))
        })
    }

    /// The folder that stands for a volume.
    fn volume(&self, name: &str) -> PathBuf {
        self.stack.dir.join("volumes").join(name)
    }

    /// What a service's mounts are on this machine.
    fn mounts(&self, service: Service<'_>) -> Vec<(PathBuf, String)> {
        let mounts = service.mounts().into_iter();
        let source =
            |is_path, source: &str| if is_path { PathBuf::from(source) } else { self.volume(source) };
        mounts.map(|mount| (source(mount.is_path, &mount.source), mount.target)).collect()
    }

    /// A text of the file, for a process that sees this machine instead of its mounts.
    fn unmounted(&self, service: Service<'_>, text: &str) -> String {
        let mounted = self.mounts(service).into_iter().find(|(_, target)| text == target);
        mounted.map_or_else(|| self.here(text), |(source, _)| source.display().to_string())
    }

    /// K3s leaves a kubeconfig, and applies what is in its folder of manifests.
    async fn play_k3s(&self) -> anyhow::Result<()> {
        let kubeconfig = self.volume("kubeconfig");
        std::fs::create_dir_all(&kubeconfig)?;
        std::fs::copy(self.stack.cluster.kubeconfig(), kubeconfig.join("k3s.yaml"))?;
        let manifests = std::fs::read_to_string(repository_root().join("deploy/compose/cluster.yaml"))?;
        self.stack.cluster.apply(&manifests).await
    }

    /// The Git server by its image's own script.
    fn git(&self, service: Service<'_>) -> anyhow::Result<Program> {
        std::fs::create_dir_all(self.volume("repositories"))?;
        let port = self.port("git", 8091)?;
        let mut environment = service.environment();
        for (name, value) in &mut environment {
            *value = if name == "GIT_PORT" { port.to_string() } else { self.unmounted(service, value) };
        }
        let context = service.get("build")["context"].as_str().context("git is built from nothing")?;
        Ok(Program {
            name: "git".to_owned(),
            path: Path::new(context).join("serve.sh"),
            arguments: Vec::new(),
            environment,
            log: self.stack.dir.join("logs/git.log"),
            ready: Ready::Answers(format!(
                "http://127.0.0.1:{port}/sample.git/info/refs?service=git-upload-pack"
            )),
            metrics: None,
        })
    }

    async fn bootstrap(&self, service: Service<'_>) -> anyhow::Result<()> {
        let words = [service.entrypoint(), service.command()].concat();
        let mut words = words.iter().map(|word| self.unmounted(service, word));
        let program = words.next().context("bootstrap runs nothing")?;
        let path = format!("{}:/usr/bin:/bin", self.stack.tools.folder().display());
        let output = Command::new(program).args(words).env("PATH", path).output().await?;
        ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        Ok(())
    }

    fn container(&self, service: Service<'_>) -> anyhow::Result<Container> {
        let mut environment = service.environment();
        for (_, value) in &mut environment {
            *value = self.here(value);
        }
        // Here they share one network, so each listens elsewhere.
        for (variable, port) in Settings::of(service.name)?.ports(&service.environment())? {
            environment.retain(|(name, _)| *name != variable);
            environment.push((variable, format!("127.0.0.1:{}", self.port(service.name, port)?)));
        }
        Ok(Container {
            target: service.target().unwrap_or_default().to_owned(),
            name: service.name.to_owned(),
            arguments: service.command(),
            environment,
            writable: service.writable(),
            mounts: self.mounts(service),
        })
    }

    /// The health check, in a container like the service's own.
    fn health_check(&self, service: Service<'_>, container: &Container) -> anyhow::Result<Container> {
        // After CMD and the image's entry point.
        let mut arguments = service.health_check().split_off(2);
        arguments.push(format!("http://127.0.0.1:{}/readyz", self.port(service.name, 8080)?));
        Ok(Container { name: format!("{}-health", service.name), arguments, ..container.clone() })
    }

    /// Clones as a person would, changes a file, and gives what the push says.
    async fn push(&self, file: &str, old: &str, new: &str) -> anyhow::Result<String> {
        let clone = self.stack.dir.join("clone");
        let folder = clone.display().to_string();
        let url = self.here("http://git:8091/sample.git");
        git(&["clone", "--quiet", &url, &folder]).await?;
        let text = std::fs::read_to_string(clone.join(file))?;
        ensure!(text.contains(old), "there is no {old} in {file}:\n{text}");
        std::fs::write(clone.join(file), text.replace(old, new))?;
        let person = ["-C", &folder, "-c", "user.name=Ada", "-c", "user.email=ada@example.com"];
        git(&[person.as_slice(), &["commit", "--quiet", "--all", "--message=Update"]].concat()).await?;
        git(&["-C", &folder, "push", "--quiet"]).await
    }

    /// Waits until the website runs this version, and all of the sample is synced and healthy.
    async fn sees(&self, version: &str) -> anyhow::Result<()> {
        let cluster = &self.stack.cluster;
        wait_until(&format!("version {version} runs"), Duration::from_secs(60), async || {
            for name in ["root", "gateway", "notes", "website"] {
                let path = format!("/apis/argoproj.io/v1alpha1/namespaces/argocd/applications/{name}");
                let application = cluster.get(&path).await?.with_context(|| format!("there is no {name}"))?;
                let status = &application["status"];
                let well = status["sync"]["status"] == "Synced" && status["health"]["status"] == "Healthy";
                ensure!(well, "{name}: {status}");
            }
            let path = "/apis/apps/v1/namespaces/website/deployments/website";
            let website = cluster.get(path).await?.context("there is no website")?;
            let image = &website["spec"]["template"]["spec"]["containers"][0]["image"];
            ensure!(*image == format!("registry.k8s.io/pause:{version}"), "it runs {image}");
            Ok(())
        })
        .await?;
        // An image that does not exist outside of tests would never run in the loop.
        let images = "jsonpath={.items[*].spec.template.spec.containers[*].image}";
        let images = cluster.kubectl(&["get", "deployments", "--all-namespaces", "--output", images]).await?;
        ensure!(images.split(' ').all(|image| image.starts_with("registry.k8s.io/pause:3.")), "{images}");
        Ok(())
    }
}

/// What a Git command says on both outputs.
async fn git(arguments: &[&str]) -> anyhow::Result<String> {
    let output = Command::new("git").args(arguments).env("GIT_TERMINAL_PROMPT", "0").output().await?;
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said).into_owned();
    ensure!(output.status.success(), "git {}: {said}", arguments.join(" "));
    Ok(said)
}

//! The images: what the Dockerfile says is packed without a container engine, and run by the runtime of all engines.
//!
//! In: `deploy/image`. Out: every service ready and at work as an unprivileged user on a read-only root filesystem.
//! Not proven here: that BuildKit runs the build stages, and the image for arm64.

pub mod container;
mod context;
pub mod dockerfile;
pub mod packed;
mod versions;

use std::collections::BTreeSet;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Output;
use std::time::Duration;

use anyhow::{Context, ensure};
use ithaca_tests::{Process, Ready, SERVICES, Stack, free_port, sample, wait_until};
use walkdir::WalkDir;

use container::Container;
use packed::{Packed, TARGETS};

/// Where tests give containers files of their own.
const MOUNTED: &str = "/etc/ithaca";

#[tokio::test]
async fn images_hold_programs_and_their_libraries_and_nothing_else() -> anyhow::Result<()> {
    let packed = Packed::shared().await?;
    for target in TARGETS {
        let root = packed.root(target);
        let mut programs = BTreeSet::from(["usr/bin/ithaca"]);
        if target == "ithaca-renderer" {
            programs.extend(["usr/bin/helm", "usr/bin/kustomize"]);
        }
        let system = ["etc/passwd", "etc/group", "etc/nsswitch.conf", "etc/ssl/certs/ca-certificates.crt"];
        let expected: BTreeSet<_> = programs.into_iter().chain(system).map(str::to_owned).collect();
        let files: BTreeSet<_> = files(&root)?.into_iter().filter(|path| !path.starts_with("lib")).collect();
        // Made by a runtime, as the place for what a test mounts.
        let files: BTreeSet<_> = files.into_iter().filter(|path| !path.starts_with(&MOUNTED[1..])).collect();
        ensure!(files == expected, "{target} holds {files:?}");
        let libraries = root.join("lib64").read_dir().or_else(|_| root.join("lib").read_dir());
        ensure!(libraries?.next().is_some(), "{target} holds no loader");
    }
    Ok(())
}

#[tokio::test]
async fn nothing_in_an_image_belongs_to_its_user() -> anyhow::Result<()> {
    let packed = Packed::shared().await?;
    for target in TARGETS {
        let process = packed.config(target)?["process"].clone();
        ensure!(process["user"]["uid"] == 65532 && process["user"]["gid"] == 65532, "{process}");
        for entry in WalkDir::new(packed.root(target)) {
            let entry = entry?;
            let metadata = entry.metadata()?;
            let path = entry.path().strip_prefix(packed.root(target))?;
            let open = metadata.mode() & 0o022 != 0 && !metadata.is_symlink();
            ensure!(metadata.uid() == 0 && metadata.gid() == 0, "{target} gives {} away", path.display());
            ensure!(open == (path == Path::new("tmp")), "{:o} {}", metadata.mode(), path.display());
        }
    }
    Ok(())
}

#[tokio::test]
async fn every_service_works_on_a_read_only_root_filesystem() -> anyhow::Result<()> {
    let packed = Packed::shared().await?;
    let stack = Stack::without_services().await?;
    let pod = Pod::new(packed, &stack)?;
    let mut ready = vec!["probe".to_owned()];
    let mut services = Vec::new();
    for name in SERVICES {
        let port = free_port()?;
        let url = format!("http://127.0.0.1:{port}/readyz");
        let program = pod.service(name, port).program(packed, &stack.dir, Ready::Answers(url.clone()))?;
        services.push(Process::start(program).await?);
        ready.push(url);
    }
    let probed = pod.run("probe", &ready).await?;
    ensure!(probed.status.success(), "{probed:?}");

    // Its applications are rendered by helm and by kustomize.
    let repository = stack.repository("sample").await?;
    sample::publish(&repository).await?;
    stack.cluster.apply(&sample::root_application(&repository)?).await?;
    let list = ["app", "list"].map(str::to_owned);
    wait_until("all of the sample is synced", Duration::from_secs(60), async || {
        let listed = text(pod.run("list", &list).await?)?;
        let synced = |name: &&str| {
            listed
                .lines()
                .any(|line| line.contains(name) && line.contains("Synced") && line.contains("Healthy"))
        };
        let missing: Vec<_> =
            ["gateway", "notes", "website"].into_iter().filter(|name| !synced(name)).collect();
        ensure!(missing.is_empty(), "{missing:?} are not yet:\n{listed}");
        Ok(())
    })
    .await?;
    let version = text(pod.run("version", &["version".to_owned()]).await?)?;
    ensure!(version.contains(env!("CARGO_PKG_VERSION")), "{version}");
    Ok(())
}

/// What the containers of a test have in common.
struct Pod<'a> {
    packed: &'a Packed,
    stack: &'a Stack,
    grpc: u16,
    kubeconfig: PathBuf,
}

impl<'a> Pod<'a> {
    fn new(packed: &'a Packed, stack: &'a Stack) -> anyhow::Result<Self> {
        // Another user reads it in there, as it would a mounted Secret.
        let kubeconfig = stack.dir.join("mounted.kubeconfig");
        std::fs::copy(stack.cluster.kubeconfig(), &kubeconfig).context("failed to copy the kubeconfig")?;
        Ok(Self { packed, stack, grpc: free_port()?, kubeconfig })
    }

    fn service(&self, name: &str, http: u16) -> Container {
        let variable = |name: &str, value: String| (name.to_owned(), value);
        let listen = |port: u16| format!("127.0.0.1:{port}");
        let mut environment = vec![
            variable("ITHACA_NATS_URL", self.stack.nats.url.clone()),
            variable("ITHACA_HTTP_LISTEN", listen(http)),
            // The renderer knows no cluster, whatever it is told.
            variable("KUBECONFIG", format!("{MOUNTED}/kubeconfig")),
        ];
        let own = match name {
            "watcher" => vec![
                variable("ITHACA_GRPC_LISTEN", listen(self.grpc)),
                variable("ITHACA_WEBHOOK_LISTEN", listen(0)),
            ],
            "renderer" => vec![variable("ITHACA_WATCHER_URL", format!("http://{}", listen(self.grpc)))],
            "applier" => vec![variable("ITHACA_LIVE_LISTEN", listen(0))],
            "console" => vec![variable("ITHACA_CONSOLE_LISTEN", listen(0))],
            _ => Vec::new(),
        };
        environment.extend(own);
        Container {
            target: if name == "renderer" { "ithaca-renderer" } else { "ithaca" }.to_owned(),
            name: name.to_owned(),
            arguments: vec![name.to_owned()],
            environment,
            // Where the watcher keeps what it fetched, and the renderer what it renders.
            writable: if ["watcher", "renderer"].contains(&name) {
                vec!["/tmp".to_owned()]
            } else {
                Vec::new()
            },
            mounts: if name == "renderer" { Vec::new() } else { self.cluster() },
        }
    }

    fn cluster(&self) -> Vec<(PathBuf, String)> {
        vec![(self.kubeconfig.clone(), format!("{MOUNTED}/kubeconfig"))]
    }

    /// Runs a command of users to its end.
    async fn run(&self, name: &str, arguments: &[String]) -> anyhow::Result<Output> {
        let container = Container {
            target: "ithaca".to_owned(),
            name: format!("command-{name}"),
            arguments: arguments.to_vec(),
            environment: vec![("KUBECONFIG".to_owned(), format!("{MOUNTED}/kubeconfig"))],
            mounts: self.cluster(),
            ..Container::default()
        };
        container.run(self.packed, &self.stack.dir).await
    }
}

fn text(output: Output) -> anyhow::Result<String> {
    ensure!(output.status.success(), "{output:?}");
    Ok(String::from_utf8(output.stdout)?)
}

/// Paths of all files below a folder.
fn files(root: &Path) -> anyhow::Result<Vec<String>> {
    let mut files = Vec::new();
    for entry in WalkDir::new(root) {
        let entry = entry?;
        if !entry.file_type().is_dir() {
            files.push(entry.path().strip_prefix(root)?.display().to_string());
        }
    }
    Ok(files)
}

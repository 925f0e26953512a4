//! All of it together: cluster, bus, Git server and Ithaca's services, in one folder.
//!
//! In: [`Options`]. Out: a running [`Stack`], and `stack.json` for scripts.

mod record;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use anyhow::Context;
use tokio::sync::OnceCell;

pub use record::{Record, RecordedProcess};

use crate::services::Surroundings;
use crate::{
    Cluster, Collector, ControlPlane, GitServer, Nats, Process, Progress, Repository, Services, Tools,
    repository_root, target_folder, wait_until,
};

/// What to start.
pub struct Options {
    /// State and logs.
    pub dir: PathBuf,
    /// How many nodes the cluster has.
    pub nodes: usize,
    /// Use this cluster instead of starting one.
    pub kubeconfig: Option<PathBuf>,
    /// The binary `ithaca`; without one no services are started.
    pub binary: Option<PathBuf>,
    /// How many appliers divide the Applications between them.
    pub appliers: usize,
    /// Traces and metrics are collected, and the limits of a rendering are low enough to be met soon.
    pub for_tests: bool,
}

/// Everything that runs. It ends when this is dropped, at the latest with this process.
pub struct Stack {
    /// State and logs.
    pub dir: PathBuf,
    /// The programs that were built.
    pub tools: Tools,
    /// The cluster, whoever started it.
    pub cluster: Cluster,
    /// The bus.
    pub nats: Nats,
    /// The Git server.
    pub git: GitServer,
    collector: Option<Collector>,
    services: Option<Services>,
    control_plane: Option<ControlPlane>,
}

impl Stack {
    /// The stack that all tests of a binary share: started once, three nodes, all services.
    ///
    /// # Errors
    /// When it could not be started; every test gets the same error.
    pub async fn shared() -> anyhow::Result<&'static Self> {
        static SHARED: OnceCell<Result<Stack, String>> = OnceCell::const_new();
        let start = async || Self::fresh().await.map_err(|error| format!("{error:#}"));
        let stack = SHARED.get_or_init(start).await.as_ref();
        stack.map_err(|error| anyhow::anyhow!("{error}"))
    }

    /// A stack of a test's own, for tests that stop parts of it.
    ///
    /// # Errors
    /// When it cannot be started.
    pub async fn fresh() -> anyhow::Result<Self> {
        Self::of_appliers(1).await
    }

    /// As [`Stack::fresh`] with several appliers: `applier`, `applier-2` and so on.
    ///
    /// # Errors
    /// When it cannot be started.
    pub async fn of_appliers(appliers: usize) -> anyhow::Result<Self> {
        let options = Options {
            dir: fresh_folder()?,
            nodes: 3,
            kubeconfig: None,
            binary: Some(binary()?),
            appliers,
            for_tests: true,
        };
        let progress = Progress::silent();
        let tools = Tools::build(&progress)?;
        let stack = Self::start(options, tools, &progress).await?;
        stack.record().write(&stack.dir)?;
        Ok(stack)
    }

    /// As [`Stack::fresh`] with one node and without Ithaca's services, for tests that start them in another way.
    ///
    /// # Errors
    /// When it cannot be started.
    pub async fn without_services() -> anyhow::Result<Self> {
        let dir = fresh_folder()?;
        let options = Options { dir, nodes: 1, kubeconfig: None, binary: None, appliers: 1, for_tests: true };
        let progress = Progress::silent();
        Self::start(options, Tools::build(&progress)?, &progress).await
    }

    /// Starts everything in a folder that [`empty`] has prepared. The caller writes the record, once all is ready.
    ///
    /// # Errors
    /// When a part fails, with the end of its log.
    pub async fn start(options: Options, tools: Tools, progress: &Progress) -> anyhow::Result<Self> {
        let dir = std::path::absolute(&options.dir)?;
        progress.step("starting the control plane, NATS and the Git server");
        let git = GitServer::start(&dir.join("git"))?;
        let control_plane = async {
            match options.kubeconfig {
                Some(_) => Ok(None),
                None => ControlPlane::start(&dir, &tools, options.nodes).await.map(Some),
            }
        };
        let (control_plane, nats) = tokio::join!(control_plane, Nats::start(&dir, &tools));
        let (control_plane, nats) = (control_plane?, nats?);
        if let Some(kubeconfig) = &options.kubeconfig {
            std::fs::copy(kubeconfig, dir.join("kubeconfig"))
                .with_context(|| format!("failed to read {}", kubeconfig.display()))?;
        }
        let cluster = Cluster::new(dir.join("kubeconfig"), tools.clone());
        let collector = options.for_tests.then(Collector::start).transpose()?;
        let mut stack = Self { dir, tools, cluster, nats, git, collector, services: None, control_plane };
        progress.step("applying the CRDs");
        stack.prepare_cluster().await?;
        if let Some(binary) = &options.binary {
            progress.step("starting watcher, renderer, applier, notifier and console");
            stack.start_services(binary, options.appliers).await?;
        }
        Ok(stack)
    }

    /// Ithaca's services.
    ///
    /// # Errors
    /// When the stack was started without them.
    pub fn services(&self) -> anyhow::Result<&Services> {
        let services = self.services.as_ref();
        services.context("the stack was started without Ithaca's services")
    }

    /// Where the services send their traces and metrics.
    ///
    /// # Errors
    /// When the stack was started without it.
    pub fn collector(&self) -> anyhow::Result<&Collector> {
        self.collector.as_ref().context("the stack was started without a collector")
    }

    /// A process by its name: `applier`, `nats-server`, `kube-apiserver`.
    ///
    /// # Errors
    /// When the stack has no such process.
    pub fn process(&self, name: &str) -> anyhow::Result<&Process> {
        self.processes()
            .find(|process| process.program().name == name)
            .with_context(|| format!("the stack has no process {name}"))
    }

    /// All processes, in the order in which they may be stopped.
    pub fn processes(&self) -> impl Iterator<Item = &Process> {
        let services = self.services.iter().flat_map(|services| &services.processes);
        let cluster = self.control_plane.iter();
        let cluster = cluster.flat_map(|cluster| cluster.processes.iter().rev());
        services.chain([&self.nats.process]).chain(cluster)
    }

    /// A new repository on the Git server, with a working clone. The name must be unique in the stack.
    ///
    /// # Errors
    /// When Git fails.
    pub async fn repository(&self, name: &str) -> anyhow::Result<Repository> {
        Repository::create(&self.git, &self.dir.join("clones"), name).await
    }

    /// Starts processes that have died again, as a cluster would; for as long as it is awaited.
    ///
    /// # Errors
    /// When a process cannot be started at all.
    pub async fn supervise(&self) -> anyhow::Result<()> {
        loop {
            tokio::time::sleep(Duration::from_millis(500)).await;
            let mut changed = false;
            for process in self.processes() {
                if process.pid().is_none() {
                    process.launch()?;
                    changed = true;
                }
            }
            if changed {
                self.record().write(&self.dir)?;
            }
        }
    }

    /// Stops the services as a cluster would, then ends all the rest.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub async fn stop(self) -> anyhow::Result<()> {
        if let Some(services) = &self.services {
            let stopped = services.processes.iter().map(Process::stop);
            futures::future::try_join_all(stopped).await?;
        }
        // State is thrown away at the next start: the rest need not say goodbye, and is killed by being dropped.
        Record::remove(&self.dir)
    }

    /// What scripts need to know.
    #[must_use]
    pub fn record(&self) -> Record {
        let services = self.services.as_ref();
        Record {
            kubeconfig: self.cluster.kubeconfig().to_path_buf(),
            console: services.map(|services| services.console.clone()),
            webhook: services.map(|services| services.webhook.clone()),
            git: self.git.url.clone(),
            nats: self.nats.url.clone(),
            tools: self.tools.folder().to_path_buf(),
            owner: std::process::id(),
            processes: self
                .processes()
                .map(|process| (process.program().name.clone(), process.into()))
                .collect(),
        }
    }

    async fn prepare_cluster(&self) -> anyhow::Result<()> {
        let namespace = "apiVersion: v1\nkind: Namespace\nmetadata:\n  name: argocd\n";
        self.cluster.apply(namespace).await?;
        let crds = repository_root().join("deploy/chart/crds");
        if crds.is_dir() {
            let folder = crds.display().to_string();
            let apply = ["apply", "--server-side", "--force-conflicts", "-f", &folder];
            self.cluster.kubectl(&apply).await?;
            wait_until("the API server serves Applications", Duration::from_secs(30), async || {
                let served = self.cluster.get("/apis/argoproj.io/v1alpha1/applications?limit=1").await?;
                served.map(drop).context("it does not know them")
            })
            .await?;
        }
        Ok(())
    }

    async fn start_services(&mut self, binary: &Path, appliers: usize) -> anyhow::Result<()> {
        let own = self.control_plane.as_ref();
        let kubeconfig = own.map(|cluster| cluster.service_kubeconfig.as_path());
        let services = Services::start(&Surroundings {
            dir: &self.dir,
            binary,
            tools: &self.tools,
            nats: &self.nats.url,
            kubeconfig: kubeconfig.unwrap_or(self.cluster.kubeconfig()),
            appliers,
            environment: self.collector.iter().flat_map(rehearsal).collect(),
        })
        .await?;
        self.git.set_webhook(Some(services.webhook.clone()));
        self.services = Some(services);
        Ok(())
    }
}

/// What services are told where tests wait for what they do.
fn rehearsal(collector: &Collector) -> Vec<(String, String)> {
    let variables = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", collector.endpoint.as_str()),
        // Milliseconds.
        ("OTEL_BSP_SCHEDULE_DELAY", "500"),
        ("OTEL_METRIC_EXPORT_INTERVAL", "5000"),
        ("ITHACA_RENDER_TIME_LIMIT", "10s"),
        ("ITHACA_RENDER_OUTPUT_MAX_MIB", "4"),
        // Two gigabytes take their time where the library is built without optimization.
        ("ITHACA_GIT_TIMEOUT", "10m"),
    ];
    variables.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec()
}

/// An empty folder that no other test has, below the target folder.
///
/// # Errors
/// When it cannot be made.
pub fn fresh_folder() -> anyhow::Result<PathBuf> {
    static COUNT: AtomicU32 = AtomicU32::new(1);
    let stacks = target_folder().join("stacks");
    remove_abandoned(&stacks);
    let number = COUNT.fetch_add(1, Ordering::Relaxed);
    let dir = stacks.join(format!("{}-{number}", std::process::id()));
    empty(&dir)?;
    Ok(dir)
}

/// The binary that tests run: `ITHACA_BINARY`, or what `cargo build` made.
///
/// # Errors
/// When there is none.
pub fn binary() -> anyhow::Result<PathBuf> {
    let binary =
        std::env::var_os("ITHACA_BINARY").map_or_else(|| target_folder().join("debug/ithaca"), PathBuf::from);
    anyhow::ensure!(
        binary.is_file(),
        "no binary at {}: run `cargo xtask test`, or `cargo build` first",
        binary.display()
    );
    Ok(binary)
}

/// Makes the folder of a stack, or empties it.
///
/// # Errors
/// When it holds something else than a stack, or one that runs.
pub fn empty(dir: &Path) -> anyhow::Result<()> {
    if let Ok(record) = Record::read(dir) {
        let owner = Path::new("/proc").join(record.owner.to_string());
        anyhow::ensure!(!owner.exists(), "a stack runs in {}: `cargo xtask down` stops it", dir.display());
    }
    if dir.exists() {
        // Never a folder that is something else: all that is in it goes.
        anyhow::ensure!(
            dir.join(record::MARKER).exists() || std::fs::read_dir(dir)?.next().is_none(),
            "{} holds something that is not a stack; choose another folder",
            dir.display()
        );
        std::fs::remove_dir_all(dir).with_context(|| format!("failed to empty {}", dir.display()))?;
    }
    std::fs::create_dir_all(dir).with_context(|| format!("failed to create {}", dir.display()))?;
    std::fs::write(dir.join(record::MARKER), "The next start here removes all of this.\n")?;
    Ok(())
}

/// Removes the folders of test runs that are over. Those of a run are kept for reading until the next.
fn remove_abandoned(stacks: &Path) {
    let Ok(entries) = std::fs::read_dir(stacks) else {
        return;
    };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let owner = name.to_str().and_then(|name| name.split('-').next());
        let alive = owner.is_some_and(|owner| Path::new("/proc").join(owner).exists());
        if !alive {
            // What cannot be removed is in nobody's way.
            let _ = std::fs::remove_dir_all(entry.path());
        }
    }
}

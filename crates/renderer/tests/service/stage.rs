//! What the renderer runs between: NATS, a watcher's gRPC service with content from memory, and the renderer itself.

use std::collections::{BTreeMap, HashMap};
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use clap::Parser;
use futures::StreamExt;
use futures::stream::BoxStream;
use ithaca_bus::Bus;
use ithaca_chassis::{Health, Process};
use ithaca_proto::v1::source_service_server::{SourceService, SourceServiceServer};
use ithaca_proto::v1::{
    ApplicationRef, BundleRendered, ContentPart, GetContentRequest, PathRead, Purpose, RevisionObserved,
    SourceRevision,
};
use serde_json::Value;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tonic::transport::server::TcpIncoming;
use tonic::{Code, Request, Response, Status};

const REPOSITORY: &str = "https://git.example/repo";
const DEADLINE: Duration = Duration::from_secs(60);

/// A revision of one source; its folder's tree has the id `tree`.
pub fn revision(
    uid: &str,
    observed_at: i64,
    revision: &str,
    tree: &str,
    mut spec: Value,
) -> RevisionObserved {
    spec["repoURL"] = REPOSITORY.into();
    let path = spec["path"].as_str().unwrap_or_default().to_owned();
    RevisionObserved {
        application: Some(ApplicationRef {
            uid: uid.into(),
            namespace: "argocd".into(),
            name: format!("app-{uid}"),
        }),
        purpose: Purpose::Tracked.into(),
        observed_at,
        sources: vec![SourceRevision {
            source: spec.to_string(),
            repository: REPOSITORY.into(),
            revision: revision.into(),
            reads: vec![PathRead { path, object_id: tree.into() }],
            ..Default::default()
        }],
        ..Default::default()
    }
}

/// The renderer's command line.
#[derive(clap::Parser)]
struct CommandLine {
    #[command(flatten)]
    args: ithaca_renderer::Args,
}

/// All of it.
pub struct Stage {
    pub bus: Bus,
    pub watcher: Watcher,
    nats: Nats,
    shutdown: CancellationToken,
    service: JoinHandle<anyhow::Result<()>>,
}

impl Stage {
    pub async fn start() -> Self {
        Self::start_with(&[]).await
    }

    /// With more arguments for the renderer.
    pub async fn start_with(more: &[&str]) -> Self {
        let nats = Nats::start();
        let bus_args = ithaca_bus::Args {
            nats_url: nats.url.clone(),
            nats_credentials: None,
            nats_token: None,
            nats_replicas: 1,
        };
        let bus = Bus::connect(&bus_args, "test").await.expect("the bus answers");
        let watcher = Watcher::default();
        let incoming = TcpIncoming::bind((Ipv4Addr::LOCALHOST, 0).into()).expect("a free port");
        let address = incoming.local_addr().expect("an address");
        let server =
            tonic::transport::Server::builder().add_service(SourceServiceServer::new(watcher.clone()));
        tokio::spawn(server.serve_with_incoming(incoming));
        let shutdown = CancellationToken::new();
        let process = Process {
            name: "renderer",
            namespace: "argocd".to_owned(),
            shutdown: shutdown.clone(),
            health: Health::default(),
        };
        let folder = crate::tools::folder();
        let arguments = [
            "renderer".to_owned(),
            format!("--nats-url={}", nats.url),
            format!("--watcher-url=http://{address}"),
            format!("--helm={}", folder.join("helm").display()),
            format!("--kustomize={}", folder.join("kustomize").display()),
            format!("--work-dir={}", nats.folder.path().join("work").display()),
            format!("--plugins={}", nats.folder.path().join("plugins").display()),
        ];
        let arguments = arguments.into_iter().chain(more.iter().map(|argument| (*argument).to_owned()));
        let args = CommandLine::parse_from(arguments).args;
        let service = tokio::spawn(ithaca_renderer::run(args, process));
        Self { bus, watcher, nats, shutdown, service }
    }

    /// The folder of the plugins.
    pub fn plugins(&self) -> PathBuf {
        self.nats.folder.path().join("plugins")
    }

    pub async fn say(&self, revision: RevisionObserved) {
        self.bus.publish_revision(&revision).await.expect("the bus takes it");
    }

    /// Says the revision and waits for its bundle.
    pub async fn render(&self, revision: RevisionObserved) -> BundleRendered {
        let uid = revision.application.clone().expect("an application").uid;
        let (purpose, observed_at) = (revision.purpose(), revision.observed_at);
        self.say(revision).await;
        self.wait(&uid, purpose, observed_at).await
    }

    pub async fn wait(&self, uid: &str, purpose: Purpose, observed_at: i64) -> BundleRendered {
        let deadline = Instant::now() + DEADLINE;
        loop {
            match self.last(uid, purpose).await {
                Some(bundle) if bundle.observed_at == observed_at => return bundle,
                last => assert!(Instant::now() < deadline, "no bundle of {uid} at {observed_at}: {last:?}"),
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Waits until the last bundle of an application is as wanted.
    pub async fn wait_for(&self, uid: &str, wanted: impl Fn(&BundleRendered) -> bool) -> BundleRendered {
        let deadline = Instant::now() + DEADLINE;
        loop {
            match self.last(uid, Purpose::Tracked).await {
                Some(bundle) if wanted(&bundle) => return bundle,
                last => assert!(Instant::now() < deadline, "the bundle of {uid} is {last:?}"),
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    pub async fn last(&self, uid: &str, purpose: Purpose) -> Option<BundleRendered> {
        self.bus.last_bundle(uid, purpose).await.expect("the bus answers").map(|stored| stored.bundle)
    }

    pub async fn objects(&self, bundle: &BundleRendered) -> Vec<Value> {
        let (uid, content) = parts(bundle);
        let compressed = self.bus.get_content(uid, content).await.expect("the content is there");
        let json = zstd::bulk::decompress(&compressed, 16 << 20).expect("zstd");
        serde_json::from_slice(&json).expect("JSON")
    }

    /// Has the store lose the content of the bundle.
    pub async fn lose(&self, bundle: &BundleRendered) {
        let (uid, content) = parts(bundle);
        self.bus.delete_content(uid, &content.digest).await;
        self.is_gone(bundle).await;
    }

    /// Waits until the content of the bundle is not in the store any more.
    pub async fn is_gone(&self, bundle: &BundleRendered) {
        let (uid, content) = parts(bundle);
        let deadline = Instant::now() + DEADLINE;
        while self.bus.get_content(uid, content).await.is_ok() {
            assert!(Instant::now() < deadline, "the content stays");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Tells the renderer to stop, and does not wait for that.
    pub fn begin_to_stop(&self) {
        self.shutdown.cancel();
    }

    pub fn has_stopped(&self) -> bool {
        self.service.is_finished()
    }

    /// Stops the renderer and leaves NATS to look at.
    pub async fn stop(self) -> impl Drop {
        self.shutdown.cancel();
        let ended = tokio::time::timeout(DEADLINE, self.service).await.expect("it ends");
        ended.expect("it does not panic").expect("it ends well");
        self.nats
    }
}

fn parts(bundle: &BundleRendered) -> (&str, &ithaca_proto::v1::Content) {
    let application = bundle.application.as_ref().expect("an application");
    (&application.uid, bundle.content.as_ref().expect("content"))
}

/// A NATS server of our own.
struct Nats {
    url: String,
    process: Child,
    folder: tempfile::TempDir,
}

impl Nats {
    fn start() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let process = Command::new(crate::tools::folder().join("nats-server"))
            .args(["--addr", "127.0.0.1", "--port", "-1", "--jetstream"])
            .arg("--store_dir")
            .arg(folder.path())
            .arg("--ports_file_dir")
            .arg(folder.path())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("nats-server starts");
        let url = url(&folder.path().join(format!("nats-server_{}.ports", process.id())));
        Self { url, process, folder }
    }
}

/// Where a server listens that chose its port itself and wrote it down here.
fn url(ports: &Path) -> String {
    let deadline = Instant::now() + DEADLINE;
    loop {
        let written = std::fs::read(ports).unwrap_or_default();
        let written: Value = serde_json::from_slice(&written).unwrap_or_default();
        if let Some(url) = written["nats"][0].as_str() {
            return url.to_owned();
        }
        assert!(Instant::now() < deadline, "nats-server writes down no port");
        std::thread::sleep(Duration::from_millis(5));
    }
}

impl Drop for Nats {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A watcher's content service, with content from memory.
#[derive(Clone, Default)]
pub struct Watcher(Arc<State>);

#[derive(Default)]
struct State {
    revisions: Mutex<HashMap<String, BTreeMap<String, String>>>,
    calls: AtomicUsize,
    settings: Mutex<Settings>,
}

#[derive(Clone, Copy, Default)]
struct Settings {
    /// What it says in place of content, if anything.
    refusal: Option<(Code, &'static str)>,
    delay: Duration,
}

impl Watcher {
    pub fn put(&self, revision: &str, files: &[(&str, &str)]) {
        let files = files.iter().map(|(path, text)| ((*path).to_owned(), (*text).to_owned())).collect();
        self.0.revisions.lock().expect("not poisoned").insert(revision.to_owned(), files);
    }

    pub fn calls(&self) -> usize {
        self.0.calls.load(Ordering::SeqCst)
    }

    pub fn set_available(&self, available: bool) {
        self.refuse((!available).then_some((Code::Unavailable, "away")));
    }

    /// Says this in place of content.
    pub fn refuse(&self, refusal: Option<(Code, &'static str)>) {
        self.0.settings.lock().expect("not poisoned").refusal = refusal;
    }

    pub fn set_delay(&self, delay: Duration) {
        self.0.settings.lock().expect("not poisoned").delay = delay;
    }

    pub async fn is_called_times(&self, calls: usize) {
        let deadline = Instant::now() + DEADLINE;
        while self.calls() < calls {
            assert!(Instant::now() < deadline, "called {} times", self.calls());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

#[tonic::async_trait]
impl SourceService for Watcher {
    type GetContentStream = BoxStream<'static, Result<ContentPart, Status>>;

    async fn get_content(
        &self,
        request: Request<GetContentRequest>,
    ) -> Result<Response<Self::GetContentStream>, Status> {
        self.0.calls.fetch_add(1, Ordering::SeqCst);
        let settings = *self.0.settings.lock().expect("not poisoned");
        tokio::time::sleep(settings.delay).await;
        if let Some((code, words)) = settings.refusal {
            return Err(Status::new(code, words));
        }
        let request = request.into_inner();
        let files = self.0.revisions.lock().expect("not poisoned").get(&request.revision).cloned();
        let files = files.ok_or_else(|| Status::not_found("unknown revision"))?;
        let asked = move |path: &str| {
            request.reads.iter().any(|read| {
                path.strip_prefix(read.path.as_str())
                    .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
            })
        };
        let parts: Vec<_> = files
            .into_iter()
            .filter(|(path, _)| asked(path))
            .map(|(path, text)| Ok(ContentPart { path, mode: 1, data: text.into(), last: true }))
            .collect();
        Ok(Response::new(futures::stream::iter(parts).boxed()))
    }
}

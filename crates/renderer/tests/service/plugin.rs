//! A plugin for tests, in a thread of the test: a real gRPC server on a real socket, that does its work well or badly.

use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures::{Stream, StreamExt};
use ithaca_proto::v1::plugin_service_server::{PluginService, PluginServiceServer};
use ithaca_proto::v1::source_part::Part;
use ithaca_proto::v1::{
    ContentPart, DescribeRequest, DescribeResponse, DiscoverResponse, ManifestPart, ParameterAnnouncement,
    ParametersResponse, PluginSource, SourcePart,
};
use ithaca_renderer::plugin::SOCKET;
use serde_json::json;
use tokio::net::UnixListener;
use tokio::sync::Semaphore;
use tokio::task::AbortHandle;
use tonic::{Request, Response, Status, Streaming};

/// How it does its work.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Manner {
    /// A ConfigMap of what it was told.
    #[default]
    Well,
    /// It never ends.
    Hangs,
    /// It begins once the gate lets it through.
    Waits,
    /// It breaks off after the first part.
    Dies,
    /// It says that the source is bad, before it has read it.
    Refuses,
    /// It gives what is no manifest.
    Lies,
    /// It gives without end.
    Floods,
}

/// A plugin.
#[derive(Clone, Default)]
pub struct Plugin {
    pub manner: Manner,
    pub description: DescribeResponse,
    /// The name of the file that makes a source its own.
    pub file: &'static str,
    pub announcements: Vec<ParameterAnnouncement>,
    pub generated: Arc<AtomicUsize>,
    pub gate: Gate,
}

/// What lets as many through as it has permits.
#[derive(Clone)]
pub struct Gate(Arc<Semaphore>);

impl Default for Gate {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(0)))
    }
}

impl Gate {
    pub fn open_for(&self, count: usize) {
        self.0.add_permits(count);
    }
}

/// A plugin that runs until this is dropped.
pub struct Running(AbortHandle);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Plugin {
    /// Listens in its own folder of the plugins.
    pub fn start(&self, plugins: &Path, name: &str) -> Running {
        let folder = plugins.join(name);
        std::fs::create_dir_all(&folder).expect("a folder");
        let socket = folder.join(SOCKET);
        let _ = std::fs::remove_file(&socket);
        let listener = UnixListener::bind(&socket).expect("a socket");
        let incoming = futures::stream::unfold(listener, async |listener| {
            let stream = listener.accept().await.map(|(stream, _)| stream);
            Some((stream, listener))
        });
        let server = tonic::transport::Server::builder().add_service(PluginServiceServer::new(self.clone()));
        Running(tokio::spawn(server.serve_with_incoming(incoming)).abort_handle())
    }

    pub fn generated(&self) -> usize {
        self.generated.load(Ordering::SeqCst)
    }
}

type Manifests = Pin<Box<dyn Stream<Item = Result<ManifestPart, Status>> + Send>>;

#[tonic::async_trait]
impl PluginService for Plugin {
    type GenerateStream = Manifests;

    async fn describe(&self, _: Request<DescribeRequest>) -> Result<Response<DescribeResponse>, Status> {
        Ok(Response::new(self.description.clone()))
    }

    async fn discover(
        &self,
        request: Request<Streaming<SourcePart>>,
    ) -> Result<Response<DiscoverResponse>, Status> {
        let (source, files) = read(request.into_inner()).await?;
        let wanted = format!("{}/{}", source.path, self.file);
        Ok(Response::new(DiscoverResponse { renders: files.iter().any(|file| file.path == wanted) }))
    }

    async fn parameters(
        &self,
        _: Request<Streaming<SourcePart>>,
    ) -> Result<Response<ParametersResponse>, Status> {
        Ok(Response::new(ParametersResponse { announcements: self.announcements.clone() }))
    }

    async fn generate(
        &self,
        request: Request<Streaming<SourcePart>>,
    ) -> Result<Response<Self::GenerateStream>, Status> {
        self.generated.fetch_add(1, Ordering::SeqCst);
        if self.manner == Manner::Refuses {
            return Err(Status::invalid_argument("main.star:3: no such name"));
        }
        if self.manner == Manner::Waits {
            self.gate.0.acquire().await.expect("it is never closed").forget();
        }
        let (source, files) = read(request.into_inner()).await?;
        let part = |text: String| Ok(ManifestPart { data: text.into() });
        let names: Vec<_> = files.iter().map(|file| (&file.path, file.mode, file.data.len())).collect();
        let manifest = json!({
            "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "told"},
            "data": {"path": source.path, "files": names, "environment": source.environment},
        });
        let manifest = part(format!("---\n{manifest}\n"));
        let parts: Manifests = match self.manner {
            Manner::Well | Manner::Refuses | Manner::Waits => futures::stream::iter([manifest]).boxed(),
            Manner::Hangs => futures::stream::iter([manifest]).chain(futures::stream::pending()).boxed(),
            Manner::Dies => futures::stream::iter([manifest, Err(Status::internal("out of luck"))]).boxed(),
            Manner::Lies => futures::stream::iter([part("- 1\n".to_owned())]).boxed(),
            Manner::Floods => futures::stream::repeat_with(move || part("# x\n".repeat(10_000))).boxed(),
        };
        Ok(Response::new(parts))
    }
}

/// A source and its files, whole.
async fn read(mut parts: Streaming<SourcePart>) -> Result<(PluginSource, Vec<ContentPart>), Status> {
    let (mut source, mut files) = (PluginSource::default(), Vec::<ContentPart>::new());
    while let Some(part) = parts.message().await? {
        match part.part {
            Some(Part::Source(begin)) => source = begin,
            Some(Part::File(file)) => match files.last_mut().filter(|last| !last.last) {
                Some(begun) => {
                    begun.data = [begun.data.clone(), file.data].concat().into();
                    begun.last = file.last;
                }
                None => files.push(file),
            },
            None => return Err(Status::internal("an empty part")),
        }
    }
    Ok((source, files))
}

//! The content of sources over gRPC: the files at asked paths of a commit, as a stream.
//!
//! What comes in: a repository that some application uses, a commit, paths. What goes out: files in parts
//! of at most 1 MiB, read one at a time, within limits. Where it is asked for, what pointers of Git LFS point at stands
//! in their place: it is fetched first, as all that a rendering needs. What SOPS encrypted is decrypted here, and nowhere
//! else. What it does not do: serve other repositories.

mod files;
mod send;

use std::sync::Arc;

use ithaca_proto::v1::source_service_server::SourceService;
use ithaca_proto::v1::{ContentPart, GetContentRequest};
use opentelemetry::KeyValue;
use opentelemetry::propagation::Extractor;
use tokio::sync::{Semaphore, mpsc, watch};
use tokio_stream::wrappers::ReceiverStream;
use tonic::metadata::MetadataMap;
use tonic::{Request, Response, Status};
use tracing::Instrument;
use tracing_opentelemetry::OpenTelemetrySpanExt;

use self::send::{Asked, Sender, Stop, Tally, pointers, send_all};
use crate::git::Objects;
use crate::metrics::Metrics;
use crate::registry::Registry;
use crate::repository::{RepositoryError, RepositoryKey};
use crate::sops::Keys;

const MIB: u64 = 1 << 20;
/// Parts that wait for a slow reader.
const WAITING: usize = 4;
/// Requests that are read from disk at once.
const AT_ONCE: usize = 4;

/// What one request may ask for.
#[derive(Clone, Copy, Debug)]
pub struct ContentLimits {
    /// Bytes in all.
    pub total: u64,
    /// Bytes of one file, which is held in memory.
    pub file: u64,
    /// Files.
    pub files: u64,
}

impl ContentLimits {
    /// Limits for a total given in MiB.
    pub fn of_mib(total: u64) -> Self {
        Self { total: total.saturating_mul(MIB), file: 16 * MIB, files: 20_000 }
    }
}

/// The service.
pub struct Content {
    registry: Registry,
    keys: watch::Receiver<Keys>,
    limits: ContentLimits,
    allow_files: bool,
    permits: Arc<Semaphore>,
    metrics: Metrics,
}

impl Content {
    /// A service for the repositories of a registry, with the keys of what is encrypted in them.
    pub fn new(
        registry: Registry,
        keys: watch::Receiver<Keys>,
        limits: ContentLimits,
        allow_files: bool,
        metrics: Metrics,
    ) -> Self {
        Self { registry, keys, limits, allow_files, permits: Arc::new(Semaphore::new(AT_ONCE)), metrics }
    }
}

type Parts = ReceiverStream<Result<ContentPart, Status>>;

#[tonic::async_trait]
impl SourceService for Content {
    type GetContentStream = Parts;

    async fn get_content(
        &self,
        request: Request<GetContentRequest>,
    ) -> Result<Response<Self::GetContentStream>, Status> {
        let span = tracing::info_span!("get content");
        let _ = span.set_parent(context(request.metadata()));
        self.get(request.into_inner()).instrument(span).await
    }
}

impl Content {
    async fn get(&self, request: GetContentRequest) -> Result<Response<Parts>, Status> {
        let GetContentRequest { repository, revision, reads, chart, scope, lfs, is_value_file } = request;
        let key = match is_value_file {
            true => RepositoryKey::value_file(&repository),
            false => RepositoryKey::new(&repository, &chart, self.allow_files),
        };
        let key = key.map_err(|error| Status::invalid_argument(error.to_string()))?.within(&scope);
        let repository = self
            .registry
            .get(&key)
            .ok_or_else(|| Status::not_found(format!("repository {key} is used by no application")))?;
        repository.ensure(revision.clone()).await.map_err(|error| not_given(&error))?;
        let asked = Arc::new(Asked { repository, revision, reads });
        let objects = if lfs { self.objects(&asked).await? } else { None };
        let permit = self.permits.clone().acquire_owned().await;
        let (parts, stream) = mpsc::channel(WAITING);
        let (limits, metrics, keys) = (self.limits, self.metrics.clone(), self.keys.borrow().clone());
        tokio::task::spawn_blocking(move || {
            let _permit = permit;
            let mut sender = Sender { parts, tally: Tally::new(limits), keys, objects };
            if let Err(Stop::Failed(status)) = send_all(&asked, &mut sender) {
                let _ = sender.parts.blocking_send(Err(status));
            }
            metrics.served.add(sender.tally.bytes(), &[KeyValue::new("repository", key.to_string())]);
        });
        Ok(Response::new(ReceiverStream::new(stream)))
    }

    /// Has what the asked pointers of Git LFS point at.
    async fn objects(&self, asked: &Arc<Asked>) -> Result<Option<Objects>, Status> {
        let (searched, limits) = (asked.clone(), self.limits);
        let permit = self.permits.clone().acquire_owned().await;
        let pointers = tokio::task::spawn_blocking(move || {
            let _permit = permit;
            pointers(&searched, limits)
        });
        let pointers = pointers.await.map_err(|error| Status::internal(error.to_string()))??;
        if pointers.is_empty() {
            return Ok(None);
        }
        let objects = asked.repository.objects(&asked.revision, &pointers).await;
        Ok(objects.map_err(|error| not_given(&error))?.cloned())
    }
}

/// Why what is not here cannot be had. Whoever asks is to ask again, and to tell of it unless this machine is at fault:
/// what keeps a remote from giving it may end without a new revision.
fn not_given(error: &RepositoryError) -> Status {
    match error {
        RepositoryError::Cache { .. } => Status::unavailable(error.to_string()),
        _ => Status::aborted(error.to_string()),
    }
}

/// The trace that a request belongs to.
fn context(metadata: &MetadataMap) -> opentelemetry::Context {
    struct Received<'a>(&'a MetadataMap);
    impl Extractor for Received<'_> {
        fn get(&self, key: &str) -> Option<&str> {
            self.0.get(key)?.to_str().ok()
        }

        fn keys(&self) -> Vec<&str> {
            Vec::new()
        }
    }
    opentelemetry::global::get_text_map_propagator(|propagator| propagator.extract(&Received(metadata)))
}

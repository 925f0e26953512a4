//! The content of sources over gRPC: the files at asked paths of a commit, as a stream.
//!
//! What comes in: a repository that some application uses, a commit, paths. What goes out: files in parts
//! of at most 1 MiB, read one at a time, within limits; what SOPS encrypted is decrypted here, and nowhere else. What it does not do: serve other repositories.

use std::sync::Arc;

use bytes::Bytes;
use ithaca_proto::v1::content_part::Mode;
use ithaca_proto::v1::source_service_server::SourceService;
use ithaca_proto::v1::{ContentPart, GetContentRequest, PathRead};
use opentelemetry::KeyValue;
use opentelemetry::propagation::Extractor;
use tokio::sync::{Semaphore, mpsc, watch};
use tokio_stream::wrappers::ReceiverStream;
use tonic::metadata::MetadataMap;
use tonic::{Request, Response, Status};
use tracing::Instrument;
use tracing_opentelemetry::OpenTelemetrySpanExt;

use crate::cache::Handle;
use crate::metrics::Metrics;
use crate::reads::{Entry, Kind};
use crate::registry::{Registry, Repository};
use crate::repository::{RepositoryError, RepositoryKey};
use crate::sops::{self, Keys};

const MIB: u64 = 1 << 20;
const PART: usize = 1 << 20;
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
        let GetContentRequest { repository, revision, reads, chart, scope } = request;
        let key = RepositoryKey::new(&repository, &chart, self.allow_files)
            .map_err(|error| Status::invalid_argument(error.to_string()))?
            .within(&scope);
        let repository = self
            .registry
            .get(&key)
            .ok_or_else(|| Status::not_found(format!("repository {key} is used by no application")))?;
        repository.ensure(revision.clone()).await.map_err(|error| Status::not_found(error.to_string()))?;
        let permit = self.permits.clone().acquire_owned().await;
        let (parts, stream) = mpsc::channel(WAITING);
        let (limits, metrics, keys) = (self.limits, self.metrics.clone(), self.keys.borrow().clone());
        tokio::task::spawn_blocking(move || {
            let _permit = permit;
            let mut sender = Sender { parts, limits, keys, bytes: 0, files: 0 };
            if let Err(Stop::Failed(status)) = send_all(&repository, &revision, reads, &mut sender) {
                let _ = sender.parts.blocking_send(Err(status));
            }
            metrics.served.add(sender.bytes, &[KeyValue::new("repository", key.to_string())]);
        });
        Ok(Response::new(ReceiverStream::new(stream)))
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

/// Why no more is sent.
enum Stop {
    /// The reader has gone.
    Gone,
    /// The reader is to be told.
    Failed(Status),
}

/// Sends parts, decrypts what is encrypted, and keeps the limits.
struct Sender {
    parts: mpsc::Sender<Result<ContentPart, Status>>,
    limits: ContentLimits,
    keys: Keys,
    bytes: u64,
    files: u64,
}

fn send_all(
    repository: &Repository,
    revision: &str,
    reads: Vec<PathRead>,
    sender: &mut Sender,
) -> Result<(), Stop> {
    let cache_failed = |error: RepositoryError| Stop::Failed(Status::unavailable(error.to_string()));
    let handle = repository.handle().map_err(cache_failed)?;
    let snapshot = handle.snapshot(revision).map_err(cache_failed)?;
    let found = reads.into_iter().filter_map(|read| {
        let path = read.path.trim_matches('/').to_owned();
        let entry = as_read(&handle, &read.object_id, snapshot.entry(&path))?;
        Some((path, entry))
    });
    // A stack of what is still to be sent, the first on top.
    let mut stack = in_order(found.collect());
    stack.reverse();
    while let Some((path, entry)) = stack.pop() {
        if entry.kind == Kind::Folder {
            let below = snapshot.list_folder(&entry.id).into_iter().rev();
            let join = |name: String| if path.is_empty() { name } else { format!("{path}/{name}") };
            stack.extend(below.map(|(name, entry)| (join(name), entry)));
        } else {
            send_file(&handle, path, &entry, sender)?;
        }
    }
    Ok(())
}

/// What was read at a path: of an application that names its paths that may be older than what is there now.
fn as_read(handle: &Handle<'_>, id: &str, there: Option<Entry>) -> Option<Entry> {
    let is_there = |entry: &Entry| id.is_empty() || entry.id == id;
    if there.as_ref().is_some_and(is_there) {
        return there;
    }
    let older = git2::Oid::from_str(id).ok().and_then(|id| handle.find_object(id, None).ok());
    let kind = match (older.and_then(|object| object.kind()), &there) {
        (Some(git2::ObjectType::Tree), _) => Kind::Folder,
        (Some(git2::ObjectType::Blob), Some(Entry { kind: Kind::Folder | Kind::Module, .. }) | None) => {
            Kind::File
        }
        (Some(git2::ObjectType::Blob), Some(entry)) => entry.kind,
        // It is in the cache no more: then what is there now has to do.
        _ => return there,
    };
    Some(Entry { id: id.to_owned(), kind })
}

/// Sorts as the paths of the files will be, and leaves out what lies in a folder that is there as well.
fn in_order(mut entries: Vec<(String, Entry)>) -> Vec<(String, Entry)> {
    let sort_key = |(path, entry): &(String, Entry)| match entry.kind {
        Kind::Folder if !path.is_empty() => format!("{path}/"),
        _ => path.clone(),
    };
    entries.sort_by_key(sort_key);
    let mut kept: Vec<(String, Entry)> = Vec::with_capacity(entries.len());
    let mut folder: Option<String> = None;
    for (path, entry) in entries {
        let is_covered = folder.as_ref().is_some_and(|folder| path.starts_with(folder.as_str()))
            || kept.last().is_some_and(|(last, _)| *last == path);
        if is_covered {
            continue;
        }
        if entry.kind == Kind::Folder {
            folder = Some(if path.is_empty() { String::new() } else { format!("{path}/") });
        }
        kept.push((path, entry));
    }
    kept
}

fn send_file(handle: &Handle<'_>, path: String, entry: &Entry, sender: &mut Sender) -> Result<(), Stop> {
    let mode = match entry.kind {
        Kind::Executable => Mode::Executable,
        Kind::Link => Mode::Symlink,
        Kind::File => Mode::File,
        Kind::Folder => return Ok(()),
        Kind::Module => {
            return Err(Stop::Failed(Status::unavailable(format!("submodule {path} is not fetched"))));
        }
    };
    let failed = |error: git2::Error| {
        Stop::Failed(Status::unavailable(format!("failed to read {path}: {}", error.message())))
    };
    let id = git2::Oid::from_str(&entry.id).map_err(failed)?;
    let odb = handle.odb().map_err(failed)?;
    let (size, _) = odb.read_header(id).map_err(failed)?;
    sender.count(&path, size as u64)?;
    let blob = handle.find_blob(id).map_err(failed)?;
    let decrypted = sops::decrypt(&path, blob.content(), &sender.keys).map_err(|error| {
        Stop::Failed(Status::failed_precondition(format!("failed to decrypt {path}: {error}")))
    })?;
    let content = decrypted.as_deref().unwrap_or(blob.content());
    let mut at = 0;
    loop {
        let end = content.len().min(at + PART);
        let part = ContentPart {
            path: path.clone(),
            mode: mode.into(),
            data: Bytes::copy_from_slice(&content[at..end]),
            last: end == content.len(),
        };
        sender.parts.blocking_send(Ok(part)).map_err(|_| Stop::Gone)?;
        if end == content.len() {
            return Ok(());
        }
        at = end;
    }
}

impl Sender {
    fn count(&mut self, path: &str, size: u64) -> Result<(), Stop> {
        self.bytes += size;
        self.files += 1;
        let ContentLimits { total, file, files } = self.limits;
        let excess = if size > file {
            format!("file {path} has {} MiB, and at most {} are served", size.div_ceil(MIB), file / MIB)
        } else if self.bytes > total {
            format!("the source's files have more than {} MiB (at {path})", total / MIB)
        } else if self.files > files {
            format!("the source has more than {files} files (at {path})")
        } else {
            return Ok(());
        };
        Err(Stop::Failed(Status::resource_exhausted(excess)))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::time::Duration;

    use super::*;
    use crate::credentials::Credentials;
    use crate::git::Limits;

    /// Of an application that says which paths concern it, what was read may be older than the revision.
    #[tokio::test]
    async fn what_was_read_is_served_whatever_the_revision_holds() -> anyhow::Result<()> {
        let folder = tempfile::tempdir()?;
        let upstream = git2::Repository::init_bare(folder.path().join("upstream"))?;
        let author = git2::Signature::now("Ada", "ada@example.com")?;
        let mut blobs = Vec::new();
        let mut parents = Vec::new();
        for text in ["one", "two"] {
            let mut tree = upstream.treebuilder(None)?;
            let blob = upstream.blob(text.as_bytes())?;
            tree.insert("a.yaml", blob, 0o100644)?;
            let tree = upstream.find_tree(tree.write()?)?;
            let parent: Vec<_> = parents.iter().collect();
            let commit = upstream.commit(Some("HEAD"), &author, &author, "Change", &tree, &parent)?;
            parents = vec![upstream.find_commit(commit)?];
            blobs.push(blob.to_string());
        }
        let limits = Limits { silence: Duration::from_secs(5), call: Duration::from_secs(10) };
        let credentials = Credentials::new(watch::channel(None).1, limits.silence);
        let (cache, archives) = (folder.path().join("cache"), crate::archive::ArchiveLimits::of_mib(1));
        let registry = Registry::new(cache, limits, archives, credentials, Metrics::new());
        let key =
            RepositoryKey::new(&format!("file://{}", folder.path().join("upstream").display()), "", true)?;
        let repository = registry.open(&key);
        let observed = repository.observe(BTreeSet::from(["HEAD".to_owned()]), false).await?;
        let commit = observed["HEAD"].clone()?.commit;
        let handle = repository.handle()?;
        let there = || Some(Entry { id: blobs[1].clone(), kind: Kind::Executable });
        let read = |id: &str, there| as_read(&handle, id, there).map(|entry| (entry.id, entry.kind));
        assert_eq!(handle.snapshot(&commit)?.entry("a.yaml").map(|entry| entry.id), Some(blobs[1].clone()));
        assert_eq!(read(&blobs[0], there()), Some((blobs[0].clone(), Kind::Executable)));
        assert_eq!(read(&blobs[0], None), Some((blobs[0].clone(), Kind::File)));
        assert_eq!(read("", there()), Some((blobs[1].clone(), Kind::Executable)));
        // What the cache has lost is what is there now.
        let lost = "0123456789012345678901234567890123456789";
        assert_eq!(read(lost, there()), Some((blobs[1].clone(), Kind::Executable)));
        assert_eq!(read(lost, None), None);
        Ok(())
    }

    #[test]
    fn asked_paths_are_sent_in_order_and_once() {
        let entry = |path: &str| {
            let kind = if path.contains('.') { Kind::File } else { Kind::Folder };
            (path.to_owned(), Entry { id: String::new(), kind })
        };
        let order = |paths: &[&str]| -> Vec<String> {
            in_order(paths.iter().map(|path| entry(path)).collect())
                .into_iter()
                .map(|(path, _)| path)
                .collect()
        };
        assert_eq!(order(&["b", "a/x.yaml", "a"]), ["a", "b"]);
        assert_eq!(order(&["a", "a.txt"]), ["a.txt", "a"]);
        assert_eq!(order(&["a.txt", "a.txt"]), ["a.txt"]);
        assert_eq!(order(&["", "a", "b.txt"]), [""]);
    }
}

//! The content of sources: paths at revisions come in, the watcher is asked over gRPC, trees go out.
//! Sources of one repository at one revision are asked for together.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use ithaca_api::without_credentials;
use ithaca_proto::v1::source_service_client::SourceServiceClient;
use ithaca_proto::v1::{Attachment, ContentPart, Failure, GetContentRequest, PathRead, content_part::Mode};
use opentelemetry::propagation::Injector;
use tonic::metadata::{MetadataKey, MetadataMap, MetadataValue};
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Status};
use tracing_opentelemetry::OpenTelemetrySpanExt;

use crate::failure;
use crate::request::SourceRequest;
use crate::tree::{Entry, Tree, TreeError};

/// Beyond this the watcher is taken for lost.
const TIMEOUT: Duration = Duration::from_secs(120);

/// So often content is asked for before it is told that a remote does not give it: it may only be out of breath.
const PATIENCE: u64 = 5;

/// Why there is no content.
#[derive(Debug, thiserror::Error)]
pub enum ContentError {
    /// The watcher's address.
    #[error("failed to read the watcher's address \"{url}\"")]
    Address {
        /// As given.
        url: String,
        /// Why.
        #[source]
        source: tonic::transport::Error,
    },
    /// The watcher said no, or nothing.
    #[error("failed to get the content of {} at {revision}: {}", without_credentials(.repository), .status.message())]
    Watcher {
        /// The repository.
        repository: String,
        /// The revision.
        revision: String,
        /// What it said.
        status: Box<Status>,
    },
    /// The watcher said something that cannot be.
    #[error("failed to read the content of {} at {revision}: {cause}", without_credentials(.repository))]
    Tree {
        /// The repository.
        repository: String,
        /// The revision.
        revision: String,
        /// Why.
        cause: TreeError,
    },
    /// Too much for this process.
    #[error(
        "failed to read the content of {} at {revision}: it is larger than the limit of {limit} bytes",
        without_credentials(.repository)
    )]
    TooLarge {
        /// The repository.
        repository: String,
        /// The revision.
        revision: String,
        /// Bytes.
        limit: u64,
    },
}

/// A connection to the watcher, made when it is needed.
#[derive(Clone, Debug)]
pub struct Watcher {
    client: SourceServiceClient<Channel>,
    limit: u64,
}

impl Watcher {
    /// Prepares to ask the watcher at `url`; `limit` is what the sources of one application may have, in bytes.
    ///
    /// # Errors
    /// When `url` is none.
    pub fn new(url: &str, limit: u64) -> Result<Self, ContentError> {
        let endpoint = Endpoint::from_shared(url.to_owned())
            .map_err(|source| ContentError::Address { url: url.to_owned(), source })?
            .connect_timeout(Duration::from_secs(5))
            .http2_keep_alive_interval(Duration::from_secs(20))
            .keep_alive_timeout(Duration::from_secs(10));
        Ok(Self { client: SourceServiceClient::new(endpoint.connect_lazy()), limit })
    }

    /// The tree of each of `sources`, with what it reads and nothing else.
    ///
    /// # Errors
    /// When the watcher cannot be asked, or does not have it.
    pub async fn trees(&self, sources: &[SourceRequest]) -> Result<Vec<Arc<Tree>>, ContentError> {
        let mut fetched = BTreeMap::new();
        for (place, reads) in grouped(sources) {
            let tree = self.fetch(place, reads).await?;
            fetched.insert(place, tree);
        }
        sources.iter().map(|source| assembled(source, &fetched).map(Arc::new)).collect()
    }

    async fn fetch(
        &self,
        Place { repository, chart, scope, lfs, is_value_file, revision }: Place<'_>,
        reads: Vec<PathRead>,
    ) -> Result<Tree, ContentError> {
        if reads.is_empty() {
            return Ok(Tree::default());
        }
        let failed = |status: Status| ContentError::Watcher {
            repository: repository.to_owned(),
            revision: revision.to_owned(),
            status: Box::new(status),
        };
        let mut request = tonic::Request::new(GetContentRequest {
            repository: repository.to_owned(),
            chart: chart.to_owned(),
            scope: scope.to_owned(),
            lfs,
            is_value_file,
            revision: revision.to_owned(),
            reads,
        });
        inject(request.metadata_mut());
        let mut client = self.client.clone();
        let reading = async {
            let mut parts = client.get_content(request).await.map_err(failed)?.into_inner();
            let mut reading = Reading::default();
            while let Some(part) = parts.message().await.map_err(failed)? {
                reading.take(part).map_err(|cause| ContentError::Tree {
                    repository: repository.to_owned(),
                    revision: revision.to_owned(),
                    cause,
                })?;
                if reading.bytes > self.limit {
                    return Err(ContentError::TooLarge {
                        repository: repository.to_owned(),
                        revision: revision.to_owned(),
                        limit: self.limit,
                    });
                }
            }
            if reading.file.is_empty() {
                Ok(reading.tree)
            } else {
                Err(failed(Status::data_loss("a file does not end")))
            }
        };
        let late = || Err(failed(Status::deadline_exceeded("the watcher does not answer")));
        tokio::time::timeout(TIMEOUT, reading).await.unwrap_or_else(|_| late())
    }
}

impl ContentError {
    /// Whether asking again can help. `attempt` counts from 1: what the watcher has lost it may find again.
    pub fn is_ours(&self, attempt: u64) -> bool {
        match self {
            Self::Address { .. } => true,
            Self::Watcher { status, .. } => match status.code() {
                Code::InvalidArgument
                | Code::FailedPrecondition
                | Code::ResourceExhausted
                | Code::OutOfRange => false,
                Code::NotFound => attempt < PATIENCE,
                _ => true,
            },
            Self::Tree { .. } | Self::TooLarge { .. } => false,
        }
    }

    /// What is told of content that a remote does not give the watcher, at the attempt of this number (from 1): it is asked
    /// for again, for what keeps the remote from giving it need be no change of a source.
    pub fn to_tell(&self, attempt: u64) -> Option<Failure> {
        let is_remote = matches!(self, Self::Watcher { status, .. } if status.code() == Code::Aborted);
        (is_remote && attempt >= PATIENCE).then(|| failure::source(self.to_string()))
    }
}

/// A repository at a revision.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Place<'a> {
    repository: &'a str,
    chart: &'a str,
    scope: &'a str,
    lfs: bool,
    is_value_file: bool,
    revision: &'a str,
}

fn place(source: &SourceRequest) -> Place<'_> {
    let SourceRequest { repository, chart, scope, revision, .. } = source;
    Place { repository, chart, scope, lfs: source.lfs, is_value_file: false, revision }
}

/// Where the files of an attachment are; none where they are the source's own.
fn elsewhere(attachment: &Attachment) -> Option<Place<'_>> {
    let Attachment { repository, chart, scope, revision, .. } = attachment;
    let is_value_file = chart.is_empty() && attachment.read.is_some();
    let place = Place { repository, chart, scope, lfs: false, is_value_file, revision };
    (!repository.is_empty()).then_some(place)
}

/// The tree of a source: what it reads of its repository, and what is laid into that.
fn assembled(source: &SourceRequest, fetched: &BTreeMap<Place<'_>, Tree>) -> Result<Tree, ContentError> {
    let whole = fetched.get(&place(source));
    let mut tree =
        whole.map(|tree| tree.part(source.reads.iter().map(|read| read.path.as_str()))).unwrap_or_default();
    for attachment in &source.attachments {
        let from = attachment.read.as_ref().map_or("", |read| read.path.as_str());
        let parts = || attachment.reads.iter().map(|read| read.path.as_str());
        let laid = match elsewhere(attachment).map(|place| fetched.get(&place)) {
            Some(None) => Ok(()),
            Some(Some(other)) if !attachment.reads.is_empty() => {
                tree.lay(&attachment.path, &other.part(parts()), from)
            }
            Some(Some(other)) => tree.lay(&attachment.path, other, from),
            None => {
                let own = tree.clone();
                tree.lay(&attachment.path, &own, from)
            }
        };
        laid.map_err(|cause| ContentError::Tree {
            repository: source.repository.clone(),
            revision: source.revision.clone(),
            cause,
        })?;
    }
    Ok(tree)
}

/// All reads by place, without those that lie below others and those where nothing is.
fn grouped(sources: &[SourceRequest]) -> BTreeMap<Place<'_>, Vec<PathRead>> {
    let mut places: BTreeMap<Place<'_>, BTreeMap<&str, &PathRead>> = BTreeMap::new();
    let own = sources.iter().flat_map(|source| source.reads.iter().map(|read| (place(source), read)));
    let attached = sources.iter().flat_map(|source| &source.attachments);
    let attached = attached.filter_map(|attachment| Some((elsewhere(attachment)?, attachment)));
    let attached = attached.flat_map(|(place, attachment)| {
        attachment.read.iter().chain(&attachment.reads).map(move |read| (place, read))
    });
    for (place, read) in own.chain(attached).filter(|(_, read)| !read.object_id.is_empty()) {
        places.entry(place).or_default().insert(&read.path, read);
    }
    let outermost = |reads: BTreeMap<&str, &PathRead>| {
        let is_below = |path: &str| {
            let above = path.match_indices('/').any(|(end, _)| reads.contains_key(&path[..end]));
            above || !path.is_empty() && reads.contains_key("")
        };
        reads.iter().filter(|(path, _)| !is_below(path)).map(|(_, read)| (*read).clone()).collect()
    };
    places.into_iter().map(|(place, reads)| (place, outermost(reads))).collect()
}

/// Parts on their way to a tree.
#[derive(Default)]
struct Reading {
    tree: Tree,
    file: Vec<u8>,
    bytes: u64,
}

impl Reading {
    fn take(&mut self, part: ContentPart) -> Result<(), TreeError> {
        self.bytes += (part.data.len() + part.path.len()) as u64;
        let mode = part.mode();
        if !part.last {
            self.file.extend_from_slice(&part.data);
            return Ok(());
        }
        let data = if self.file.is_empty() {
            part.data
        } else {
            let mut file = std::mem::take(&mut self.file);
            file.extend_from_slice(&part.data);
            file.into()
        };
        let entry = match mode {
            Mode::Symlink => Entry::Link(String::from_utf8_lossy(&data).into_owned()),
            Mode::Executable => Entry::File { data, executable: true },
            Mode::File | Mode::Unspecified => Entry::File { data, executable: false },
        };
        self.tree.insert(part.path, entry)
    }
}

/// The current trace goes on at the watcher.
fn inject(metadata: &mut MetadataMap) {
    let context = tracing::Span::current().context();
    opentelemetry::global::get_text_map_propagator(|propagator| {
        propagator.inject_context(&context, &mut Headers(metadata))
    });
}

struct Headers<'a>(&'a mut MetadataMap);

impl Injector for Headers<'_> {
    fn set(&mut self, key: &str, value: String) {
        if let (Ok(key), Ok(value)) =
            (MetadataKey::from_bytes(key.as_bytes()), MetadataValue::try_from(value))
        {
            self.0.insert(key, value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(revision: &str, reads: &[&str]) -> SourceRequest {
        let read = |path: &&str| PathRead { path: (*path).to_owned(), object_id: "1".to_owned() };
        SourceRequest {
            repository: "r".to_owned(),
            revision: revision.to_owned(),
            reads: reads.iter().map(read).collect(),
            ..Default::default()
        }
    }

    fn asked(sources: &[SourceRequest]) -> Vec<Vec<String>> {
        let paths = |reads: Vec<PathRead>| reads.into_iter().map(|read| read.path).collect();
        grouped(sources).into_values().map(paths).collect()
    }

    #[test]
    fn sources_of_one_revision_are_asked_for_together_and_nothing_twice() {
        assert_eq!(
            asked(&[source("1", &["a", "b/c"]), source("1", &["b", "a"]), source("2", &["a"])]),
            [vec!["a", "b"], vec!["a"]]
        );
        assert_eq!(asked(&[source("1", &["a"]), source("1", &[""])]), [vec![""]]);
        assert_eq!(asked(&[source("1", &["a", "ab", "a-b/c"])]), [vec!["a", "a-b/c", "ab"]]);
    }

    #[test]
    fn an_error_shows_no_credentials_of_a_url() {
        let (repository, revision) = ("https://me:secret@example.org/a".to_owned(), "1".to_owned());
        let status = Box::new(Status::data_loss("a file does not end"));
        for error in [
            ContentError::TooLarge { repository: repository.clone(), revision: revision.clone(), limit: 1 },
            ContentError::Watcher { repository: repository.clone(), revision: revision.clone(), status },
            ContentError::Tree { repository, revision, cause: TreeError::Path("..".to_owned()) },
        ] {
            let told = error.to_string();
            assert!(told.contains(" https://example.org/a at 1") && !told.contains("secret"), "{told}");
        }
    }

    #[test]
    fn large_files_come_in_parts() {
        let mut reading = Reading::default();
        let part = |path: &str, data: &'static [u8], last| ContentPart {
            path: path.to_owned(),
            mode: 1,
            data: data.into(),
            last,
        };
        for part in [part("a", b"1", false), part("a", b"2", true), part("b", b"3", true)] {
            reading.take(part).expect("a plain path");
        }
        let texts: Vec<_> =
            reading.tree.entries().map(|(path, entry)| (path.to_owned(), entry.clone())).collect();
        let file = |data: &'static [u8]| Entry::File { data: data.into(), executable: false };
        assert_eq!(texts, [("a".to_owned(), file(b"12")), ("b".to_owned(), file(b"3"))]);
    }
}

//! Files as parts of a stream, within limits. Blocks on the cache and on the reader.
//!
//! In: what is asked for, where the contents of Git LFS are. Out: parts; what SOPS encrypted is decrypted on the way.

use std::collections::BTreeMap;

use bytes::Bytes;
use git2::Oid;
use ithaca_proto::v1::content_part::Mode;
use ithaca_proto::v1::{ContentPart, PathRead};
use tokio::sync::mpsc;
use tonic::Status;

use super::files::walk;
use super::{ContentLimits, MIB};
use crate::cache::Handle;
use crate::git::{LONGEST_POINTER, Objects, Pointer};
use crate::reads::{Entry, Kind};
use crate::registry::Repository;
use crate::repository::RepositoryError;
use crate::sops::{self, Keys};

const PART: usize = 1 << 20;

/// What is asked for.
pub(super) struct Asked {
    pub(super) repository: Repository,
    pub(super) revision: String,
    pub(super) reads: Vec<PathRead>,
}

/// Why no more is sent.
pub(super) enum Stop {
    /// The reader has gone.
    Gone,
    /// The reader is to be told.
    Failed(Status),
}

impl From<RepositoryError> for Stop {
    fn from(error: RepositoryError) -> Self {
        Self::Failed(Status::unavailable(error.to_string()))
    }
}

/// Counts what one request is given.
pub(super) struct Tally {
    limits: ContentLimits,
    bytes: u64,
    files: u64,
}

/// Sends parts, decrypts what is encrypted, and keeps the limits.
pub(super) struct Sender {
    pub(super) parts: mpsc::Sender<Result<ContentPart, Status>>,
    pub(super) tally: Tally,
    pub(super) keys: Keys,
    /// The contents of Git LFS, where they stand for their pointers.
    pub(super) objects: Option<Objects>,
}

/// Sends all that is asked for.
pub(super) fn send_all(asked: &Asked, sender: &mut Sender) -> Result<(), Stop> {
    let handle = asked.repository.handle()?;
    let snapshot = handle.snapshot(&asked.revision)?;
    walk(&handle, &snapshot, &asked.reads, |path, entry| send_file(&handle, path, entry, sender))
}

/// The pointers of Git LFS in what is asked for, by their paths. What they point at has to keep the limits.
pub(super) fn pointers(asked: &Asked, limits: ContentLimits) -> Result<BTreeMap<String, Pointer>, Status> {
    let mut found = BTreeMap::new();
    let mut tally = Tally::new(limits);
    let searched = asked.repository.handle().map_err(Stop::from).and_then(|handle| {
        let snapshot = handle.snapshot(&asked.revision)?;
        let odb = handle.odb().map_err(|error| failed(&asked.revision, &error))?;
        walk(&handle, &snapshot, &asked.reads, |path, entry| {
            let id = Oid::from_str(&entry.id).map_err(|error| failed(&path, &error))?;
            let is_file = matches!(entry.kind, Kind::File | Kind::Executable);
            let is_short = is_file && odb.read_header(id).is_ok_and(|(size, _)| size <= LONGEST_POINTER);
            let blob = if is_short { handle.find_blob(id).ok() } else { None };
            if let Some(pointer) = blob.and_then(|blob| Pointer::parse(blob.content())) {
                tally.count(&path, pointer.size)?;
                found.insert(path, pointer);
            }
            Ok(())
        })
    });
    match searched {
        Err(Stop::Failed(status)) => Err(status),
        Ok(()) | Err(Stop::Gone) => Ok(found),
    }
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
    let failed = |error: git2::Error| failed(&path, &error);
    let id = Oid::from_str(&entry.id).map_err(failed)?;
    let odb = handle.odb().map_err(failed)?;
    let (size, _) = odb.read_header(id).map_err(failed)?;
    sender.tally.count(&path, size as u64)?;
    let blob = handle.find_blob(id).map_err(failed)?;
    let object = sender.object(&path, mode, blob.content())?;
    let content = object.as_deref().unwrap_or(blob.content());
    let decrypted = sops::decrypt(&path, content, &sender.keys).map_err(|error| {
        Stop::Failed(Status::failed_precondition(format!("failed to decrypt {path}: {error}")))
    })?;
    let content = decrypted.as_deref().unwrap_or(content);
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

fn failed(path: &str, error: &git2::Error) -> Stop {
    Stop::Failed(Status::unavailable(format!("failed to read {path}: {}", error.message())))
}

impl Sender {
    /// What a file points at, if it is a pointer and those stand for files.
    fn object(&mut self, path: &str, mode: Mode, text: &[u8]) -> Result<Option<Vec<u8>>, Stop> {
        let Some(objects) = self.objects.as_ref().filter(|_| mode != Mode::Symlink) else { return Ok(None) };
        let Some(pointer) = Pointer::parse(text) else { return Ok(None) };
        self.tally.count(path, pointer.size)?;
        // It was fetched a moment ago: whoever asks again has it fetched anew.
        let gone =
            || Stop::Failed(Status::unavailable(format!("the content of {path} is in the cache no more")));
        objects.read(&pointer).map(Some).ok_or_else(gone)
    }
}

impl Tally {
    pub(super) fn new(limits: ContentLimits) -> Self {
        Self { limits, bytes: 0, files: 0 }
    }

    /// Bytes in all.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    fn count(&mut self, path: &str, size: u64) -> Result<(), Stop> {
        self.bytes = self.bytes.saturating_add(size);
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

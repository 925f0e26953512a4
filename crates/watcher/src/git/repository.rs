//! One repository as the rest of the watcher sees it: observe revisions, have commits, read them.
//!
//! Calls to the remote run one at a time, on threads that may block, and end after a time limit.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use git2::{ErrorCode, ObjectType, Oid};
use ithaca_api::repository::is_ssh;
use ithaca_chassis::Timer;
use sha2::{Digest, Sha256};

use super::lfs::{Lfs, Objects, Pointer};
use super::limits::Limits;
use super::line::{HttpLine, Line};
use super::modules::{self, Module};
use super::refs::{Named, Refs, TAGS};
use super::remote::{Fetch, exchange, kept};
use super::ssh::SshLine;
use crate::cache::{Cache, Caches, Handle, Histories, has_commit, has_tag, small_text};
use crate::credentials::{Access, Credentials};
use crate::metrics::Metrics;
use crate::repository::{Observation, RepositoryError, RepositoryKey, Resolved, Tag, Wanted};

/// How much longer than its limit a call is waited for before it is given up.
const GRACE: Duration = Duration::from_secs(2);

/// Where a commit says where Git LFS has its files, and where those are kept.
const LFS_CONFIG: &str = ".lfsconfig";
const LFS_FOLDER: &str = "lfs";

/// How many submodules one commit may have, theirs included.
const MOST_MODULES: usize = 64;

/// A remote repository and its cache; cheap to clone.
#[derive(Clone)]
pub struct GitRepository {
    inner: Arc<Inner>,
}

struct Inner {
    key: RepositoryKey,
    cache: Cache,
    limits: Limits,
    credentials: Credentials,
    metrics: Metrics,
    remote: Arc<tokio::sync::Mutex<()>>,
    histories: Mutex<Histories>,
    lfs: Lfs,
}

impl GitRepository {
    /// A repository with its cache. Touches neither disk nor network yet.
    pub fn new(
        key: RepositoryKey,
        caches: &Caches,
        limits: Limits,
        credentials: Credentials,
        metrics: Metrics,
    ) -> Self {
        let cache = caches.of(&key);
        let remote = Arc::new(tokio::sync::Mutex::new(()));
        let histories = Mutex::default();
        let lfs = Lfs::new(key.clone(), credentials.clone(), limits, Objects::new(cache.beside(LFS_FOLDER)));
        Self { inner: Arc::new(Inner { key, cache, limits, credentials, metrics, remote, histories, lfs }) }
    }

    /// Asks the remote once what the revisions are, and fetches the commits that are not here yet; with proof, all that
    /// they descend from as well. An error concerns the repository as a whole.
    pub async fn observe(
        &self,
        revisions: BTreeSet<String>,
        with_proof: bool,
    ) -> Result<Observation, RepositoryError> {
        // History that is not to be had costs a call, and files are had by another.
        let calls = if with_proof { 2 } else { 1 };
        self.blocking(calls, move |inner| inner.observe(&revisions, with_proof)).await
    }

    /// Makes sure that a commit is here. One that is waits for no call to the remote.
    pub async fn ensure(&self, commit: String) -> Result<(), RepositoryError> {
        let (inner, wanted) = (self.inner.clone(), commit.clone());
        let here = tokio::task::spawn_blocking(move || inner.has(&wanted)).await;
        if here.is_ok_and(|here| here.unwrap_or(false)) {
            return Ok(());
        }
        self.blocking(1, move |inner| {
            if inner.has(&commit)? {
                return Ok(());
            }
            let id = inner.parse(&commit)?;
            inner.fetch_commit(id)?;
            inner.fetch_modules(id);
            Ok(())
        })
        .await
    }

    /// Has what pointers of Git LFS at these paths of a commit point at, and gives where it is.
    pub async fn objects(
        &self,
        commit: &str,
        files: &BTreeMap<String, Pointer>,
    ) -> Result<&Objects, RepositoryError> {
        let (inner, commit) = (self.inner.clone(), commit.to_owned());
        let config = tokio::task::spawn_blocking(move || {
            inner.cache.handle()?.snapshot(&commit).map(|snapshot| snapshot.text(LFS_CONFIG))
        });
        let config = config.await;
        let config =
            config.map_err(|error| RepositoryError::of_cache(&self.inner.key.to_string(), error))??;
        self.inner.lfs.fetch(files, config.as_deref()).await?;
        Ok(self.inner.lfs.objects())
    }

    /// A view on all that is here. Blocks, as do all uses of it.
    pub fn handle(&self) -> Result<Handle<'_>, RepositoryError> {
        self.inner.cache.handle()
    }

    /// Takes the cache out of the way, and returns the folder that is left to be deleted. What still runs fails.
    pub fn set_cache_aside(&self) -> Option<PathBuf> {
        self.inner.cache.set_aside()
    }

    async fn blocking<T: Send + 'static>(
        &self,
        calls: u32,
        work: impl FnOnce(&Inner) -> Result<T, RepositoryError> + Send + 'static,
    ) -> Result<T, RepositoryError> {
        let inner = self.inner.clone();
        let limit = inner.limits.call * calls + inner.limits.silence + GRACE;
        let name = inner.key.to_string();
        let done = tokio::time::timeout(limit, async move {
            // The lock goes with the work, which may outlive this call when the remote hangs.
            let lock = inner.remote.clone().lock_owned().await;
            tokio::task::spawn_blocking(move || {
                let _lock = lock;
                work(&inner)
            })
            .await
        });
        match done.await {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(error)) => Err(RepositoryError::of_cache(&name, error)),
            Err(_) => Err(RepositoryError::Timeout { repository: name, limit }),
        }
    }
}

impl Inner {
    fn has(&self, commit: &str) -> Result<bool, RepositoryError> {
        let id = self.parse(commit)?;
        Ok(has_commit(&*self.cache.handle()?, id))
    }

    fn observe(
        &self,
        revisions: &BTreeSet<String>,
        with_proof: bool,
    ) -> Result<Observation, RepositoryError> {
        let (mut refs, mut fetches) = (self.list_into_cache(revisions, with_proof), true);
        if let Err(error @ (RepositoryError::Timeout { .. } | RepositoryError::Remote { .. })) = &refs
            && with_proof
        {
            // Who asks for files alone is none the worse.
            tracing::warn!(%error, repository = %self.key, "failed to fetch history");
            fetches = false;
            refs = self.list_into_cache(revisions, false);
        }
        // Whether the remote or the cache is at fault cannot always be told.
        if refs.is_err() {
            self.cache.close();
        }
        let refs = refs?;
        let settle = |revision: &String| {
            let mut settled = self.settle(&refs, Wanted::of(revision));
            if with_proof {
                settled = settled.and_then(|resolved| self.prove(resolved, fetches));
            }
            (revision.clone(), settled)
        };
        let observed: Observation = revisions.iter().map(settle).collect();
        let commits: BTreeSet<&String> =
            observed.values().flatten().map(|resolved| &resolved.commit).collect();
        commits.iter().filter_map(|commit| self.parse(commit).ok()).for_each(|id| self.fetch_modules(id));
        Ok(observed)
    }

    /// Fetches what the submodules of a commit hold, and theirs. One that cannot be had is not there for whoever reads
    /// it, and concerns nobody else.
    fn fetch_modules(&self, commit: Oid) {
        let deadline = Instant::now() + self.limits.call;
        let mut parents = vec![(self.key.clone(), commit)];
        let mut count = 0;
        while let Some((parent, commit)) = parents.pop() {
            for (module, id) in self.modules(commit) {
                count += 1;
                if count > MOST_MODULES || Instant::now() > deadline {
                    tracing::warn!(repository = %self.key, "there are too many submodules, or they take too long");
                    return;
                }
                let fetched = modules::key(&parent, &module.url)
                    .and_then(|key| self.fetch_module(&key, id).map(|()| parents.push((key, id))));
                if let Err(error) = fetched {
                    tracing::warn!(%error, repository = %self.key, path = module.path, "failed to fetch a submodule");
                }
            }
        }
    }

    /// The submodules of a commit that is here, each with the commit that it is at.
    fn modules(&self, commit: Oid) -> Vec<(Module, Oid)> {
        let Ok(cache) = self.cache.handle() else { return Vec::new() };
        let Ok(tree) = cache.find_commit(commit).and_then(|commit| commit.tree()) else { return Vec::new() };
        let Some(text) = tree.get_name(".gitmodules").and_then(|file| small_text(&cache, file.id())) else {
            return Vec::new();
        };
        let at = |module: Module| {
            let entry = tree.get_path(Path::new(&module.path)).ok()?;
            (entry.kind() == Some(ObjectType::Commit)).then(|| (module, entry.id()))
        };
        modules::parse(&String::from_utf8_lossy(&text)).into_iter().filter_map(at).collect()
    }

    /// Fetches the commit of a submodule into this cache.
    fn fetch_module(&self, key: &RepositoryKey, id: Oid) -> Result<(), RepositoryError> {
        let cache = self.cache.handle()?;
        let access = self.credentials.access(key)?;
        let apart = hex::encode(&Sha256::digest(key.url())[..8]);
        let mut last = None;
        for fetch in [Fetch::Commit(id), Fetch::EverythingOf(apart)] {
            if has_commit(&cache, id) {
                return Ok(());
            }
            let line = self.line(key, &access)?;
            last = exchange(&cache, key, (&access, line), self.limits, |_| Some(fetch)).err();
        }
        if has_commit(&cache, id) {
            return Ok(());
        }
        let unknown =
            || RepositoryError::UnknownRevision { repository: key.to_string(), revision: id.to_string() };
        Err(last.unwrap_or_else(unknown))
    }

    /// What a connection is made with. Waits where a token has to be asked for.
    fn line(&self, key: &RepositoryKey, access: &Access) -> Result<Line, RepositoryError> {
        if key.is_local() {
            return Ok(Line::Local);
        }
        if is_ssh(key.url()) {
            let line = SshLine::new(access, self.limits.silence);
            return line.map(Line::Ssh).map_err(|reason| RepositoryError::Remote {
                repository: key.to_string(),
                reason: reason.to_owned(),
            });
        }
        let client = self.credentials.client(key, access)?;
        let runtime = tokio::runtime::Handle::try_current()
            .map_err(|error| RepositoryError::of_cache(&key.to_string(), error))?;
        let authorization = runtime.block_on(self.credentials.authorization(key, access))?;
        Ok(Line::Http(HttpLine { client, authorization }))
    }

    fn list_into_cache(
        &self,
        revisions: &BTreeSet<String>,
        with_history: bool,
    ) -> Result<Refs, RepositoryError> {
        if self.cache.is_old() {
            self.cache.renew(|cache| self.list_and_fetch(cache, revisions, with_history))
        } else {
            self.cache.handle().and_then(|cache| self.list_and_fetch(&cache, revisions, with_history))
        }
    }

    /// A commit with all that it descends from, as far as that is to be had: whoever judges it sees what is missing.
    fn prove(&self, resolved: Resolved, fetches: bool) -> Result<Resolved, RepositoryError> {
        let commit = self.parse(&resolved.commit)?;
        let is_whole = self.has_history(&*self.cache.handle()?, commit);
        if !is_whole && fetches {
            let fetched = self.fetch(Fetch::Everything);
            let _ = fetched.inspect_err(|error| {
                tracing::warn!(%error, repository = %self.key, %commit, "failed to fetch the history of a commit");
            });
        }
        Ok(Resolved { proof: Some(Arc::default()), ..resolved })
    }

    fn has_history(&self, cache: &git2::Repository, commit: Oid) -> bool {
        self.histories.lock().unwrap_or_else(PoisonError::into_inner).has(cache, commit)
    }

    /// One connection: list, and fetch the tips that are named and not here, or whose history is wanted and is not.
    fn list_and_fetch(
        &self,
        cache: &git2::Repository,
        revisions: &BTreeSet<String>,
        with_history: bool,
    ) -> Result<Refs, RepositoryError> {
        let access = self.credentials.access(&self.key)?;
        let line = self.line(&self.key, &access)?;
        let timer = Timer::start(&self.metrics.ls_remote);
        let mut fetch_timer = None;
        let refs = exchange(cache, &self.key, (&access, line), self.limits, |refs| {
            self.metrics.listed(timer);
            let missing: BTreeSet<String> = revisions
                .iter()
                .filter_map(|revision| match refs.resolve(Wanted::of(revision)) {
                    Named::Reference(name, id) => {
                        let tag = refs.tag(&name);
                        let is_here = has_commit(cache, id)
                            && tag.is_none_or(|tag| has_tag(cache, tag))
                            && (!with_history || self.has_history(cache, id));
                        (!is_here).then_some(name)
                    }
                    _ => None,
                })
                .collect();
            fetch_timer = (!missing.is_empty()).then(|| Timer::start(&self.metrics.fetch));
            let fetch = if with_history { Fetch::Histories } else { Fetch::Tips };
            (!missing.is_empty()).then(|| fetch(missing.into_iter().collect()))
        });
        if let Some(timer) = fetch_timer {
            self.metrics.fetched(timer, refs.is_ok());
        }
        refs
    }

    /// What a revision names, after the tips were fetched.
    fn settle(&self, refs: &Refs, wanted: Wanted<'_>) -> Result<Resolved, RepositoryError> {
        let revision = wanted.revision;
        match refs.resolve(wanted) {
            Named::Reference(name, id) => {
                let (commit, object) = self.tip(&name, id, refs.tag(&name))?;
                let commit = commit.to_string();
                // The beginning of a commit's id means the commit, whatever points at it.
                let is_name = |tag: &str| tag == revision || name == revision;
                let is_id = commit.starts_with(&revision.to_ascii_lowercase());
                let tag = name.strip_prefix(TAGS).filter(|tag| is_name(tag) || !is_id).zip(object);
                let tag = tag.map(|(tag, id)| Tag { name: tag.to_owned(), id: id.to_string() });
                Ok(Resolved { tag, ..Resolved::commit(commit) })
            }
            Named::Commit(id) => {
                let missing = !has_commit(&*self.cache.handle()?, id);
                if missing {
                    self.fetch_commit(id).map_err(|error| self.as_unknown(revision, error))?;
                }
                Ok(Resolved::commit(id.to_string()))
            }
            Named::Prefix(prefix) => self.find_prefix(revision, &prefix).map(Resolved::commit),
            Named::Ambiguous => Err(self.ambiguous(revision)),
            Named::NoVersion => Err(RepositoryError::NoVersion {
                repository: self.key.to_string(),
                revision: revision.to_owned(),
                tag_prefix: wanted.tag_prefix.to_owned(),
            }),
            Named::Unknown => Err(self.unknown(revision)),
        }
    }

    /// The commit of a reference, and its object where it is an annotated tag. Someone may have pushed between listing
    /// and fetching: then they are what was fetched.
    fn tip(&self, name: &str, listed: Oid, tag: Option<Oid>) -> Result<(Oid, Option<Oid>), RepositoryError> {
        let cache = self.cache.handle()?;
        if has_commit(&cache, listed) && tag.is_none_or(|tag| has_tag(&cache, tag)) {
            return Ok((listed, tag));
        }
        let failed = |error: git2::Error| match error.code() {
            ErrorCode::NotFound | ErrorCode::Peel | ErrorCode::InvalidSpec => self.unknown(name),
            _ => RepositoryError::of_cache(&self.key.to_string(), error.message()),
        };
        let reference = cache.find_reference(&kept(name)).map_err(failed)?;
        let commit = reference.peel_to_commit().map_err(failed)?;
        let tag = reference.target().filter(|target| has_tag(&cache, *target));
        Ok((commit.id(), tag))
    }

    /// Fetches a commit that no listed reference points at: alone where the server allows that, else with
    /// all history.
    fn fetch_commit(&self, id: Oid) -> Result<(), RepositoryError> {
        let mut last = None;
        for fetch in [Fetch::Commit(id), Fetch::Search] {
            let outcome = self.fetch(fetch);
            if has_commit(&*self.cache.handle()?, id) {
                return Ok(());
            }
            last = outcome.err();
        }
        match last {
            Some(error) => Err(error),
            None => Err(self.not_found(&id.to_string())?),
        }
    }

    fn fetch(&self, fetch: Fetch) -> Result<(), RepositoryError> {
        let access = self.credentials.access(&self.key)?;
        let line = self.line(&self.key, &access)?;
        let cache = self.cache.handle()?;
        let timer = Timer::start(&self.metrics.fetch);
        let outcome = exchange(&cache, &self.key, (&access, line), self.limits, |_| Some(fetch));
        self.metrics.fetched(timer, outcome.is_ok());
        outcome.map(drop)
    }

    fn find_prefix(&self, revision: &str, prefix: &str) -> Result<String, RepositoryError> {
        if let Some(found) = self.search(revision, prefix)? {
            return Ok(found);
        }
        self.fetch(Fetch::Search)?;
        match self.search(revision, prefix)? {
            Some(found) => Ok(found),
            None => Err(self.not_found(revision)?),
        }
    }

    /// Searches the cache for the only commit that begins so.
    fn search(&self, revision: &str, prefix: &str) -> Result<Option<String>, RepositoryError> {
        let cache = self.cache.handle()?;
        match cache.find_object_by_prefix(prefix, Some(ObjectType::Commit)) {
            Ok(object) => Ok(Some(object.id().to_string())),
            Err(error) if error.code() == ErrorCode::Ambiguous => Err(self.ambiguous(revision)),
            Err(_) => Ok(None),
        }
    }

    fn parse(&self, commit: &str) -> Result<Oid, RepositoryError> {
        Oid::from_str(commit).map_err(|_| self.unknown(commit))
    }

    /// A server that will not give a commit by its id says so in many ways; all mean that it has none.
    fn as_unknown(&self, revision: &str, error: RepositoryError) -> RepositoryError {
        match error {
            RepositoryError::Remote { .. } | RepositoryError::UnknownRevision { .. } => {
                self.unknown(revision)
            }
            other => other,
        }
    }

    /// What it means that a commit is not in the history that was fetched.
    fn not_found(&self, revision: &str) -> Result<RepositoryError, RepositoryError> {
        let depth = self.credentials.access(&self.key)?.settings.depth.filter(|_| !self.key.is_local());
        let (repository, revision) = (self.key.to_string(), revision.to_owned());
        Ok(match depth {
            Some(depth) => RepositoryError::BeyondDepth { repository, revision, depth },
            None => RepositoryError::UnknownRevision { repository, revision },
        })
    }

    fn unknown(&self, revision: &str) -> RepositoryError {
        RepositoryError::UnknownRevision { repository: self.key.to_string(), revision: revision.to_owned() }
    }

    fn ambiguous(&self, revision: &str) -> RepositoryError {
        RepositoryError::AmbiguousRevision { repository: self.key.to_string(), revision: revision.to_owned() }
    }
}

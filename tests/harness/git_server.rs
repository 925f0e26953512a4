//! A Git server over HTTP: every bare repository of a folder, to read and to push, without accounts except where a test
//! protects one.
//!
//! In: Git's smart HTTP protocol. Out: the answers of `git http-backend`, and for each push a
//! GitHub-style webhook, so that a commit is applied at once. A push to an unknown `/name.git` creates it.
//! What tests store with Git LFS is served beside each repository.

mod backend;
mod lfs;
mod webhook;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Context;
use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::StatusCode;
use http::header::{AUTHORIZATION, WWW_AUTHENTICATE};
use tokio::sync::oneshot;

use crate::{Repository, port};

/// The running server; it ends when this is dropped.
pub struct GitServer {
    /// `http://127.0.0.1:<port>`; repositories are below it.
    pub url: String,
    shared: Arc<Shared>,
    _stop: oneshot::Sender<()>,
}

struct Shared {
    /// Holds the bare repositories.
    folder: PathBuf,
    url: String,
    /// Where pushes are told.
    webhook: Mutex<Option<String>>,
    /// The header that tells who may read a repository; all may read others.
    readers: Mutex<BTreeMap<PathBuf, String>>,
    lfs: lfs::Lfs,
}

impl GitServer {
    /// Serves the folder, on a thread of its own: no runtime of a test is needed to keep it alive.
    ///
    /// # Errors
    /// When the folder cannot be made or no port is free.
    pub fn start(folder: &Path) -> anyhow::Result<Self> {
        std::fs::create_dir_all(folder).with_context(|| format!("failed to create {}", folder.display()))?;
        let port = port::free()?;
        let listener = std::net::TcpListener::bind(("127.0.0.1", port))
            .context("failed to listen for the Git server")?;
        listener.set_nonblocking(true)?;
        let url = format!("http://127.0.0.1:{port}");
        let shared = Arc::new(Shared {
            folder: folder.to_path_buf(),
            url: url.clone(),
            webhook: Mutex::default(),
            readers: Mutex::default(),
            lfs: lfs::Lfs::default(),
        });
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (stop, stopped) = oneshot::channel::<()>();
        let router = Router::new().fallback(answer).with_state(Arc::clone(&shared));
        std::thread::spawn(move || {
            runtime.block_on(async {
                let listener = tokio::net::TcpListener::from_std(listener)?;
                tokio::select! {
                    served = axum::serve(listener, router) => served,
                    // The sender is never used: it is dropped with the server.
                    _ = stopped => Ok(()),
                }
            })
        });
        Ok(Self { url, shared, _stop: stop })
    }

    /// Pushes are told to this URL from now on, or to nobody.
    pub fn set_webhook(&self, url: Option<String>) {
        *self.shared.lock_webhook() = url;
    }

    /// From now on only who shows this user's name and password reads and writes a repository over HTTP.
    pub fn protect(&self, repository: &Repository, user: &str, password: &str) {
        let header = format!("Basic {}", STANDARD.encode(format!("{user}:{password}")));
        let mut readers = self.shared.readers.lock().unwrap_or_else(PoisonError::into_inner);
        readers.insert(repository.bare.clone(), header);
    }

    /// Stores a file with Git LFS, and gives the pointer to commit in its place. Something else is served where the
    /// server is to lie, and nothing where it is to have lost the file.
    pub fn store(&self, content: &[u8], served: Option<&[u8]>) -> String {
        self.shared.lfs.store(content, served)
    }

    /// Tells the webhook that `main` moved, as a push does, and returns when it has answered.
    ///
    /// # Errors
    /// When there is no webhook, or it refuses.
    pub async fn announce(&self, repository: &Repository, before: &str, after: &str) -> anyhow::Result<()> {
        let webhook = self.shared.lock_webhook().clone().context("no webhook is set")?;
        let payload = webhook::push(&repository.url, "refs/heads/main", before, after);
        webhook::post(&webhook, &payload).await?;
        Ok(())
    }

    /// The URL of a repository.
    #[must_use]
    pub fn repository_url(&self, name: &str) -> String {
        format!("{}/{name}.git", self.url)
    }

    /// The folder of a bare repository, which is made unless it is there.
    ///
    /// # Errors
    /// When Git fails.
    pub async fn create(&self, name: &str) -> anyhow::Result<PathBuf> {
        let folder = self.shared.folder.join(format!("{name}.git"));
        backend::create(&folder).await?;
        Ok(folder)
    }
}

impl Shared {
    fn lock_webhook(&self) -> std::sync::MutexGuard<'_, Option<String>> {
        self.webhook.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn may_read(&self, repository: &Path, request: &Request) -> bool {
        let readers = self.readers.lock().unwrap_or_else(PoisonError::into_inner);
        let shown = request.headers().get(AUTHORIZATION);
        readers.get(repository).is_none_or(|expected| shown.is_some_and(|shown| shown == expected))
    }

    /// The bare repository that a request is about.
    fn repository(&self, request: &Request) -> Option<PathBuf> {
        let name = request.uri().path().strip_prefix('/')?.split('/').next()?;
        let known = |character: char| character.is_ascii_alphanumeric() || "-_.".contains(character);
        let valid = name.ends_with(".git") && !name.starts_with('.') && name.chars().all(known);
        valid.then(|| self.folder.join(name))
    }
}

async fn answer(State(shared): State<Arc<Shared>>, request: Request<Body>) -> Response {
    match serve(&shared, request).await {
        Ok(response) => response,
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, format!("{error:#}\n")).into_response(),
    }
}

async fn serve(shared: &Shared, mut request: Request<Body>) -> anyhow::Result<Response> {
    let Some(repository) = shared.repository(&request) else {
        let text = format!("no repository here; try {}/NAME.git\n", shared.url);
        return Ok((StatusCode::NOT_FOUND, text).into_response());
    };
    if !shared.may_read(&repository, &request) {
        return Ok((StatusCode::UNAUTHORIZED, [(WWW_AUTHENTICATE, "Basic realm=\"Git\"")]).into_response());
    }
    if let Some(answer) = shared.lfs.answer(&shared.url, &mut request).await? {
        return Ok(answer);
    }
    let asks_to_push = request.uri().query() == Some("service=git-receive-pack");
    if asks_to_push {
        backend::create(&repository).await?;
    }
    if !request.uri().path().ends_with("/git-receive-pack") {
        return backend::run(&shared.folder, request).await;
    }
    let before = backend::branches(&repository).await?;
    let response = backend::run(&shared.folder, request).await?;
    let after = backend::branches(&repository).await?;
    let webhook = shared.lock_webhook().clone();
    if let Some(webhook) = webhook {
        let name = repository.file_name().unwrap_or_default().display();
        let url = format!("{}/{name}", shared.url);
        tokio::spawn(webhook::tell(webhook, url, before, after));
    }
    Ok(response)
}

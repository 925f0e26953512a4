//! A Helm repository over HTTP, behind a user's name and a password, made by the real `helm`.
//!
//! In: charts as files. Out: an index and archives, and how often each was sent.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, ensure};
use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use http::StatusCode;
use sha2::{Digest, Sha256};
use tokio::sync::oneshot;

use crate::{Progress, Tools, fresh_folder, port};

/// The running server; it ends when this is dropped.
pub struct ChartRepository {
    /// `127.0.0.1:<port>`.
    pub host: String,
    tools: Tools,
    charts: PathBuf,
    shared: Arc<Shared>,
    _stop: oneshot::Sender<()>,
}

struct Shared {
    folder: PathBuf,
    /// What a request must say; anything where it is empty.
    authorization: String,
    sent: Mutex<BTreeMap<String, usize>>,
}

impl ChartRepository {
    /// Serves an empty repository to everybody, or to one user where a name and a password are given.
    ///
    /// # Errors
    /// When no port is free.
    pub fn start(login: Option<(&str, &str)>) -> anyhow::Result<Self> {
        let tools = Tools::build(&Progress::silent())?;
        let dir = fresh_folder()?;
        let (folder, charts) = (dir.join("served"), dir.join("charts"));
        std::fs::create_dir_all(&folder)?;
        let host = format!("127.0.0.1:{}", port::free()?);
        let listener =
            std::net::TcpListener::bind(&host).context("failed to listen for the chart repository")?;
        listener.set_nonblocking(true)?;
        let encoded = login.map(|(user, password)| BASE64_STANDARD.encode(format!("{user}:{password}")));
        let authorization = encoded.map(|encoded| format!("Basic {encoded}")).unwrap_or_default();
        let shared = Arc::new(Shared { folder, authorization, sent: Mutex::default() });
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
        Ok(Self { host, tools, charts, shared, _stop: stop })
    }

    /// Packs a version of a chart from its files, Chart.yaml left out, and writes the index anew. Whatever stands in
    /// `fields` is written into Chart.yaml.
    ///
    /// # Errors
    /// When `helm` refuses it.
    pub fn publish(
        &self,
        chart: &str,
        version: &str,
        fields: &str,
        files: &[(&str, &str)],
    ) -> anyhow::Result<()> {
        self.pack(chart, version, fields, files)?;
        let served = self.shared.folder.to_string_lossy().into_owned();
        run(Command::new(self.tools.path("helm")).args(["repo", "index", &served]))
    }

    /// Packs a version and gives its archive.
    ///
    /// # Errors
    /// As [`ChartRepository::publish`].
    pub fn pack(
        &self,
        chart: &str,
        version: &str,
        fields: &str,
        files: &[(&str, &str)],
    ) -> anyhow::Result<PathBuf> {
        let folder = self.charts.join(chart);
        if folder.is_dir() {
            std::fs::remove_dir_all(&folder)?;
        }
        let metadata = format!("apiVersion: v2\nname: {chart}\nversion: {version}\n{fields}");
        for (path, text) in files.iter().copied().chain([("Chart.yaml", metadata.as_str())]) {
            let path = folder.join(path);
            std::fs::create_dir_all(path.parent().unwrap_or(&folder))?;
            std::fs::write(path, text)?;
        }
        let mut helm = Command::new(self.tools.path("helm"));
        run(helm.arg("package").arg(&folder).arg("--destination").arg(&self.shared.folder))?;
        Ok(self.shared.folder.join(format!("{chart}-{version}.tgz")))
    }

    /// Packs what was packed of a chart last once more, with a provenance file beside it, and writes the index anew. The
    /// key is one of those in a file of secret keys.
    ///
    /// # Errors
    /// When `helm` refuses it.
    pub fn sign(&self, chart: &str, key: &str, keyring: &Path) -> anyhow::Result<()> {
        let served = self.shared.folder.to_string_lossy().into_owned();
        let mut helm = Command::new(self.tools.path("helm"));
        helm.arg("package").arg(self.charts.join(chart)).args([
            "--destination",
            &served,
            "--sign",
            "--key",
            key,
        ]);
        run(helm.arg("--keyring").arg(keyring))?;
        run(Command::new(self.tools.path("helm")).args(["repo", "index", &served]))
    }

    /// Puts any file in its place.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn put(&self, path: &str, content: &[u8]) -> anyhow::Result<()> {
        Ok(std::fs::write(self.shared.folder.join(path), content)?)
    }

    /// How often a file was sent whole.
    #[must_use]
    pub fn sent(&self, path: &str) -> usize {
        let sent = self.shared.sent.lock().unwrap_or_else(PoisonError::into_inner);
        sent.get(path).copied().unwrap_or_default()
    }
}

async fn answer(State(shared): State<Arc<Shared>>, request: Request<Body>) -> Response {
    let header =
        |name: &str| request.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if !shared.authorization.is_empty() && header("authorization") != shared.authorization {
        return StatusCode::UNAUTHORIZED.into_response();
    }
    let path = request.uri().path().trim_start_matches('/').to_owned();
    let is_plain = !path.contains("..");
    match std::fs::read(shared.folder.join(Path::new(&path))) {
        Ok(content) if is_plain => {
            let tag = format!("\"{}\"", hex::encode(Sha256::digest(&content)));
            if header("if-none-match") == tag {
                return StatusCode::NOT_MODIFIED.into_response();
            }
            *shared.sent.lock().unwrap_or_else(PoisonError::into_inner).entry(path).or_default() += 1;
            ([("etag", tag)], content).into_response()
        }
        _ => StatusCode::NOT_FOUND.into_response(),
    }
}

fn run(command: &mut Command) -> anyhow::Result<()> {
    let output = command.output()?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}

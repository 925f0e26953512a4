//! The repository of overlays: on disk for the real kustomize, as a tree for us. In: its files. Out: what either makes of it.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use ithaca_proto::v1::{ApplicationRef, Capabilities, Purpose, Refresh};
use ithaca_renderer::plugin::Plugins;
use ithaca_renderer::render::Renderer;
use ithaca_renderer::request::{Request, SourceRequest};
use ithaca_renderer::sandbox::Limits;
use ithaca_renderer::tree::{Entry, Tree};
use serde_json::{Value, json};

use crate::tools;

/// The version that charts see on both sides.
pub const KUBE_VERSION: &str = "1.36.1";

/// A copy of the repository that may be changed.
pub struct Repository(tempfile::TempDir);

impl Repository {
    pub fn new() -> Self {
        let copy = tempfile::tempdir().expect("a folder");
        copy_all(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/overlays/repository"), copy.path());
        Self(copy)
    }

    pub fn folder(&self) -> PathBuf {
        self.0.path().to_owned()
    }

    /// The paths of all overlays.
    pub fn overlays(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.0.path().join("overlays")).expect("the overlays");
        let name = |entry: std::io::Result<std::fs::DirEntry>| {
            format!("overlays/{}", entry.expect("an entry").file_name().to_string_lossy())
        };
        let mut names: Vec<String> = entries.map(name).collect();
        names.sort();
        names
    }

    /// What an overlay is built with.
    pub fn options(&self, overlay: &str) -> String {
        std::fs::read_to_string(self.0.path().join(overlay).join("options")).unwrap_or_default()
    }

    fn tree(&self) -> Tree {
        let mut tree = Tree::default();
        for path in files(self.0.path()) {
            let data = Bytes::from(std::fs::read(&path).expect("a file"));
            let path = path.strip_prefix(self.0.path()).expect("a file of the repository");
            let entry = Entry::File { data, executable: false };
            tree.insert(path.to_string_lossy().into_owned(), entry).expect("a plain path");
        }
        tree
    }
}

/// What the renderer makes of an overlay.
pub async fn render(
    repository: &Repository,
    overlay: &str,
    kustomize: Option<Value>,
) -> Result<Vec<Value>, String> {
    let spec = json!({"repoURL": "https://git.example/repo", "path": overlay, "kustomize": kustomize});
    let source = SourceRequest {
        spec: serde_json::from_value(spec).expect("a source"),
        build_options: repository.options(overlay),
        ..Default::default()
    };
    let request = Request {
        application: ApplicationRef { uid: "1".into(), namespace: "argocd".into(), name: "shop".into() },
        instance: "shop".into(),
        project: "default".into(),
        purpose: Purpose::Tracked,
        observed_at: 1,
        generation: 1,
        request_key: String::new(),
        refresh: Refresh::Unspecified,
        destination_namespace: "store".into(),
        sources: Ok(Vec::new()),
        tools: ithaca_api::source_type::EnabledTools::default(),
        capabilities: Capabilities { kube_version: KUBE_VERSION.into(), api_versions: vec![] },
    };
    let limits = Limits { time: Duration::from_secs(60), output: 1 << 20, memory: 4 << 30 };
    let renderer = Renderer {
        helm: tools::folder().join("helm"),
        kustomize: tools::folder().join("kustomize"),
        kustomize_versions: std::collections::BTreeMap::new(),
        ithaca: tools::ithaca(),
        work_dir: std::env::temp_dir(),
        limits,
        plugins: Plugins::new(PathBuf::new(), limits, 1),
    };
    let sources = vec![(source, Arc::new(repository.tree()), Vec::new())];
    let rendered = renderer.render(&request, sources).await.map_err(|error| error.to_string())?;
    let json = zstd::bulk::decompress(&rendered.bundle.compressed, 1 << 20).expect("zstd");
    Ok(serde_json::from_slice(&json).expect("JSON"))
}

/// What the real kustomize prints for an overlay.
pub fn build(repository: &Path, overlay: &str, options: &str) -> Result<String, String> {
    let mut arguments: Vec<&str> = ["build", overlay].into_iter().chain(options.split_whitespace()).collect();
    let helm = tools::folder().join("helm");
    let helm = helm.to_string_lossy();
    if options.contains("--enable-helm") {
        arguments.extend(["--helm-command", &helm]);
    }
    if options.contains("--enable-helm") && !options.contains("--helm-kube-version") {
        arguments.extend(["--helm-kube-version", KUBE_VERSION]);
    }
    kustomize(repository, &arguments)
}

/// Runs the real kustomize.
pub fn kustomize(folder: &Path, arguments: &[&str]) -> Result<String, String> {
    let kustomize = tools::folder().join("kustomize");
    let output =
        Command::new(kustomize).args(arguments).current_dir(folder).output().expect("kustomize runs");
    if output.status.success() {
        return Ok(String::from_utf8(output.stdout).expect("kustomize prints UTF-8"));
    }
    Err(String::from_utf8_lossy(&output.stderr).into_owned())
}

/// All files below a folder.
pub fn files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() { files.extend(self::files(&path)) } else { files.push(path) }
    }
    files
}

fn copy_all(from: &Path, to: &Path) {
    for file in files(from) {
        let target = to.join(file.strip_prefix(from).expect("a file below the folder"));
        std::fs::create_dir_all(target.parent().expect("a file has a folder")).expect("a folder");
        std::fs::copy(&file, target).expect("a copy");
    }
}

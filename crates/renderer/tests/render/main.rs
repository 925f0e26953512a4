//! Charts and overlays by the real helm and kustomize: files and a spec come in, objects or the user's error go out.

#[path = "../tools/mod.rs"]
mod tools;

mod bad_charts;
mod charts;
mod helm;
mod kustomize;
mod sources;
mod value_files;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use ithaca_proto::v1::{ApplicationRef, Capabilities, Purpose, Refresh};
use ithaca_renderer::plugin::Plugins;
use ithaca_renderer::render::Renderer;
use ithaca_renderer::request::{Request, SourceRequest};
use ithaca_renderer::sandbox::Limits;
use ithaca_renderer::tree::{Entry, Tree};
use serde_json::Value;

/// Limits that no honest case reaches.
const LIMITS: Limits = Limits { time: Duration::from_secs(60), output: 1 << 20, memory: 4 << 30 };

/// Files by path; a text that begins with `-> ` is a link.
fn tree(files: &[(&str, &str)]) -> Tree {
    let mut tree = Tree::default();
    for (path, text) in files {
        let entry = match text.strip_prefix("-> ") {
            Some(target) => Entry::Link(target.to_owned()),
            None => Entry::File { data: Bytes::copy_from_slice(text.as_bytes()), executable: false },
        };
        tree.insert((*path).to_owned(), entry).expect("a plain path");
    }
    tree
}

fn source(spec: Value, files: &[(&str, &str)]) -> (SourceRequest, Arc<Tree>) {
    source_of(spec, tree(files))
}

fn source_of(mut spec: Value, tree: Tree) -> (SourceRequest, Arc<Tree>) {
    spec["repoURL"] = "https://git.example/repo".into();
    let spec = serde_json::from_value(spec).expect("a source");
    let revision = "0123456789abcdef0123456789abcdef01234567".to_owned();
    (SourceRequest { spec, revision, ..Default::default() }, Arc::new(tree))
}

/// Renders sources for the application "shop" in the namespace "store".
async fn render_with(limits: Limits, sources: Vec<(SourceRequest, Arc<Tree>)>) -> Result<Vec<Value>, String> {
    let json = render_bytes(limits, sources).await?;
    Ok(serde_json::from_slice(&json).expect("JSON"))
}

/// The bytes of the bundle.
async fn render_bytes(limits: Limits, sources: Vec<(SourceRequest, Arc<Tree>)>) -> Result<Vec<u8>, String> {
    let request = Request {
        application: ApplicationRef { uid: "1".into(), namespace: "argocd".into(), name: "shop".into() },
        instance: "shop".into(),
        project: "retail".into(),
        purpose: Purpose::Tracked,
        observed_at: 1,
        generation: 1,
        request_key: String::new(),
        refresh: Refresh::Unspecified,
        destination_namespace: "store".into(),
        sources: Ok(Vec::new()),
        tools: ithaca_api::source_type::EnabledTools::default(),
        capabilities: Capabilities {
            kube_version: "1.37.2".into(),
            api_versions: vec!["example.com/v1".into(), "example.com/v1/Widget".into()],
        },
    };
    let folder = tools::folder();
    let renderer = Renderer {
        helm: folder.join("helm"),
        kustomize: folder.join("kustomize"),
        kustomize_versions: [("v5.8.2".to_owned(), folder.join("kustomize"))].into(),
        ithaca: tools::ithaca(),
        work_dir: std::env::temp_dir(),
        limits,
        plugins: Plugins::new(PathBuf::new(), limits, 1),
    };
    let sources = sources.into_iter().map(|(source, tree)| (source, tree, Vec::new())).collect();
    let rendered = renderer.render(&request, sources).await.map_err(|error| {
        assert!(error.as_failure().is_some(), "a failure of ours: {error}");
        error.to_string()
    })?;
    Ok(zstd::bulk::decompress(&rendered.bundle.compressed, 1 << 20).expect("zstd"))
}

async fn render(spec: Value, files: &[(&str, &str)]) -> Result<Vec<Value>, String> {
    render_with(LIMITS, vec![source(spec, files)]).await
}

/// `kind/name` of each object.
fn names(objects: &[Value]) -> Vec<String> {
    let name = |object: &Value| format!("{}/{}", object["kind"], object["metadata"]["name"]).replace('"', "");
    objects.iter().map(name).collect()
}

//! Folders with Jsonnet in them, rendered as the renderer does it: our own binary evaluates, in a sandbox.
//! In: files and a spec. Out: objects, or the user's error. `ITHACA_BINARY` names the binary, as for the behaviours.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use ithaca_proto::v1::{ApplicationRef, Capabilities, Purpose, Refresh};
use ithaca_renderer::plugin::Plugins;
use ithaca_renderer::render::Renderer;
use ithaca_renderer::request::{Request, SourceRequest};
use ithaca_renderer::sandbox::Limits;
use ithaca_renderer::tree::{Entry, Tree};
use rstest::rstest;
use serde_json::{Value, json};

use crate::tools;

const LIMITS: Limits = Limits { time: Duration::from_secs(60), output: 1 << 20, memory: 4 << 30 };

async fn render(limits: Limits, directory: Value, files: &[(&str, &str)]) -> Result<Vec<Value>, String> {
    let mut tree = Tree::default();
    for (path, text) in files {
        let data = Bytes::copy_from_slice(text.as_bytes());
        tree.insert((*path).to_owned(), Entry::File { data, executable: false }).expect("a plain path");
    }
    let spec = json!({"repoURL": "https://git.example/repo", "path": "app", "directory": directory});
    let spec = serde_json::from_value(spec).expect("a source");
    let source = SourceRequest { spec, ..Default::default() };
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
        capabilities: Capabilities::default(),
    };
    let renderer = Renderer {
        helm: tools::folder().join("helm"),
        kustomize: tools::folder().join("kustomize"),
        kustomize_versions: std::collections::BTreeMap::new(),
        ithaca: tools::ithaca(),
        work_dir: std::env::temp_dir(),
        limits,
        plugins: Plugins::new(std::path::PathBuf::new(), limits, 1),
    };
    let rendered =
        renderer.render(&request, vec![(source, Arc::new(tree), Vec::new())]).await.map_err(|error| {
            assert!(error.as_failure().is_some(), "a failure of ours: {error}");
            error.to_string()
        })?;
    let json = zstd::bulk::decompress(&rendered.bundle.compressed, 1 << 20).expect("zstd");
    Ok(serde_json::from_slice(&json).expect("JSON"))
}

#[tokio::test]
async fn programs_and_manifests_of_a_folder_come_in_the_order_of_their_names() {
    let variables = json!({"jsonnet": {
        "extVars": [{"name": "app", "value": "$ARGOCD_APP_NAME"}],
        "tlas": [{"name": "count", "value": "1 + 2", "code": true}],
        "libs": ["lib"],
    }});
    let files = [
        ("app/a.yaml", "{apiVersion: v1, kind: Pod, metadata: {name: a}}"),
        (
            "app/b.jsonnet",
            "local pod = import 'pod.libsonnet'; function(count) [pod(std.extVar('app') + '-' + i) for i in std.range(1, count)]",
        ),
        ("app/c.json", "{\"apiVersion\": \"v1\", \"kind\": \"Pod\", \"metadata\": {\"name\": \"c\"}}"),
        ("app/pod.libsonnet", "error 'not this one'"),
        ("lib/pod.libsonnet", "function(name) { apiVersion: 'v1', kind: 'Pod', metadata: { name: name } }"),
    ];
    let error = render(LIMITS, variables.clone(), &files).await.expect_err("what lies beside comes first");
    assert_eq!(error, "failed to evaluate app/b.jsonnet: not this one (app/pod.libsonnet:1:1)");
    let [a, b, c, _, lib] = files;
    let objects = render(LIMITS, variables, &[a, b, c, lib]).await.expect("it renders");
    let names: Vec<_> = objects.iter().map(|object| object["metadata"]["name"].as_str()).collect();
    assert_eq!(names, ["a", "shop-1", "shop-2", "shop-3", "c"].map(Some));
}

#[rstest]
#[case::too_long(
    2,
    "local f(n) = if n < 0 then n else f(n) tailstrict; f(1)",
    "did not end within 2 seconds"
)]
#[case::too_large(60, "std.foldl(function(all, i) all + all, std.range(1, 60), 'x')", "bytes of memory")]
#[case::too_much(60, "[std.repeat('a long text', 200000)]", "gave more than the limit")]
#[case::too_deep(60, "local f(n) = [f(n + 1)]; f(0)", "more than 500 calls are within each other")]
#[tokio::test]
async fn a_program_that_has_no_end_is_ended(
    #[case] seconds: u64,
    #[case] program: &str,
    #[case] reason: &str,
) {
    let limits = Limits { time: Duration::from_secs(seconds), ..LIMITS };
    let error = render(limits, json!({}), &[("app/x.jsonnet", program)]).await.expect_err("no end");
    assert!(error.contains(reason), "{error}");
}

#[tokio::test]
async fn brackets_without_end_are_an_error_of_their_application() {
    let program = "[".repeat(1_000_000);
    assert!(render(LIMITS, json!({}), &[("app/x.jsonnet", &program)]).await.is_err());
}

//! What all kinds of sources have in common.

use serde_json::json;

use crate::{LIMITS, names, render, render_with, source};

const POD: &str = "{apiVersion: v1, kind: Pod, metadata: {name: a}}\n";

#[tokio::test]
async fn the_objects_of_all_sources_come_in_order() {
    let other = POD.replace("name: a", "name: b");
    let one = source(json!({"path": "x"}), &[("x/a.yaml", POD)]);
    let two = source(json!({"path": "."}), &[("b.yaml", &other)]);
    let objects = render_with(LIMITS, vec![two, one]).await.expect("it renders");
    assert_eq!(names(&objects), ["Pod/b", "Pod/a"]);
}

#[tokio::test]
async fn a_path_that_is_not_there_is_named() {
    let error = render(json!({"path": "gone"}), &[("x/a.yaml", POD)]).await.expect_err("nothing is there");
    assert_eq!(
        error,
        "failed to find the path \"gone\" in https://git.example/repo at 0123456789abcdef0123456789abcdef01234567"
    );
}

#[tokio::test]
async fn a_password_in_a_url_is_not_told() {
    let (mut source, tree) = source(json!({"path": "gone"}), &[("x/a.yaml", POD)]);
    source.spec.repo_url = "https://me:secret@git.example/repo".to_owned();
    let error = render_with(LIMITS, vec![(source, tree)]).await.expect_err("nothing is there");
    assert!(error.contains(" https://git.example/repo ") && !error.contains("secret"), "{error}");
    let spec = json!({"path": ".", "helm": {"valueFiles": ["https://me:secret@git.example/values.yaml"]}});
    let error = render(spec, &[("Chart.yaml", "{apiVersion: v2, name: a, version: 1.0.0}")]).await;
    let error = error.expect_err("it was not fetched");
    assert!(error.contains("\"https://git.example/values.yaml\"") && !error.contains("secret"), "{error}");
}

#[tokio::test]
async fn a_spec_that_cannot_be_followed_is_told() {
    let ambiguous = json!({"path": "x", "helm": {}, "directory": {}});
    let error = render(ambiguous, &[("x/a.yaml", POD)]).await.expect_err("ambiguous");
    assert_eq!(error, "multiple application sources defined: Helm, Directory");
    let outside = render(json!({"path": "../x"}), &[("x/a.yaml", POD)]).await.expect_err("outside");
    assert!(outside.contains("\"../x\" is not a plain path inside the repository"), "{outside}");
}

#[tokio::test]
async fn a_folder_behind_a_link_is_a_source() {
    let objects = render(json!({"path": "link"}), &[("x/a.yaml", POD), ("link", "-> x")]).await;
    assert_eq!(names(&objects.expect("it renders")), ["Pod/a"]);
}

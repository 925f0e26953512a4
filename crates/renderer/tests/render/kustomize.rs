//! Overlays by the real kustomize.

use serde_json::json;

use crate::{names, render};

const DEPLOYMENT: (&str, &str) = (
    "base/deployment.yaml",
    "apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 1
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: web, image: \"nginx:1\"}]}
",
);
const BASE: (&str, &str) = ("base/kustomization.yaml", "resources: [deployment.yaml]\nnamePrefix: base-\n");
const OVERLAY: (&str, &str) =
    ("overlays/prod/kustomization.yaml", "resources: [../../base]\nnamePrefix: prod-\n");

#[tokio::test]
async fn an_overlay_reads_its_base() {
    let objects = render(json!({"path": "overlays/prod"}), &[DEPLOYMENT, BASE, OVERLAY]).await;
    assert_eq!(names(&objects.expect("it builds")), ["Deployment/prod-base-web"]);
}

#[tokio::test]
async fn what_the_application_says_wins_over_the_kustomization() {
    let kustomize = json!({
        "namePrefix": "own-",
        "nameSuffix": "-x",
        "namespace": "elsewhere",
        "images": ["nginx=registry.example:5000/nginx:2"],
        "replicas": [{"name": "web", "count": 3}],
        "commonLabels": {"team": "a"},
        "commonAnnotations": {"app": "$ARGOCD_APP_NAME"},
        "commonAnnotationsEnvsubst": true,
        "patches": [{"patch": "- {op: add, path: /spec/paused, value: true}", "target": {"kind": "Deployment"}}],
    });
    let spec = json!({"path": "overlays/prod", "kustomize": kustomize});
    let objects = render(spec, &[DEPLOYMENT, BASE, OVERLAY]).await.expect("it builds");
    let web = &objects[0];
    assert_eq!(web["metadata"]["name"], "own-base-web-x");
    assert_eq!(web["metadata"]["namespace"], "elsewhere");
    assert_eq!(web["metadata"]["labels"]["team"], "a");
    assert_eq!(web["metadata"]["annotations"]["app"], "shop");
    assert_eq!(web["spec"]["selector"]["matchLabels"]["team"], "a");
    assert_eq!(web["spec"]["template"]["spec"]["containers"][0]["image"], "registry.example:5000/nginx:2");
    assert_eq!(web["spec"]["replicas"], 3);
    assert_eq!(web["spec"]["paused"], true);
}

#[tokio::test]
async fn components_are_added_and_may_be_missing() {
    let component = (
        "components/a/kustomization.yaml",
        "apiVersion: kustomize.config.k8s.io/v1alpha1\nkind: Component\nnameSuffix: -c\n",
    );
    let kustomize =
        json!({"components": ["../../components/a", "../../components/b"], "ignoreMissingComponents": true});
    let spec = json!({"path": "overlays/prod", "kustomize": kustomize});
    let objects = render(spec, &[DEPLOYMENT, BASE, OVERLAY, component]).await.expect("it builds");
    assert_eq!(names(&objects), ["Deployment/prod-base-web-c"]);
}

#[tokio::test]
async fn a_missing_file_is_named_with_its_path_in_the_repository() {
    let overlay = ("overlays/prod/kustomization.yaml", "resources: [gone.yaml]\n");
    let error = render(json!({"path": "overlays/prod"}), &[overlay]).await.expect_err("it is missing");
    assert!(error.starts_with("failed to build the kustomization in \"overlays/prod\": "), "{error}");
    assert!(error.contains("overlays/prod/gone.yaml") && !error.contains("render-"), "{error}");
    assert!(!error.contains("sources/0"), "{error}");
}

#[tokio::test]
async fn an_overlay_reads_nothing_outside_of_the_repository() {
    for outside in
        ["../../../../../../../../etc/hostname", "/etc/hostname", "../secret.yaml", "../../../../home"]
    {
        let overlay = format!("resources: [\"{outside}\"]\n");
        let files =
            [("overlays/prod/kustomization.yaml", overlay.as_str()), ("overlays/secret.yaml", "a: 1\n")];
        let error = render(json!({"path": "overlays/prod"}), &files).await.expect_err("outside");
        assert!(error.contains(outside.trim_start_matches("../")), "{error}");
    }
}

#[tokio::test]
async fn bases_elsewhere_are_not_fetched() {
    for remote in ["https://github.com/example/repo//base?ref=v1", "https://raw.example/base.yaml"] {
        let overlay = format!("resources: [\"{remote}\"]\n");
        let files = [("overlays/prod/kustomization.yaml", overlay.as_str())];
        let error = render(json!({"path": "overlays/prod"}), &files).await.expect_err("not fetched");
        assert!(
            error.ends_with("bases outside of the repository are not fetched: put them into it"),
            "{error}"
        );
    }
}

#[tokio::test]
async fn generators_with_programs_do_not_run() {
    let files = [
        ("a/kustomization.yaml", "generators: [generator.yaml]\n"),
        (
            "a/generator.yaml",
            "apiVersion: v1
kind: X
metadata:
  name: x
  annotations: {config.kubernetes.io/function: \"exec: {path: ./run.sh}\"}
",
        ),
        ("a/run.sh", "#!/bin/sh\ntouch /tmp/ran\n"),
    ];
    assert!(render(json!({"path": "a"}), &files).await.is_err());
}

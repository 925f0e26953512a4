//! Overlays by the real kustomize.

use ithaca_proto::v1::Reference;
use serde_json::json;

use crate::{LIMITS, names, render, render_with, source};

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
async fn what_nobody_laid_into_the_files_is_not_fetched() {
    for remote in ["https://github.com/example/repo//base?ref=v1", "https://raw.example/base.yaml"] {
        let overlay = format!("resources: [\"{remote}\"]\n");
        let files = [("overlays/prod/kustomization.yaml", overlay.as_str())];
        let error = render(json!({"path": "overlays/prod"}), &files).await.expect_err("not fetched");
        assert!(error.ends_with("under resources, bases, components and helmCharts alone"), "{error}");
    }
}

fn reference(folder: &str, written: &str, path: &str) -> Reference {
    Reference { folder: folder.to_owned(), written: written.to_owned(), path: path.to_owned() }
}

#[tokio::test]
async fn what_a_kustomization_names_by_url_is_built_from_where_it_lies() {
    const BASE_URL: &str = "https://git.example/base//web?ref=v1";
    const FILE_URL: &str = "https://raw.example/settings.yaml";
    const COMPONENT: &str = "git@git.example:parts.git//suffix";
    let files = [
        (
            "overlays/prod/kustomization.yaml",
            "resources: [https://git.example/base//web?ref=v1, local.yaml]\nnamePrefix: prod-\n",
        ),
        ("overlays/prod/local.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: local}\n"),
        (".bases/1/web/kustomization.yaml", "resources: [../common, 'https://raw.example/settings.yaml']\n"),
        (".bases/1/common/kustomization.yaml", "resources: [a.yaml]\nnameSuffix: -base\n"),
        (".bases/1/common/a.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n"),
        (".bases/1/web/.file/file.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: settings}\n"),
        (
            ".bases/2/suffix/kustomization.yaml",
            "apiVersion: kustomize.config.k8s.io/v1alpha1\nkind: Component\nnameSuffix: -c\n",
        ),
    ];
    let own = json!({"components": [COMPONENT], "ignoreMissingComponents": true, "namespace": "elsewhere"});
    let (mut request, tree) = source(json!({"path": "overlays/prod", "kustomize": own}), &files);
    request.references = vec![
        reference("overlays/prod", BASE_URL, "../../.bases/1/web"),
        reference("overlays/prod", COMPONENT, "../../.bases/2/suffix"),
        reference(".bases/1/web", FILE_URL, ".file/file.yaml"),
    ];
    let objects = render_with(LIMITS, vec![(request, tree)]).await.expect("it builds");
    let mut built = names(&objects);
    built.sort();
    assert_eq!(built, ["ConfigMap/prod-a-base-c", "ConfigMap/prod-local-c", "ConfigMap/prod-settings-c"]);
    assert!(objects.iter().all(|object| object["metadata"]["namespace"] == "elsewhere"));
}

/// One file that two kustomizations are, each with its own way to the base.
#[tokio::test]
async fn a_kustomization_that_is_a_link_is_changed_where_it_is_named() {
    let url = "https://git.example/base//web";
    let files = [
        ("shared.yaml", "resources: ['https://git.example/base//web']\n"),
        ("a/kustomization.yaml", "-> ../shared.yaml"),
        ("a/b/kustomization.yaml", "-> ../../shared.yaml"),
        ("all/kustomization.yaml", "resources: [../a, ../c]\n"),
        ("c/kustomization.yaml", "resources: [../a/b]\nnamePrefix: c-\n"),
        (".bases/1/web/kustomization.yaml", "resources: [a.yaml]\n"),
        (".bases/1/web/a.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n"),
    ];
    let (mut request, tree) = source(json!({"path": "all"}), &files);
    request.references =
        vec![reference("a", url, "../.bases/1/web"), reference("a/b", url, "../../.bases/1/web")];
    let objects = render_with(LIMITS, vec![(request, tree)]).await.expect("it builds");
    assert_eq!(names(&objects), ["ConfigMap/a", "ConfigMap/c-a"]);
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
    for options in ["", "--enable-alpha-plugins --enable-exec"] {
        let error = render_built(options, json!({"path": "a"}), &files).await.expect_err("not run");
        assert!(error.ends_with("are programs of their own and are not run"), "{error}");
    }
}

const CHART: [(&str, &str); 4] = [
    ("app/kustomization.yaml", "helmCharts: [{name: web, releaseName: rel, valuesInline: {size: 3}}]\n"),
    ("app/charts/web/Chart.yaml", "apiVersion: v2\nname: web\nversion: 1.0.0\n"),
    ("app/charts/web/values.yaml", "size: 1\n"),
    (
        "app/charts/web/templates/a.yaml",
        "apiVersion: v1
kind: ConfigMap
metadata: {name: \"{{ .Release.Name }}\"}
data:
  size: \"{{ .Values.size }}\"
  version: \"{{ .Capabilities.KubeVersion.Version }}\"
  widgets: \"{{ .Capabilities.APIVersions.Has \"example.com/v1/Widget\" }}\"
",
    ),
];

/// Renders with what the installation says on kustomize's command line.
async fn render_built(
    options: &str,
    spec: serde_json::Value,
    files: &[(&str, &str)],
) -> Result<Vec<serde_json::Value>, String> {
    let (mut request, tree) = source(spec, files);
    request.build_options = options.to_owned();
    render_with(LIMITS, vec![(request, tree)]).await
}

#[tokio::test]
async fn a_chart_in_the_repository_is_inflated_where_the_installation_allows_it() {
    let objects = render_built("--enable-helm", json!({"path": "app"}), &CHART).await.expect("it builds");
    assert_eq!(names(&objects), ["ConfigMap/rel"]);
    let expected = json!({"size": "3", "version": "v1.37.2", "widgets": "true"});
    assert_eq!(objects[0]["data"], expected);
    let error = render_built("", json!({"path": "app"}), &CHART).await.expect_err("not allowed");
    assert!(error.contains("kustomize.buildOptions of the ConfigMap argocd-cm"), "{error}");
}

#[tokio::test]
async fn the_application_may_say_what_inflated_charts_see() {
    let own = json!({"kubeVersion": "1.30.0", "apiVersions": ["other/v1"]});
    let spec = json!({"path": "app", "kustomize": own});
    let objects = render_built("--enable-helm", spec, &CHART).await.expect("it builds");
    assert_eq!(objects[0]["data"], json!({"size": "3", "version": "v1.30.0", "widgets": "false"}));
}

/// The tool names a folder that has another number each time.
#[tokio::test]
async fn a_chart_that_fails_in_an_overlay_is_told_in_the_same_words_each_time() {
    let [overlay, chart, values, _] = CHART;
    let failing = ("app/charts/web/templates/a.yaml", "{{ fail \"no\" }}\n");
    let files = [overlay, chart, values, failing];
    let told =
        async || render_built("--enable-helm", json!({"path": "app"}), &files).await.expect_err("it fails");
    let first = told().await;
    assert!(first.contains("execution error at (web/templates/a.yaml:1:3): no"), "{first}");
    assert_eq!(told().await, first);
}

#[tokio::test]
async fn charts_elsewhere_are_not_fetched() {
    let overlay = (
        "app/kustomization.yaml",
        "helmCharts: [{name: a, repo: \"https://charts.example\", version: 1.0.0}]\n",
    );
    let error =
        render_built("--enable-helm", json!({"path": "app"}), &[overlay]).await.expect_err("elsewhere");
    assert!(error.ends_with("under resources, bases, components and helmCharts alone"), "{error}");
}

#[tokio::test]
async fn files_beside_the_overlay_are_read_where_the_installation_allows_it() {
    let files = [
        ("app/kustomization.yaml", "configMapGenerator: [{name: a, files: [../b.txt]}]\n"),
        ("b.txt", "text"),
    ];
    let none = "--load-restrictor LoadRestrictionsNone";
    let objects = render_built(none, json!({"path": "app"}), &files).await.expect("it builds");
    assert_eq!(objects[0]["data"], json!({"b.txt": "text"}));
    assert!(render_built("", json!({"path": "app"}), &files).await.is_err());
}

#[tokio::test]
async fn an_option_that_cannot_be_followed_is_named() {
    let error = render_built("--output /x", json!({"path": "app"}), &CHART).await.expect_err("refused");
    assert_eq!(
        error,
        "failed to read the kustomize.buildOptions \"--output /x\" of the ConfigMap argocd-cm: --output cannot be given"
    );
}

#[tokio::test]
async fn a_version_that_is_not_here_is_named_with_those_that_are() {
    let spec = |version: &str| json!({"path": "overlays/prod", "kustomize": {"version": version}});
    let files = [DEPLOYMENT, BASE, OVERLAY];
    assert!(render(spec("v5.8.2"), &files).await.is_ok());
    let error = render(spec("v4.0.0"), &files).await.expect_err("not here");
    assert_eq!(error, "failed to find kustomize v4.0.0, for which the source asks: this renderer has v5.8.2");
}

//! Charts by the real helm.

use serde_json::{Value, json};

use crate::{LIMITS, names, render, render_with, source};

pub const CHART: (&str, &str) = ("charts/web/Chart.yaml", "apiVersion: v2\nname: web\nversion: 1.0.0\n");
pub const VALUES: (&str, &str) = ("charts/web/values.yaml", "color: red\nsize: small\n");
pub const TEMPLATE: (&str, &str) = (
    "charts/web/templates/all.yaml",
    r#"apiVersion: v1
kind: ConfigMap
metadata:
  name: {{ .Release.Name }}
  namespace: {{ .Release.Namespace }}
data:
  color: {{ .Values.color | quote }}
  size: {{ .Values.size | quote }}
  extra: {{ .Values.extra | default "" | quote }}
  type: {{ kindOf .Values.size }}
  kube: {{ .Capabilities.KubeVersion.Version }}
  widgets: {{ .Capabilities.APIVersions.Has "example.com/v1/Widget" | quote }}
"#,
);

pub async fn data(helm: Value, more: &[(&str, &str)]) -> Value {
    let files = [&[CHART, VALUES, TEMPLATE], more].concat();
    let mut objects = render(json!({"path": "charts/web", "helm": helm}), &files).await.expect("it renders");
    objects[0].take()
}

#[tokio::test]
async fn a_chart_sees_its_release_and_its_destination() {
    let object = data(json!({}), &[]).await;
    assert_eq!(object["metadata"], json!({"name": "shop", "namespace": "store"}));
    let expected = json!({"color": "red", "size": "small", "extra": "", "type": "string", "kube": "v1.37.2", "widgets": "true"});
    assert_eq!(object["data"], expected);
    let helm =
        json!({"releaseName": "own", "namespace": "other", "kubeVersion": "1.30.0", "apiVersions": ["v9"]});
    let object = data(helm, &[]).await;
    assert_eq!(object["metadata"], json!({"name": "own", "namespace": "other"}));
    assert_eq!(object["data"]["kube"], "v1.30.0");
    assert_eq!(object["data"]["widgets"], "false");
}

#[tokio::test]
async fn values_win_in_the_order_of_files_inline_and_parameters() {
    let files = [
        ("charts/web/prod.yaml", "color: blue\nsize: medium\nextra: a"),
        ("shared/all.yaml", "color: green\n"),
    ];
    let object = data(json!({"valueFiles": ["prod.yaml", "/shared/all.yaml"]}), &files).await;
    assert_eq!((&object["data"]["color"], &object["data"]["size"]), (&json!("green"), &json!("medium")));
    let object =
        data(json!({"valueFiles": ["../../shared/all.yaml"], "values": "size: large"}), &files).await;
    assert_eq!((&object["data"]["color"], &object["data"]["size"]), (&json!("green"), &json!("large")));
    let helm = json!({
        "values": "size: ignored",
        "valuesObject": {"color": "black", "size": "huge"},
        "parameters": [{"name": "size", "value": "1"}, {"name": "size", "value": "2"}, {"name": "extra", "value": "a,b $ARGOCD_APP_NAME"}],
    });
    let object = data(helm, &files).await;
    assert_eq!(object["data"]["color"], "black");
    assert_eq!(object["data"]["size"], "2");
    assert_eq!(object["data"]["extra"], "a,b shop");
}

#[tokio::test]
async fn a_parameter_may_be_text_or_come_from_a_file() {
    let object =
        data(json!({"parameters": [{"name": "size", "value": "1", "forceString": true}]}), &[]).await;
    assert_eq!(object["data"]["type"], "string");
    let object = data(json!({"parameters": [{"name": "size", "value": "1"}]}), &[]).await;
    assert_eq!(object["data"]["type"], "int64");
    let file = [("charts/web/files/note.txt", "a, b and c")];
    let object = data(json!({"fileParameters": [{"name": "extra", "path": "files/note.txt"}]}), &file).await;
    assert_eq!(object["data"]["extra"], "a, b and c");
}

#[tokio::test]
async fn value_files_may_come_from_another_source() {
    let chart = source(
        json!({"path": "charts/web", "helm": {"valueFiles": ["$values/env/prod.yaml"]}}),
        &[CHART, VALUES, TEMPLATE],
    );
    let values = source(json!({"ref": "values"}), &[("env/prod.yaml", "color: pink")]);
    let objects = render_with(LIMITS, vec![chart.clone(), values]).await.expect("it renders");
    assert_eq!(objects.len(), 1);
    assert_eq!(objects[0]["data"]["color"], "pink");
    let other = source(json!({"ref": "other"}), &[("env/prod.yaml", "color: pink")]);
    let error = render_with(LIMITS, vec![chart, other]).await.expect_err("no such ref");
    assert_eq!(
        error,
        "source 1 of 2: failed to find the value file \"$values/env/prod.yaml\": no source has the ref \"values\""
    );
}

#[tokio::test]
async fn a_value_file_that_is_not_there_is_named_unless_it_may_be_missing() {
    let files = [CHART, VALUES, TEMPLATE];
    let spec = |ignore: bool| json!({"path": "charts/web", "helm": {"valueFiles": ["prod.yaml"], "ignoreMissingValueFiles": ignore}});
    let error = render(spec(false), &files).await.expect_err("it is missing");
    assert_eq!(
        error,
        "failed to find the value file \"prod.yaml\": there is no \"charts/web/prod.yaml\" in the repository"
    );
    assert_eq!(names(&render(spec(true), &files).await.expect("it may be missing")), ["ConfigMap/shop"]);
}

#[tokio::test]
async fn value_files_by_pattern_are_read_in_order() {
    let files = [
        ("charts/web/env/b.yaml", "color: b"),
        ("charts/web/env/a.yaml", "color: a\nsize: a"),
        ("charts/web/env/x/c.yaml", "color: c"),
    ];
    let object = data(json!({"valueFiles": ["env/*.yaml"]}), &files).await;
    assert_eq!((&object["data"]["color"], &object["data"]["size"]), (&json!("b"), &json!("a")));
    let object = data(json!({"valueFiles": ["env/**/*.yaml"]}), &files).await;
    assert_eq!(object["data"]["color"], "c");
    let object = data(json!({"valueFiles": ["env/**/*.yaml", "env/a.yaml"]}), &files).await;
    assert_eq!(object["data"]["color"], "a");
    let spec = json!({"path": "charts/web", "helm": {"valueFiles": ["nothing/*.yaml"]}});
    let error = render(spec, &[CHART, VALUES, TEMPLATE]).await.expect_err("nothing matches");
    assert_eq!(error, "failed to find value files: nothing matches \"nothing/*.yaml\"");
}

#[tokio::test]
async fn definitions_hooks_and_tests_are_included_unless_skipped() {
    let files = [
        CHART,
        (
            "charts/web/crds/a.yaml",
            "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {name: crd}\n",
        ),
        (
            "charts/web/templates/hook.yaml",
            "apiVersion: v1\nkind: Pod\nmetadata: {name: hook, annotations: {helm.sh/hook: pre-install}}\n",
        ),
        (
            "charts/web/templates/test.yaml",
            "apiVersion: v1\nkind: Pod\nmetadata: {name: test, annotations: {helm.sh/hook: test}}\n",
        ),
    ];
    let all = render(json!({"path": "charts/web"}), &files).await.expect("it renders");
    assert_eq!(names(&all), ["CustomResourceDefinition/crd", "Pod/hook", "Pod/test"]);
    let few = json!({"path": "charts/web", "helm": {"skipCrds": true, "skipTests": true}});
    assert_eq!(names(&render(few, &files).await.expect("it renders")), ["Pod/hook"]);
}

#[tokio::test]
async fn values_are_checked_against_the_charts_schema_unless_skipped() {
    let files = [
        CHART,
        VALUES,
        TEMPLATE,
        ("charts/web/values.schema.json", r#"{"properties": {"color": {"type": "integer"}}}"#),
    ];
    let error = render(json!({"path": "charts/web"}), &files).await.expect_err("not an integer");
    assert!(error.contains("color") && error.contains("integer"), "{error}");
    let skip = json!({"path": "charts/web", "helm": {"skipSchemaValidation": true}});
    assert!(render(skip, &files).await.is_ok());
}

#[tokio::test]
async fn a_chart_that_fails_is_told_in_helms_words_with_paths_of_the_repository() {
    let broken = ("charts/web/templates/bad.yaml", "a: {{ required \"a color is needed\" .Values.none }}\n");
    let error = render(json!({"path": "charts/web"}), &[CHART, broken]).await.expect_err("it fails");
    assert!(error.starts_with("failed to render the chart in \"charts/web\": "), "{error}");
    assert!(error.contains("web/templates/bad.yaml:1:6") && error.contains("a color is needed"), "{error}");
    assert!(!error.contains("/tmp") && !error.contains("render-") && !error.contains("--debug"), "{error}");
}

#[tokio::test]
async fn an_object_without_name_is_named_by_its_template() {
    let nameless = ("charts/web/templates/bad.yaml", "apiVersion: v1\nkind: Secret\nmetadata: {}\n");
    let error = render(json!({"path": "charts/web"}), &[CHART, VALUES, TEMPLATE, nameless]).await;
    let error = error.expect_err("no name");
    assert!(error.ends_with("of web/templates/bad.yaml: the Secret has no metadata.name"), "{error}");
}

#[tokio::test]
async fn a_dependency_that_was_not_fetched_is_an_error() {
    let remote = (
        "charts/web/Chart.yaml",
        "apiVersion: v2\nname: web\nversion: 1.0.0\ndependencies: [{name: base, version: 1.0.0, repository: \"https://charts.example\"}]\n",
    );
    let error = render(json!({"path": "charts/web"}), &[remote]).await.expect_err("nothing is fetched");
    assert!(error.contains("missing in charts/ directory: base"), "{error}");
    assert!(error.ends_with("put it into the chart's charts folder"), "{error}");
}

#[tokio::test]
async fn remote_value_files_and_paths_out_of_the_repository_are_errors() {
    let error = |file: &'static str| async move {
        let spec = json!({"path": "charts/web", "helm": {"valueFiles": [file]}});
        render(spec, &[CHART, VALUES, TEMPLATE]).await.expect_err("not to be had")
    };
    assert!(error("https://x.example/values.yaml").await.contains("it was not fetched"));
    assert!(error("../../../etc/passwd").await.contains("is not a plain path inside the repository"));
}

#[tokio::test]
async fn a_release_has_the_name_of_its_application_within_the_bounds_of_helm() {
    let named =
        |name: String| data(json!({"releaseName": name, "version": "v2", "passCredentials": true}), &[]);
    assert_eq!(named("a".repeat(53)).await["metadata"]["name"], "a".repeat(53));
    let files = [CHART, VALUES, TEMPLATE];
    for (name, reason) in [("a".repeat(54), "53"), ("Not_Valid".to_owned(), "Not_Valid")] {
        let spec = json!({"path": "charts/web", "helm": {"releaseName": name}});
        let error = render(spec, &files).await.expect_err("not a name");
        assert!(error.contains(reason) && error.contains("release name"), "{error}");
    }
}

#[tokio::test]
async fn a_kubernetes_version_is_taken_without_what_a_distribution_adds() {
    for (version, seen) in [("v1.36.1+k3s1", "v1.36.1"), ("1.30", "v1.30"), ("v1.31.0-rc.1", "v1.31.0")] {
        assert_eq!(data(json!({"kubeVersion": version}), &[]).await["data"]["kube"], seen, "{version}");
    }
    let spec = json!({"path": "charts/web", "helm": {"kubeVersion": "latest"}});
    let error = render(spec, &[CHART, VALUES, TEMPLATE]).await.expect_err("no version");
    assert_eq!(
        error,
        "failed to read the Kubernetes version \"latest\" for the chart: write it as 1.37 or 1.37.2"
    );
}

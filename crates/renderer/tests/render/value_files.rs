//! Which value files and file parameters a chart is given: names, patterns, variables and other sources.

use ithaca_api::source::remote_value_folder;
use serde_json::{Value, json};

use crate::helm::{CHART, TEMPLATE, VALUES, data};
use crate::{LIMITS, render, render_with, source};

/// The keys that the value files set, and which of them was the last.
async fn order(value_files: Value, helm: Value, files: &[(&str, &str)]) -> Result<Vec<String>, String> {
    let template = (
        "charts/web/templates/all.yaml",
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: {{ toJson .Values }}\n",
    );
    let mut helm = helm;
    helm["valueFiles"] = value_files;
    let objects =
        render(json!({"path": "charts/web", "helm": helm}), &[&[CHART, template], files].concat()).await?;
    let data = objects[0]["data"].as_object().expect("a map");
    let mut names: Vec<String> = data.keys().filter(|key| *key != "last").cloned().collect();
    names.extend(data.get("last").and_then(Value::as_str).map(|last| format!("last: {last}")));
    Ok(names)
}

const ENV: [(&str, &str); 6] = [
    ("env/base.yaml", "base: 1\nlast: base"),
    ("env/nested/prod.yaml", "nested-prod: 1\nlast: nested-prod"),
    ("env/prod.yaml", "prod: 1\nlast: prod"),
    ("env/z.yml", "z: 1\nlast: z"),
    ("env/{x}.yaml", "braces: 1\nlast: braces"),
    ("env/shop/own.yaml", "own: 1\nlast: own"),
];

#[tokio::test]
async fn a_pattern_of_value_files_follows_the_rules_of_doublestar() {
    for (patterns, expected) in [
        (json!(["/env/*.yaml"]), "base braces prod last: braces"),
        (json!(["/env/**/*.yaml"]), "base braces nested-prod own prod last: own"),
        (json!(["/env/**/prod.yaml"]), "nested-prod prod last: nested-prod"),
        (json!(["/env/[bp]*.y?ml"]), "base prod last: prod"),
        (json!(["/env/[!b-p]*"]), "braces z last: braces"),
        (json!(["/env/{prod,z}.y*ml"]), "prod z last: z"),
        (json!(["/env/{x}.yaml"]), "braces last: braces"),
        (json!(["../../env/$ARGOCD_APP_NAME/*"]), "own last: own"),
        (json!(["/env/pro**.yaml"]), "prod last: prod"),
        (json!(["/e**/z.yml"]), "z last: z"),
    ] {
        assert_eq!(
            order(patterns.clone(), json!({}), &ENV).await.expect("it renders").join(" "),
            expected,
            "{patterns}"
        );
    }
}

#[tokio::test]
async fn each_value_file_counts_once_where_it_is_named_or_first_found() {
    for (patterns, last) in [
        (json!(["/env/*.yaml", "/env/base.yaml"]), "last: base"),
        (json!(["/env/base.yaml", "/env/*.yaml"]), "last: braces"),
        (json!(["/env/prod.yaml", "/env/base.yaml", "/env/prod.yaml"]), "last: base"),
        (json!(["/env/nested/*", "/env/p*", "/env/**/prod.yaml"]), "last: prod"),
    ] {
        let read = order(patterns.clone(), json!({}), &ENV).await.expect("it renders");
        assert_eq!(read.last().map(String::as_str), Some(last), "{patterns}");
    }
}

#[tokio::test]
async fn a_pattern_that_nothing_matches_may_be_ignored_and_one_that_is_none_may_not() {
    let ignore = json!({"ignoreMissingValueFiles": true});
    let files = json!(["/env/none-*.yaml", "gone.yaml", "/env/z.*"]);
    assert_eq!(order(files.clone(), ignore.clone(), &ENV).await.expect("it renders"), ["z", "last: z"]);
    let error = order(files, json!({}), &ENV).await.expect_err("nothing matches");
    assert_eq!(error, "failed to find value files: nothing matches \"/env/none-*.yaml\"");
    let error = order(json!(["/env/[a.yaml"]), ignore, &ENV).await.expect_err("no pattern");
    assert!(error.starts_with("failed to read the pattern of value files \"/env/[a.yaml\""), "{error}");
}

#[tokio::test]
async fn patterns_go_through_links_and_never_out() {
    let link = ("env/link", "-> nested");
    let read = order(json!(["/env/link/*.yaml"]), json!({}), &[&ENV[..], &[link]].concat()).await;
    assert_eq!(read.expect("it renders"), ["nested-prod", "last: nested-prod"]);
    let file = ("env/zz.yaml", "-> nested/prod.yaml");
    let read = order(json!(["/env/*.yaml"]), json!({}), &[&ENV[..], &[file]].concat()).await;
    assert!(read.expect("it renders").contains(&"nested-prod".to_owned()));
    for (pattern, link, reason) in [
        ("../../../*.yaml", "-> nested", "is not a plain path inside the repository"),
        ("/env/*.txt", "-> ../../secret", "the symbolic link \"env/out.txt\" leads out of the repository"),
        ("/env/out.*", "-> /dev/zero", "the symbolic link \"env/out.txt\" leads out of the repository"),
        ("/env/out.txt", "-> /dev/zero", "the symbolic link \"env/out.txt\" leads out of the repository"),
    ] {
        let files = [&ENV[..], &[("env/out.txt", link)]].concat();
        let error = order(json!([pattern]), json!({}), &files).await.expect_err(pattern);
        assert!(error.contains(reason), "{error}");
    }
}

#[tokio::test]
async fn a_chart_behind_a_link_finds_its_value_files() {
    let files = [
        CHART,
        VALUES,
        TEMPLATE,
        ("charts/web/env/a.yaml", "color: a"),
        ("apps", "-> charts"),
        ("[x]", "-> charts/web"),
    ];
    for path in ["apps/web", "[x]"] {
        for value_file in ["env/a.yaml", "env/*.yaml"] {
            let spec = json!({"path": path, "helm": {"valueFiles": [value_file]}});
            let objects = render(spec, &files).await.expect("it renders");
            assert_eq!(objects[0]["data"]["color"], "a", "{path} {value_file}");
        }
    }
}

#[tokio::test]
async fn all_variables_may_be_used_in_parameters_and_names_of_files() {
    let text = "$ARGOCD_APP_NAME ${ARGOCD_APP_NAMESPACE} $ARGOCD_APP_PROJECT_NAME $ARGOCD_APP_REVISION_SHORT \
                $ARGOCD_APP_REVISION_SHORT_8 $ARGOCD_APP_SOURCE_PATH $ARGOCD_APP_SOURCE_REPO_URL \
                $ARGOCD_APP_SOURCE_TARGET_REVISION $KUBE_VERSION $KUBE_API_VERSIONS $HOME $$HOME";
    let files = [CHART, VALUES, TEMPLATE, ("charts/web/shop-retail.txt", "from a file")];
    let spec = json!({"path": "charts/web", "targetRevision": "main", "helm": {
        "parameters": [{"name": "extra", "value": text}],
        "fileParameters": [{"name": "color", "path": "$ARGOCD_APP_NAME-${ARGOCD_APP_PROJECT_NAME}.txt"}],
    }});
    let objects = render(spec, &files).await.expect("it renders");
    assert_eq!(
        objects[0]["data"]["extra"],
        "shop store retail 0123456 01234567 charts/web https://git.example/repo main 1.37.2 \
         example.com/v1,example.com/v1/Widget  $HOME"
    );
    assert_eq!(objects[0]["data"]["color"], "from a file");
    let object = data(
        json!({"parameters": [{"name": "extra", "value": "$ARGOCD_APP_REVISION", "forceString": true}]}),
        &[],
    )
    .await;
    assert_eq!(object["data"]["extra"], "0123456789abcdef0123456789abcdef01234567");
}

#[tokio::test]
async fn files_of_another_source_are_found_from_its_root_and_never_outside_of_it() {
    let with = |helm: Value, more: &[(&str, &str)]| {
        let files = [("env/prod.yaml", "color: pink"), ("env/note.txt", "a note")];
        let values = source(json!({"ref": "my-values", "name": "the values"}), &[&files, more].concat());
        let spec = json!({"path": "charts/web", "name": "the chart", "helm": helm});
        let chart = source(spec, &[CHART, VALUES, TEMPLATE]);
        render_with(LIMITS, vec![values, chart])
    };
    let helm = json!({
        "valueFiles": ["$my-values/env/*.yaml"],
        "fileParameters": [{"name": "extra", "path": "$my-values/env/note.txt"}],
    });
    let objects = with(helm, &[]).await.expect("it renders");
    assert_eq!(
        (&objects[0]["data"]["color"], &objects[0]["data"]["extra"]),
        (&json!("pink"), &json!("a note"))
    );
    for (file, reason) in [
        ("$my-values/../other/x.yaml", "is not a plain path inside the repository"),
        ("$my-values/env/../../x.yaml", "is not a plain path inside the repository"),
        ("$my-values/kept/a.yaml", "leads out of the repository"),
        ("$my-values/kept/*.yaml", "leads out of the repository"),
        ("$my-values", "there is no \"\" in the repository"),
        ("$others/env/prod.yaml", "no source has the ref \"others\""),
        ("charts/$my-values/env/prod.yaml", "there is no \"charts/web/charts/-values/env/prod.yaml\""),
    ] {
        let link: &[_] = if file.contains("kept") { &[("kept/a.yaml", "-> ../../../x")] } else { &[] };
        let error = with(json!({"valueFiles": [file]}), link).await.expect_err(file);
        assert!(error.starts_with("source 2 of 2 (the chart): ") && error.contains(reason), "{error}");
        let error =
            with(json!({"fileParameters": [{"name": "extra", "path": file}]}), link).await.expect_err(file);
        let is_pattern = file.contains('*');
        assert!(is_pattern || error.contains(reason), "{error}");
    }
}

#[tokio::test]
async fn a_value_file_by_a_url_is_beside_the_chart_and_no_part_of_it() {
    let url = "https://values.example/$ARGOCD_APP_NAME/a.yaml";
    let fetched = format!("{}/values.yaml", remote_value_folder("https://values.example/shop/a.yaml"));
    let template = (
        "templates/all.yaml",
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n\
         data: {last: '{{ .Values.last }}', file: '{{ .Values.file }}', own: '{{ len (.Files.Glob \"**\") }}'}\n",
    );
    let helm = json!({
        "valueFiles": ["own.yaml", url],
        "fileParameters": [{"name": "file", "path": url}],
    });
    let files = [("Chart.yaml", CHART.1), template, ("own.yaml", "last: own"), (&fetched, "last: far")];
    let objects = render(json!({"path": ".", "helm": helm}), &files).await.expect("a chart");
    assert_eq!(objects[0]["data"], json!({"last": "far", "file": "last: far", "own": "1"}));
    let error = render(json!({"path": ".", "helm": helm}), &files[..3]).await.expect_err("nothing is there");
    assert!(error.contains("it was not fetched"), "{error}");
}

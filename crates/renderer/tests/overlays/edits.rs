//! What an Application says over an overlay against what `kustomize edit` makes of it.
//! In: each override and the commands that Argo CD would run for it. Out: verdicts.

use rstest::rstest;
use serde_json::{Value, json};

use crate::assert_same;
use crate::repository::{Repository, build, kustomize, render};

#[rstest]
#[case::name_prefix("overlays/names", json!({"namePrefix": "own-"}), &["set nameprefix -- own-"])]
#[case::name_suffix("overlays/names", json!({"nameSuffix": "-own"}), &["set namesuffix -- -own"])]
#[case::namespace("overlays/names", json!({"namespace": "own"}), &["set namespace -- own"])]
#[case::first_namespace("overlays/labels", json!({"namespace": "own"}), &["set namespace -- own"])]
#[case::image_tag("overlays/images", json!({"images": ["nginx:7"]}), &["set image nginx:7"])]
#[case::image_name("overlays/images", json!({"images": ["nginx=a/b"]}), &["set image nginx=a/b"])]
#[case::image_digest(
    "overlays/images",
    json!({"images": ["postgres=r.io:5000/p:1@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"]}),
    &["set image postgres=r.io:5000/p:1@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"]
)]
#[case::image_parts_are_kept("overlays/images", json!({"images": ["nginx=*:7", "postgres=p:*"]}), &["set image nginx=*:7 postgres=p:*"])]
#[case::images_rename_each_other(
    "overlays/labels",
    json!({"images": ["nginx=alpha", "alpha=beta"]}),
    &["set image nginx=alpha alpha=beta"]
)]
#[case::images_beside_old_ones("overlays/images-of-old", json!({"images": ["nginx:7"]}), &["set image nginx:7"])]
#[case::replicas("overlays/replicas", json!({"replicas": [{"name": "web", "count": 5}, {"name": "db", "count": "2"}]}), &["set replicas web=5 db=2"])]
#[case::labels("overlays/common-labels", json!({"commonLabels": {"a": "1", "b": "x y"}}), &["add label a:1", "add label 'b:x y'"])]
#[case::forced_labels(
    "overlays/common-labels",
    json!({"commonLabels": {"owner": "me"}, "forceCommonLabels": true}),
    &["add label --force owner:me"]
)]
#[case::labels_without_selector(
    "overlays/labels",
    json!({"commonLabels": {"a": "1"}, "labelWithoutSelector": true}),
    &["add label --without-selector a:1"]
)]
#[case::labels_of_templates(
    "overlays/labels",
    json!({"commonLabels": {"a": "1"}, "labelWithoutSelector": true, "labelIncludeTemplates": true}),
    &["add label --without-selector --include-templates a:1"]
)]
#[case::forced_labels_without_selector(
    "overlays/labels",
    json!({"commonLabels": {"templated": "2"}, "labelWithoutSelector": true, "labelIncludeTemplates": true, "forceCommonLabels": true}),
    &["add label --force --without-selector --include-templates templated:2"]
)]
#[case::labels_beside_fields(
    "overlays/label-fields",
    json!({"commonLabels": {"a": "1"}, "labelWithoutSelector": true}),
    &["add label --without-selector a:1"]
)]
#[case::annotations("overlays/common-labels", json!({"commonAnnotations": {"a": "x:y"}}), &["add annotation a:x:y"])]
#[case::forced_annotations(
    "overlays/common-labels",
    json!({"commonAnnotations": {"note": "x"}, "forceCommonAnnotations": true}),
    &["add annotation --force note:x"]
)]
#[case::components("overlays/patches", json!({"components": ["../../components/tls"]}), &["add component ../../components/tls"])]
#[case::components_that_are_there(
    "overlays/components",
    json!({"components": ["../../components/limits"]}),
    &["add component ../../components/limits"]
)]
#[case::patches(
    "overlays/patches",
    json!({"patches": [{"patch": "[{\"op\": \"add\", \"path\": \"/spec/paused\", \"value\": true}]", "target": {"group": "apps", "version": "v1", "kind": "Deployment", "name": "w.*", "labelSelector": "app=web", "annotationSelector": "team=shop"}}]}),
    &["add patch --patch '[{\"op\": \"add\", \"path\": \"/spec/paused\", \"value\": true}]' --group apps --version v1 --kind Deployment --name w.* --label-selector app=web --annotation-selector team=shop"]
)]
#[case::patches_by_path(
    "overlays/patch-targets",
    json!({"patches": [{"path": "service.yaml", "target": {"kind": "Service", "name": "web"}}]}),
    &["add patch --path service.yaml --kind Service --name web"]
)]
#[tokio::test]
async fn an_override_means_what_the_edit_commands_mean(
    #[case] overlay: &str,
    #[case] options: Value,
    #[case] edits: &[&str],
) {
    let (rendered, printed) = both(overlay, options, edits).await;
    assert_same(vec![(overlay.to_owned(), rendered, printed.expect("kustomize builds it"))]);
}

#[rstest]
#[case::no_image("overlays/images", json!({"images": ["nginx"]}), &["set image nginx"])]
#[case::labels_that_exist("overlays/common-labels", json!({"commonLabels": {"owner": "me"}}), &["add label owner:me"])]
#[case::labels_of_templates_with_selectors(
    "overlays/labels",
    json!({"commonLabels": {"a": "1"}, "labelIncludeTemplates": true}),
    &["add label --include-templates a:1"]
)]
#[case::labels_without_selector_that_exist(
    "overlays/labels",
    json!({"commonLabels": {"templated": "2"}, "labelWithoutSelector": true, "labelIncludeTemplates": true}),
    &["add label --without-selector --include-templates templated:2"]
)]
#[case::annotations_that_exist("overlays/common-labels", json!({"commonAnnotations": {"note": "x"}}), &["add annotation note:x"])]
#[tokio::test]
async fn an_override_that_the_edit_commands_refuse_is_refused(
    #[case] overlay: &str,
    #[case] options: Value,
    #[case] edits: &[&str],
) {
    let (rendered, printed) = both(overlay, options, edits).await;
    assert!(printed.is_err());
    let error = rendered.expect_err("refused");
    assert!(error.starts_with(&format!("failed to change {overlay}/kustomization.yaml: ")), "{error}");
}

/// What the Application's words give, and what the commands and a build give.
async fn both(
    overlay: &str,
    options: Value,
    edits: &[&str],
) -> (Result<Vec<Value>, String>, Result<String, String>) {
    let repository = Repository::new();
    let rendered = render(&repository, overlay, Some(options)).await;
    let folder = repository.folder().join(overlay);
    let edit = |command: &&str| {
        let words = words(command);
        let words: Vec<&str> = std::iter::once("edit").chain(words.iter().map(String::as_str)).collect();
        kustomize(&folder, &words)
    };
    let printed = edits.iter().try_for_each(|command| edit(command).map(drop));
    let printed = printed.and_then(|()| build(&repository.folder(), overlay, &repository.options(overlay)));
    (rendered, printed)
}

/// The words of a command; single quotes hold one together.
fn words(command: &str) -> Vec<String> {
    let mut words = Vec::new();
    for (index, part) in command.split('\'').enumerate() {
        if index % 2 == 1 {
            words.push(part.to_owned());
        } else {
            words.extend(part.split_whitespace().map(str::to_owned));
        }
    }
    words
}

//! Charts that mean harm, or look like it: each is an error of its own Application, told in few words.

use std::time::Duration;

use ithaca_renderer::sandbox::Limits;
use serde_json::json;

use crate::helm::{CHART, TEMPLATE, VALUES};
use crate::{LIMITS, render, render_with, source};

#[tokio::test]
async fn a_chart_that_never_ends_is_stopped() {
    let endless = (
        "charts/web/templates/endless.yaml",
        "{{- range $i := until 100000 }}{{- range $j := until 100000 }}{{- $x := printf \"%d\" $j | sha256sum }}{{- end }}{{- end }}\n",
    );
    let limits = Limits { time: Duration::from_millis(1500), ..LIMITS };
    let chart = source(json!({"path": "charts/web"}), &[CHART, endless]);
    let error = render_with(limits, vec![chart]).await.expect_err("it never ends");
    assert_eq!(
        error,
        "failed to render the chart in \"charts/web\": helm did not end within 1.5 seconds; the renderer's --render-time-limit allows more"
    );
}

#[tokio::test]
async fn a_chart_that_says_too_much_is_stopped() {
    let flood = ("charts/web/templates/flood.yaml", "data: {{ repeat 5000000 \"x\" }}\n");
    let chart = source(json!({"path": "charts/web"}), &[CHART, flood]);
    let error = render_with(LIMITS, vec![chart]).await.expect_err("too much");
    assert_eq!(
        error,
        "failed to render the chart in \"charts/web\": helm gave more than the limit of 1048576 bytes; the renderer's --render-output-max-mib allows more"
    );
}

#[tokio::test]
async fn a_link_out_of_the_repository_is_an_error() {
    let link = ("charts/web/templates/link.yaml", "-> /etc/hostname");
    let error = render(json!({"path": "charts/web"}), &[CHART, link]).await.expect_err("outside");
    assert_eq!(error, "the symbolic link \"charts/web/templates/link.yaml\" leads out of the repository");
}

#[tokio::test]
async fn a_chart_that_wants_too_much_memory_is_stopped() {
    let greedy = ("charts/web/templates/greedy.yaml", "{{ $all := repeat 1800000000 \"x\" }}\n");
    for memory in [2 << 30, 1 << 30] {
        let chart = source(json!({"path": "charts/web"}), &[CHART, greedy]);
        let error = render_with(Limits { memory, ..LIMITS }, vec![chart]).await.expect_err("too much");
        assert_eq!(
            error,
            format!(
                "failed to render the chart in \"charts/web\": helm needed more than {memory} bytes of memory; the renderer's --render-memory-max-mib allows more"
            )
        );
    }
}

#[tokio::test]
async fn templates_that_call_themselves_without_end_are_told_in_few_words() {
    let named = |body: &str| format!("{{{{ define \"a\" }}}}{body}{{{{ end }}}}{{{{ include \"a\" . }}}}\n");
    for (template, reason) in [
        (named("{{ include \"a\" . }}"), "rendering template has a nested reference name: a"),
        (named("{{ template \"a\" . }}"), "exceeded maximum template depth"),
    ] {
        let files = [CHART, ("charts/web/templates/loop.yaml", template.as_str())];
        let error = render(json!({"path": "charts/web"}), &files).await.expect_err("without end");
        assert!(error.contains("web/templates/loop.yaml:1:") && error.contains(reason), "{error}");
        assert!(error.len() < 5000, "{} bytes", error.len());
    }
}

#[tokio::test]
async fn values_that_evaluate_themselves_without_end_are_stopped() {
    let files = [
        CHART,
        ("charts/web/values.yaml", "x: \"{{ tpl .Values.x . }}\"\n"),
        ("charts/web/templates/loop.yaml", "{{ tpl .Values.x . }}\n"),
    ];
    let limits = Limits { time: Duration::from_secs(3), memory: 2 << 30, ..LIMITS };
    let error = render_with(limits, vec![source(json!({"path": "charts/web"}), &files)]).await;
    let error = error.expect_err("without end");
    let is_told = ["did not end within 3 seconds", "bytes of memory", "stack overflow"];
    assert!(is_told.iter().any(|told| error.contains(told)) && error.len() < 300, "{error}");
}

#[tokio::test]
async fn value_files_that_are_none_are_told_by_their_path() {
    let bomb: String = (1..12)
        .map(|level| format!("a{level}: &a{level} [{}]\n", vec![format!("*a{}", level - 1); 9].join(", ")))
        .collect();
    let bomb = format!("a0: &a0 [x, x, x, x, x, x, x, x, x]\n{bomb}");
    for (text, reason) in [
        (bomb.as_str(), "excessive aliasing"),
        ("a: [", "did not find expected"),
        ("- a list", "cannot unmarshal array"),
        ("\u{1}\u{2}", "control characters are not allowed"),
    ] {
        let files = [CHART, VALUES, TEMPLATE, ("env/bad.yaml", text)];
        let spec = json!({"path": "charts/web", "helm": {"valueFiles": ["/env/bad.yaml"]}});
        let error = render(spec, &files).await.expect_err("no values");
        assert!(error.contains("env/bad.yaml") && error.contains(reason), "{error}");
        assert!(!error.contains("/tmp") && error.len() < 600, "{error}");
    }
    let spec = json!({"path": "charts/web", "helm": {"valueFiles": ["/env"]}});
    let files = [CHART, VALUES, TEMPLATE, ("env/a.yaml", "")];
    let error = render(spec, &files).await.expect_err("a folder");
    assert!(error.contains("there is no \"env\""), "{error}");
}

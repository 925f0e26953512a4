//! What plugins read, and about which sources they are asked.

use super::*;

fn stacks() -> Repo {
    Repo::new(&[
        ("app/main.star", ""),
        ("app/deep/notes.md", ""),
        ("app/lib", "-> ../lib"),
        ("lib/a.star", ""),
        ("shared/b.lib", ""),
        ("up/c", ""),
        ("plain/a.yaml", ""),
        ("plain/deep/main.star", ""),
        ("stacks/a.yaml", ""),
        ("stacks/env/prod/stack.toml", ""),
        (
            "chart/Chart.yaml",
            "dependencies: [{name: other, version: 1.x, repository: https://charts.example}]",
        ),
        ("chart/main.star", ""),
    ])
}

#[test]
fn a_plugin_reads_its_folder_what_links_lead_to_and_what_the_application_names() {
    let derived = derive_from(&stacks(), json!([{"repoURL": "r", "path": "app", "plugin": {"name": "x"}}]));
    let derived = derived.expect("reads");
    let paths: Vec<_> = derived.reads[0].paths.keys().map(String::as_str).collect();
    assert_eq!(paths, ["app", "lib", "shared", "up"]);
    assert!(derived.has_chart && !derived.reads[0].discover);
}

#[test]
fn a_plugin_that_runs_helm_or_kustomize_finds_what_those_need_as_far_as_it_can_be_had() {
    let repo = stacks()
        .with("overlay/kustomization.yaml", "resources: [../base, 'https://elsewhere.example/x']")
        .with("base/kustomization.yaml", "resources: [a.yaml]")
        .with("base/a.yaml", "");
    let derived = |path: &str| {
        let source = json!([{"repoURL": "r", "path": path, "plugin": {"name": "x"}}]);
        derive_from(&repo, source).expect("reads")
    };
    assert_eq!(derived("chart").wants.len(), 1);
    let overlay = derived("overlay");
    assert!(overlay.reads[0].paths.contains_key("base"), "{:?}", overlay.reads);
    assert!(overlay.wants.is_empty() && overlay.reads[0].references.is_empty());
}

#[test]
fn plugins_are_asked_about_sources_that_name_no_tool_and_hold_their_files() {
    for (source, asked) in [
        (json!({"repoURL": "r", "path": "app"}), true),
        (json!({"repoURL": "r", "path": "stacks"}), true),
        (json!({"repoURL": "r", "path": "plain"}), false),
        (json!({"repoURL": "r", "path": "app", "directory": {}}), false),
        (json!({"repoURL": "r", "path": "app", "plugin": {}}), false),
    ] {
        let derived = derive_from(&stacks(), json!([source])).expect("reads");
        assert_eq!(derived.reads[0].discover, asked, "{source}");
    }
}

#[test]
fn what_other_tools_need_is_read_as_well_since_plugins_may_decline() {
    let derived = derive_from(&stacks(), json!([{"repoURL": "r", "path": "chart"}])).expect("reads");
    assert!(derived.reads[0].discover);
    assert_eq!(derived.wants.len(), 1);
}

#[test]
fn a_commit_that_adds_a_file_of_theirs_decides_anew() {
    let before = Repo::new(&[("stacks/a.yaml", ""), ("stacks/env/prod/notes.md", "")]);
    let after = before.with("stacks/env/prod/stack.toml", "");
    let derived = derive_from(&before, json!([{"repoURL": "r", "path": "stacks"}])).expect("reads");
    assert!(!derived.reads[0].discover);
    assert!(!still_holds(&derived.reads[0], |path| after.entry(path)));
}

#[test]
fn patterns_end_at_slashes_but_for_two_stars() {
    let repo = stacks();
    let (entry, list, text) = (|p: &str| repo.entry(p), |p: &str| repo.list(p), |p: &str| repo.text(p));
    let files = Files { entry: &entry, list: &list, text: &text };
    for (pattern, folder, found) in [
        ("*.star", "app", true),
        ("*.star", "plain", false),
        ("**/*.star", "plain", true),
        ("**/*.star", "app", true),
        ("deep/*.star", "plain", true),
        ("", "app", false),
    ] {
        let patterns = PluginFiles::new([pattern]).expect("a pattern");
        let source = serde_json::from_value(json!({"repoURL": "r", "path": folder})).expect("a source");
        let sources = [SourceFiles { source: &source, files }];
        let plugins = Plugins { files: &patterns, paths: None };
        let derived =
            derive(&sources, &[], &Application::default(), &Tools::default(), plugins).expect("reads");
        assert_eq!(derived.reads[0].discover, found, "{pattern} in {folder}");
    }
    assert!(PluginFiles::new(["[a"]).is_err());
}

//! Files in a source's folder that say more of it (`.argocd-source.yaml`).

use super::*;

fn overridden(repo: &Repo, source: serde_json::Value) -> Vec<serde_json::Value> {
    let derived = derive_from(repo, json!([source])).expect("reads");
    let sources = derived.reads.iter().filter(|reads| !reads.overridden.is_empty());
    sources.map(|reads| serde_json::from_str(&reads.overridden).expect("JSON")).collect()
}

#[test]
fn files_in_its_folder_say_more_of_a_source_the_applications_own_last() {
    let repo = plain()
        .with("infra/.argocd-source.yaml", "directory: {recurse: true, include: '*.yaml'}")
        .with("infra/.argocd-source-team_shop.yaml", "directory: {include: 'db/*', Exclude: x}")
        .with("infra/.argocd-source-shop.yaml", "directory: {include: 'nothing'}");
    let source = json!({"repoURL": "r", "path": "infra"});
    let merged = json!({"repoURL": "r", "path": "infra",
        "directory": {"recurse": true, "include": "db/*", "exclude": "x"}});
    assert_eq!(overridden(&repo, source.clone()), [merged]);
    assert_eq!(
        reads(&repo, json!([source])),
        [[
            "infra/.argocd-source-team_shop.yaml",
            "infra/.argocd-source.yaml",
            "infra/db/chart/values.yaml",
            "infra/db/my-application.yaml"
        ]]
    );
    assert!(overridden(&plain(), json!({"repoURL": "r", "path": "infra"})).is_empty());
}

#[test]
fn a_commit_that_adds_changes_or_removes_such_a_file_decides_anew() {
    let source = json!([{"repoURL": "r", "path": "infra"}]);
    let without = plain();
    let with = without.with("infra/.argocd-source.yaml", "directory: {recurse: true}");
    let changed = with.with("infra/.argocd-source.yaml", "directory: {recurse: false}");
    for (before, after) in [(&without, &with), (&with, &changed), (&with, &without)] {
        let derived = derive_from(before, source.clone()).expect("reads");
        assert!(!still_holds(&derived.reads[0], |path| after.entry(path)));
    }
}

#[test]
fn such_a_file_may_name_the_tool_and_more_files() {
    let repo = Repo::new(&[
        ("app/kustomization.yaml", ""),
        ("app/.argocd-source.yaml", "-> ../shared/override.yaml"),
        ("shared/override.yaml", "helm: {valueFiles: [/env/shop.yaml, $env/prod.yaml]}"),
        ("env/shop.yaml", ""),
        ("prod.yaml", ""),
    ]);
    let sources = json!([{"repoURL": "r", "path": "app"}, {"repoURL": "r", "ref": "env"}]);
    let derived = derive_from(&repo, sources.clone()).expect("reads");
    assert!(derived.has_chart);
    assert_eq!(
        reads(&repo, sources),
        [vec!["app", "env/shop.yaml", "shared/override.yaml"], vec!["prod.yaml"]]
    );
}

#[test]
fn such_a_file_that_cannot_be_followed_is_refused() {
    let repo = |text: &str| Repo::new(&[("app/a.yaml", ""), ("app/.argocd-source.yaml", text)]);
    for (text, reason) in [
        ("helm: [", "failed to read app/.argocd-source.yaml: line"),
        ("helm: {parameters: {}}", "failed to read app/.argocd-source.yaml: invalid type: map"),
        ("-> ../../x", "link \"app/.argocd-source.yaml\" leads out"),
        ("{helm: {}, kustomize: {}}", "multiple application sources defined"),
    ] {
        let message = refusal(&repo(text), json!({"repoURL": "r", "path": "app"}));
        assert!(message.contains(reason), "{message}");
    }
}

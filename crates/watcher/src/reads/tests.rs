//! Repositories as lists of files; ids are made of the contents, so that they change as Git's do.

mod bases;
mod limits;
mod overlays;
mod plugins;
mod source_overrides;

use std::collections::BTreeMap;

use serde_json::json;
use sha2::{Digest, Sha256};

use super::*;

/// A repository: contents by path; a content `-> target` is a link.
#[derive(Clone)]
struct Repo(BTreeMap<String, String>);

impl Repo {
    fn new(files: &[(&str, &str)]) -> Self {
        Self(files.iter().map(|(path, text)| ((*path).to_owned(), (*text).to_owned())).collect())
    }

    fn with(&self, path: &str, text: &str) -> Self {
        let mut files = self.0.clone();
        files.insert(path.to_owned(), text.to_owned());
        Self(files)
    }

    fn entry(&self, path: &str) -> Option<Entry> {
        let id = |text: String| hex::encode(Sha256::digest(text));
        if let Some(text) = self.0.get(path) {
            let kind = if text.starts_with("-> ") { Kind::Link } else { Kind::File };
            return Some(Entry { id: id(format!("blob {text}")), kind });
        }
        let below: Vec<_> = self.0.iter().filter(|(file, _)| path::is_within(file, path)).collect();
        (!below.is_empty()).then(|| Entry { id: id(format!("tree {below:?}")), kind: Kind::Folder })
    }

    fn list(&self, path: &str) -> Vec<(String, Entry)> {
        let prefix = if path.is_empty() { String::new() } else { format!("{path}/") };
        let mut names: Vec<&str> =
            self.0.keys().filter_map(|file| file.strip_prefix(&prefix)?.split('/').next()).collect();
        names.dedup();
        names
            .into_iter()
            .filter_map(|name| Some((name.to_owned(), self.entry(&format!("{prefix}{name}"))?)))
            .collect()
    }

    fn text(&self, path: &str) -> Option<Vec<u8>> {
        let text = self.0.get(path)?;
        Some(text.strip_prefix("-> ").unwrap_or(text).as_bytes().to_vec())
    }
}

fn derive_from(repo: &Repo, sources: serde_json::Value) -> Result<Derived, ReadError> {
    derive_with(repo, sources, &[])
}

/// Derives with what was found of other repositories.
fn derive_with(
    repo: &Repo,
    sources: serde_json::Value,
    found: &[(Want, Option<Repo>)],
) -> Result<Derived, ReadError> {
    let sources: Vec<ApplicationSource> = serde_json::from_value(sources).expect("sources");
    let answers = |repo: Repo| {
        let (one, two, three) = (repo.clone(), repo.clone(), repo);
        (move |p: &str| one.entry(p), move |p: &str| two.list(p), move |p: &str| three.text(p))
    };
    let (entry, list, text) = answers(repo.clone());
    let files = Files { entry: &entry, list: &list, text: &text };
    let with_files: Vec<_> = sources.iter().map(|source| SourceFiles { source, files }).collect();
    let others: Vec<_> = found.iter().map(|(want, repo)| (want, repo.clone().map(answers))).collect();
    let attached: Vec<_> = others
        .iter()
        .map(|(want, answers)| AttachedFiles {
            want,
            files: answers.as_ref().map(|(entry, list, text)| Files { entry, list, text }),
        })
        .collect();
    let application = Application {
        instance: "team_shop".into(),
        project: "retail".into(),
        destination_namespace: "store".into(),
    };
    let files = PluginFiles::new(["*.star", "./env/*/stack.toml"]).expect("patterns");
    let named = GeneratePaths::parse(".;/shared/*.lib;../up").expect("paths");
    derive(
        &with_files,
        &attached,
        &application,
        &Tools::default(),
        Plugins { files: &files, paths: named.as_ref() },
    )
}

/// The paths that each source reads.
fn reads(repo: &Repo, sources: serde_json::Value) -> Vec<Vec<String>> {
    let derived = derive_from(repo, sources).expect("reads");
    derived.reads.into_iter().map(|reads| reads.paths.into_keys().collect()).collect()
}

fn refusal(repo: &Repo, source: serde_json::Value) -> String {
    derive_from(repo, json!([source])).expect_err("a refusal").to_string()
}

fn plain() -> Repo {
    Repo::new(&[
        ("infra/application.yaml", "a"),
        ("infra/db/my-application.yaml", "b"),
        ("infra/db/chart/values.yaml", "c"),
        ("infra/notes.md", "d"),
        ("other/readme.md", "e"),
    ])
}

#[test]
fn a_folder_reads_the_manifests_that_its_patterns_let_through() {
    let source = json!([{"repoURL": "r", "path": "infra",
        "directory": {"recurse": true, "include": "{*application.yaml,*application-set.yaml}"}}]);
    assert_eq!(reads(&plain(), source), [["infra/application.yaml", "infra/db/my-application.yaml"]]);
    let source = json!([{"repoURL": "r", "path": "infra"}]);
    assert_eq!(reads(&plain(), source), [["infra/application.yaml"]]);
    let source =
        json!([{"repoURL": "r", "path": ".", "directory": {"recurse": true, "exclude": "infra/db/*"}}]);
    assert_eq!(reads(&plain(), source), [["infra/application.yaml"]]);
}

#[test]
fn a_folders_patterns_mean_what_they_mean_to_its_renderer() {
    let files = ["a.yaml", "ax.yaml", "bx.yaml", "sub/a.yaml", "x-y.yaml", "x.yaml"];
    let repo = Repo::new(&files.map(|path| (path, path)));
    for (directory, expected) in [
        (json!({"exclude": "**/a.yaml"}), "a.yaml ax.yaml bx.yaml x-y.yaml x.yaml"),
        (json!({"include": "**/a.yaml"}), "sub/a.yaml"),
        (json!({"include": "x{,-y}.yaml"}), "x-y.yaml x.yaml"),
        (json!({"include": "[^a]x.yaml"}), "ax.yaml"),
        (json!({"include": "[!a]x.yaml"}), "bx.yaml"),
    ] {
        let mut directory = directory;
        directory["recurse"] = json!(true);
        let read = reads(&repo, json!([{"repoURL": "r", "path": ".", "directory": directory}]));
        assert_eq!(read[0].join(" "), expected, "{directory}");
    }
}

#[test]
fn a_folder_without_manifests_is_read_as_a_folder() {
    assert_eq!(reads(&plain(), json!([{"repoURL": "r", "path": "other"}])), [["other"]]);
}

#[test]
fn a_folder_is_decided_by_its_tree_and_read_by_its_files() {
    let source = json!([{"repoURL": "r", "path": "infra"}]);
    let before = derive_from(&plain(), source.clone()).expect("reads");
    let unrelated = derive_from(&plain().with("infra/db/chart/values.yaml", "new"), source.clone());
    assert_ne!(before, unrelated.clone().expect("reads"));
    assert_eq!(before.reads[0].paths, unrelated.expect("reads").reads[0].paths);
    let added = derive_from(&plain().with("infra/new.yaml", "new"), source).expect("reads");
    assert!(added.reads[0].paths.contains_key("infra/new.yaml"));
}

#[test]
fn a_pattern_that_cannot_be_read_reads_the_whole_folder() {
    let source = json!([{"repoURL": "r", "path": "infra", "directory": {"include": "{a"}}]);
    assert_eq!(reads(&plain(), source), [["infra"]]);
}

#[test]
fn a_commit_elsewhere_leaves_the_decision_alone() {
    let repo = plain();
    let derived = derive_from(&repo, json!([{"repoURL": "r", "path": "infra"}])).expect("reads");
    let holds = |repo: Repo| still_holds(&derived.reads[0], |path| repo.entry(path));
    assert_eq!(derived.reads[0].decided_by.keys().collect::<Vec<_>>(), ["infra"]);
    assert!(holds(repo.with("other/readme.md", "new")));
    assert!(!holds(repo.with("infra/application.yaml", "new")));
    assert!(!holds(repo.with("infra/added.yaml", "new")));
}

#[test]
fn a_chart_wants_what_it_depends_on_and_does_not_have() {
    let repo = Repo::new(&[
        (
            "web/Chart.yaml",
            "dependencies:\n- {name: lib, repository: 'file://../lib'}\n\
             - {name: db, version: ^1, repository: 'https://x'}\n\
             - {name: db, version: ^2, alias: old, repository: 'https://x'}\n\
             - {name: packed, version: 1.x, repository: 'https://x'}\n\
             - {name: unpacked, version: 1.x, repository: 'oci://y/charts'}\n- {name: here}",
        ),
        ("web/Chart.lock", "dependencies:\n- {name: db, version: 1.2.3, repository: 'https://x'}"),
        ("web/charts/packed-1.0.0.tgz", ""),
        ("web/charts/unpacked/Chart.yaml", ""),
        ("lib/Chart.yaml", "dependencies:\n- {name: deep, repository: 'file://../deep'}"),
        (
            "lib/requirements.yaml",
            "dependencies:\n- {name: far, version: 3.0.0, repository: 'oci://y/charts'}",
        ),
        ("deep/Chart.yaml", "name: deep"),
    ]);
    let derived = derive_from(&repo, json!([{"repoURL": "r", "path": "web"}])).expect("reads");
    let wants: Vec<_> =
        derived.wants.iter().map(|want| format!("{} {} {}", want.path, want.chart, want.revision)).collect();
    assert_eq!(wants, ["web/charts/db db 1.2.3", "web/charts/db-2 db ^2", "lib/charts/far far 3.0.0"]);
    let laid: Vec<_> = derived.reads[0].laid.iter().map(|(at, from)| format!("{at} <- {from}")).collect();
    assert_eq!(laid, ["lib/charts/deep <- deep", "web/charts/lib <- lib"]);
    let many: String =
        (0..101).map(|number| format!("- {{name: c{number}, repository: 'https://x'}}\n")).collect();
    let repo = repo.with("web/Chart.yaml", &format!("dependencies:\n{many}"));
    assert!(refusal(&repo, json!({"repoURL": "r", "path": "web"})).contains("more than 100"));
}

#[test]
fn a_chart_reads_value_files_and_charts_beside_it() {
    let repo = Repo::new(&[
        (
            "charts/web/Chart.yaml",
            "dependencies:\n- {name: lib, repository: 'file://../lib'}\n- {name: x, repository: 'https://x'}",
        ),
        ("charts/web/values.yaml", ""),
        ("charts/lib/Chart.yaml", "name: lib"),
        ("env/prod/web.yaml", ""),
        ("env/all.yaml", ""),
    ]);
    let source = json!([
        {"repoURL": "r", "path": "charts/web", "helm": {
            "valueFiles": ["values.yaml", "../../env/prod/*.yaml", "/env/all.yaml", "https://x/y.yaml",
                           "$values/env/$ARGOCD_APP_NAME.yaml"],
            "fileParameters": [{"name": "a", "path": "../missing.txt"}]}},
        {"repoURL": "r", "ref": "values"},
    ]);
    let derived = derive_from(&repo, source.clone()).expect("reads");
    assert!(derived.has_chart);
    assert_eq!(derived.reads[0].paths["charts/missing.txt"], "");
    assert_eq!(
        reads(&repo, source),
        [
            vec!["charts/lib", "charts/missing.txt", "charts/web", "env/all.yaml", "env/prod"],
            vec!["env/team_shop.yaml"]
        ]
    );
}

#[test]
fn links_are_read_with_what_they_lead_to() {
    let repo = Repo::new(&[
        ("apps/current", "-> v2"),
        ("apps/v2/Chart.yaml", ""),
        ("apps/v2/common.yaml", "-> ../../shared/common.yaml"),
        ("shared/common.yaml", ""),
    ]);
    assert_eq!(
        reads(&repo, json!([{"repoURL": "r", "path": "apps/current"}])),
        [["apps/current", "apps/v2", "shared/common.yaml"]]
    );
}

#[test]
fn what_leads_out_of_the_repository_is_refused() {
    let repo = Repo::new(&[
        ("a/x.yaml", "-> ../../../etc/passwd"),
        ("b/x.yaml", "-> /etc/passwd"),
        ("c/kustomization.yaml", "resources: [../../../other]"),
        ("d/Chart.yaml", ""),
        ("f/kustomization.yaml", "crds: ['http://127.0.0.1:8222/varz']"),
        ("g/kustomization.yaml", "generators: ['github.com/a/b//c?ref=v1']"),
        ("h/kustomization.yaml", "configMapGenerator: [{name: a, files: [k=/proc/self/environ]}]"),
        ("e/one.yaml", "-> two.yaml"),
        ("e/two.yaml", "-> one.yaml"),
    ]);
    for (source, reason) in [
        (json!({"repoURL": "r", "path": "../a"}), "path \"../a\" leads out of the repository"),
        (json!({"repoURL": "r", "path": "a"}), "link \"a/x.yaml\" leads out"),
        (json!({"repoURL": "r", "path": "b"}), "link \"b/x.yaml\" leads out"),
        (json!({"repoURL": "r", "path": "c"}), "path \"../../../other\" leads out"),
        (json!({"repoURL": "r", "path": "d", "helm": {"valueFiles": ["../../x.yaml"]}}), "leads out"),
        (json!({"repoURL": "r", "path": "e"}), "leads to too many others"),
        (json!({"repoURL": "r", "path": "f"}), "\"http://127.0.0.1:8222/varz\" is not in the repository"),
        (json!({"repoURL": "r", "path": "h"}), "\"/proc/self/environ\" is not in the repository"),
        (json!({"repoURL": "r", "path": "g"}), "\"github.com/a/b//c\" is not in the repository"),
    ] {
        let message = refusal(&repo, source);
        assert!(message.contains(reason), "{message}");
    }
}

#[test]
fn sources_that_name_nothing_are_refused() {
    let repo = plain();
    for (source, reason) in [
        (json!({"repoURL": "r", "path": "nowhere"}), "path \"nowhere\" does not exist"),
        (json!({"repoURL": "r", "path": "infra/notes.md"}), "path \"infra/notes.md\" is not a folder"),
        (json!({"repoURL": "r", "path": "infra", "helm": {"valueFiles": ["$x/a.yaml"]}}), "no matching ref"),
        (json!({"repoURL": "r", "path": "infra", "helm": {}, "kustomize": {}}), "multiple"),
    ] {
        let message = refusal(&repo, source);
        assert!(message.contains(reason), "{message}");
    }
}

#[test]
fn variables_in_the_names_of_value_files_are_followed_where_they_are_known() {
    let repo = Repo::new(&[
        ("charts/web/Chart.yaml", ""),
        ("env/team_shop/values.yaml", ""),
        ("env/other/values.yaml", ""),
        ("env/retail-store.yaml", ""),
        ("charts/web/team_shop.yaml", ""),
    ]);
    let source = |file: &str| json!([{"repoURL": "r", "path": "charts/web", "helm": {"valueFiles": [file]}}]);
    for (file, read) in [
        ("../../env/$ARGOCD_APP_NAME/values.yaml", "env/team_shop/values.yaml"),
        ("/env/${ARGOCD_APP_PROJECT_NAME}-$ARGOCD_APP_NAMESPACE.yaml", "env/retail-store.yaml"),
        ("/env/$ARGOCD_APP_NAME/*.yaml", "env/team_shop"),
        ("/env/$ARGOCD_APP_REVISION_SHORT/values.yaml", "env"),
        ("/env/$ARGOCD_APP_NAME/$KUBE_VERSION.yaml", "env"),
    ] {
        assert_eq!(reads(&repo, source(file)), [["charts/web", read]], "{file}");
    }
    assert_eq!(reads(&repo, source("${ARGOCD_APP_NAME}.yaml")), [["charts/web"]]);
}

#[test]
fn who_asks_what_the_destination_offers_is_told() {
    let repo = Repo::new(&[("a/kustomization.yaml", "")]);
    let asks = |value: &str| {
        let kustomize = json!({"commonAnnotations": {"a": value}, "commonAnnotationsEnvsubst": true});
        let source = json!([{"repoURL": "r", "path": "a", "kustomize": kustomize}]);
        derive_from(&repo, source).expect("reads").has_chart
    };
    assert!(asks("$KUBE_VERSION") && asks("${KUBE_API_VERSIONS}") && !asks("$ARGOCD_APP_NAME"));
}

#[test]
fn a_source_of_a_tool_that_is_not_enabled_reads_the_manifests_of_its_folder() {
    let repo = Repo::new(&[
        ("app/Chart.yaml", "a"),
        ("app/templates/x.yaml", "b"),
        ("app/kustomization.yaml", "resources: [../other]"),
        ("app/x.jsonnet", "c"),
    ]);
    let read = |disabled: &[&str]| {
        let source = serde_json::from_value(json!({"repoURL": "r", "path": "app"})).expect("a source");
        let (entry, list, text) = (|p: &str| repo.entry(p), |p: &str| repo.list(p), |p: &str| repo.text(p));
        let files = Files { entry: &entry, list: &list, text: &text };
        let settings = disabled.iter().map(|tool| (format!("{tool}.enable"), "false".to_owned()));
        let sources = [SourceFiles { source: &source, files }];
        let plugins = Plugins { files: &PluginFiles::default(), paths: None };
        let derived =
            derive(&sources, &[], &Application::default(), &Tools::of(&settings.collect()), plugins);
        derived.expect("reads").reads.remove(0).paths.into_keys().collect::<Vec<_>>()
    };
    assert_eq!(read(&[]), ["app"]);
    assert_eq!(read(&["helm"]), ["app", "other"]);
    let manifests = ["app/Chart.yaml", "app/kustomization.yaml"];
    assert_eq!(read(&["helm", "kustomize", "jsonnet"]), manifests);
}

#[test]
fn a_value_file_by_a_url_is_wanted_where_its_scheme_is_allowed() {
    let repo = Repo::new(&[("app/Chart.yaml", "name: app")]);
    let source = |file: &str| {
        let parameters = json!([{"name": "a", "path": file}]);
        json!({"repoURL": "r", "path": "app", "helm": {"valueFiles": [file], "fileParameters": parameters}})
    };
    let derived = derive_from(&repo, json!([source("https://x.example/$ARGOCD_APP_NAME/v.yaml")]));
    let wants = derived.expect("reads").wants;
    let url = "https://x.example/team_shop/v.yaml";
    let path = ".ithaca-remote-value-files/https:%2F%2Fx.example%2Fteam_shop%2Fv.yaml".to_owned();
    let (chart, revision) = (String::new(), "HEAD".to_owned());
    assert_eq!(
        wants,
        [Want { what: What::ValueFile, source: 0, path, repository: url.to_owned(), chart, revision }]
    );
    let refused = refusal(&repo, source("s3://me:s3cret@bucket/v.yaml"));
    assert!(refused.contains("scheme s3") && !refused.contains("s3cret"), "{refused}");
    let late = refusal(&repo, source("https://x.example/$ARGOCD_APP_REVISION/v.yaml"));
    assert!(late.contains("known too late"), "{late}");
}

//! What overlays name and what programs import: repositories as lists of files come in, paths go out.

use serde_json::json;

use super::{Repo, derive_from, reads};

#[test]
fn an_overlay_reads_its_bases_and_what_they_refer_to() {
    let repo = Repo::new(&[
        (
            "apps/web/prod/kustomization.yaml",
            "resources: [../base, deploy.yaml]\n\
          components: [../../../components/tls]\n\
          patches: [{path: ../../shared/patch.yaml}, {patch: 'a: b'}]\n\
          configMapGenerator: [{name: a, files: [key=../../../files/conf.ini]}]",
        ),
        ("apps/web/prod/deploy.yaml", ""),
        ("apps/web/base/kustomization.yml", "bases: [../../common]\nresources: [x.yaml]"),
        ("apps/web/base/x.yaml", ""),
        ("apps/common/Kustomization", "resources: [y.yaml]"),
        ("apps/common/y.yaml", ""),
        ("apps/shared/patch.yaml", ""),
        ("apps/unrelated/z.yaml", ""),
        ("components/tls/kustomization.yaml", ""),
        ("files/conf.ini", ""),
    ]);
    assert_eq!(
        reads(&repo, json!([{"repoURL": "r", "path": "apps/web/prod"}])),
        [[
            "apps/common",
            "apps/shared/patch.yaml",
            "apps/web/base",
            "apps/web/prod",
            "components/tls",
            "files/conf.ini"
        ]]
    );
}

#[test]
fn an_overlay_reads_what_configurations_of_plugins_name() {
    let repo = Repo::new(&[
        (
            "app/kustomization.yaml",
            "generators: [../gen/one.yaml, ../many]\ntransformers: ['kind: X\n\npath: ../p.yaml']",
        ),
        ("gen/one.yaml", "kind: ConfigMapGenerator\nfiles: [../files/a.txt]"),
        ("many/kustomization.yaml", "resources: [two.yaml]"),
        ("many/two.yaml", "kind: SecretGenerator\nenvs: [../files/b.env]"),
        ("files/a.txt", ""),
        ("files/b.env", ""),
        ("p.yaml", ""),
    ]);
    let derived = derive_from(&repo, json!([{"repoURL": "r", "path": "app"}])).expect("reads");
    assert!(derived.reads[0].is_overlay && !derived.has_chart);
    let paths: Vec<_> = derived.reads[0].paths.keys().collect();
    assert_eq!(paths, ["app", "files/a.txt", "files/b.env", "gen/one.yaml", "many", "p.yaml"]);
}

#[test]
fn an_overlay_that_inflates_a_chart_may_ask_what_the_destination_offers() {
    let repo = Repo::new(&[
        ("app/kustomization.yaml", "resources: [../base]"),
        (
            "base/kustomization.yaml",
            "helmGlobals: {chartHome: ../charts}\nhelmCharts: [{name: web, valuesFile: ../v.yaml}]",
        ),
        ("charts/web/Chart.yaml", ""),
        ("charts/other/Chart.yaml", ""),
        ("v.yaml", ""),
    ]);
    let derived = derive_from(&repo, json!([{"repoURL": "r", "path": "app"}])).expect("reads");
    assert!(derived.has_chart);
    assert_eq!(derived.reads[0].paths.keys().collect::<Vec<_>>(), ["app", "base", "charts/web", "v.yaml"]);
}

#[test]
fn an_overlay_is_followed_through_links() {
    let repo = Repo::new(&[
        ("app/kustomization.yaml", "-> ../real.yaml"),
        ("real.yaml", "resources: [../base]"),
        ("base", "-> versions/v2/base"),
        ("versions/v2/base/kustomization.yaml", "resources: [../common]"),
        ("versions/v2/common/kustomization.yaml", ""),
    ]);
    assert_eq!(
        reads(&repo, json!([{"repoURL": "r", "path": "app"}])),
        [["app", "base", "real.yaml", "versions/v2/base", "versions/v2/common"]]
    );
}

#[test]
fn programs_read_what_they_import_and_the_places_where_it_would_be_found_before() {
    let repo = Repo::new(&[
        ("app/a.yaml", ""),
        ("app/main.jsonnet", "(import 'k.libsonnet') + { t: importstr '../texts/t.txt' }"),
        ("app/notes.md", ""),
        ("lib/k.libsonnet", "import 'deep/k.libsonnet'"),
        ("lib/deep/k.libsonnet", "importbin 'x.dat'"),
        ("lib/deep/x.dat", ""),
        ("lib/unused.libsonnet", ""),
        ("texts/t.txt", "import 'no program'"),
        ("vendor/v.libsonnet", ""),
    ]);
    let jsonnet = json!({"libs": ["lib", "vendor"],
                         "extVars": [{"name": "v", "value": "import 'v.libsonnet'", "code": true},
                                     {"name": "w", "value": "import 'w.libsonnet'"}]});
    let source = json!([{"repoURL": "r", "path": "app", "directory": {"jsonnet": jsonnet}}]);
    assert_eq!(
        reads(&repo, source.clone()),
        [[
            "app/a.yaml",
            "app/k.libsonnet",
            "app/main.jsonnet",
            "lib/deep/k.libsonnet",
            "lib/deep/x.dat",
            "lib/k.libsonnet",
            "texts/t.txt",
            "vendor/k.libsonnet",
            "vendor/v.libsonnet",
        ]]
    );
    // What cannot be read as a program may import anything.
    assert_eq!(reads(&repo.with("app/main.jsonnet", "'no end"), source), [["app", "vendor/v.libsonnet"]]);
}

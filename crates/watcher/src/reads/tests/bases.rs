//! What overlays name by URL: repositories as lists of files come in, what is wanted, read and called how goes out.

use serde_json::json;

use super::*;

/// Finds what an overlay reads until all is found that it wants; `remote` has the files of each repository.
fn settle(repo: &Repo, remote: impl Fn(&Want) -> Option<Repo>) -> Result<Derived, ReadError> {
    let mut known: Vec<(Want, Option<Repo>)> = Vec::new();
    for _ in 0..20 {
        let derived = derive_with(repo, json!([{"repoURL": "r", "path": "app"}]), &known)?;
        if known.iter().map(|(want, _)| want).eq(&derived.wants) {
            return Ok(derived);
        }
        known = derived.wants.into_iter().map(|want| (want.clone(), remote(&want))).collect();
    }
    unreachable!("it does not settle")
}

/// What is wanted: where, of whom, at which revision.
fn wants(derived: &Derived) -> Vec<String> {
    let text = |want: &Want| {
        let Want { what, repository, chart, revision, path, .. } = want;
        let path = if *what == What::Base { "" } else { path };
        format!("{what:?} {repository} {chart} {revision} {path}").replace("  ", " ").trim().to_owned()
    };
    derived.wants.iter().map(text).collect()
}

/// Where what is written leads, folders made plain.
fn leads(derived: &Derived, written: &str) -> Vec<String> {
    let references = derived.reads[0].references.iter().filter(|reference| reference.written == written);
    references.map(|it| path::join(&it.folder, &it.path).expect("inside")).collect()
}

#[test]
fn a_base_elsewhere_is_wanted_and_then_read_like_one_that_is_here() {
    let url = "https://h.example/org/base//web?ref=v1";
    let repo =
        Repo::new(&[("app/kustomization.yaml", "resources: ['https://h.example/org/base//web?ref=v1']")]);
    let base = Repo::new(&[
        ("web/kustomization.yaml", "resources: [../common, a.yaml]"),
        ("web/a.yaml", ""),
        ("common/kustomization.yaml", "configMapGenerator: [{name: a, files: [../files/x]}]"),
        ("files/x", ""),
        ("other/y", ""),
    ]);
    let first = settle(&repo, |_| None).expect("it is wanted");
    assert_eq!(wants(&first), ["Base https://h.example/org/base v1"]);
    let derived = settle(&repo, |_| Some(base.clone())).expect("it is read");
    assert_eq!(wants(&derived), wants(&first));
    assert_eq!(derived.attached[0].keys().collect::<Vec<_>>(), ["common", "files/x", "web"]);
    assert_eq!(derived.reads[0].paths.keys().collect::<Vec<_>>(), ["app"]);
    assert_eq!(leads(&derived, url), [format!("{}/web", derived.wants[0].path)]);
    // Another ref is another place.
    let other =
        Repo::new(&[("app/kustomization.yaml", "resources: ['https://h.example/org/base//web?ref=v2']")]);
    assert_ne!(settle(&other, |_| None).expect("wanted").wants[0].path, derived.wants[0].path);
}

#[test]
fn bases_elsewhere_name_others_that_are_elsewhere() {
    let repo = Repo::new(&[(
        "app/kustomization.yaml",
        "resources: [github.com/org/a]\ncomponents: ['git@h.example:org/c.git//part']",
    )]);
    let remote = |want: &Want| {
        let files: &[(&str, &str)] = match want.repository.as_str() {
            "https://github.com/org/a" => &[
                ("kustomization.yaml", "resources: ['https://github.com/org/b//x?ref=main', deep]"),
                ("deep/kustomization.yaml", "resources: ['https://h.example/crds.yaml']"),
            ],
            // The second names the first in turn.
            "https://github.com/org/b" => &[("x/kustomization.yaml", "bases: [github.com/org/a]")],
            _ => &[("part/kustomization.yaml", "helmCharts: [{name: n, version: '1', repo: 'https://c'}]")],
        };
        Some(Repo::new(files))
    };
    let derived = settle(&repo, remote).expect("it is read");
    let mut wanted = wants(&derived);
    wanted.sort();
    let folder = |repository: &str| {
        let want = derived.wants.iter().find(|want| want.repository == repository);
        want.expect("it is wanted").path.clone()
    };
    let deep = format!("{}/deep/", folder("https://github.com/org/a"));
    assert!(wanted[4].starts_with(&format!("File https://h.example/crds.yaml HEAD {deep}")), "{wanted:?}");
    assert_eq!(
        wanted[..4],
        [
            "Base git@h.example:org/c.git HEAD",
            "Base https://github.com/org/a HEAD",
            "Base https://github.com/org/b main",
            &format!("Chart https://c n 1 {}/part/charts/n-1/n", folder("git@h.example:org/c.git")),
        ]
    );
    assert!(derived.has_chart);
    assert_eq!(leads(&derived, "github.com/org/a"), vec![folder("https://github.com/org/a"); 2]);
}

#[test]
fn bases_that_name_ever_new_ones_are_too_many() {
    let repo = Repo::new(&[("app/kustomization.yaml", "resources: ['https://h.example/o/r//a?ref=0']")]);
    let next = |want: &Want| {
        let number: u32 = want.revision.parse().expect("a number");
        let text = format!("resources: ['https://h.example/o/r//a?ref={}']", number + 1);
        Some(Repo::new(&[("a/kustomization.yaml", text.as_str())]))
    };
    let error = settle(&repo, next).expect_err("too many").to_string();
    assert!(error.contains("https://h.example/o/r//a") && error.contains("8 times"), "{error}");
}

#[test]
fn a_base_that_is_not_there_is_named_without_its_credentials() {
    for (files, problem) in [(&[("web", "")][..], "is a file"), (&[("x", "")][..], "does not exist")] {
        let text = "resources: ['https://me:secret@h.example/o/r//web?ref=v1&token=secret']";
        let repo = Repo::new(&[("app/kustomization.yaml", text)]);
        let error = settle(&repo, |_| Some(Repo::new(files))).expect_err("not there").to_string();
        assert!(error.contains("\"https://h.example/o/r//web\"") && error.contains(problem), "{error}");
        assert!(!error.contains("secret"), "{error}");
    }
}

#[test]
fn a_base_elsewhere_cannot_lead_out_of_its_repository() {
    for text in ["resources: [../../../app]", "configMapGenerator: [{name: a, files: [../../x]}]"] {
        let repo = Repo::new(&[("app/kustomization.yaml", "resources: ['https://h.example/o/r//a']")]);
        let base = Repo::new(&[("a/kustomization.yaml", text)]);
        let error = settle(&repo, |_| Some(base.clone())).expect_err("it leads out").to_string();
        assert!(error.contains("leads out of the repository"), "{error}");
    }
}

#[test]
fn urls_where_kustomize_takes_paths_alone_are_refused() {
    for text in [
        "crds: ['https://me:secret@h.example/crd.json']",
        "openapi: {path: 'https://me:secret@h.example/schema.json?token=secret'}",
        "patches: [{path: 'https://me:secret@h.example/p.yaml'}]",
        "configMapGenerator: [{name: a, files: ['k=https://me:secret@h.example/f']}]",
        "components: ['https://me:secret@h.example/c.yaml']",
        "generators: ['https://me:secret@h.example/o/r//g']",
        "helmCharts: [{name: n, valuesFile: 'https://me:secret@h.example/v.yaml'}]",
    ] {
        let repo = Repo::new(&[("app/kustomization.yaml", text)]);
        let error = settle(&repo, |_| None).expect_err(text).to_string();
        assert!(error.contains("h.example") && error.contains("resources, bases"), "{text}: {error}");
        assert!(!error.contains("secret"), "{text}: {error}");
    }
}

#[test]
fn a_chart_that_an_overlay_inflates_is_wanted_unless_it_is_there() {
    let text = "helmCharts:\n- {name: a, version: '1.2', repo: 'https://c'}\n- {name: b, repo: 'oci://d/e'}\n\
                - {name: a, version: '1.2', repo: 'https://c', releaseName: again}\n\
                - {name: there, version: '3', repo: 'https://c'}\n- {name: own}\n- {name: ../x, repo: 'https://c'}";
    let repo = Repo::new(&[
        ("app/kustomization.yaml", text),
        ("app/charts/there-3/there/Chart.yaml", ""),
        ("app/charts/own/Chart.yaml", ""),
    ]);
    let derived = settle(&repo, |_| None).expect("it is read");
    assert_eq!(
        wants(&derived),
        ["Chart https://c a 1.2 app/charts/a-1.2/a", "Chart oci://d/e b * app/charts/b"]
    );
}

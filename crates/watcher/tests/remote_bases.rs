//! Overlays with bases of other repositories: what is wanted and how it is called is enough to build them. The real
//! `kustomize` gives the same with Git at hand, of the overlay as it is written, and without it, of a copy in which all
//! that is wanted lies where it is said to.

#[path = "../../renderer/tests/tools/mod.rs"]
mod tools;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use ithaca_watcher::reads::{
    Application, AttachedFiles, Derived, Entry, Files, Kind, PluginFiles, Plugins, SourceFiles, Want, What,
    derive,
};
use ithaca_watcher::tools::Tools;
use serde_json::json;

/// A repository by its name: what it holds at each tag.
type Repositories = BTreeMap<&'static str, PathBuf>;

const MAP: &str = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: NAME}\ndata: {from: NAME}\n";

#[test]
fn bases_of_other_repositories_build_as_the_real_kustomize_builds_them() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = |name: &str| format!("file://{}", folder.path().join(name).display());
    let (one, two) = (at("one"), at("two.git"));
    let map = |name: &str| MAP.replace("NAME", name);
    let mut repositories = Repositories::new();
    repositories.insert("one", folder.path().join("one"));
    repositories.insert("two.git", folder.path().join("two.git"));
    publish(
        &repositories["two.git"],
        &[
            (
                "v1",
                "parts/kustomization.yaml",
                "apiVersion: kustomize.config.k8s.io/v1alpha1\nkind: Component\nlabels: [{pairs: {part: one}}]\n",
            ),
            ("v1", "deep/kustomization.yaml", "resources: [deep.yaml]\nnameSuffix: -deep\n"),
            ("v1", "deep/deep.yaml", &map("deep")),
            ("v2", "deep/deep.yaml", &map("deeper")),
        ],
    );
    publish(
        &repositories["one"],
        &[
            (
                "v1",
                "web/kustomization.yaml",
                &format!(
                    "resources: [web.yaml, ../common, '{two}//deep?ref=v1']\nnamePrefix: web-\nconfigMapGenerator: [{{name: gen, files: [conf.ini]}}]\n"
                ),
            ),
            ("v1", "web/web.yaml", &map("web")),
            ("v1", "web/conf.ini", "a = 1\n"),
            ("v1", "common/kustomization.yaml", "resources: [common.yaml]\n"),
            ("v1", "common/common.yaml", &map("common")),
            ("v1", "kustomization.yaml", "resources: [common]\nnamePrefix: root-\n"),
            ("v1", "unrelated/x.yaml", "a: 1\n"),
        ],
    );
    let own = folder.path().join("own");
    let write = |path: &str, text: &str| put(&own.join(path), text);
    write("base/kustomization.yaml", "resources: [base.yaml]\n");
    write("base/base.yaml", &map("base"));
    for (name, text) in [
        ("plain", format!("resources: ['{one}//web?ref=v1', ../../base]\n")),
        ("version", format!("resources: ['{two}/deep?version=v2&timeout=90']\nnamespace: elsewhere\n")),
        ("default", format!("resources:\n- {one}\n# By its default branch.\n- {two}//deep\n")),
        ("twice", format!("resources: ['{two}//deep?ref=v1', '{two}//deep?ref=v2']\nnamePrefix: x-\n")),
        ("component", format!("resources: [../../base]\ncomponents: ['{two}//parts?ref=v1']\n")),
        (
            "bases",
            format!(
                "bases: ['{one}//common/?ref=v1&submodules=false']\npatches:\n- target: {{kind: ConfigMap}}\n  patch: |-\n    - {{op: add, path: /data/x, value: \"y\"}}\n"
            ),
        ),
        ("above", "resources: [../plain]\nimages: [{name: a, newTag: '1'}]\nnameSuffix: -above\n".to_owned()),
    ] {
        write(&format!("overlays/{name}/kustomization.yaml"), &text);
        let overlay = format!("overlays/{name}");
        let real =
            build(&own, &overlay, true).map_err(|error| format!("{name}: {error}")).expect("it builds");
        let copy = tempfile::tempdir().expect("a folder");
        lay(&own, copy.path(), &overlay, &repositories);
        let ours = build(copy.path(), &overlay, false);
        assert_eq!(ours.as_deref(), Ok(real.as_str()), "{name}");
    }
}

/// Lays what an overlay reads and wants into a copy, and calls it there by where it lies.
fn lay(own: &Path, copy: &Path, overlay: &str, repositories: &Repositories) {
    let mut known: Vec<(Want, PathBuf, tempfile::TempDir)> = Vec::new();
    let derived = loop {
        let derived = reads(own, overlay, &known);
        if known.iter().map(|(want, ..)| want).eq(&derived.wants) {
            break derived;
        }
        known = derived.wants.iter().map(|want| checkout(want, repositories)).collect();
    };
    derived.reads[0].paths.keys().for_each(|path| copy_path(&own.join(path), &copy.join(path)));
    for ((want, files, _), read) in known.iter().zip(&derived.attached) {
        assert!(!read.contains_key("") || overlay.ends_with("default"), "all of {} is read", want.repository);
        for path in read.keys() {
            copy_path(&files.join(path), &copy.join(&want.path).join(path));
        }
    }
    for reference in &derived.reads[0].references {
        let file = copy.join(&reference.folder).join("kustomization.yaml");
        let text = std::fs::read_to_string(&file).expect("a kustomization");
        // One URL may begin another: kustomize takes whole ones.
        let ends = |end: &str| (format!("{}{end}", reference.written), format!("{}{end}", reference.path));
        let text = ["'", "\n"].into_iter().map(ends).fold(text, |text, (from, to)| text.replace(&from, &to));
        std::fs::write(&file, text).expect("written");
    }
}

/// The files of what is wanted.
fn checkout(want: &Want, repositories: &Repositories) -> (Want, PathBuf, tempfile::TempDir) {
    assert_eq!(want.what, What::Base);
    let name = repositories.keys().find(|name| want.repository.ends_with(**name)).expect("a repository");
    let folder = tempfile::tempdir().expect("a folder");
    let files = folder.path().join("files");
    git(folder.path(), &["clone", "-q", &repositories[name].display().to_string(), "files"]);
    git(&files, &["checkout", "-q", &want.revision]);
    (want.clone(), files, folder)
}

fn reads(own: &Path, overlay: &str, known: &[(Want, PathBuf, tempfile::TempDir)]) -> Derived {
    let source = serde_json::from_value(json!({"repoURL": "r", "path": overlay})).expect("a source");
    let answers = Answers::of(own);
    let files = answers.files();
    let others: Vec<_> = known.iter().map(|(want, folder, _)| (want, Answers::of(folder))).collect();
    let attached: Vec<_> =
        others.iter().map(|(want, answers)| AttachedFiles { want, files: Some(answers.files()) }).collect();
    let (tools, plugins) = (Tools::default(), Plugins { files: &PluginFiles::default(), paths: None });
    derive(&[SourceFiles { source: &source, files }], &attached, &Application::default(), &tools, plugins)
        .expect("it is read")
}

/// What answers questions about the files of a folder.
struct Answers<'a> {
    entry: Answer<'a, Option<Entry>>,
    list: Answer<'a, Vec<(String, Entry)>>,
    text: Answer<'a, Option<Vec<u8>>>,
}

/// What is at a path.
type Answer<'a, T> = Box<dyn Fn(&str) -> T + 'a>;

impl<'a> Answers<'a> {
    fn of(root: &'a Path) -> Self {
        let entry = |path: &str| {
            let kind = match root.join(path) {
                path if path.is_dir() => Kind::Folder,
                path if path.is_file() => Kind::File,
                _ => return None,
            };
            Some(Entry { id: path.to_owned(), kind })
        };
        let list = move |path: &str| {
            let inside = |name: String| Some((name.clone(), entry(&format!("{path}/{name}"))?));
            names(&root.join(path)).into_iter().filter_map(inside).collect()
        };
        let text = |path: &str| std::fs::read(root.join(path)).ok();
        Self { entry: Box::new(entry), list: Box::new(list), text: Box::new(text) }
    }

    fn files(&self) -> Files<'_> {
        Files { entry: &self.entry, list: &self.list, text: &self.text }
    }
}

/// Makes a repository with a commit and a tag for each name of one, in order.
fn publish(folder: &Path, files: &[(&str, &str, &str)]) {
    std::fs::create_dir_all(folder).expect("a folder");
    git(folder, &["init", "-q", "-b", "main"]);
    let mut tags: Vec<&str> = files.iter().map(|(tag, ..)| *tag).collect();
    tags.dedup();
    for tag in tags {
        let here = files.iter().filter(|(of, ..)| *of == tag);
        here.for_each(|(_, path, text)| put(&folder.join(path), text));
        git(folder, &["add", "."]);
        git(folder, &["-c", "user.name=Ada", "-c", "user.email=ada@example.com", "commit", "-q", "-m", tag]);
        git(folder, &["tag", tag]);
    }
}

fn git(folder: &Path, arguments: &[&str]) {
    let done = Command::new("git").current_dir(folder).args(arguments).output().expect("git runs");
    assert!(done.status.success(), "git {arguments:?}: {}", String::from_utf8_lossy(&done.stderr));
}

fn put(path: &Path, text: &str) {
    std::fs::create_dir_all(path.parent().expect("a file has a folder")).expect("a folder");
    std::fs::write(path, text).expect("a file");
}

fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut names: Vec<String> = entries.map(|it| it.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

fn copy_path(from: &Path, to: &Path) {
    if from.is_dir() {
        let inside = names(from).into_iter().filter(|name| name != ".git");
        inside.for_each(|name| copy_path(&from.join(&name), &to.join(&name)));
    } else if from.is_file() {
        std::fs::create_dir_all(to.parent().expect("a file has a folder")).expect("a folder");
        std::fs::copy(from, to).expect("a copy");
    }
}

/// What kustomize prints, with or without Git at hand.
fn build(folder: &Path, overlay: &str, has_git: bool) -> Result<String, String> {
    let mut command = Command::new(tools::folder().join("kustomize"));
    command.args(["build", overlay]).current_dir(folder);
    if !has_git {
        command.env_clear();
    }
    let output = command.output().map_err(|error| error.to_string())?;
    match output.status.success() {
        true => Ok(String::from_utf8_lossy(&output.stdout).into_owned()),
        false => Err(String::from_utf8_lossy(&output.stderr).into_owned()),
    }
}

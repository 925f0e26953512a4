//! What is read of an overlay is enough to build it: the real `kustomize` gives the same of the whole repository and of a
//! copy that holds the derived paths alone. In: the renderer's repository of overlays. Out: verdicts.

#[path = "../../renderer/tests/tools/mod.rs"]
mod tools;

use std::path::{Path, PathBuf};
use std::process::Command;

use ithaca_watcher::reads::{
    Application, Entry, Files, Kind, PluginFiles, Plugins, Reads, SourceFiles, derive,
};
use ithaca_watcher::tools::Tools;
use serde_json::json;

#[test]
fn an_overlay_builds_from_what_it_reads_alone() {
    let repository = Path::new(env!("CARGO_MANIFEST_DIR")).join("../renderer/tests/overlays/repository");
    let mut different = Vec::new();
    for name in names(&repository.join("overlays")) {
        let overlay = format!("overlays/{name}");
        let options = std::fs::read_to_string(repository.join(&overlay).join("options")).unwrap_or_default();
        let reads = reads(&repository, &overlay);
        assert!(reads.is_overlay && !reads.paths.contains_key(""), "{overlay} reads {:?}", reads.paths);
        let part = tempfile::tempdir().expect("a folder");
        reads.paths.keys().for_each(|path| copy(&repository.join(path), &part.path().join(path)));
        let (whole, part) = (build(&repository, &overlay, &options), build(part.path(), &overlay, &options));
        if whole != part {
            different.push(format!("{overlay} reads {:?}\n{part}", reads.paths.keys()));
        }
    }
    assert!(different.is_empty(), "{}", different.join("\n\n"));
}

fn reads(repository: &Path, overlay: &str) -> Reads {
    let source = serde_json::from_value(json!({"repoURL": "r", "path": overlay})).expect("a source");
    let at = |path: &str| if path.is_empty() { repository.to_owned() } else { repository.join(path) };
    let entry = |path: &str| {
        let kind = match at(path) {
            path if path.is_dir() => Kind::Folder,
            path if path.is_file() => Kind::File,
            _ => return None,
        };
        Some(Entry { id: path.to_owned(), kind })
    };
    let list = |path: &str| {
        let inside = |name: String| {
            let path = if path.is_empty() { name.clone() } else { format!("{path}/{name}") };
            Some((name, entry(&path)?))
        };
        if at(path).is_dir() { names(&at(path)).into_iter().filter_map(inside).collect() } else { Vec::new() }
    };
    let text = |path: &str| std::fs::read(at(path)).ok();
    let files = Files { entry: &entry, list: &list, text: &text };
    let (tools, plugins) = (Tools::default(), Plugins { files: &PluginFiles::default(), paths: None });
    let derived =
        derive(&[SourceFiles { source: &source, files }], &[], &Application::default(), &tools, plugins)
            .expect("it is read");
    derived.reads.into_iter().next().expect("one source")
}

fn names(folder: &Path) -> Vec<String> {
    let name = |entry: std::io::Result<std::fs::DirEntry>| {
        entry.expect("an entry").file_name().to_string_lossy().into_owned()
    };
    let mut names: Vec<String> = std::fs::read_dir(folder).expect("a folder").map(name).collect();
    names.sort();
    names
}

/// Copies a file or a whole folder; what is not there is left out.
fn copy(from: &Path, to: &Path) {
    if from.is_dir() {
        names(from).iter().for_each(|name| copy(&from.join(name), &to.join(name)));
    } else if from.is_file() {
        std::fs::create_dir_all(to.parent().expect("a file has a folder")).expect("a folder");
        std::fs::copy(from, to).expect("a copy");
    }
}

/// What kustomize prints, or why it prints nothing.
fn build(repository: &Path, overlay: &str, options: &str) -> String {
    let helm: PathBuf = tools::folder().join("helm");
    let mut command = Command::new(tools::folder().join("kustomize"));
    command.args(["build", overlay]).args(options.split_whitespace()).arg("--helm-command").arg(helm);
    let output = command.current_dir(repository).output().expect("kustomize runs");
    assert!(output.status.success() || repository.starts_with(std::env::temp_dir()), "{overlay}: {output:?}");
    String::from_utf8_lossy(if output.status.success() { &output.stdout } else { &output.stderr })
        .into_owned()
}

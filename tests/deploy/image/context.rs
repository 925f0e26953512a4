//! What the images are built from: `.dockerignore` lets through enough, and not more than it names.
//!
//! In: `.dockerignore`, copied file by file as a builder would. Out: what cargo and Go make of that copy.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, ensure};
use ithaca_tests::{empty, repository_root, target_folder};
use walkdir::WalkDir;

#[test]
fn cargo_finds_the_whole_workspace_in_the_build_context() -> anyhow::Result<()> {
    let folder = target_folder().join(format!("stacks/{}-context", std::process::id()));
    empty(&folder)?;
    for path in let_through()? {
        copy(&path, &folder).with_context(|| format!("failed to copy {path}, which .dockerignore names"))?;
    }
    let arguments = ["metadata", "--locked", "--offline", "--format-version=1", "--no-deps"];
    let output = Command::new(env!("CARGO")).args(arguments).current_dir(&folder).output()?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    // What the builds read beside the workspace.
    for path in [
        "tests/tools/go.mod",
        "tests/tools/go.sum",
        "deploy/image/root.sh",
        "deploy/chart/crds",
        "deploy/chart/grafana/alerts.yaml",
    ] {
        ensure!(folder.join(path).exists(), ".dockerignore keeps {path} from the builder");
    }
    for path in [".git", "target", "tests/harness"] {
        ensure!(!folder.join(path).exists(), ".dockerignore gives {path} to the builder");
    }
    Ok(())
}

/// The paths that are excepted from `*`.
fn let_through() -> anyhow::Result<Vec<String>> {
    let text = std::fs::read_to_string(repository_root().join(".dockerignore"))?;
    let mut patterns = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    ensure!(patterns.next() == Some("*"), ".dockerignore does not begin by keeping everything out");
    let excepted = patterns.map(|line| {
        let path = line.strip_prefix('!').filter(|path| !path.contains('*'));
        path.map(str::to_owned).with_context(|| format!("this test does not understand {line}"))
    });
    excepted.collect()
}

fn copy(path: &str, folder: &Path) -> anyhow::Result<()> {
    let root = repository_root();
    for entry in WalkDir::new(root.join(path)) {
        let entry = entry?;
        let target = folder.join(entry.path().strip_prefix(&root)?);
        if entry.file_type().is_dir() {
            std::fs::create_dir_all(target)?;
        } else if entry.path_is_symlink() {
            std::os::unix::fs::symlink(std::fs::read_link(entry.path())?, target)?;
        } else {
            std::fs::create_dir_all(target.parent().context("a file without a folder")?)?;
            std::fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}

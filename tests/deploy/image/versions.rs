//! The versions in the Dockerfile are those of the workspace and of what the tests build.
//!
//! In: the Dockerfile, `Cargo.toml` and `tests/tools/go.mod`. Out: verdicts; nothing is built.

use anyhow::{Context, ensure};
use ithaca_tests::{LINKER_FLAGS, repository_root};

use super::dockerfile::{Image, text};
use super::packed::TARGETS;

#[test]
fn compilers_are_those_that_the_sources_name() -> anyhow::Result<()> {
    let rust = setting("Cargo.toml", "rust-version = ")?;
    let rust = rust.trim_matches('"');
    ensure!(text()?.contains(&format!(" rust:{rust}-bookworm ")), "Cargo.toml asks for Rust {rust}");
    let go = setting("tests/tools/go.mod", "go ")?;
    let minor = go.rsplit_once('.').map_or(go.as_str(), |(minor, _)| minor);
    ensure!(text()?.contains(&format!(" golang:{minor}-bookworm ")), "go.mod asks for Go {go}");
    Ok(())
}

#[test]
fn helm_and_kustomize_are_built_from_the_list_that_the_tests_use() -> anyhow::Result<()> {
    let dockerfile = one_line(&text()?);
    for package in ["helm.sh/helm/v4/cmd/helm", "sigs.k8s.io/kustomize/kustomize/v5"] {
        let listed = std::fs::read_to_string(repository_root().join("tests/tools/go.mod"))?;
        ensure!(listed.lines().any(|line| line.trim() == package), "go.mod does not list {package}");
        ensure!(dockerfile.contains(&format!(" {package}")), "the Dockerfile does not build {package}");
        // A version here would be another one than there.
        ensure!(!dockerfile.contains(&format!("{package}@")), "the Dockerfile names a version of {package}");
    }
    ensure!(dockerfile.contains("source=tests/tools,target=/source"), "it is not built from tests/tools");
    ensure!(dockerfile.contains(&one_line(LINKER_FLAGS)), "the tests link with {LINKER_FLAGS}");
    Ok(())
}

#[test]
fn labels_tell_the_version_and_the_license_of_the_workspace() -> anyhow::Result<()> {
    for target in TARGETS {
        let labels = Image::of(target)?.labels;
        let label = |name: &str| {
            let prefix = format!("org.opencontainers.image.{name}=");
            let mut values = labels.iter().filter_map(|label| label.strip_prefix(&prefix));
            values.next_back().map(str::to_owned).with_context(|| format!("{target} has no label {name}"))
        };
        ensure!(label("version")? == env!("CARGO_PKG_VERSION"), "{labels:?}");
        ensure!(label("licenses")? == env!("CARGO_PKG_LICENSE"), "{labels:?}");
        ensure!(label("source")?.starts_with("https://"), "{labels:?}");
        label("title")?;
    }
    Ok(())
}

/// What follows a word at the beginning of a line.
fn setting(file: &str, word: &str) -> anyhow::Result<String> {
    let text = std::fs::read_to_string(repository_root().join(file))?;
    let line = text.lines().find_map(|line| line.strip_prefix(word));
    line.map(str::to_owned).with_context(|| format!("{file} has no line {word}…"))
}

/// Without the breaks of long lines.
fn one_line(text: &str) -> String {
    text.replace("\\\n", " ").split_whitespace().collect::<Vec<_>>().join(" ")
}

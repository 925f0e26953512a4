//! The rules of the house that a machine can hold. Each failure says what to do.
//!
//! In: the files that Git knows or would add, and `cargo metadata`. Out: one list of offenders for each rule.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, ensure};
use ithaca_tests::repository_root;
use serde_json::Value;

/// Lines of code, without comments and empty lines, in a file that is still one thing.
const LONGEST_FILE: usize = 400;

/// Who may use which of our own crates. `None` may use all.
fn may_use(package: &str) -> Option<&'static [&'static str]> {
    match package {
        "ithaca-proto" | "ithaca-api" | "ithaca-chassis" => Some(&[]),
        "ithaca-bus" => Some(&["ithaca-api", "ithaca-proto"]),
        "ithaca" | "ithaca-tests" | "xtask" => None,
        _service => Some(&["ithaca-api", "ithaca-bus", "ithaca-chassis", "ithaca-proto"]),
    }
}

#[test]
fn every_rust_file_opens_with_what_it_is() -> anyhow::Result<()> {
    let silent = rust_files()?.into_iter().filter(|(_, text)| !text.starts_with("//!"));
    none(silent.map(|(path, _)| path), "begin with `//!`: what comes in, what goes out, what it does not do")
}

#[test]
fn no_file_is_longer_than_one_thing() -> anyhow::Result<()> {
    let long = rust_files()?.into_iter().filter_map(|(path, text)| {
        let is_code = |line: &&str| !line.trim().is_empty() && !line.trim_start().starts_with("//");
        let lines = text.lines().filter(is_code).count();
        (lines > LONGEST_FILE).then(|| format!("{path} ({lines} lines)"))
    });
    none(long, "split by noun: more than 400 lines of code")
}

#[test]
fn no_folder_is_named_for_nothing() -> anyhow::Result<()> {
    let nothing = ["common", "util", "utils", "helper", "helpers", "types", "core"];
    let offenders = files()?.into_iter().filter(|path| {
        let stem = |part: &str| part.trim_end_matches(".rs").to_owned();
        path.ends_with(".rs") && path.split('/').any(|part| nothing.contains(&stem(part).as_str()))
    });
    none(offenders, "name it for what it holds; without a better name it has no home yet")
}

#[test]
fn nothing_new_lies_at_the_top() -> anyhow::Result<()> {
    let known = ["Cargo.lock", "Cargo.toml", "LICENSE", "README.md", "compose.yaml"];
    let known = known.into_iter().chain(["crates", "deploy", "proto", "tests"]);
    let known: BTreeSet<_> = known.map(str::to_owned).collect();
    let top = files()?.into_iter().filter_map(|path| path.split('/').next().map(str::to_owned));
    let top: BTreeSet<_> = top.filter(|name| !name.starts_with('.')).collect();
    none(top.difference(&known).cloned(), "find it a room below the folders that are there")
}

#[test]
fn dependencies_run_one_way() -> anyhow::Result<()> {
    let offenders = dependencies()?.into_iter().filter_map(|(package, dependency)| {
        let allowed = may_use(&package)?;
        let ours = dependency.starts_with("ithaca") || dependency == "xtask";
        (ours && !allowed.contains(&dependency.as_str())).then(|| format!("{package} → {dependency}"))
    });
    none(offenders, "proto, api ← bus ← services → chassis: no service uses another")
}

#[test]
fn one_crate_alone_knows_each_outside_system() -> anyhow::Result<()> {
    let owners = [("async-nats", "ithaca-bus"), ("git2", "ithaca-watcher")];
    let offenders = dependencies()?.into_iter().filter_map(|(package, dependency)| {
        let (_, owner) = owners.into_iter().find(|(name, _)| *name == dependency)?;
        (package != owner).then(|| format!("{package} uses {dependency}: ask {owner} instead"))
    });
    none(offenders, "NATS behind the bus, Git behind the watcher")
}

#[test]
fn behaviours_wait_for_conditions() -> anyhow::Result<()> {
    let sleepers = rust_files()?
        .into_iter()
        .filter(|(path, _)| path.starts_with("tests/behaviours/") || path.starts_with("tests/failures/"))
        .filter(|(_, text)| text.contains(concat!("sle", "ep(")));
    none(sleepers.map(|(path, _)| path), "use wait_until with a deadline")
}

#[test]
fn no_test_is_ignored() -> anyhow::Result<()> {
    let ignoring = rust_files()?.into_iter().filter(|(_, text)| text.contains(concat!("#[ign", "ore")));
    none(ignoring.map(|(path, _)| path), "mend the test or remove it")
}

#[test]
fn the_map_names_every_crate() -> anyhow::Result<()> {
    let map = std::fs::read_to_string(repository_root().join("crates/README.md"))
        .context("crates/README.md is the map of the crates")?;
    let crates = files()?.into_iter().filter_map(|path| {
        let (name, file) = path.strip_prefix("crates/")?.split_once('/')?;
        (file == "Cargo.toml").then(|| name.to_owned())
    });
    none(crates.filter(|name| !map.contains(name)), "give it a paragraph in crates/README.md")
}

#[test]
fn every_room_explains_itself() -> anyhow::Result<()> {
    let files = files()?;
    let rooms = ["", "crates/", "deploy/", "tests/", "tests/tools/", "tests/sample/"];
    let silent = rooms.iter().filter(|room| {
        let readme = format!("{room}README.md");
        let used = files.iter().any(|path| path.starts_with(**room));
        used && !files.contains(&readme)
    });
    none(silent.map(|room| format!("./{room}")), "write its README.md")
}

fn none(offenders: impl Iterator<Item = String>, advice: &str) -> anyhow::Result<()> {
    let offenders: Vec<_> = offenders.collect();
    ensure!(offenders.is_empty(), "{advice}:\n  {}", offenders.join("\n  "));
    Ok(())
}

/// Paths from the root, with slashes.
fn files() -> anyhow::Result<Vec<String>> {
    let list = ["ls-files", "--cached", "--others", "--exclude-standard"];
    let text = output(Command::new("git").args(list))?;
    let root = repository_root();
    Ok(text.lines().filter(|path| root.join(path).exists()).map(str::to_owned).collect())
}

/// Written ones, not generated ones, with their text.
fn rust_files() -> anyhow::Result<Vec<(String, String)>> {
    let written = files()?.into_iter().filter(|path| is_rust(path) && !path.contains("/generated/"));
    written
        .map(|path| {
            let text = std::fs::read_to_string(repository_root().join(&path))?;
            Ok((path, text))
        })
        .collect()
}

fn is_rust(path: &str) -> bool {
    Path::new(path).extension().is_some_and(|extension| extension == "rs")
}

/// Each package of the workspace with each of its dependencies, those of its tests included.
fn dependencies() -> anyhow::Result<Vec<(String, String)>> {
    let arguments = ["metadata", "--no-deps", "--offline", "--format-version=1"];
    let text = output(Command::new(env!("CARGO")).args(arguments))?;
    let metadata: Value = serde_json::from_str(&text)?;
    let name = |value: &Value| value["name"].as_str().unwrap_or_default().to_owned();
    let packages = metadata["packages"].as_array().context("cargo knows no packages")?;
    let pairs = packages.iter().flat_map(|package| {
        let dependencies = package["dependencies"].as_array().into_iter().flatten();
        dependencies.map(move |dependency| (name(package), name(dependency)))
    });
    Ok(pairs.collect())
}

fn output(command: &mut Command) -> anyhow::Result<String> {
    let output = command.current_dir(repository_root()).output()?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(String::from_utf8(output.stdout)?)
}

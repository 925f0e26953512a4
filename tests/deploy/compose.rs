//! The development loop: `compose.yaml` says nothing that the programs in it do not know.
//!
//! In: the file as the reference parser prints it. Out: verdicts from the binary, the Dockerfile, cargo and promtool.
//! Not proven here: that an engine starts the images of others (K3s, NATS, Prometheus, Grafana) with what they are given.

mod development;
mod file;
mod monitoring;
mod settings;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, ensure};
use ithaca_tests::{SERVICES, repository_root};
use serde_json::Value;

use crate::image::dockerfile::Image;
use file::Compose;
use settings::Settings;

/// What people open.
const PEOPLES_PORTS: [u16; 5] = [3000, 6443, 8090, 8091, 9090];

#[test]
fn every_service_of_ithaca_is_in_it() -> anyhow::Result<()> {
    let compose = Compose::read()?;
    let names: BTreeSet<_> = compose.ours().map(|service| service.name).collect();
    ensure!(names == BTreeSet::from(SERVICES), "it starts {names:?}");
    for service in compose.ours() {
        ensure!(service.command().first().is_some_and(|word| word == service.name), "{}", service.name);
    }
    Ok(())
}

#[test]
fn no_setting_is_unknown_to_its_process() -> anyhow::Result<()> {
    for service in Compose::read()?.ours() {
        let name = service.name;
        let settings = Settings::of(name)?;
        for (variable, _) in service.environment() {
            let known = settings.variables.contains_key(&variable) || variable == "KUBECONFIG";
            ensure!(known, "{name} knows no variable {variable}");
        }
        for flag in service.command().iter().filter(|argument| argument.starts_with("--")) {
            let flag = flag.split('=').next().unwrap_or_default();
            ensure!(settings.knows_flag(flag), "{name} knows no {flag}");
        }
    }
    Ok(())
}

#[test]
fn every_address_is_one_where_somebody_listens() -> anyhow::Result<()> {
    let compose = Compose::read()?;
    let listening = listening(&compose)?;
    let targets = monitoring::targets()?;
    let words = compose.services().flat_map(|service| {
        let variables = service.environment().into_iter().map(|(_, value)| value);
        variables.chain(service.command()).collect::<Vec<_>>()
    });
    let mut seen = BTreeSet::new();
    for word in words.chain(targets) {
        let Some((host, port)) = address(&word) else { continue };
        if let Some(ports) = listening.get(host.as_str()) {
            ensure!(ports.contains(&port), "nobody listens at {word}: {host} does at {ports:?}");
            seen.insert((host, port));
        } else {
            ensure!(["127.0.0.1", "0.0.0.0"].contains(&host.as_str()), "there is no {host}, but {word}");
        }
    }
    // The gRPC and the webhooks of the watcher, the bus, the repository: what the loop cannot do without.
    for needed in [("watcher", 8081), ("watcher", 8082), ("nats", 4222), ("git", 8091), ("applier", 8080)] {
        ensure!(seen.contains(&(needed.0.to_owned(), needed.1)), "nobody is told of {needed:?}");
    }
    Ok(())
}

#[test]
fn only_what_people_open_is_reached_from_this_machine_alone() -> anyhow::Result<()> {
    let compose = Compose::read()?;
    let listening = listening(&compose)?;
    let mut published = BTreeSet::new();
    for service in compose.services() {
        for (address, outside, inside) in service.published() {
            ensure!(address == "127.0.0.1", "{} gives port {outside} to the whole network", service.name);
            let ports = listening.get(service.name).with_context(|| service.name.to_owned())?;
            ensure!(ports.contains(&inside), "{} does not listen on {inside}", service.name);
            published.insert(outside);
        }
    }
    ensure!(published == BTreeSet::from(PEOPLES_PORTS), "{published:?}");
    Ok(())
}

#[test]
fn ithacas_services_have_as_few_rights_as_in_a_cluster() -> anyhow::Result<()> {
    for service in Compose::read()?.ours() {
        let name = service.name;
        ensure!(*service.get("read_only") == true, "{name} can write to its image");
        ensure!(service.get("cap_drop")[0] == "ALL", "{name} has capabilities");
        ensure!(service.get("security_opt")[0] == "no-new-privileges:true", "{name} may gain rights");
        ensure!(
            service.get("user").is_null() && service.get("privileged").is_null(),
            "{name} is somebody else"
        );
    }
    Ok(())
}

#[test]
fn images_and_health_checks_are_those_of_the_dockerfile() -> anyhow::Result<()> {
    for service in Compose::read()?.ours() {
        let image = Image::of(service.target().unwrap_or_default())?;
        let ports = Settings::of(service.name)?.ports(&service.environment())?;
        let check = service.health_check();
        let expected = [&["CMD".to_owned()], image.entrypoint.as_slice(), &["probe".to_owned()]].concat();
        ensure!(check == expected, "{} asks {check:?}", service.name);
        // Where `probe` asks when it is not told.
        ensure!(ports.get("ITHACA_HTTP_LISTEN") == Some(&8080), "{} is not at 8080", service.name);
    }
    Ok(())
}

#[test]
fn every_file_that_is_mounted_is_there() -> anyhow::Result<()> {
    for service in Compose::read()?.services() {
        for mount in service.mounts().into_iter().filter(|mount| mount.is_path) {
            ensure!(Path::new(&mount.source).exists(), "{}: there is no {}", service.name, mount.source);
        }
    }
    Ok(())
}

#[test]
fn a_change_of_whatever_an_image_is_made_of_builds_it_again() -> anyhow::Result<()> {
    let root = repository_root();
    let mut needed = crates()?;
    needed.extend(["Cargo.toml", "Cargo.lock", "deploy/chart", "deploy/image"].map(|path| root.join(path)));
    for service in Compose::read()?.ours() {
        let watched = service.watched();
        let missing: Vec<_> = watched.iter().filter(|path| !path.exists()).collect();
        ensure!(missing.is_empty(), "{} waits for changes of {missing:?}, which is not there", service.name);
        let mut needed = needed.clone();
        if service.target() == Some("ithaca-renderer") {
            needed.push(root.join("tests/tools"));
        }
        let missed: Vec<_> =
            needed.iter().filter(|path| !watched.iter().any(|folder| path.starts_with(folder))).collect();
        ensure!(missed.is_empty(), "{} does not see changes of {missed:?}", service.name);
    }
    Ok(())
}

/// Where each service of the file listens, by its host name.
fn listening(compose: &Compose) -> anyhow::Result<BTreeMap<String, BTreeSet<u16>>> {
    let mut listening: BTreeMap<String, BTreeSet<u16>> = BTreeMap::new();
    for service in compose.ours() {
        let ports = Settings::of(service.name)?.ports(&service.environment())?;
        listening.entry(service.name.to_owned()).or_default().extend(ports.into_values());
    }
    let git = compose.service("git")?.environment();
    let git = git.into_iter().find(|(name, _)| name == "GIT_PORT").context("git has no port")?.1.parse()?;
    // The images of others, by their documentation.
    for (name, port) in [("nats", 4222), ("k3s", 6443), ("prometheus", 9090), ("grafana", 3000), ("git", git)]
    {
        listening.entry(name.to_owned()).or_default().insert(port);
    }
    Ok(listening)
}

/// Host and port of a URL or of an address alone.
fn address(word: &str) -> Option<(String, u16)> {
    let word = word.split_once("://").map_or(word, |(_, rest)| rest);
    let (host, port) = word.split('/').next()?.split_once(':')?;
    Some((host.to_owned(), port.parse().ok()?))
}

/// The folders of all packages of the workspace that the binary is made of.
fn crates() -> anyhow::Result<Vec<PathBuf>> {
    let arguments = ["metadata", "--locked", "--offline", "--format-version=1"];
    let output = Command::new(env!("CARGO")).args(arguments).current_dir(repository_root()).output()?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout)?;
    let packages = metadata["packages"].as_array().context("cargo knows no packages")?;
    let package =
        |name: &str| packages.iter().find(|package| package["name"] == name && package["source"].is_null());
    let mut found = BTreeSet::new();
    let mut open = vec!["ithaca".to_owned()];
    while let Some(name) = open.pop() {
        let Some(package) = package(&name) else { continue };
        if found.insert(name) {
            let dependencies = package["dependencies"].as_array().into_iter().flatten();
            let normal = dependencies.filter(|dependency| dependency["kind"] != "dev");
            open.extend(normal.filter_map(|dependency| dependency["name"].as_str()).map(str::to_owned));
        }
    }
    let manifests = found.iter().filter_map(|name| package(name)?["manifest_path"].as_str());
    Ok(manifests.filter_map(|path| Path::new(path).parent()).map(Path::to_path_buf).collect())
}

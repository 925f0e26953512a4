//! `compose.yaml` as the reference parser understands it.
//!
//! In: the file. Out: its services whole, with defaults, anchors and short forms resolved; words of the parser as errors.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, ensure};
use ithaca_tests::{Progress, Tools, repository_root};
use serde_json::Value;

/// The parsed file.
pub struct Compose(Value);

/// One service of it.
#[derive(Clone, Copy)]
pub struct Service<'a> {
    /// Its host name as well.
    pub name: &'a str,
    value: &'a Value,
}

/// A file, a folder or a volume that a service sees.
pub struct Mount {
    /// Whether `source` is a path and not a volume's name.
    pub is_path: bool,
    /// What is mounted.
    pub source: String,
    /// Where.
    pub target: String,
}

impl Compose {
    /// Parses it; a warning is an error here.
    pub fn read() -> anyhow::Result<Self> {
        let parser = Tools::checks(&Progress::silent())?.path("compose-go");
        let output = Command::new(parser)
            .args(["-format", "json", "compose.yaml"])
            .current_dir(repository_root())
            .output()?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success() && said.is_empty(), "compose.yaml: {said}");
        Ok(Self(serde_json::from_slice(&output.stdout)?))
    }

    /// All services.
    pub fn services(&self) -> impl Iterator<Item = Service<'_>> {
        let services = self.0["services"].as_object().into_iter().flatten();
        services.map(|(name, value)| Service { name, value })
    }

    /// Those that run an image of `deploy/image`.
    pub fn ours(&self) -> impl Iterator<Item = Service<'_>> {
        self.services().filter(|service| service.target().is_some())
    }

    /// A service by its name.
    pub fn service(&self, name: &str) -> anyhow::Result<Service<'_>> {
        let found = self.services().find(|service| service.name == name);
        found.with_context(|| format!("compose.yaml has no service {name}"))
    }
}

impl<'a> Service<'a> {
    /// Any other part of it.
    pub fn get(&self, key: &str) -> &'a Value {
        &self.value[key]
    }

    /// The target of our Dockerfile that it is built from.
    pub fn target(&self) -> Option<&'a str> {
        let build = &self.value["build"];
        build["target"].as_str().filter(|_| build["dockerfile"] == "deploy/image/Dockerfile")
    }

    /// Arguments after the image's entry point.
    pub fn command(&self) -> Vec<String> {
        texts(&self.value["command"])
    }

    /// The program that replaces the image's own.
    pub fn entrypoint(&self) -> Vec<String> {
        texts(&self.value["entrypoint"])
    }

    /// Variables in the order of their names.
    pub fn environment(&self) -> Vec<(String, String)> {
        let variables = self.value["environment"].as_object().into_iter().flatten();
        let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        variables.map(|(name, value)| (name.clone(), text(value))).collect()
    }

    /// What its health check runs.
    pub fn health_check(&self) -> Vec<String> {
        texts(&self.value["healthcheck"]["test"])
    }

    /// Folders in memory.
    pub fn writable(&self) -> Vec<String> {
        texts(&self.value["tmpfs"])
    }

    /// What it sees of the machine and of volumes.
    pub fn mounts(&self) -> Vec<Mount> {
        let mounts = self.value["volumes"].as_array().into_iter().flatten();
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        mounts
            .map(|mount| Mount {
                is_path: mount["type"] == "bind",
                source: text(&mount["source"]),
                target: text(&mount["target"]),
            })
            .collect()
    }

    /// Ports that people reach: address and port on the machine, port of the service.
    pub fn published(&self) -> Vec<(&'a str, u16, u16)> {
        let ports = self.value["ports"].as_array().into_iter().flatten();
        let published = ports.filter_map(|port| {
            let outside = port["published"].as_str()?.parse().ok()?;
            let inside = port["target"].as_u64()?.try_into().ok()?;
            Some((port["host_ip"].as_str().unwrap_or_default(), outside, inside))
        });
        published.collect()
    }

    /// What it is built again for.
    pub fn watched(&self) -> Vec<PathBuf> {
        let rules = self.value["develop"]["watch"].as_array().into_iter().flatten();
        let rebuilding = rules.filter(|rule| rule["action"] == "rebuild");
        rebuilding
            .filter_map(|rule| rule["path"].as_str())
            .map(|path| Path::new(path).to_path_buf())
            .collect()
    }
}

fn texts(list: &Value) -> Vec<String> {
    list.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
}

//! Prometheus and Grafana in the development loop: what they are given is there, and leads to each other.
//!
//! In: `deploy/compose/prometheus.yaml` and the files for Grafana's provisioning. Out: verdicts, one of promtool.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, ensure};
use ithaca_tests::{Progress, SERVICES, Tools, empty, repository_root, target_folder};
use serde_json::Value;

use super::file::{Compose, Service};

#[test]
fn promtool_accepts_what_prometheus_is_given() -> anyhow::Result<()> {
    let compose = Compose::read()?;
    let prometheus = compose.service("prometheus")?;
    let folder = target_folder().join(format!("stacks/{}-prometheus", std::process::id()));
    empty(&folder)?;
    let flag = prometheus
        .command()
        .into_iter()
        .find_map(|flag| flag.strip_prefix("--config.file=").map(str::to_owned));
    let mut text =
        std::fs::read_to_string(mounted(prometheus, &flag.context("it is given no configuration")?)?)?;
    // Its files are where they are mounted.
    for mount in prometheus.mounts().into_iter().filter(|mount| mount.is_path) {
        text = text.replace(&mount.target, &mount.source);
    }
    let config = folder.join("prometheus.yaml");
    std::fs::write(&config, text)?;
    let promtool = Tools::checks(&Progress::silent())?.path("promtool");
    let output = Command::new(promtool).args(["check", "config"]).arg(&config).output()?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}

#[test]
fn prometheus_asks_every_service() -> anyhow::Result<()> {
    let asked: Vec<_> = targets()?;
    let missed: Vec<_> = SERVICES.iter().filter(|name| !asked.contains(&format!("{name}:8080"))).collect();
    ensure!(missed.is_empty(), "it does not ask {missed:?}");
    Ok(())
}

#[test]
fn grafana_finds_its_dashboards_and_its_prometheus() -> anyhow::Result<()> {
    let compose = Compose::read()?;
    let grafana = compose.service("grafana")?;
    let sources = read(&mounted(grafana, "/etc/grafana/provisioning/datasources/ithaca.yaml")?)?;
    let source = &sources["datasources"][0];
    ensure!(source["type"] == "prometheus" && source["url"] == "http://prometheus:9090", "{source}");
    let providers = read(&mounted(grafana, "/etc/grafana/provisioning/dashboards/ithaca.yaml")?)?;
    let folder = providers["providers"][0]["options"]["path"].as_str().context("no folder of dashboards")?;
    let home = grafana.environment().into_iter().find(|(name, _)| name.ends_with("HOME_DASHBOARD_PATH"));
    let (_, home) = home.context("no dashboard to begin with")?;
    for dashboard in [home, format!("{folder}/system.json")] {
        let path = mounted(grafana, &dashboard)?;
        ensure!(dashboard.starts_with(folder), "{dashboard} is not in {folder}");
        ensure!(Path::new(&path).is_file(), "there is no {path}");
    }
    Ok(())
}

/// What Prometheus is told to ask: `host:port`.
pub fn targets() -> anyhow::Result<Vec<String>> {
    let config = read(&repository_root().join("deploy/compose/prometheus.yaml").display().to_string())?;
    let jobs = config["scrape_configs"].as_array().into_iter().flatten();
    let groups = jobs.flat_map(|job| job["static_configs"].as_array().into_iter().flatten());
    let targets = groups.flat_map(|group| group["targets"].as_array().into_iter().flatten());
    Ok(targets.filter_map(Value::as_str).map(str::to_owned).collect())
}

/// The file of this repository that a service sees at a path.
fn mounted(service: Service<'_>, path: &str) -> anyhow::Result<String> {
    let found = service.mounts().into_iter().filter(|mount| mount.is_path).find_map(|mount| {
        let rest = path.strip_prefix(&mount.target)?;
        (rest.is_empty() || rest.starts_with('/')).then(|| format!("{}{rest}", mount.source))
    });
    found.with_context(|| format!("{} sees nothing at {path}", service.name))
}

fn read(path: &str) -> anyhow::Result<Value> {
    let text = std::fs::read_to_string(path).with_context(|| format!("failed to read {path}"))?;
    serde_saphyr::from_str(&text).with_context(|| format!("failed to read {path}"))
}

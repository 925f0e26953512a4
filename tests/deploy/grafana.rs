//! What lies in `deploy/grafana`: dashboards as JSON, alerting rules as they are written, and their handbook.
//!
//! In: the files. Out: panels, variables and rules as plain data.

use std::path::PathBuf;

use anyhow::Context;
use ithaca_tests::repository_root;
use serde::Deserialize;
use serde_json::Value;

/// The dashboards, by the names of their files.
pub const DASHBOARDS: [&str; 2] = ["fleet.json", "system.json"];

/// The alerting rules.
pub const ALERTS: &str = "alerts.yaml";

/// An alerting rule.
#[derive(Debug, Deserialize)]
pub struct Rule {
    pub alert: String,
    pub expr: String,
    #[serde(default)]
    pub labels: Value,
    #[serde(default)]
    pub annotations: Value,
}

#[derive(Deserialize)]
struct Rules {
    groups: Vec<Group>,
}

#[derive(Deserialize)]
struct Group {
    rules: Vec<Rule>,
}

/// Where a file of `deploy/grafana` is.
pub fn path(name: &str) -> PathBuf {
    repository_root().join("deploy/grafana").join(name)
}

/// Its text.
pub fn text(name: &str) -> anyhow::Result<String> {
    std::fs::read_to_string(path(name)).with_context(|| format!("failed to read {name}"))
}

/// A dashboard.
pub fn dashboard(name: &str) -> anyhow::Result<Value> {
    serde_json::from_str(&text(name)?).with_context(|| format!("failed to parse {name}"))
}

/// All that a dashboard shows, rows included.
pub fn panels(dashboard: &Value) -> anyhow::Result<&Vec<Value>> {
    dashboard["panels"].as_array().context("a dashboard has panels")
}

/// What asks something: all panels but rows.
pub fn asking(dashboard: &Value) -> anyhow::Result<impl Iterator<Item = &Value>> {
    Ok(panels(dashboard)?.iter().filter(|panel| panel["type"] != "row"))
}

/// The variables of a dashboard.
pub fn variables(dashboard: &Value) -> impl Iterator<Item = &Value> {
    dashboard["templating"]["list"].as_array().into_iter().flatten()
}

/// All rules.
pub fn rules() -> anyhow::Result<Vec<Rule>> {
    let rules: Rules = serde_saphyr::from_str(&text(ALERTS)?)?;
    Ok(rules.groups.into_iter().flat_map(|group| group.rules).collect())
}

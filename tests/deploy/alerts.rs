//! The alerting rules: each says what it means and where to read on, and fires when it should.
//!
//! In: `deploy/grafana/alerts.yaml` and its runbooks in `deploy/README.md`. Out: what promtool and they have to say.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, ensure};
use ithaca_tests::{Progress, Tools, repository_root, target_folder};

use crate::grafana;

#[test]
fn prometheus_takes_the_rules() -> anyhow::Result<()> {
    promtool(&["check", "rules", "--lint-fatal"], &grafana::path(grafana::ALERTS))
}

#[test]
fn each_alert_fires_when_it_should_and_only_then() -> anyhow::Result<()> {
    promtool(&["test", "rules"], &repository_root().join("tests/deploy/alerts.test.yaml"))
}

#[test]
fn each_alert_is_put_to_the_test() -> anyhow::Result<()> {
    let cases = std::fs::read_to_string(repository_root().join("tests/deploy/alerts.test.yaml"))?;
    for rule in grafana::rules()? {
        let fires = format!("(ALERTS{{alertname=\"{}\"", rule.alert);
        ensure!(cases.contains(&fires), "no case of alerts.test.yaml is about {}", rule.alert);
    }
    Ok(())
}

#[test]
fn each_alert_says_what_to_do() -> anyhow::Result<()> {
    let runbooks = runbooks()?;
    for rule in grafana::rules()? {
        let name = &rule.alert;
        let severity = rule.labels["severity"].as_str().unwrap_or_default();
        ensure!(["critical", "warning"].contains(&severity), "{name} has the severity {severity:?}");
        for annotation in ["summary", "description"] {
            let said = rule.annotations[annotation].as_str().unwrap_or_default();
            ensure!(!said.is_empty(), "{name} has no {annotation}");
        }
        // A heading's anchor is its text in lower case.
        let wanted = format!("/blob/main/deploy/README.md#{}", name.to_lowercase());
        let url = rule.annotations["runbook_url"].as_str().unwrap_or_default();
        ensure!(url.ends_with(&wanted), "the runbook of {name} is {url}");
        ensure!(runbooks.contains(&format!("\n### {name}\n")), "the handbook does not tell of {name}");
    }
    Ok(())
}

#[test]
fn the_handbook_tells_of_no_alert_that_is_gone() -> anyhow::Result<()> {
    let known: Vec<_> = grafana::rules()?.into_iter().map(|rule| rule.alert).collect();
    for heading in runbooks()?.lines().filter_map(|line| line.strip_prefix("### ")) {
        ensure!(known.iter().any(|alert| alert == heading), "there is no alert {heading}");
    }
    Ok(())
}

#[test]
fn the_scrape_configuration_of_the_handbook_is_one() -> anyhow::Result<()> {
    let handbook = grafana::text("README.md")?;
    let blocks = handbook.split("```yaml\n").skip(1).filter_map(|rest| rest.split("```").next());
    let configuration = blocks.into_iter().find(|block| block.contains("scrape_configs:"));
    let configuration = configuration.context("the handbook has a scrape configuration")?;
    let file = target_folder().join("tmp/handbook-prometheus.yml");
    std::fs::create_dir_all(target_folder().join("tmp"))?;
    std::fs::write(&file, configuration)?;
    // The rules lie elsewhere here.
    promtool(&["check", "config", "--syntax-only"], &file)
}

/// The operators' chapter about alerts, the last one.
fn runbooks() -> anyhow::Result<String> {
    let handbook = std::fs::read_to_string(repository_root().join("deploy/README.md"))?;
    let (_, chapter) = handbook.split_once("\n## Alerts\n").context("the handbook has a chapter Alerts")?;
    Ok(chapter.to_owned())
}

fn promtool(arguments: &[&str], file: &Path) -> anyhow::Result<()> {
    let promtool = Tools::checks(&Progress::silent())?.path("promtool");
    let output = Command::new(promtool).args(arguments).arg(file).output()?;
    let said = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    ensure!(output.status.success(), "{}{}", said(&output.stdout), said(&output.stderr));
    Ok(())
}

//! The dashboards as files: what Grafana's own types say of them, and what a reader needs to find his way.
//!
//! In: `deploy/grafana/*.json`. Out: verdicts on their form; whether their queries give anything is `measured`'s.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, ensure};
use ithaca_tests::{repository_root, target_folder};

use crate::grafana::{self, DASHBOARDS};

/// Columns of Grafana's grid.
const COLUMNS: u64 = 24;

#[test]
fn grafanas_own_types_accept_the_dashboards() -> anyhow::Result<()> {
    let folder = grafana_types()?;
    let mut program = "import type { Dashboard, Json } from './dashboard';\n".to_owned();
    for (number, file) in DASHBOARDS.into_iter().enumerate() {
        let text = grafana::text(file)?;
        writeln!(program, "// {file}\nexport const dashboard{number}: Json<Dashboard> = {text};")?;
    }
    let check = folder.join("check.ts");
    std::fs::write(&check, program)?;
    let mut compiler = Command::new("node");
    compiler.arg("node_modules/typescript/bin/tsc").args(["--noEmit", "--strict", "--skipLibCheck"]);
    compiler.args(["--module", "preserve", "--moduleResolution", "bundler"]).arg(&check);
    run(compiler.current_dir(&folder))
}

#[test]
fn every_panel_can_be_told_apart() -> anyhow::Result<()> {
    let mut uids = BTreeSet::new();
    for file in DASHBOARDS {
        let dashboard = grafana::dashboard(file)?;
        let uid = dashboard["uid"].as_str().context("a dashboard has a uid")?.to_owned();
        ensure!(uids.insert(uid), "{file} has the uid of another one");
        let (mut ids, mut titles) = (BTreeSet::new(), BTreeSet::new());
        for panel in grafana::panels(&dashboard)? {
            let id = panel["id"].as_u64().context("a panel has an id")?;
            ensure!(ids.insert(id), "{file}: two panels have the id {id}");
            let title = panel["title"].as_str().unwrap_or_default();
            ensure!(!title.is_empty() && titles.insert(title), "{file}: {title:?} is there twice");
        }
    }
    Ok(())
}

#[test]
fn no_panel_covers_another() -> anyhow::Result<()> {
    for file in DASHBOARDS {
        let dashboard = grafana::dashboard(file)?;
        let mut taken = BTreeSet::new();
        for panel in grafana::panels(&dashboard)? {
            let side = |name: &str| panel["gridPos"][name].as_u64().context("a panel has a place");
            let (x, y, w, h) = (side("x")?, side("y")?, side("w")?, side("h")?);
            ensure!(w > 0 && h > 0 && x + w <= COLUMNS, "{file}: {} does not fit", panel["title"]);
            let cells = (x..x + w).flat_map(|column| (y..y + h).map(move |row| (column, row)));
            for cell in cells {
                ensure!(taken.insert(cell), "{file}: {} covers another one", panel["title"]);
            }
        }
        // Grafana moves panels up into gaps, and the picture would not be the one that was drawn.
        let rows: BTreeSet<_> = taken.iter().map(|(_, row)| *row).collect();
        let height = rows.len() as u64;
        ensure!(taken.len() as u64 == COLUMNS * height, "{file} has gaps");
        ensure!(rows.last() == Some(&(height - 1)), "{file} has empty rows");
    }
    Ok(())
}

#[test]
fn every_panel_says_what_it_asks_and_how_to_read_it() -> anyhow::Result<()> {
    for file in DASHBOARDS {
        let dashboard = grafana::dashboard(file)?;
        for panel in grafana::asking(&dashboard)? {
            let title = panel["title"].as_str().unwrap_or_default();
            ensure!(title.ends_with('?'), "{file}: {title} asks nothing");
            let description = panel["description"].as_str().unwrap_or_default();
            ensure!(description.len() > 10, "{file}: {title} does not say how to read it");
            let unit = panel["fieldConfig"]["defaults"]["unit"].as_str().unwrap_or_default();
            ensure!(!unit.is_empty(), "{file}: {title} has no unit");
            let thresholds = &panel["fieldConfig"]["defaults"]["thresholds"]["steps"];
            ensure!(
                thresholds.as_array().is_some_and(|steps| !steps.is_empty()),
                "{file}: {title} is colourless"
            );
            let sources = panel["targets"].as_array().into_iter().flatten().chain([panel]);
            for source in sources.map(|asking| &asking["datasource"]) {
                ensure!(source["uid"] == "${datasource}", "{file}: {title} asks {source}");
            }
        }
    }
    Ok(())
}

#[test]
fn every_query_follows_the_variables_and_no_job() -> anyhow::Result<()> {
    for file in DASHBOARDS {
        let dashboard = grafana::dashboard(file)?;
        let names: Vec<_> =
            grafana::variables(&dashboard).filter_map(|variable| variable["name"].as_str()).collect();
        ensure!(names.first() == Some(&"datasource"), "{file}: the first variable is the datasource");
        for panel in grafana::asking(&dashboard)? {
            for query in panel["targets"].as_array().into_iter().flatten().map(|target| &target["expr"]) {
                let query = query.as_str().unwrap_or_default();
                for label in ["job=", "job!", "namespace=", "namespace!", "pod=", "instance="] {
                    ensure!(!query.contains(label), "{file}: {query} depends on how Prometheus scrapes");
                }
                let is_about_applications =
                    query.contains("argocd_app_info") || query.contains("argocd_app_sync");
                let follows = query.contains("$project") && query.contains("$application");
                ensure!(!is_about_applications || follows, "{file}: {query} does not follow the variables");
            }
        }
    }
    Ok(())
}

#[test]
fn the_dashboards_link_to_each_other() -> anyhow::Result<()> {
    let dashboards = DASHBOARDS.map(grafana::dashboard).into_iter().collect::<Result<Vec<_>, _>>()?;
    for from in &dashboards {
        for to in dashboards.iter().filter(|to| to["uid"] != from["uid"]) {
            let url = format!("/d/{}", to["uid"].as_str().unwrap_or_default());
            let links = from["links"].as_array().into_iter().flatten();
            let mut links = links.filter(|link| link["url"] == url);
            ensure!(links.next().is_some(), "{} has no link to {url}", from["title"]);
        }
    }
    Ok(())
}

/// Where Grafana's types and the compiler that knows them are: installed from the registry, once for each list.
fn grafana_types() -> anyhow::Result<PathBuf> {
    let (from, folder) =
        (repository_root().join("tests/tools/grafana"), target_folder().join("grafana-types"));
    std::fs::create_dir_all(&folder)?;
    let list = std::fs::read(from.join("package-lock.json"))?;
    // The installed list is written last, so an interrupted installation is begun anew.
    let installed = folder.join("installed-package-lock.json");
    for file in ["package.json", "package-lock.json", "dashboard.ts"] {
        std::fs::copy(from.join(file), folder.join(file))
            .with_context(|| format!("failed to copy {file}"))?;
    }
    if std::fs::read(&installed).ok().as_ref() != Some(&list) {
        run(Command::new("npm").args(["ci", "--no-audit", "--no-fund"]).current_dir(&folder))?;
        std::fs::write(installed, list)?;
    }
    Ok(folder)
}

fn run(command: &mut Command) -> anyhow::Result<()> {
    let program = command.get_program().to_string_lossy().into_owned();
    let output =
        command.output().with_context(|| format!("failed to start {program}: install Node.js 20"))?;
    let said = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    ensure!(output.status.success(), "{program}: {}{}", said(&output.stdout), said(&output.stderr));
    Ok(())
}

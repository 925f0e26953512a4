//! Metrics: every process has a page, and Argo CD's dashboards find the series that they know.

use anyhow::{Context, ensure};
use ithaca_tests::{SERVICES, wait_until};

use crate::scene::{DEADLINE, Scene, automated, manifest};

#[tokio::test]
async fn the_series_of_argo_cds_dashboards_are_there() -> anyhow::Result<()> {
    let scene = Scene::new("metrics").await?;
    scene.repository.write("app/settings.yaml", &manifest("settings", "1"))?;
    let commit = scene.repository.publish("Add settings").await?;
    scene.create("metrics", "app", automated()).await?;
    scene.synced("metrics", &commit).await?;
    let wanted: [(&str, &[&str]); 3] = [
        (
            "argocd_app_info{",
            &[
                "name=\"metrics\"",
                "namespace=\"argocd\"",
                "project=\"default\"",
                "sync_status=\"Synced\"",
                "health_status=\"Healthy\"",
                "dest_namespace=\"metrics\"",
                "dest_server=\"https://kubernetes.default.svc\"",
                "autosync_enabled=\"true\"",
            ],
        ),
        ("argocd_app_sync_total{", &["name=\"metrics\"", "phase=\"Succeeded\""]),
        ("argocd_app_reconcile_bucket{", &["namespace=\"argocd\"", "le="]),
    ];
    // What is written on the Application is counted a moment later.
    wait_until("the applier has its series", DEADLINE, async || {
        let page = page(&scene, "applier").await?;
        for (series, labels) in wanted {
            let mut lines = page.lines().filter(|line| line.starts_with(series));
            let found = lines.any(|line| labels.iter().all(|label| line.contains(label)));
            let like: Vec<_> = page.lines().filter(|line| line.starts_with(&series[..14])).take(20).collect();
            ensure!(found, "{series} with {labels:?} is not among {like:#?}");
        }
        Ok(())
    })
    .await
}

#[tokio::test]
async fn every_process_has_a_page() -> anyhow::Result<()> {
    let scene = Scene::new("metrics-pages").await?;
    scene.repository.write("app/settings.yaml", &manifest("settings", "1"))?;
    let commit = scene.repository.publish("Add settings").await?;
    scene.create("metrics-pages", "app", automated()).await?;
    scene.synced("metrics-pages", &commit).await?;
    // The console counts requests, so it needs one.
    reqwest::get(&scene.stack.services()?.console).await?.error_for_status()?;
    for service in SERVICES {
        wait_until(&format!("{service} has its series"), DEADLINE, async || {
            let page = page(&scene, service).await?;
            ensure!(page.contains("# TYPE ithaca_"), "{page}");
            Ok(())
        })
        .await?;
    }
    Ok(())
}

async fn page(scene: &Scene<'_>, service: &str) -> anyhow::Result<String> {
    let url = scene.stack.process(service)?.program().metrics.clone().context("it has no metrics")?;
    Ok(reqwest::get(url).await?.error_for_status()?.text().await?)
}

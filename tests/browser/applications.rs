//! The list of Applications.

use anyhow::ensure;
use serde_json::json;

use crate::{
    browser::open,
    stage::{Stage, status},
};

const WINDOW: (u32, u32) = (1280, 900);
const PHONE: (u32, u32) = (390, 844);

#[tokio::test]
async fn the_list_follows_the_cluster_without_a_reload() -> anyhow::Result<()> {
    let stage = Stage::shared().await?;
    stage.put("follow-b", status("Synced", "Healthy")).await?;
    open(&stage.url, WINDOW, false, async |page| {
        let row = |name: &str| format!("tr[data-key='argocd/{name}']");
        page.shows("#live", &["Live"]).await?;
        page.shows(&row("follow-b"), &["follow-b", "Synced", "Healthy", "0123456"]).await?;

        stage.put("follow-b", status("OutOfSync", "Degraded")).await?;
        page.shows(&row("follow-b"), &["OutOfSync", "Degraded"]).await?;

        stage.put("follow-a", status("Synced", "Progressing")).await?;
        page.shows(&row("follow-a"), &["Progressing"]).await?;
        let order = page
            .run("return [...rows.children].map((row) => row.dataset.key).filter((key) => key.includes('/follow-'))")
            .await?;
        ensure!(order == json!(["argocd/follow-a", "argocd/follow-b"]), "the order is {order}");
        page.picture("applications").await?;

        stage.delete("follow-a").await?;
        page.counts(&row("follow-a"), 0).await
    })
    .await
}

#[tokio::test]
async fn the_filter_and_the_counts_narrow_the_list() -> anyhow::Result<()> {
    let stage = Stage::shared().await?;
    for (name, sync) in [("narrow-one", "Synced"), ("narrow-two", "OutOfSync"), ("narrow-three", "OutOfSync")]
    {
        stage.put(name, status(sync, "Suspended")).await?;
    }
    let rows = "#rows tr";
    open(&stage.url, WINDOW, true, async |page| {
        page.shows("tr[data-key='argocd/narrow-three']", &["OutOfSync"]).await?;
        page.type_into("#filter", "narrow").await?;
        page.counts(rows, 3).await?;
        page.click("button[data-kind=sync][data-state=OutOfSync]").await?;
        page.counts(rows, 2).await?;
        page.picture("applications-dark").await?;
        let address = page.run("return location.search").await?;
        ensure!(address == json!("?q=narrow&sync=OutOfSync"), "the address has {address}");

        // What changes is filtered too.
        stage.put("narrow-one", status("OutOfSync", "Suspended")).await?;
        page.counts(rows, 3).await?;

        page.type_into("#filter", "-nothing-like-it").await?;
        page.shows("#unmatched", &["Nothing matches"]).await?;
        page.click("#clear").await?;
        page.shows("tr[data-key='argocd/narrow-one']", &["OutOfSync"]).await
    })
    .await
}

#[tokio::test]
async fn the_list_fits_a_phone() -> anyhow::Result<()> {
    let stage = Stage::shared().await?;
    let long = "phone-with-a-very-long-name-that-does-not-end-where-a-short-one-would";
    let mut failed = status("Unknown", "Missing");
    let message = "failed to render https://git.example.org/home/lab.git apps/phone: values-of-the-house.yaml is missing";
    failed["conditions"] = json!([{"type": "ComparisonError", "message": message}]);
    stage.put(long, failed).await?;
    open(&stage.url, PHONE, false, async |page| {
        page.shows(&format!("tr[data-key='argocd/{long}']"), &["Unknown", "values-of-the-house.yaml"])
            .await?;
        page.picture("applications-phone").await?;
        page.fits().await
    })
    .await
}

#[tokio::test]
async fn programs_get_the_same_facts() -> anyhow::Result<()> {
    let stage = Stage::shared().await?;
    stage.put("program", status("Synced", "Healthy")).await?;
    open(&stage.url, WINDOW, false, async |page| {
        page.shows("tr[data-key='argocd/program']", &["Synced"]).await?;
        let script = "const found = await fetch('/api/v1/applications'); \
                      return (await found.json()).items.find((item) => item.name === 'program').sync";
        let sync = page.run(&format!("return (async () => {{ {script} }})()")).await?;
        ensure!(sync == json!("Synced"), "the list says {sync}");
        let script = "const found = await fetch('/api/v1/applications/argocd/nobody'); \
                      return [found.status, (await found.json()).error]";
        let refusal = page.run(&format!("return (async () => {{ {script} }})()")).await?;
        ensure!(refusal == json!([404, "failed to find application argocd/nobody"]), "it says {refusal}");
        Ok(())
    })
    .await
}

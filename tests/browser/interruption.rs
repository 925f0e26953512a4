//! A console that goes away and comes back under an open page.

use crate::{
    browser::open,
    stage::{Stage, status},
};

const WINDOW: (u32, u32) = (1000, 700);

#[tokio::test]
async fn a_page_catches_up_after_the_console_was_away() -> anyhow::Result<()> {
    let stage = Stage::shared().await?;
    let (console, url) = stage.own_console().await?;
    stage.put("away", status("Synced", "Healthy")).await?;
    open(&url, WINDOW, false, async |page| {
        page.shows("tr[data-key='argocd/away']", &["Synced"]).await?;
        page.shows("#live", &["Live"]).await?;
        console.kill()?;
        page.shows("#live", &["Reconnecting"]).await?;
        stage.put("away", status("OutOfSync", "Missing")).await?;
        console.restart().await?;
        page.shows("tr[data-key='argocd/away']", &["OutOfSync", "Missing"]).await?;
        page.shows("#live", &["Live"]).await
    })
    .await
}

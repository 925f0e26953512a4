//! Waiting until nothing happens any more.
//!
//! In: the API server's counters and the services' CPU time. Out: a moment of rest, or an error after a deadline.

use std::time::{Duration, Instant};

use anyhow::ensure;
use ithaca_tests::Stack;
use kube::Client;

use super::{api_server, process};

const DEADLINE: Duration = Duration::from_secs(300);

/// Until Ithaca has written nothing for a moment: between two timed changes.
pub async fn of_ithaca(client: &Client) -> anyhow::Result<()> {
    rest(Duration::from_millis(500), async || Ok(api_server::writes(client).await?.ithaca)).await
}

/// Until nobody writes and Ithaca needs less than 3 % of a core, for five seconds.
pub async fn of_everything(stack: &Stack, client: &Client) -> anyhow::Result<()> {
    rest(Duration::from_secs(5), async || {
        let busy = process::service_cpu(stack)? / 0.15;
        Ok((api_server::writes(client).await?.all, busy.round() as u64))
    })
    .await
}

/// Until what is observed is the same after `pause`.
async fn rest<T: PartialEq>(
    pause: Duration,
    mut observe: impl AsyncFnMut() -> anyhow::Result<T>,
) -> anyhow::Result<()> {
    let started = Instant::now();
    let mut before = observe().await?;
    loop {
        tokio::time::sleep(pause).await;
        let now = observe().await?;
        if now == before {
            return Ok(());
        }
        ensure!(started.elapsed() < DEADLINE, "the cluster did not come to rest within {DEADLINE:?}");
        before = now;
    }
}

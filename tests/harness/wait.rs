//! Waiting for a condition instead of sleeping.

use std::time::Duration;

use tokio::time::Instant;

const PAUSE: Duration = Duration::from_millis(25);

/// Asks `probe` until it says `Ok`, and returns what it said.
///
/// The probe's error describes the state that was seen, as in
/// `ensure!(status == "Synced", "sync status is {status}")`.
///
/// # Errors
/// After `deadline`, with what was waited for and the last state that was seen.
pub async fn wait_until<T>(
    what: &str,
    deadline: Duration,
    mut probe: impl AsyncFnMut() -> anyhow::Result<T>,
) -> anyhow::Result<T> {
    let end = Instant::now() + deadline;
    let mut seen = None;
    loop {
        match tokio::time::timeout_at(end, probe()).await {
            Ok(Ok(value)) => return Ok(value),
            Ok(Err(error)) => seen = Some(error),
            Err(_) => {}
        }
        if Instant::now() + PAUSE >= end {
            let seen = seen.unwrap_or_else(|| anyhow::anyhow!("no answer at all"));
            return Err(seen.context(format!("waited {deadline:?} in vain until {what}")));
        }
        tokio::time::sleep(PAUSE).await;
    }
}

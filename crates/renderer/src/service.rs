//! The loop: revisions come in from the bus, each is worked on and answered for.
//! It ends when the process stops: what is in hand is finished or handed back.

use std::sync::Arc;
use std::time::Duration;

use futures::{Stream, StreamExt};
use ithaca_bus::{Bus, Delivery};
use ithaca_chassis::Process;
use ithaca_proto::v1::{Purpose, RevisionObserved};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::Instrument;
use tracing_opentelemetry::OpenTelemetrySpanExt;

use crate::args::{Args, tool_versions};
use crate::cache::Cache;
use crate::content::Watcher;
use crate::metrics::Metrics;
use crate::plugin;
use crate::request::Request;
use crate::worker::{Done, WorkError, Worker};

/// How many revisions may wait for plugins. They take no room of others, so that a plugin that hangs holds up nobody else.
const WAITING: usize = 256;

/// When a revision for which there is no room is looked at again.
const NO_ROOM: Duration = Duration::from_secs(2);

/// How often the server is told that a long rendering goes on.
const PROGRESS: Duration = Duration::from_secs(3);

/// What is in hand may take this long once the process stops.
const GRACE: Duration = Duration::from_secs(10);

/// After this silence the server sends nothing more of what was asked for.
const SILENCE: Duration = Duration::from_millis(200);

/// When others get what was sent to us and not begun.
const HANDED_BACK: Duration = Duration::from_secs(1);

/// The longest time until a failure of ours is tried again.
const MAX_DELAY: Duration = Duration::from_secs(30);

/// So many times as long it takes where another try costs all that the limits allow.
const COSTLY: u32 = 60;

/// Renders until the process stops.
///
/// # Errors
/// When a tool is missing, or the bus cannot be used at all.
pub async fn run(args: Args, process: Process) -> anyhow::Result<()> {
    let ready = process.health.part("bus");
    let mut renderer = args.renderer()?;
    let tools = tool_versions(&mut renderer).await?;
    tracing::info!(%tools, work_dir = %renderer.work_dir.display(), "the tools are found");
    let seal = args.seal.seal()?;
    let watcher = Watcher::new(&args.watcher_url, args.content_limit())?;
    let bus = tokio::select! {
        bus = Bus::connect(&args.bus, process.name) => bus?.sealing(seal),
        () = process.shutdown.cancelled() => return Ok(()),
    };
    let (parallel, held) = (args.parallel(), args.held());
    let worker = Worker {
        bus: bus.clone(),
        watcher,
        renderer: Arc::new(renderer),
        tools: tools.into(),
        cache: Cache::new(args.cache_limit()),
        permits: Arc::new(Semaphore::new(parallel)),
        metrics: Metrics::new(),
    };
    ready.set(true);
    consume(worker, bus.revisions(held), held, &process.shutdown).await;
    bus.close().await;
    Ok(())
}

async fn consume(
    worker: Worker,
    mut revisions: impl Stream<Item = Delivery<RevisionObserved>> + Unpin,
    held: usize,
    shutdown: &CancellationToken,
) {
    let hand_back = CancellationToken::new();
    let (mut tasks, mut waiting) = (JoinSet::new(), JoinSet::new());
    loop {
        tokio::select! {
            () = shutdown.cancelled() => break,
            Some(_) = tasks.join_next() => {}
            Some(_) = waiting.join_next() => {}
            Some(delivery) = revisions.next(), if tasks.len() < held => {
                let Some(request) = read(&delivery).await else { continue };
                let concerns_plugins = plugin::are_concerned(&request);
                if concerns_plugins && waiting.len() >= WAITING {
                    delivery.retry(NO_ROOM).await;
                    continue;
                }
                let room = if concerns_plugins { &mut waiting } else { &mut tasks };
                room.spawn(handle(worker.clone(), delivery, request, hand_back.clone()));
            }
        }
    }
    // Others get at once what was sent to us and not begun.
    let hand_back_all = async {
        while let Ok(Some(delivery)) = tokio::time::timeout(SILENCE, revisions.next()).await {
            delivery.retry(HANDED_BACK).await;
        }
    };
    // Where very many wait, the first come again before the last.
    let _ = tokio::time::timeout(HANDED_BACK, hand_back_all).await;
    // As long as somebody listens the server sends more, which nobody would answer for.
    drop(revisions);
    let finish = async {
        while tasks.join_next().await.is_some() {}
        while waiting.join_next().await.is_some() {}
    };
    let mut finish = std::pin::pin!(finish);
    if tokio::time::timeout(GRACE, &mut finish).await.is_err() {
        hand_back.cancel();
        finish.await;
    }
}

/// What a delivery asks for; one that asks for nothing is rejected.
async fn read(delivery: &Delivery<RevisionObserved>) -> Option<Request> {
    match Request::parse(delivery.message.clone()) {
        Ok(request) => Some(request),
        Err(error) => {
            tracing::warn!(%error, "rejected a revision");
            delivery.reject().await;
            None
        }
    }
}

/// Works on one revision and answers for it.
async fn handle(
    worker: Worker,
    delivery: Delivery<RevisionObserved>,
    request: Request,
    hand_back: CancellationToken,
) {
    let _held = worker.metrics.hold();
    let span = span(&request);
    // Where traces are not collected there is nothing to continue.
    let _ = span.set_parent(delivery.context.clone());
    let work = async {
        let result = tokio::select! {
            result = worker.work(&request, delivery.attempt) => result,
            never = keep(&delivery) => never,
            () = hand_back.cancelled() => Err(WorkError::Stopping),
        };
        answer(&worker, &delivery, &request, result).await;
    };
    work.instrument(span).await;
}

/// Tells the server from time to time that the work goes on.
async fn keep(delivery: &Delivery<RevisionObserved>) -> Result<Done, WorkError> {
    loop {
        tokio::time::sleep(PROGRESS).await;
        delivery.progress().await;
    }
}

async fn answer(
    worker: &Worker,
    delivery: &Delivery<RevisionObserved>,
    request: &Request,
    result: Result<Done, WorkError>,
) {
    let application = format!("{}/{}", request.application.namespace, request.application.name);
    match result {
        Ok(done) => {
            delivery.ack().await;
            match done {
                Done::Rendered { objects, digest } => {
                    tracing::info!(application, revision = revision(request), objects, digest, "rendered");
                }
                Done::Unchanged => {
                    tracing::info!(application, revision = revision(request), "unchanged");
                }
                Done::Failed(message) => {
                    tracing::info!(application, revision = revision(request), message, "failed");
                }
                Done::Outdated => tracing::info!(application, revision = revision(request), "outdated"),
            }
        }
        Err(WorkError::Stopping) => {
            delivery.retry(Duration::ZERO).await;
            tracing::info!(application, "handed back");
        }
        Err(error) => {
            worker.metrics.failed("retry");
            let delay = delay(delivery.attempt) * if error.is_costly() { COSTLY } else { 1 };
            delivery.retry(delay).await;
            let error = anyhow::Error::from(error);
            tracing::warn!(application, error = format!("{error:#}"), ?delay, "failed, trying again");
        }
    }
}

/// Half a second, and twice as long each time.
fn delay(attempt: u64) -> Duration {
    let doublings = u32::try_from(attempt.saturating_sub(1).min(10)).unwrap_or(10);
    (Duration::from_millis(500) * 2_u32.pow(doublings)).min(MAX_DELAY)
}

fn span(request: &Request) -> tracing::Span {
    let purpose = match request.purpose {
        Purpose::Operation => "operation",
        Purpose::Tracked | Purpose::Unspecified => "tracked",
    };
    tracing::info_span!(
        "render",
        application = %request.application.name,
        namespace = %request.application.namespace,
        revision = revision(request),
        purpose,
    )
}

/// The first source's commit: most applications have no other.
fn revision(request: &Request) -> &str {
    let first = request.sources.as_ref().ok().and_then(|sources| sources.first());
    first.map_or("", |source| source.revision.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_of_ours_are_tried_again_ever_later() {
        let delays: Vec<_> = [1, 2, 3, 7, 100].map(delay).iter().map(Duration::as_millis).collect();
        assert_eq!(delays, [500, 1000, 2000, 30_000, 30_000]);
    }
}

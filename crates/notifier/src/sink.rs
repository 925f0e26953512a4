//! One reader of the events that delivers them in order.
//!
//! In: the events of a durable consumer of its own. Out: each of them to one sink, acknowledged after the
//! effect. A sink that fails for now is tried again in place, so that the order holds.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use futures::StreamExt;
use ithaca_bus::{Bus, Delivery};
use ithaca_proto::v1::Event;
use tokio_util::sync::CancellationToken;
use tracing::Instrument;
use tracing_opentelemetry::OpenTelemetrySpanExt;

use crate::{metrics::Metrics, record::Record};

/// The longest pause between two attempts; well below the time after which the bus delivers again.
const LONGEST_PAUSE: Duration = Duration::from_secs(10);
/// Deliveries remembered, so that one that was held for long and came back is not made twice.
const REMEMBERED: usize = 64;

/// What became of an attempt.
#[derive(Debug)]
pub(crate) enum Outcome {
    Sent,
    /// There was nothing to send.
    Skipped,
    /// Failed for now.
    Retry(String),
    /// Can never succeed.
    Rejected(String),
}

/// A place where events go.
pub(crate) trait Sink: Send + 'static {
    /// The sink's name in logs and metrics, `webhook-chat`; its durable consumer is `notifier-` and this.
    fn name(&self) -> &str;

    /// Events older than this are not worth delivering any more.
    fn max_age(&self) -> Option<Duration>;

    /// Tries once, in less than 15 seconds.
    fn deliver(&mut self, record: &Record) -> impl Future<Output = Outcome> + Send;
}

/// Delivers events to a sink until the process shall end.
pub(crate) async fn drain(mut sink: impl Sink, bus: Bus, metrics: Metrics, shutdown: CancellationToken) {
    metrics.begin(sink.name());
    let durable = format!("notifier-{}", sink.name());
    let mut events = bus.events(&durable, 1);
    let mut recent = VecDeque::with_capacity(REMEMBERED);
    loop {
        let delivery = tokio::select! {
            biased;
            () = shutdown.cancelled() => return,
            next = events.next() => match next {
                Some(delivery) => delivery,
                None => return,
            },
        };
        if recent.contains(&delivery.message.id) {
            delivery.ack().await;
            continue;
        }
        let span = tracing::info_span!("notify", sink = sink.name(), event = %delivery.message.id);
        // Fails only where no traces are collected.
        let _ = span.set_parent(delivery.context.clone());
        let done = answer(&mut sink, &delivery, &metrics, &shutdown).instrument(span).await;
        if done {
            if recent.len() == REMEMBERED {
                recent.pop_front();
            }
            recent.push_back(delivery.message.id);
        }
    }
}

/// Tries until the delivery can be answered for; false when the process ends before that.
async fn answer(
    sink: &mut impl Sink,
    delivery: &Delivery<Event>,
    metrics: &Metrics,
    shutdown: &CancellationToken,
) -> bool {
    let Some(record) = Record::new(&delivery.message) else {
        tracing::debug!("skipped an event that this version does not know");
        delivery.ack().await;
        return true;
    };
    let started = Instant::now();
    for attempt in 0.. {
        let age = age(record.happened_at_micros);
        if sink.max_age().is_some_and(|limit| age > limit) {
            tracing::debug!(age = age.as_secs(), "left out an event that is too old");
            metrics.count(sink.name(), "skipped");
            break;
        }
        match sink.deliver(&record).await {
            Outcome::Sent => {
                metrics.count(sink.name(), "sent");
                metrics.delivered(sink.name(), started.elapsed().as_secs_f64(), age.as_secs_f64());
                break;
            }
            Outcome::Skipped => break,
            Outcome::Rejected(why) => {
                metrics.count(sink.name(), "rejected");
                tracing::warn!(application = record.application.name, "gave up an event: {why}");
                delivery.reject().await;
                return true;
            }
            Outcome::Retry(why) => {
                metrics.count(sink.name(), "retried");
                let pause = pause(attempt);
                // One that is down for long is told once for each event, not for each attempt.
                if attempt == 0 {
                    tracing::warn!("failed to deliver an event, trying again: {why}");
                } else {
                    tracing::debug!(attempt, "failed to deliver an event again: {why}");
                }
                delivery.progress().await;
                tokio::select! {
                    () = tokio::time::sleep(pause) => delivery.progress().await,
                    () = shutdown.cancelled() => {
                        delivery.retry(Duration::ZERO).await;
                        return false;
                    }
                }
            }
        }
    }
    delivery.ack().await;
    true
}

fn age(happened_at_micros: i64) -> Duration {
    let micros = jiff::Timestamp::now().as_microsecond().saturating_sub(happened_at_micros);
    Duration::from_micros(u64::try_from(micros).unwrap_or(0))
}

/// Half a second, then twice as long each time.
fn pause(attempt: u32) -> Duration {
    let doubled = Duration::from_millis(500).saturating_mul(2_u32.saturating_pow(attempt));
    doubled.min(LONGEST_PAUSE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_longest() {
        let millis: Vec<u128> = [0, 1, 2, 5, 60].map(|attempt| pause(attempt).as_millis()).to_vec();
        assert_eq!(millis, [500, 1_000, 2_000, 10_000, 10_000]);
    }
}

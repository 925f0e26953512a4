//! What happened to Applications, as the bus tells it: the past on demand, the present as it comes.
//!
//! In: the bus. Out: events. While the bus is away there are none; the page is served all the same.

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use futures::StreamExt;
use ithaca_bus::{Args, Bus};
use ithaca_proto::v1::Event;
use tokio::sync::broadcast;

/// Events kept for a page that is slow.
const CAPACITY: usize = 256;
/// How long a page may wait for the past.
const PATIENCE: Duration = Duration::from_secs(3);

/// The events of the bus.
#[derive(Debug)]
pub struct Events {
    bus: OnceLock<Bus>,
    live: broadcast::Sender<Arc<Event>>,
}

impl Default for Events {
    fn default() -> Self {
        Self { bus: OnceLock::new(), live: broadcast::Sender::new(CAPACITY) }
    }
}

impl Events {
    /// What happened to an Application, the oldest first; none where the bus cannot tell.
    pub async fn history(&self, uid: &str) -> Option<Vec<Event>> {
        let bus = self.bus.get().filter(|bus| bus.is_connected())?;
        match tokio::time::timeout(PATIENCE, Box::pin(bus.event_history(uid))).await {
            Ok(Ok(events)) => Some(events),
            Ok(Err(error)) => {
                tracing::debug!(%error, uid, "failed to read the events of an application");
                None
            }
            Err(_) => None,
        }
    }

    /// Every event from now on.
    pub fn live(&self) -> broadcast::Receiver<Arc<Event>> {
        self.live.subscribe()
    }
}

/// Passes on what the bus tells, for ever; fails only where the bus can never be used.
pub async fn follow(args: Args, name: &str, events: Arc<Events>) -> anyhow::Result<()> {
    let bus = Bus::connect(&args, name).await?;
    let bus = events.bus.get_or_init(|| bus);
    loop {
        match bus.live_events().await {
            Ok(mut live) => {
                while let Some(event) = live.next().await {
                    // Fails only where nobody listens.
                    let _ = events.live.send(Arc::new(event));
                }
            }
            Err(error) => tracing::debug!(%error, "failed to follow the events, trying again"),
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}

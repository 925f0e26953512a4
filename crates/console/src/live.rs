//! The streams of server-sent events that keep pages and programs up to date.
//!
//! In: changes of the board, events of the bus. Out: what changed, as HTML for pages and as JSON for programs.
//! A stream that was interrupted says with `Last-Event-ID` what it has, and gets what it lacks.

mod application;
mod applications;
mod changes;

use std::{convert::Infallible, time::Duration};

use axum::{
    http::HeaderMap,
    response::{
        IntoResponse,
        sse::{Event, KeepAlive, Sse},
    },
};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

use crate::site::Site;

pub use application::application;
pub use applications::applications;
pub use changes::changes;

/// Changes that come within this time of each other are sent as one.
const WINDOW: Duration = Duration::from_millis(50);
/// Messages on their way to a slow reader.
const CAPACITY: usize = 8;

/// The version that a page was made with.
#[derive(Debug, Default, serde::Deserialize)]
pub struct Since {
    #[serde(default)]
    since: String,
}

impl Since {
    /// What the reader has: what it got last on this stream, else what its page was made with.
    fn version(self, headers: &HeaderMap) -> String {
        let last = headers.get("last-event-id").and_then(|value| value.to_str().ok());
        last.map_or(self.since, str::to_owned)
    }
}

/// Where a stream's task puts its messages.
struct Reader {
    messages: mpsc::Sender<Result<Event, Infallible>>,
}

/// The reader is gone.
struct Gone;

impl Reader {
    /// Sends an event with the version that the reader has then.
    async fn send(&self, name: &str, version: &str, data: &impl serde::Serialize) -> Result<(), Gone> {
        match Event::default().event(name).id(version).json_data(data) {
            Ok(event) => self.messages.send(Ok(event)).await.map_err(|_| Gone),
            Err(error) => {
                tracing::warn!(%error, "failed to write an event for a page");
                Ok(())
            }
        }
    }
}

/// Answers with a stream that `work` feeds until its reader is gone or the process ends.
fn stream<W, F>(site: &Site, work: W) -> impl IntoResponse + use<W, F>
where
    W: FnOnce(Reader) -> F,
    F: Future<Output = Result<(), Gone>> + Send + 'static,
{
    let (messages, received) = mpsc::channel(CAPACITY);
    let (open, shutdown, watcher) = (site.metrics.stream(), site.shutdown.clone(), messages.clone());
    let work = work(Reader { messages });
    tokio::spawn(async move {
        let _open = open;
        tokio::select! {
            _ = work => {}
            () = watcher.closed() => {}
            () = shutdown.cancelled() => {}
        }
    });
    Sse::new(ReceiverStream::new(received)).keep_alive(KeepAlive::default())
}

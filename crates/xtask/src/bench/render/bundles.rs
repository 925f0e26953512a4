//! The bundles that renderers say, as an applier would hear them.
//!
//! In: the bus of a stack. Out: when a bundle was there, and which were rendered anew. What is in them is not looked at.

use std::collections::HashSet;
use std::pin::Pin;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use futures::{Stream, StreamExt};
use ithaca_bus::{Args, BundleFact, Bus, Interest, Partitions};
use ithaca_proto::v1::BundleRendered;
use tokio::sync::watch;

const DEADLINE: Duration = Duration::from_secs(1800);

/// All bundles of a stack, each once.
pub struct Bundles {
    stream: Pin<Box<dyn Stream<Item = BundleFact> + Send>>,
    // The stream lives as long as the sender.
    _interest: watch::Sender<Interest>,
}

impl Bundles {
    /// Listens on the bus at `nats`.
    pub async fn follow(nats: &str) -> anyhow::Result<Self> {
        let args =
            Args { nats_url: nats.to_owned(), nats_credentials: None, nats_token: None, nats_replicas: 1 };
        let bus = Bus::connect(&args, "bench").await?;
        let (sender, interest) =
            watch::channel(Interest { partitions: Partitions::ALL, ..Interest::default() });
        Ok(Self { stream: Box::pin(bus.bundles(interest)), _interest: sender })
    }

    /// Waits until so many applications whose names begin with `prefix` have a bundle with content.
    pub async fn wait_for(&mut self, prefix: &str, count: usize, told: impl Fn(usize)) -> anyhow::Result<()> {
        let mut seen = HashSet::new();
        let listen = async {
            while seen.len() < count {
                let bundle = self.next().await?;
                let name = name(&bundle);
                if !name.starts_with(prefix) {
                    continue;
                }
                let failure = bundle.failure.as_ref().map(|failure| &failure.message);
                ensure!(failure.is_none(), "{name} was not rendered: {}", failure.map_or("", String::as_str));
                seen.insert(name.to_owned());
                told(seen.len());
            }
            Ok(())
        };
        tokio::time::timeout(DEADLINE, listen).await.context("not all bundles were there in time")?
    }

    /// Waits for the next bundle that was rendered from `revision`. Whatever else is rendered meanwhile is an error.
    pub async fn arrival(&mut self, application: &str, revision: &str) -> anyhow::Result<Instant> {
        let listen = async {
            loop {
                let bundle = self.next().await?;
                let arrived = Instant::now();
                ensure!(
                    !is_new(&bundle) || name(&bundle) == application,
                    "{} is rendered too",
                    name(&bundle)
                );
                let sources = bundle.content.iter().flat_map(|content| &content.sources);
                if name(&bundle) == application
                    && sources.map(|source| &source.revision).any(|is| is == revision)
                {
                    return Ok(arrived);
                }
            }
        };
        tokio::time::timeout(DEADLINE, listen).await.context("the bundle was not there in time")?
    }

    /// The names of the applications that were rendered anew until nothing was said for so long.
    pub async fn until_silent(&mut self, silence: Duration) -> anyhow::Result<Vec<String>> {
        let mut rendered = Vec::new();
        while let Ok(bundle) = tokio::time::timeout(silence, self.next()).await {
            let bundle = bundle?;
            if is_new(&bundle) {
                rendered.push(name(&bundle).to_owned());
            }
        }
        Ok(rendered)
    }

    async fn next(&mut self) -> anyhow::Result<BundleRendered> {
        Ok(self.stream.next().await.context("the stream of bundles ended")?.bundle)
    }
}

fn name(bundle: &BundleRendered) -> &str {
    bundle.application.as_ref().map_or("", |application| &application.name)
}

/// Whether something had to be rendered for it.
fn is_new(bundle: &BundleRendered) -> bool {
    bundle.render_started_at != bundle.rendered_at
}

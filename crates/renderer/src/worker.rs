//! One revision after the other: a request comes in, a bundle is said, or the reason why it has to be tried again.
//!
//! Failures of the input are said at once, as facts. Failures of ours (watcher, bus, disk) are never said to be the user's.
//! What a plugin does not do, what a remote does not give and what passes a bound is said, for people can help, and tried
//! again all the same.

use std::sync::Arc;
use std::time::Instant;

use ithaca_bus::{Bus, StoredBundle};
use ithaca_proto::v1::{Content, Failure, Purpose, Refresh};
use tokio::sync::Semaphore;

use crate::cache::{Cache, Known};
use crate::content::{ContentError, Watcher};
use crate::fact::{self, Outcome, Times};
use crate::failure;
use crate::key::render_key;
use crate::metrics::Metrics;
use crate::plugin::Plugin;
use crate::render::{RenderError, Rendered, Renderer};
use crate::request::{Request, SourceRequest};

/// How often another renderer may get ahead of us before the message goes back.
const RACES: usize = 5;

/// Why a request has to be tried again.
#[derive(Debug, thiserror::Error)]
pub enum WorkError {
    /// The bus.
    #[error(transparent)]
    Bus(#[from] ithaca_bus::Error),
    /// The watcher.
    #[error(transparent)]
    Content(#[from] ContentError),
    /// The machine.
    #[error(transparent)]
    Render(#[from] RenderError),
    /// Other renderers.
    #[error("failed to say the bundle: others were faster each time")]
    Races,
    /// The process stops.
    #[error("failed to render: the process stops")]
    Stopping,
}

/// What was done about a request, for the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Done {
    /// New content was said.
    Rendered {
        /// How many objects it has.
        objects: u32,
        /// Its digest.
        digest: String,
    },
    /// Known content was said at a new revision.
    Unchanged,
    /// The input's failure was said.
    Failed(String),
    /// As much was said before.
    Outdated,
}

/// All that work needs; cheap to clone.
#[derive(Clone, Debug)]
pub struct Worker {
    /// Where facts come from and go to.
    pub bus: Bus,
    /// Who has the content.
    pub watcher: Watcher,
    /// Who turns content into manifests.
    pub renderer: Arc<Renderer>,
    /// Names and versions of the tools.
    pub tools: Arc<str>,
    /// What was rendered lately.
    pub cache: Cache,
    /// As many renderings at once as there are permits.
    pub permits: Arc<Semaphore>,
    /// What is measured.
    pub metrics: Metrics,
}

impl Worker {
    /// Does what `request` asks for; `attempt` counts its deliveries from 1.
    ///
    /// # Errors
    /// When it has to be tried again.
    pub async fn work(&self, request: &Request, attempt: u64) -> Result<Done, WorkError> {
        for race in 0..RACES {
            let stored = self.bus.last_bundle(&request.application.uid, request.purpose).await?;
            let last = stored.as_ref().map(|stored| &stored.bundle);
            if fact::is_outdated(request, last) {
                return Ok(Done::Outdated);
            }
            let started = now();
            // Who lost a race has rendered already, however hard the refresh.
            let anew = race == 0 && request.refresh == Refresh::Hard;
            let (outcome, took_time, trouble) =
                match self.outcome(request, stored.as_ref(), anew, attempt).await {
                    Ok((outcome, took_time)) => (outcome, took_time, None),
                    Err(error) => {
                        let failure = error.to_tell(attempt);
                        match failure.and_then(|failure| fact::told(request, last, failure)) {
                            Some(outcome) => (outcome, true, Some(error)),
                            None => return Err(error),
                        }
                    }
                };
            let rendered_at = now();
            let render_started_at = if took_time { started } else { rendered_at };
            let done = Done::of(&outcome);
            let bundle = fact::compose(request, last, outcome, Times { render_started_at, rendered_at });
            match self.bus.publish_bundle(&bundle, stored.as_ref().map_or(0, |stored| stored.sequence)).await
            {
                Ok(_) => {
                    self.drop_replaced(request, stored, bundle.content.as_ref()).await;
                    return match trouble {
                        Some(error) if bundle.retries != 0 => Err(error),
                        _ => Ok(done),
                    };
                }
                Err(ithaca_bus::Error::Outdated { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(WorkError::Races)
    }

    /// What to say, and whether something had to be rendered for it.
    async fn outcome(
        &self,
        request: &Request,
        stored: Option<&StoredBundle>,
        anew: bool,
        attempt: u64,
    ) -> Result<(Outcome, bool), WorkError> {
        let sources = match &request.sources {
            Ok(sources) if sources.is_empty() => {
                let failure = failure::invalid_spec("the application has no source".to_owned());
                return Ok((Outcome::Failed(failure), false));
            }
            Ok(sources) => sources,
            Err(failure) => return Ok((Outcome::Failed(failure.clone()), false)),
        };
        let plugins = self.renderer.plugins(sources).await?;
        let key = render_key(request, sources, &self.tools, &plugins);
        if !anew && fact::is_current(stored.map(|stored| &stored.bundle), &key, self.bus.seal_id()) {
            self.metrics.hit("bundle");
            return Ok((Outcome::Unchanged, false));
        }
        let known = if anew { None } else { self.cache.get(&key) };
        let took_time = known.is_none();
        let known = match known {
            Some(known) => {
                self.metrics.hit("memory");
                known
            }
            None => self.render(request, sources, plugins, &key, attempt).await?,
        };
        let outcome = match known {
            Ok(rendered) => {
                // Who has all done anew may miss what was put into the store.
                let there = stored.filter(|_| !anew);
                Outcome::Rendered(self.content(request, sources, key, &rendered, there).await?)
            }
            Err(failure) => {
                self.metrics.failed("input");
                Outcome::Failed(failure)
            }
        };
        Ok((outcome, took_time))
    }

    /// Fetches and renders; what will be the same each time is kept.
    async fn render(
        &self,
        request: &Request,
        sources: &[SourceRequest],
        plugins: Vec<Vec<Plugin>>,
        key: &str,
        attempt: u64,
    ) -> Result<Known, WorkError> {
        let turns = self.renderer.turns(&plugins).await;
        let trees = match self.watcher.trees(sources).await {
            Ok(trees) => trees,
            Err(error) if error.is_ours(attempt) => return Err(error.into()),
            Err(error) => return Ok(Err(failure::source(error.to_string()))),
        };
        // Who has a turn with a plugin waits for it, and holds up nobody who needs a processor.
        let _permit = match turns.is_empty() {
            true => Some(self.permits.acquire().await.map_err(|_| WorkError::Stopping)?),
            false => None,
        };
        let started = Instant::now();
        let sources = sources.iter().cloned().zip(trees).zip(plugins);
        let sources = sources.map(|((source, tree), plugins)| (source, tree, plugins)).collect();
        let result = self.renderer.render(request, sources).await;
        self.metrics.rendered(started, result.as_ref().ok());
        let known = match result {
            Ok(rendered) => Ok(Arc::new(rendered)),
            Err(error) => match error.as_failure().filter(|_| error.is_certain()) {
                Some(failure) => Err(failure),
                None => return Err(error.into()),
            },
        };
        self.cache.put(key.to_owned(), known.clone());
        Ok(known)
    }

    /// Puts a rendering where appliers find it, unless it is there with what was said last.
    async fn content(
        &self,
        request: &Request,
        sources: &[SourceRequest],
        render_key: String,
        rendered: &Rendered,
        stored: Option<&StoredBundle>,
    ) -> Result<Content, WorkError> {
        let bundle = &rendered.bundle;
        let mut content = Content {
            digest: bundle.digest.clone(),
            render_key,
            objects: bundle.objects,
            size: bundle.size,
            inline: Default::default(),
            seal: self.bus.seal_id().to_owned(),
            sources: fact::sources(sources, &rendered.source_types),
        };
        match stored.and_then(|stored| stored.bundle.content.as_ref()) {
            Some(last) if last.digest == content.digest && last.seal == content.seal => {
                content.inline = last.inline.clone();
            }
            _ => {
                let compressed = bundle.compressed.clone();
                self.bus.put_content(&request.application.uid, &mut content, compressed).await?;
            }
        }
        Ok(content)
    }

    /// Removes content from the object store that no fact of this application names any more.
    async fn drop_replaced(&self, request: &Request, stored: Option<StoredBundle>, now: Option<&Content>) {
        let Some(replaced) = stored.and_then(|stored| stored.bundle.content) else { return };
        if !replaced.inline.is_empty() || now.is_some_and(|now| now.digest == replaced.digest) {
            return;
        }
        let other = match request.purpose {
            Purpose::Operation => Purpose::Tracked,
            Purpose::Tracked | Purpose::Unspecified => Purpose::Operation,
        };
        let uid = &request.application.uid;
        let Ok(other) = self.bus.last_bundle(uid, other).await else { return };
        let is_needed = other
            .and_then(|other| other.bundle.content)
            .is_some_and(|content| content.digest == replaced.digest);
        if !is_needed {
            self.bus.delete_content(uid, &replaced.digest).await;
        }
    }
}

impl WorkError {
    /// What is told while the request is tried again.
    fn to_tell(&self, attempt: u64) -> Option<Failure> {
        match self {
            Self::Render(error) => error.to_tell(attempt),
            Self::Content(error) => error.to_tell(attempt),
            Self::Bus(_) | Self::Races | Self::Stopping => None,
        }
    }

    /// Whether another try costs all that the limits allow.
    pub fn is_costly(&self) -> bool {
        matches!(self, Self::Render(error) if error.met_a_bound())
    }
}

impl Done {
    fn of(outcome: &Outcome) -> Self {
        match outcome {
            Outcome::Rendered(content) => {
                Self::Rendered { objects: content.objects, digest: content.digest.clone() }
            }
            Outcome::Unchanged => Self::Unchanged,
            Outcome::Failed(failure) | Outcome::Retried(failure) => Self::Failed(failure.message.clone()),
        }
    }
}

/// Microseconds since the epoch.
fn now() -> i64 {
    jiff::Timestamp::now().as_microsecond()
}

//! What the parts that face the world tell the observer.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Instant;

use ithaca_proto::v1::Capabilities;
use tokio::sync::oneshot;

use crate::application::Watched;
use crate::build_options::BuildOptions;
use crate::observe::Evaluated;
use crate::repository::{Observation, RepositoryError, RepositoryKey};
use crate::schedule::Policy;
use crate::signature::Rules;
use crate::tools::Tools;

/// Something that happened.
pub enum Event {
    /// An Application is there, or changed.
    Application(Box<Watched>),
    /// An Application is gone.
    Removed(Arc<str>),
    /// These are all Applications that there are.
    Only(BTreeSet<Arc<str>>),
    /// A remote answered, or failed to.
    Observed {
        /// Which.
        repository: RepositoryKey,
        /// When the call was decided on.
        started: Instant,
        /// The trace of the call.
        context: opentelemetry::Context,
        /// The answer.
        answer: Result<Observation, RepositoryError>,
    },
    /// What some applications read was found.
    Evaluated(Vec<Evaluated>),
    /// A webhook told of a push.
    Pushed {
        /// What the repository may go by.
        keys: Vec<String>,
        /// The trace of the webhook.
        context: opentelemetry::Context,
        /// Takes the number of repositories that are looked at.
        matched: oneshot::Sender<usize>,
    },
    /// Settings changed.
    Policy(Policy),
    /// What overlays are built with.
    BuildOptions(BuildOptions),
    /// What sources may be made with.
    Tools(Tools),
    /// The destination offers something else.
    Capabilities(Capabilities),
    /// Projects ask for other signatures, or there are other keys for them.
    Rules(Rules),
    /// There are other keys to decrypt content with.
    KeysChanged,
    /// The bus has lost everything.
    BusIsNew,
}

/// Where events go. It is unbounded so that whoever answers the observer never waits for it.
pub type Events = tokio::sync::mpsc::UnboundedSender<Event>;

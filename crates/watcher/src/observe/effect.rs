//! What the observer wants done, and the names of what it is about.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Instant;

use ithaca_api::{ApplicationSource, GeneratePaths};
use ithaca_proto::v1::{Purpose, RevisionObserved};

use super::fact::Outcome;
use crate::reads::{self, Want};
use crate::repository::{RepositoryError, RepositoryKey, Resolved};
use crate::signature::Rule;
use crate::tools::Tools;

/// One subject on the bus: an application and why its revision is resolved.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    /// metadata.uid.
    pub uid: Arc<str>,
    /// Why.
    pub purpose: Purpose,
}

/// Something for the rim to do. What comes of it returns to the observer.
#[derive(Clone, Debug)]
pub enum Effect {
    /// Ask a remote what these revisions are, and fetch them; then call `Observer::observed`.
    Observe {
        /// Which remote.
        repository: RepositoryKey,
        /// The revisions as applications name them.
        revisions: BTreeSet<String>,
        /// Whether it has to show more than files.
        with_proof: bool,
        /// Whether content alone names it, and no Secret: then it may not be an internal host by any name.
        is_led: bool,
        /// When the call was decided on.
        started: Instant,
        /// The trace that the call belongs to.
        context: opentelemetry::Context,
    },
    /// Find what these applications read; then call `Observer::evaluated`.
    Evaluate(Vec<Job>),
    /// Say it, until the bus has it.
    Publish(Box<Publication>),
    /// Do not say what still waits to be said.
    Discard(Key),
    /// No application uses the repository any more: its cache may go.
    Forget(RepositoryKey),
}

/// Sources at their revisions, to find out what they read.
#[derive(Clone, Debug)]
pub struct Job {
    /// For what.
    pub key: Key,
    /// Which version of the request; results for older ones are of no use.
    pub epoch: u64,
    /// Whose sources they are.
    pub application: reads::Application,
    /// How its project wants sources to be signed.
    pub rule: Rule,
    /// What sources may be made with.
    pub tools: Arc<Tools>,
    /// In the order of the request.
    pub sources: Vec<JobSource>,
    /// What was found to be wanted from other repositories, and what became of that.
    pub attachments: Vec<Attachment>,
    /// What was found for the same sources at other revisions.
    pub previous: Option<Arc<Outcome>>,
    /// Which files alone make `previous` hold no longer, where the application says so.
    pub generate_paths: Option<Arc<GeneratePaths>>,
}

impl Job {
    /// All repositories that it is about, and the revision in each.
    pub fn places(&self) -> impl Iterator<Item = (&RepositoryKey, &Resolved)> {
        let sources = self.sources.iter().map(|source| (&source.repository, &source.resolved));
        let attached = self.attachments.iter().filter_map(|attachment| attachment.found.as_ref().ok());
        sources.chain(attached.map(|(repository, resolved)| (repository, resolved)))
    }
}

/// What was found for a job: its key, its version of the request, the outcome.
pub type Evaluated = (Key, u64, Outcome);

/// Something of another repository for a source, as far as it is known.
#[derive(Clone, Debug, PartialEq)]
pub struct Attachment {
    /// What is wanted.
    pub want: Want,
    /// Its repository and what its revision was found to be, or why it cannot be had.
    pub found: Result<(RepositoryKey, Resolved), RepositoryError>,
}

/// One source at its revision.
#[derive(Clone, Debug)]
pub struct JobSource {
    /// The source as written.
    pub source: ApplicationSource,
    /// Its repository.
    pub repository: RepositoryKey,
    /// What its revision was found to be.
    pub resolved: Resolved,
}

/// A fact and what is to be told about it besides.
#[derive(Clone, Debug)]
pub struct Publication {
    /// The subject.
    pub key: Key,
    /// The fact.
    pub fact: RevisionObserved,
    /// True where only revisions moved and nothing that is read changed.
    pub is_calm: bool,
    /// When the reason for it came up.
    pub since: Instant,
    /// The trace it belongs to.
    pub context: opentelemetry::Context,
}

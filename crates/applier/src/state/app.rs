//! What is known of one application, and what was made of what was rendered for it.
//!
//! What comes in: versions of the Application, and facts. What goes out: the newest of each, and whether what was made of a
//! fact still holds. What it does not do: know of any other application.

use std::{sync::Arc, time::Instant};

use ithaca_api::Application;
use ithaca_bus::BundleFact;
use ithaca_proto::v1::BundleRendered;
use jiff::Timestamp;
use opentelemetry::Context;

use crate::{
    bundle::{Bundle, Source},
    cluster::ClusterId,
    clusters::Holdings,
    desired::Owner,
    judge::Ignored,
    metrics::Counts,
    object::Kind,
    plan::{Asked, Run},
};

/// What is known of one application.
#[derive(Debug)]
pub struct App {
    /// As the API server last gave it, without managedFields.
    pub application: Application,
    /// Whom its objects belong to.
    pub owner: Owner,
    /// The differences that do not count.
    pub ignored: Option<Arc<Ignored>>,
    /// What targetRevision says, ready to be compared.
    pub tracked: Loaded,
    /// What an operation asked for.
    pub requested: Loaded,
    /// When somebody asked for the operation.
    pub asked: Asked,
    /// The operation under way.
    pub run: Option<Run>,
    /// When its status was last written.
    pub written: Option<Instant>,
    /// `observed_at` of the last bundle that answered a refresh.
    pub refreshed: i64,
    /// How often in a row something outside failed.
    pub failures: u32,
    /// Since when it is known to be being deleted.
    pub going_since: Option<Timestamp>,
    /// How many objects went with it, once it takes them along.
    pub taken_along: Option<u32>,
    /// What is counted of it.
    pub counts: Counts,
    /// The number of the last list of Applications that held it.
    pub listed: u64,
    /// Of another applier's: what its targetRevision says, where one of ours depends on it, and when that was observed.
    pub(super) elsewhere: Option<(i64, Vec<Source>)>,
}

impl App {
    pub(super) fn new(application: Application, owner: Owner, ignored: Option<Arc<Ignored>>) -> Self {
        Self {
            going_since: application.metadata.deletion_timestamp.as_ref().map(|_| Timestamp::now()),
            application,
            owner,
            ignored,
            tracked: Loaded::default(),
            requested: Loaded::default(),
            asked: Asked::default(),
            run: None,
            written: None,
            refreshed: 0,
            failures: 0,
            taken_along: None,
            counts: Counts::default(),
            listed: 0,
            elsewhere: None,
        }
    }

    /// Forgets all but the Application itself, which is another applier's now.
    pub fn forget(&mut self) {
        let Self { application, owner, ignored, asked, listed, .. } = self;
        let (application, owner) = (std::mem::take(application), std::mem::take(owner));
        let (asked, listed) = (*asked, *listed);
        *self = Self { asked, listed, ..Self::new(application, owner, ignored.take()) };
    }

    /// Takes over a newer version. An operation that somebody else has begun or ended meanwhile is not ours to go on with.
    pub(super) fn update(&mut self, application: Application, owner: Owner) {
        if application.operation.is_some() && application.operation != self.application.operation {
            let generation = application.metadata.generation.unwrap_or_default();
            self.asked = Asked { generation, at: Timestamp::now() };
        }
        let (told, before) = (begun_at(&application), begun_at(&self.application));
        let ours = self.run.as_ref().map(|run| run.started_at.as_second());
        if told.is_some() && told != before && told != ours {
            self.run = None;
        }
        if application.metadata.deletion_timestamp.is_some() {
            self.going_since.get_or_insert_with(Timestamp::now);
        }
        (self.application, self.owner) = (application, owner);
    }
}

/// When the operation began that an Application tells of.
fn begun_at(application: &Application) -> Option<i64> {
    let state = application.status.as_ref()?.operation_state.as_ref()?;
    Some(state.started_at.0.as_second())
}

/// A fact and what it amounts to.
#[derive(Debug, Default)]
pub struct Loaded {
    /// The fact that was said last.
    pub fact: Option<Arc<BundleRendered>>,
    /// The trace that it belongs to.
    pub context: Context,
    /// Its place in the stream.
    pub sequence: u64,
    /// What was made of it, and of which fact and under which discovery of kinds.
    pub bundle: Option<Arc<Bundle>>,
    /// The number of the discovery under which `bundle` was made or found settled.
    pub epoch: u64,
    /// For whom it was made.
    pub owner: Option<Owner>,
    /// By which rules its objects are compared.
    pub ignored: Option<Arc<Ignored>>,
    /// For which cluster it was made.
    pub cluster: Option<ClusterId>,
}

impl Loaded {
    pub(super) fn take(&mut self, said: BundleFact) {
        self.fact = Some(Arc::new(said.bundle));
        self.context = said.context;
        self.sequence = said.sequence;
    }

    /// Without a cluster nothing can be made of a fact; but that it answers a refresh is known. What was wanted before
    /// still is, and is made anew once there is a cluster.
    pub fn note_fact(&mut self) {
        let Some(fact) = &self.fact else { return };
        if self.bundle.as_ref().is_some_and(|bundle| bundle.observed_at == fact.observed_at) {
            return;
        }
        let assembly = self.bundle.as_ref().map(|bundle| bundle.assembly.clone()).unwrap_or_default();
        self.bundle = Some(Arc::new(Bundle::new((**fact).clone(), assembly)));
        self.owner = None;
    }

    /// Whether the bundle is still what the fact amounts to for this owner, by these rules and there.
    pub fn is_current(&self, owner: &Owner, ignored: Option<&Arc<Ignored>>, there: &Holdings) -> bool {
        let Some(fact) = &self.fact else { return true };
        let Some(bundle) = &self.bundle else { return false };
        bundle.observed_at == fact.observed_at
            && self.is_made_for(owner, ignored, there)
            && self.is_settled(there)
    }

    /// Whether its objects would come out the same by the kinds that are served there now.
    pub fn is_settled(&self, there: &Holdings) -> bool {
        let serves = |kind: &Kind| there.cluster.scope(kind).is_some();
        let settled = |bundle: &Arc<Bundle>| bundle.assembly.is_settled(&serves);
        self.epoch == there.epoch || self.bundle.as_ref().is_some_and(settled)
    }

    /// Whether the bundle was made for this owner, by these rules and for this cluster.
    pub fn is_made_for(&self, owner: &Owner, ignored: Option<&Arc<Ignored>>, there: &Holdings) -> bool {
        let same = self.owner.as_ref() == Some(owner) && self.ignored.as_ref() == ignored;
        same && self.cluster == Some(there.cluster.id())
    }
}

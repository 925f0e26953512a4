//! All that a decision may look at.
//!
//! What comes in: what is known of an application, its cluster and the others at one moment. What goes out: the same, and
//! what follows from it alone.

use std::sync::Arc;

use ithaca_api::{Application, ConditionType, SyncOptions, annotation, project::ClusterRef};
use jiff::Timestamp;

use super::{
    comparison::{Comparison, compare},
    dependencies::Others,
    guard::Guard,
    permission,
    run::Run,
};
use crate::{
    bundle::Bundle,
    clusters::{Known, NoCluster},
    desired::Owner,
    live::Records,
    orphans::Orphaned,
    projects::Project,
};

/// All that a decision may look at.
#[derive(Clone, Copy)]
pub struct View<'a> {
    /// As the API server last gave it.
    pub application: &'a Application,
    /// Whom the objects belong to.
    pub owner: &'a Owner,
    /// What targetRevision says.
    pub tracked: Option<&'a Arc<Bundle>>,
    /// What an operation asked for.
    pub requested: Option<&'a Arc<Bundle>>,
    /// When somebody asked for the operation.
    pub asked: Asked,
    /// Where it goes.
    pub cluster: Result<&'a Known, NoCluster<'a>>,
    /// What it may do; None where there is no such project.
    pub project: Option<&'a Project>,
    /// How many objects nobody manages where it goes, if its project wants to hear of them.
    pub orphaned: Orphaned,
    /// Why automation holds back, where it does.
    pub held: Option<(ConditionType, &'a str)>,
    /// The operation under way.
    pub run: Option<&'a Run>,
    /// `observed_at` of the last bundle that answered a refresh.
    pub refreshed: i64,
    /// Of the destination's cluster.
    pub records: &'a Records,
    /// From when on pruning waits for somebody's word.
    pub guard: Guard,
    /// The other Applications.
    pub others: &'a dyn Others,
    /// Namespace of the control plane, for the status.
    pub control_plane: &'a str,
    /// The time.
    pub now: Timestamp,
}

/// When somebody asked for an operation; the default is before this process.
#[derive(Clone, Copy, Debug, Default)]
pub struct Asked {
    /// The generation of the Application in which the operation was first seen.
    pub generation: i64,
    /// The time then.
    pub at: Timestamp,
}

impl Asked {
    /// Whether a bundle was rendered for this operation. One for an earlier generation answered an earlier operation,
    /// though it may have asked in the same words.
    pub fn is_answered_by(self, bundle: &Bundle) -> bool {
        bundle.generation >= self.generation
    }
}

impl View<'_> {
    /// Where it goes, as projects name it.
    pub fn reference(&self) -> ClusterRef<'_> {
        self.cluster.map(|known| known.spec.reference()).unwrap_or_default()
    }

    /// The application's sync options.
    pub fn options(&self) -> SyncOptions {
        SyncOptions::from_list(self.application.spec.sync_options())
    }

    /// When somebody confirmed that objects which ask for it may be deleted.
    pub fn approval(&self) -> Option<Timestamp> {
        let annotations = self.application.metadata.annotations.as_ref()?;
        annotation::parse_approval(annotations.get(annotation::DELETION_APPROVED)?).ok()
    }

    /// How what a bundle wants and its cluster compare.
    pub(super) fn compare(&self, bundle: &Bundle) -> Comparison {
        let mut comparison = compare(bundle, self.owner, &self.options(), self.records);
        permission::forbid(*self, bundle, &mut comparison);
        comparison.among(self.application, self.others).guarded_by(self.guard)
    }
}

/// Whether an approval came after what it approves. Approvals are given to the second.
pub(super) fn approves(approval: Option<Timestamp>, since: Timestamp) -> bool {
    approval.is_some_and(|approval| approval.as_second() >= since.as_second())
}

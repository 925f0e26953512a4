//! From what was found to the fact that is said, and to the fingerprint that tells two facts apart.

use std::collections::BTreeMap;
use std::sync::Arc;

use ithaca_api::annotation::Refresh;
use ithaca_proto::v1;
use prost::Message;
use sha2::{Digest, Sha256};

use super::effect::Attachment;
use super::track::{Epoch, Track};
use crate::application::Watched;
use crate::build_options::BuildOptions;
use crate::cache::CommitInfo;
use crate::reads::{self, Reads, Reference, Want, What};
use crate::repository::{Protocol, Resolved};

/// What was found for a request.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Outcome {
    /// In the order of the request; incomplete where there is a failure.
    pub sources: Vec<ObservedSource>,
    /// What is wanted from other repositories; none where that was not found out.
    pub wants: Option<Vec<Want>>,
    /// All of that with what is read of each; empty while it is not known.
    pub attachments: Vec<(Attachment, BTreeMap<String, String>)>,
    /// Whether a source may ask what the destination offers, as charts do.
    pub has_chart: bool,
    /// Why it is not all that was asked for.
    pub failure: Option<FactFailure>,
}

/// One source at its revision, and what it reads there.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ObservedSource {
    /// What its revision was found to be.
    pub resolved: Resolved,
    /// What it reads.
    pub reads: Arc<Reads>,
    /// Who made the commit, and when.
    pub info: Arc<CommitInfo>,
}

/// A failure of an application.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FactFailure {
    /// Whose fault.
    pub reason: v1::failure::Reason,
    /// In the user's words.
    pub message: String,
    /// Whether a newer look at the remote may end it.
    pub may_heal: bool,
}

impl Outcome {
    /// Nothing but a failure.
    pub fn failed(reason: v1::failure::Reason, message: String, may_heal: bool) -> Self {
        let failure = Some(FactFailure { reason, message, may_heal });
        Self { failure, ..Self::default() }
    }

    /// True where both found the very same reads, and no failure: only the revisions may differ.
    pub(super) fn same_reads(&self, other: &Self) -> bool {
        let pairs = self.sources.iter().zip(&other.sources);
        self.failure.is_none()
            && other.failure.is_none()
            && self.sources.len() == other.sources.len()
            && self.attachments == other.attachments
            && pairs.into_iter().all(|(one, other)| Arc::ptr_eq(&one.reads, &other.reads))
    }

    /// Whether a source is an overlay.
    pub(super) fn has_overlay(&self) -> bool {
        self.sources.iter().any(|source| source.reads.is_overlay)
    }

    /// How many paths are read.
    pub(super) fn size(&self) -> usize {
        self.sources.iter().map(|source| source.reads.paths.len()).sum()
    }

    /// The revisions, in order.
    pub(super) fn revisions(&self) -> impl Iterator<Item = &Resolved> {
        self.sources.iter().map(|source| &source.resolved)
    }

    /// The same as facts tell of them.
    pub(super) fn told(&self) -> impl Iterator<Item = &String> {
        self.revisions().map(|resolved| &resolved.revision)
    }
}

/// What was said, as far as it is needed to tell whether something else is to be said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Fingerprint {
    /// All but what is below.
    content: [u8; 32],
    capabilities: Option<[u8; 32]>,
    revisions: Vec<String>,
}

/// What was said, and on what grounds: while these are the same, no fact need be made to see that.
#[derive(Debug)]
pub(super) struct Said {
    pub(super) print: Fingerprint,
    pub(super) outcome: Arc<Outcome>,
    /// The version of the request.
    pub(super) epoch: Epoch,
    /// The version of what the destination offers and overlays are built with.
    pub(super) offer: u64,
}

/// How much one fact differs from another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum News {
    /// Not at all.
    None,
    /// Only in revisions, or in what the destination offers: hardly ever of consequence, often in many
    /// applications at once.
    Calm,
    /// In what is read, or otherwise.
    Urgent,
}

impl Fingerprint {
    /// What this one tells beyond what was said.
    pub(super) fn news(&self, said: Option<&Self>) -> News {
        match said {
            Some(said) if said == self => News::None,
            Some(said) if said.content == self.content => News::Calm,
            _ => News::Urgent,
        }
    }
}

/// The fact that an outcome makes, not yet stamped.
pub(super) fn fact(
    application: &Watched,
    purpose: v1::Purpose,
    track: &Track,
    outcome: &Outcome,
    capabilities: Option<&v1::Capabilities>,
    build_options: Option<&BuildOptions>,
) -> v1::RevisionObserved {
    let sources = track
        .sources()
        .zip(&outcome.sources)
        .enumerate()
        .map(|(index, ((requested, repository), found))| v1::SourceRevision {
            source: reads::json(&requested.source),
            repository: repository.as_ref().map(|repository| repository.url().to_owned()).unwrap_or_default(),
            overridden: found.reads.overridden.clone(),
            chart: repository.as_ref().map(|repository| repository.chart().to_owned()).unwrap_or_default(),
            scope: repository.as_ref().map(|repository| repository.scope().to_owned()).unwrap_or_default(),
            revision: found.resolved.revision.clone(),
            reads: paths(&found.reads.paths),
            commit: repository.as_ref().is_ok_and(|key| key.protocol() == Protocol::Git).then(|| {
                v1::Commit {
                    author: found.info.author.clone(),
                    subject: found.info.subject.clone(),
                    committed_at: found.info.committed_at,
                }
            }),
            kustomize_build_options: build_options
                .filter(|_| found.reads.is_overlay)
                .map(|options| options.of_source(&requested.source).to_owned())
                .unwrap_or_default(),
            attachments: attachments(index, found, outcome),
            lfs: track.lfs.get(index).copied().unwrap_or_default(),
            discover: found.reads.discover,
            references: found.reads.references.iter().map(reference).collect(),
        })
        .collect();
    v1::RevisionObserved {
        application: Some(v1::ApplicationRef {
            uid: application.uid.to_string(),
            namespace: application.namespace.clone(),
            name: application.name.clone(),
        }),
        purpose: purpose.into(),
        observed_at: 0,
        generation: application.generation,
        request_key: track.request_key.clone(),
        refresh: refresh(application.refresh, track.is_renewed).into(),
        destination_namespace: track.request.destination_namespace.clone(),
        sources,
        capabilities: outcome.has_chart.then(|| capabilities.cloned()).flatten(),
        failure: outcome
            .failure
            .as_ref()
            .map(|failure| v1::Failure { reason: failure.reason.into(), message: failure.message.clone() }),
        project: track.request.project.clone(),
        instance: application.instance.clone(),
        disabled_tools: Vec::new(),
    }
}

/// What is laid into the files of a source: first what comes from elsewhere, for it may be a part of what does not.
fn attachments(index: usize, source: &ObservedSource, outcome: &Outcome) -> Vec<v1::Attachment> {
    let fetched = outcome.attachments.iter().filter(|(attachment, _)| attachment.want.source == index);
    let fetched = fetched.filter_map(|(attachment, read)| {
        let (repository, resolved) = attachment.found.as_ref().ok()?;
        let (whole, part) = match attachment.want.what {
            What::Base => (None, paths(read)),
            What::Dependency | What::Chart | What::File | What::ValueFile => (paths(read).pop(), Vec::new()),
        };
        Some(v1::Attachment {
            path: attachment.want.path.clone(),
            repository: repository.url().to_owned(),
            chart: repository.chart().to_owned(),
            scope: repository.scope().to_owned(),
            revision: resolved.revision.clone(),
            read: whole,
            reads: part,
        })
    });
    let own = source.reads.laid.iter().map(|(path, from)| {
        let object_id = source.reads.paths.get(from).cloned().unwrap_or_default();
        let read = Some(v1::PathRead { path: from.clone(), object_id });
        v1::Attachment { path: path.clone(), read, ..Default::default() }
    });
    fetched.chain(own).collect()
}

fn paths(read: &BTreeMap<String, String>) -> Vec<v1::PathRead> {
    read.iter().map(|(path, id)| v1::PathRead { path: path.clone(), object_id: id.clone() }).collect()
}

fn reference(Reference { folder, written, path }: &Reference) -> v1::Reference {
    v1::Reference { folder: folder.clone(), written: written.clone(), path: path.clone() }
}

/// What tells a fact apart from another: neither when nor why it was made.
pub(super) fn fingerprint(fact: &v1::RevisionObserved) -> Fingerprint {
    let revisions = fact.sources.iter().map(|source| source.revision.clone()).collect();
    let mut content = fact.clone();
    content.observed_at = 0;
    content.generation = 0;
    content.refresh = 0;
    for source in &mut content.sources {
        source.revision.clear();
        source.commit = None;
    }
    let capabilities = content.capabilities.take();
    Fingerprint {
        content: digest(&content),
        capabilities: capabilities.map(|capabilities| digest(&capabilities)),
        revisions,
    }
}

fn digest(message: &impl Message) -> [u8; 32] {
    Sha256::digest(message.encode_to_vec()).into()
}

fn refresh(asked: Option<Refresh>, is_renewed: bool) -> v1::Refresh {
    match asked {
        _ if is_renewed => v1::Refresh::Hard,
        None => v1::Refresh::Unspecified,
        Some(Refresh::Normal) => v1::Refresh::Normal,
        Some(Refresh::Hard) => v1::Refresh::Hard,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_laid_at_other_paths_is_told_after_what_comes_from_elsewhere() {
        let laid = |path: &str, from: &str| (path.to_owned(), from.to_owned());
        let reads = Reads {
            paths: [("shared".to_owned(), "tree".to_owned())].into(),
            laid: vec![laid("charts/shared", "shared"), laid("charts/gone", "gone")],
            ..Reads::default()
        };
        let source = ObservedSource { reads: Arc::new(reads), ..ObservedSource::default() };
        let told: Vec<_> = attachments(0, &source, &Outcome::default())
            .into_iter()
            .map(|told| (told.path, told.read.map(|read| (read.path, read.object_id)), told.repository))
            .collect();
        let expected = |path: &str, from: &str, id: &str| {
            (path.to_owned(), Some((from.to_owned(), id.to_owned())), String::new())
        };
        assert_eq!(told, [expected("charts/shared", "shared", "tree"), expected("charts/gone", "gone", "")]);
    }

    #[test]
    fn what_a_kustomization_names_by_url_is_told_with_where_it_lies() {
        let (folder, written, path) =
            ("overlay".to_owned(), "https://example.org/a".to_owned(), "../a".to_owned());
        let told =
            reference(&Reference { folder: folder.clone(), written: written.clone(), path: path.clone() });
        assert_eq!(told, v1::Reference { folder, written, path });
    }

    #[test]
    fn reads_are_the_same_where_they_were_found_once_and_nothing_failed() {
        let source = |revision: &str, reads: &Arc<Reads>| ObservedSource {
            resolved: Resolved::commit(revision.to_owned()),
            reads: reads.clone(),
            ..ObservedSource::default()
        };
        let of = |sources: Vec<ObservedSource>| Outcome { sources, ..Outcome::default() };
        let (one, other): (Arc<Reads>, Arc<Reads>) = Default::default();
        let known = of(vec![source("c1", &one)]);
        assert!(known.same_reads(&of(vec![source("c2", &one)])), "revisions may differ");
        assert!(!known.same_reads(&of(vec![source("c1", &other)])));
        assert!(!known.same_reads(&of(vec![source("c1", &one), source("c1", &one)])));
        let failed = Outcome {
            failure: Outcome::failed(v1::failure::Reason::Source, String::new(), true).failure,
            ..known.clone()
        };
        assert!(!known.same_reads(&failed) && !failed.same_reads(&known));
        assert_eq!(
            of(vec![
                source(
                    "c1",
                    &Arc::new(Reads {
                        paths: [("a".into(), "1".into()), ("b".into(), "2".into())].into(),
                        ..Reads::default()
                    })
                );
                2
            ])
            .size(),
            4
        );
    }
}

//! Finds what applications read, a batch at a time. Blocks on the caches of the repositories.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use std::rc::Rc;
use std::sync::Arc;

use ithaca_proto::v1::failure::Reason;

use super::effect::{Attachment, Evaluated, Job, JobSource};
use super::fact::{FactFailure, ObservedSource, Outcome};
use super::history::Vouched;
use super::signed::{Handles, Verdicts};
use crate::cache::{CommitInfo, Snapshot};
use crate::reads::{
    self, AttachedFiles, Derived, Entry, Files, PluginFiles, Plugins, ReadError, Reads, SourceFiles, Want,
    What,
};
use crate::registry::Repository;
use crate::repository::{RepositoryError, RepositoryKey, Resolved};

/// Commits that are open, each once for the whole batch.
type Snapshots<'a> = HashMap<(&'a RepositoryKey, &'a str), Result<Open<'a>, RepositoryError>>;

/// What is read of another repository: the object id by path.
type ReadPaths = BTreeMap<String, String>;

struct Open<'a> {
    snapshot: Snapshot<'a>,
    info: Arc<CommitInfo>,
}

/// Evaluates a batch. Outcomes that say something new are handed out one by one as they are found, those
/// in which only revisions moved together at the end.
pub fn evaluate(
    jobs: &[Job],
    repositories: &HashMap<RepositoryKey, Repository>,
    vouched: &Vouched,
    plugin_files: &PluginFiles,
    found: impl Fn(Vec<Evaluated>),
) {
    let handles: Handles<'_> =
        repositories.iter().map(|(key, repository)| (key, repository.handle())).collect();
    let mut snapshots = Snapshots::new();
    for (repository, resolved) in jobs.iter().flat_map(Job::places) {
        let key = (repository, resolved.commit.as_str());
        snapshots.entry(key).or_insert_with(|| match handles.get(repository) {
            Some(Ok(handle)) => handle.snapshot(&resolved.commit).map(|snapshot| {
                let info = Arc::new(snapshot.commit());
                Open { snapshot, info }
            }),
            Some(Err(error)) => Err(error.clone()),
            None => Err(RepositoryError::of_cache(&repository.to_string(), "it is not open")),
        });
    }
    let changes = Changes::default();
    let mut verdicts = Verdicts::new(&handles, vouched);
    let mut moved = Vec::new();
    let mut changed = Vec::new();
    for job in jobs {
        match open(job, &snapshots).and_then(|opened| verdicts.refusal(job).map_or(Ok(opened), Err)) {
            Err(failed) => found(vec![(job.key.clone(), job.epoch, failed)]),
            Ok(opened) => match unchanged(job, &opened, &changes) {
                Some(outcome) => moved.push((job.key.clone(), job.epoch, outcome)),
                None => changed.push((job, opened)),
            },
        }
    }
    // Those that read little are quickly found, and need not wait for those that read much.
    changed.sort_by_key(|(job, _)| job.previous.as_ref().map_or(0, |previous| previous.size()));
    for (job, opened) in changed {
        let (outcome, read) = derived(job, &opened, &snapshots, plugin_files);
        let outcome = attached(job, outcome, |index, want, repository, resolved| {
            opened_at(&snapshots, repository, resolved)
                .map_err(|error| (error.to_string(), error.may_heal()))?;
            verdicts.judge(job, &want.repository, repository, resolved).map_err(|reason| (reason, true))?;
            Ok(read.get(index).cloned().unwrap_or_default())
        });
        found(vec![(job.key.clone(), job.epoch, outcome)]);
    }
    found(moved);
}

/// The revisions of a job.
fn open<'a, 's>(job: &'a Job, snapshots: &'s Snapshots<'a>) -> Result<Vec<&'s Open<'a>>, Outcome> {
    let revision =
        |source: &'a JobSource| match snapshots.get(&(&source.repository, source.resolved.commit.as_str())) {
            Some(Ok(open)) => Ok(open),
            Some(Err(error)) => Err(Outcome::failed(Reason::Source, error.to_string(), true)),
            None => Err(Outcome::default()),
        };
    job.sources.iter().map(revision).collect()
}

/// The previous outcome at the new revisions, where they changed nothing that it was decided by, or none of the files
/// that the application says concern it. In the latter case what is read stays what it was, and is served so.
fn unchanged<'a>(job: &'a Job, opened: &[&Open<'_>], changes: &Changes<'a>) -> Option<Outcome> {
    let previous = job.previous.as_ref().filter(|previous| previous.failure.is_none())?;
    let mut pairs = previous.sources.iter().zip(&job.sources).zip(opened);
    let holds = previous.sources.len() == opened.len()
        && previous.attachments.iter().map(|(attachment, _)| attachment).eq(&job.attachments)
        && pairs.all(|((before, now), open)| {
            reads::still_holds(&before.reads, |path| open.snapshot.entry(path))
                || job.generate_paths.as_ref().is_some_and(|paths| {
                    let named = paths.of_source(&now.source.path);
                    let changed = changes.between(now, &before.resolved.commit, open);
                    changed.is_some_and(|files| !files.iter().any(|file| named.concern(file)))
                })
        });
    let reads = previous.sources.iter().map(|source| source.reads.clone());
    holds.then(|| Outcome {
        sources: observed(job, opened, reads),
        wants: previous.wants.clone(),
        attachments: previous.attachments.clone(),
        has_chart: previous.has_chart,
        failure: None,
    })
}

/// The files that differ between two revisions of a repository, each pair compared once for the whole batch.
#[derive(Default)]
struct Changes<'a> {
    known: RefCell<HashMap<Pair<'a>, ChangedFiles>>,
}

/// A repository, and two of its revisions.
type Pair<'a> = (&'a RepositoryKey, String, &'a str);
/// None where they cannot be told.
type ChangedFiles = Option<Rc<Vec<String>>>;

impl<'a> Changes<'a> {
    fn between(&self, source: &'a JobSource, before: &str, open: &Open<'_>) -> ChangedFiles {
        let key = (&source.repository, before.to_owned(), source.resolved.commit.as_str());
        let compare = || open.snapshot.changed_since(before).map(Rc::new);
        self.known.borrow_mut().entry(key).or_insert_with(compare).clone()
    }
}

/// What a job reads at its revisions, and of what was found for it.
fn derived<'a>(
    job: &'a Job,
    opened: &[&Open<'_>],
    snapshots: &Snapshots<'a>,
    plugin_files: &PluginFiles,
) -> (Outcome, Vec<ReadPaths>) {
    let open = |attachment: &'a Attachment| {
        let (repository, resolved) = attachment.found.as_ref().ok()?;
        opened_at(snapshots, repository, resolved).ok()
    };
    let own: Vec<_> = opened.iter().map(|open| Answers::of(open)).collect();
    let other: Vec<_> = job.attachments.iter().map(|it| open(it).map(Answers::of)).collect();
    let sources: Vec<SourceFiles<'_>> = job
        .sources
        .iter()
        .zip(&own)
        .map(|(source, answers)| SourceFiles { source: &source.source, files: answers.files() })
        .collect();
    let attached_files: Vec<AttachedFiles<'_>> = job
        .attachments
        .iter()
        .zip(&other)
        .map(|(attachment, answers)| AttachedFiles {
            want: &attachment.want,
            files: answers.as_ref().map(Answers::files),
        })
        .collect();
    let plugins = Plugins { files: plugin_files, paths: job.generate_paths.as_deref() };
    match reads::derive(&sources, &attached_files, &job.application, &job.tools, plugins) {
        Ok(Derived { reads, wants, attached: read, has_chart }) => {
            let sources = observed(job, opened, reads.into_iter().map(Arc::new));
            (Outcome { sources, wants: Some(wants), has_chart, ..Outcome::default() }, read)
        }
        Err(error) => {
            let may_heal = matches!(
                error,
                ReadError::Missing { .. } | ReadError::NotAFolder { .. } | ReadError::Base { .. }
            );
            let message = explain(job, &error);
            let none = std::iter::repeat_with(Arc::<Reads>::default);
            let mut failed = Outcome::failed(Reason::Source, message, may_heal);
            // A submodule may be fetched by the next look: then the same revision has to be evaluated again.
            if !matches!(error, ReadError::Module { .. }) {
                failed.sources = observed(job, opened, none);
                failed.attachments =
                    job.attachments.iter().map(|attachment| (attachment.clone(), ReadPaths::new())).collect();
            }
            (failed, Vec::new())
        }
    }
}

/// A revision that is open.
fn opened_at<'s, 'a>(
    snapshots: &'s Snapshots<'a>,
    repository: &'a RepositoryKey,
    resolved: &'a Resolved,
) -> Result<&'s Open<'a>, RepositoryError> {
    match snapshots.get(&(repository, resolved.commit.as_str())) {
        Some(open) => open.as_ref().map_err(Clone::clone),
        None => Err(RepositoryError::of_cache(&repository.to_string(), "it is not open")),
    }
}

/// What answers questions about the files of a commit.
struct Answers<'s> {
    entry: Answer<'s, Option<Entry>>,
    list: Answer<'s, Vec<(String, Entry)>>,
    text: Answer<'s, Option<Vec<u8>>>,
}

/// What is at a path.
type Answer<'s, T> = Box<dyn Fn(&str) -> T + 's>;

impl<'s> Answers<'s> {
    fn of(open: &'s Open<'_>) -> Self {
        let snapshot = &open.snapshot;
        Self {
            entry: Box::new(|path| snapshot.entry(path)),
            list: Box::new(|path| snapshot.list(path)),
            text: Box::new(|path| snapshot.text(path)),
        }
    }

    fn files(&self) -> Files<'_> {
        Files { entry: &self.entry, list: &self.list, text: &self.text }
    }
}

/// The outcome with what is wanted besides, where that is what was looked for; if not, it will be. `found` gives what is
/// read of what may be used, by its place, or says why it may not, and whether a newer look may end that.
pub(super) fn attached<'a>(
    job: &'a Job,
    outcome: Outcome,
    mut found: impl FnMut(usize, &'a Want, &'a RepositoryKey, &'a Resolved) -> Result<ReadPaths, (String, bool)>,
) -> Outcome {
    let looked_for = job.attachments.iter().map(|attachment| &attachment.want);
    if outcome.wants.as_ref().is_none_or(|wants| !looked_for.eq(wants)) {
        return outcome;
    }
    let (mut attachments, mut failure) = (Vec::with_capacity(job.attachments.len()), None);
    for (index, attachment) in job.attachments.iter().enumerate() {
        let read = match &attachment.found {
            Ok((repository, resolved)) => found(index, &attachment.want, repository, resolved),
            Err(error) => Err((error.to_string(), error.may_heal())),
        };
        let read = read.unwrap_or_else(|(reason, may_heal)| {
            let message = told(&attachment.want, reason);
            failure.get_or_insert(FactFailure { reason: Reason::Source, message, may_heal });
            ReadPaths::new()
        });
        attachments.push((attachment.clone(), read));
    }
    Outcome { attachments, failure, ..outcome }
}

/// Why something cannot be had, by what it is to the source that wants it.
fn told(Want { what, chart, path, .. }: &Want, reason: String) -> String {
    let wanted = match what {
        What::Dependency => format!("chart {chart} for {path}"),
        What::Chart => format!("chart {chart}, which the overlay inflates"),
        What::Base => "a base of the overlay".to_owned(),
        What::File => "a resource of the overlay".to_owned(),
        What::ValueFile => return reason,
    };
    format!("failed to have {wanted}: {reason}")
}

fn observed(job: &Job, opened: &[&Open<'_>], reads: impl Iterator<Item = Arc<Reads>>) -> Vec<ObservedSource> {
    let parts = job.sources.iter().zip(opened).zip(reads);
    parts
        .map(|((source, open), reads)| ObservedSource {
            resolved: source.resolved.clone(),
            reads,
            info: open.info.clone(),
        })
        .collect()
}

/// Names the repository and revision, which the reader of the error does not see otherwise.
fn explain(job: &Job, error: &ReadError) -> String {
    let places: Vec<String> = job
        .sources
        .iter()
        .filter(|source| match error {
            ReadError::Missing { path } | ReadError::NotAFolder { path } => {
                source.source.path.trim_matches('/').ends_with(path.as_str())
            }
            _ => true,
        })
        .map(|source| format!("{} at revision {}", source.repository, source.resolved.revision))
        .collect();
    match places.first() {
        Some(place) => format!("{error} in {place}"),
        None => error.to_string(),
    }
}

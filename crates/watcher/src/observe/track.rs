//! One request on its way to a fact: which revisions it has, what they read, what was said.

use std::sync::Arc;
use std::time::{Duration, Instant};

use ithaca_api::ApplicationSource;

use super::calm::Wait;
use super::fact::{News, Outcome, Said};
use super::observer::Settings;
use crate::application::{Request, SourceRequest};
use crate::reads::{Want, What};
use crate::repository::{Protocol, RepositoryError, RepositoryKey, is_internal};

/// An answer that was asked for this long before an application appeared is new enough to begin with.
pub(super) const FRESH: Duration = Duration::from_secs(5);

/// The version of a request.
pub(super) type Epoch = u64;

/// Versions, of which no two are alike: not even those of requests that take each other's place.
#[derive(Debug, Default)]
pub(super) struct Epochs(Epoch);

impl Epochs {
    pub(super) fn next(&mut self) -> Epoch {
        self.0 += 1;
        self.0
    }
}

/// A request of an application.
#[derive(Debug)]
pub(super) struct Track {
    pub(super) request: Request,
    /// The operation's key; empty for what the spec tracks.
    pub(super) request_key: String,
    /// The repositories of the sources.
    pub(super) repositories: Vec<Result<RepositoryKey, RepositoryError>>,
    /// In which of them pointers of Git LFS stand for files.
    pub(super) lfs: Vec<bool>,
    /// What the sources were found to want from other repositories.
    pub(super) attachments: Vec<(Want, Result<RepositoryKey, RepositoryError>)>,
    /// Tells results that come late.
    pub(super) epoch: Epoch,
    /// When the request came.
    pub(super) seen: Instant,
    /// Answers that were asked for earlier than this do not count.
    pub(super) fresh_from: Instant,
    /// Someone asked for a new look: an old failure is no answer.
    pub(super) is_forced: bool,
    pub(super) is_evaluating: bool,
    /// Something changed during the evaluation.
    pub(super) again: bool,
    pub(super) outcome: Option<Arc<Outcome>>,
    pub(super) said: Option<Said>,
    pub(super) wait: Option<Wait>,
    /// A refresh that is not answered yet.
    pub(super) owes_refresh: bool,
    /// It is to be rendered anew though nobody asked for a refresh.
    pub(super) is_renewed: bool,
}

/// A revision that is wanted of a repository, which somebody calls by a URL.
pub(super) struct Place<'a> {
    pub(super) repository: &'a RepositoryKey,
    pub(super) url: &'a str,
    pub(super) revision: &'a String,
}

impl Track {
    pub(super) fn new(
        now: Instant,
        epoch: Epoch,
        request: Request,
        request_key: String,
        settings: &Settings,
    ) -> Self {
        // Nor is an old failure an answer to who operates.
        let is_forced = !request_key.is_empty();
        let mut track = Self {
            request: request.clone(),
            request_key,
            repositories: Vec::new(),
            lfs: Vec::new(),
            attachments: Vec::new(),
            epoch,
            seen: now,
            fresh_from: now,
            is_forced,
            is_evaluating: false,
            again: false,
            outcome: None,
            said: None,
            wait: None,
            owes_refresh: false,
            is_renewed: false,
        };
        track.replace(now, epoch, request, settings);
        track
    }

    /// Takes another request in place of the one before; what was said stays known.
    pub(super) fn replace(&mut self, now: Instant, epoch: Epoch, request: Request, settings: &Settings) {
        self.repositories = repositories(&request, settings);
        self.lfs = lfs(&self.repositories, settings);
        self.attachments.clear();
        self.request = request;
        self.seen = now;
        // Who operates means what a branch is at that moment, and who asked for a new look still does.
        let is_asked = self.is_forced || !self.request_key.is_empty();
        let leeway = if is_asked { now.duration_since(self.fresh_from).min(FRESH) } else { FRESH };
        self.fresh_from = now.checked_sub(leeway).unwrap_or(now);
        self.reconsider(epoch);
    }

    /// True where its sources mean other repositories by now, or other files in them: Secrets have changed.
    pub(super) fn is_elsewhere(&self, settings: &Settings) -> bool {
        let mut attachments = self.attachments.iter();
        self.repositories != repositories(&self.request, settings)
            || self.lfs != lfs(&self.repositories, settings)
            || attachments.any(|(want, known)| *known != attached(want, &self.request.project, settings))
    }

    /// Whether this is what is known to be wanted from other repositories.
    pub(super) fn has_attached(&self, wants: &[Want]) -> bool {
        self.attachments.iter().map(|(want, _)| want).eq(wants)
    }

    /// Takes what the sources were found to want from other repositories.
    pub(super) fn attach(&mut self, wants: &[Want], settings: &Settings) {
        let located = |want: &Want| (want.clone(), attached(want, &self.request.project, settings));
        self.attachments = wants.iter().map(located).collect();
    }

    /// What was found does not count any more; what was said stays known.
    pub(super) fn reconsider(&mut self, epoch: Epoch) {
        self.epoch = epoch;
        self.outcome = None;
        self.again = self.is_evaluating;
    }

    /// Asks for a look at the remotes that begins now. What is being evaluated was found by an earlier one.
    pub(super) fn force(&mut self, now: Instant) {
        self.again = self.is_evaluating;
        self.seen = now;
        self.fresh_from = now;
        self.is_forced = true;
        self.owes_refresh = true;
    }

    /// Has the next fact rendered anew, whatever is known.
    pub(super) fn renew(&mut self) {
        self.owes_refresh = true;
        self.is_renewed = true;
    }

    /// What there is to say where the grounds tell it: the same request, the same reads, the same offer.
    /// None where a fact has to be made to see it.
    pub(super) fn news_by_grounds(&self, offer: u64) -> Option<News> {
        let (said, outcome) = (self.said.as_ref()?, self.outcome.as_ref()?);
        let same_offer = !(outcome.has_chart || outcome.has_overlay()) || said.offer == offer;
        if said.epoch != self.epoch || !same_offer || !outcome.same_reads(&said.outcome) {
            return None;
        }
        let same_revisions = outcome.told().eq(said.outcome.told());
        Some(if same_revisions { News::None } else { News::Calm })
    }

    /// The repositories that can be asked.
    pub(super) fn remotes(&self) -> impl Iterator<Item = &RepositoryKey> {
        self.places().map(|place| place.repository)
    }

    /// The repositories that can be asked, with what is to be asked of each.
    pub(super) fn places(&self) -> impl Iterator<Item = Place<'_>> {
        let sources = self
            .sources()
            .map(|(request, repository)| (repository, &request.source.repo_url, &request.revision));
        let attached =
            self.attachments.iter().map(|(want, repository)| (repository, &want.repository, &want.revision));
        sources.chain(attached).filter_map(|(repository, url, revision)| {
            Some(Place { repository: repository.as_ref().ok()?, url, revision })
        })
    }

    /// Whether a repository is one that its application names, or that a chart of it depends on. Files at URLs are
    /// guarded by whoever connects.
    pub(super) fn names(&self, repository: &RepositoryKey) -> bool {
        let is_it = |known: &Result<RepositoryKey, RepositoryError>| known.as_ref() == Ok(repository);
        let mut attachments = self.attachments.iter();
        self.repositories.iter().any(is_it)
            || attachments.any(|(want, known)| !matches!(want.what, What::Base | What::Chart) && is_it(known))
    }

    /// The sources with their repositories; empty where the request is none.
    pub(super) fn sources(
        &self,
    ) -> impl Iterator<Item = (&SourceRequest, &Result<RepositoryKey, RepositoryError>)> {
        self.request.sources.iter().flat_map(|sources| sources.iter()).zip(&self.repositories)
    }
}

fn repositories(request: &Request, settings: &Settings) -> Vec<Result<RepositoryKey, RepositoryError>> {
    let project = &request.project;
    let repository = |source: &ApplicationSource| {
        admitted(request, settings)?;
        let key = RepositoryKey::of(source, settings.allow_files)?;
        permitted(&key, &source.repo_url, project, settings)?;
        let scope = settings.credentials.scope(key.url(), project);
        Ok(key.within(scope))
    };
    let sources = request.sources.iter().flat_map(|sources| sources.iter());
    sources.map(|wanted| repository(&wanted.source)).collect()
}

/// In which repositories files are had from Git LFS. A Secret that cannot be read is an error of its own.
fn lfs(repositories: &[Result<RepositoryKey, RepositoryError>], settings: &Settings) -> Vec<bool> {
    let enabled = |key: &RepositoryKey| {
        let access = settings.credentials.access(key);
        key.protocol() == Protocol::Git && access.is_ok_and(|access| access.settings.enable_lfs)
    };
    repositories.iter().map(|key| key.as_ref().is_ok_and(enabled)).collect()
}

/// Where something is that is wanted besides. What a chart depends on needs no permission where everybody may have it, as
/// does no value file, which is asked for as nobody; what an overlay names does, and may not be internal unless somebody
/// who keeps Secrets says so.
fn attached(want: &Want, project: &str, settings: &Settings) -> Result<RepositoryKey, RepositoryError> {
    let url = match want.what {
        What::Dependency => settings.credentials.aliased(&want.repository, project)?,
        What::Chart | What::Base | What::File | What::ValueFile => &want.repository,
    };
    let key = match want.what {
        What::File | What::ValueFile => RepositoryKey::value_file(url)?,
        What::Dependency | What::Chart | What::Base => {
            RepositoryKey::new(url, &want.chart, settings.allow_files)?
        }
    };
    let scope = settings.credentials.scope(key.url(), project);
    let key = key.within(scope);
    let has_secret = || settings.credentials.access(&key).is_ok_and(|access| access.secret.is_some());
    let is_of_overlay = matches!(want.what, What::Chart | What::Base | What::File);
    if is_of_overlay || want.what == What::Dependency && has_secret() {
        permitted(&key, url, project, settings)?;
    }
    if is_of_overlay && is_internal(key.url()) && !settings.credentials.names(key.url(), project) {
        return Err(RepositoryError::Internal { repository: key.to_string() });
    }
    Ok(key)
}

/// Who may write Applications somewhere may use no project, and so nobody's credentials, that does not let them.
fn admitted(request: &Request, settings: &Settings) -> Result<(), RepositoryError> {
    let Request { project, outside, .. } = request;
    let admits =
        |namespace: &str| settings.rules.as_ref().is_some_and(|rules| rules.admits(project, namespace));
    match outside {
        Some(namespace) if !admits(namespace) => {
            Err(RepositoryError::NotAdmitted { namespace: namespace.clone(), project: project.clone() })
        }
        _ => Ok(()),
    }
}

/// Nobody is asked, and nobody's credentials are shown, for what a project does not permit.
fn permitted(
    key: &RepositoryKey,
    url: &str,
    project: &str,
    settings: &Settings,
) -> Result<(), RepositoryError> {
    if settings.rules.as_ref().is_some_and(|rules| rules.permits(project, url, key)) {
        return Ok(());
    }
    Err(RepositoryError::Forbidden { repository: key.to_string(), project: project.to_owned() })
}

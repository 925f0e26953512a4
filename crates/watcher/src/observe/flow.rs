//! How a request becomes a fact: its revisions are located, what they read is evaluated, and what comes of
//! it is said at once, calmly, or not at all.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Instant, SystemTime};

use ithaca_proto::v1::Capabilities;
use ithaca_proto::v1::failure::Reason;

use super::effect::{Attachment, Effect, Job, JobSource, Key, Publication};
use super::fact::{Fingerprint, News, Outcome, Said, fact, fingerprint};
use super::observer::Observer;
use super::remote::Remote;
use super::track::{FRESH, Track};
use crate::application::Watched;
use crate::build_options::BuildOptions;
use crate::reads;
use crate::repository::{RepositoryError, RepositoryKey, Resolved};
use crate::signature::Rule;
use crate::tools::Tools;

type Remotes = BTreeMap<RepositoryKey, Remote>;

/// What the destination offers, what overlays are built with, and what sources may be made with.
type Offer<'a> = (Option<&'a Capabilities>, Option<&'a BuildOptions>, Option<&'a Tools>);

/// How far the revisions of a request are known.
enum Located {
    /// A remote has to be asked, and will be.
    Waits,
    /// They cannot be had.
    Fails(Outcome),
    /// All of them, and what became of what is wanted besides.
    At(Vec<JobSource>, Vec<Attachment>),
}

impl Observer {
    /// Takes a request as far as it can go: to a failure, to waiting for a remote, or to its evaluation.
    pub(super) fn advance(&mut self, now: Instant, key: &Key) {
        let Some(known) = self.applications.get_mut(&key.uid) else { return };
        let Some((watched, track)) = known.track(key.purpose) else { return };
        // Nothing is said of an application whose project may ask for signatures.
        let rule = self.settings.rules.as_ref().and_then(|rules| rules.of(&track.request.project));
        let (Some(rule), Some(tools)) = (rule, self.tools.clone()) else { return };
        let (sources, attachments) = match locate(now, track, &rule, &mut self.remotes) {
            Located::Waits => return,
            Located::Fails(outcome) => {
                track.again = track.is_evaluating;
                track.outcome = Some(Arc::new(outcome));
                return self.settle(now, key);
            }
            Located::At(sources, attachments) => (sources, attachments),
        };
        let revisions = sources.iter().map(|source| &source.resolved);
        let is_known = track.outcome.as_ref().is_some_and(|outcome| {
            outcome.sources.len() == sources.len()
                && outcome.revisions().eq(revisions)
                && outcome.attachments.iter().map(|(attachment, _)| attachment).eq(&attachments)
        });
        // What is being evaluated may be of another moment.
        track.again = track.is_evaluating;
        if is_known {
            self.settle(now, key);
        } else if !track.is_evaluating {
            track.is_evaluating = true;
            let (epoch, previous) = (track.epoch, track.outcome.clone());
            let application = reads::Application {
                instance: watched.instance.clone(),
                project: track.request.project.clone(),
                destination_namespace: track.request.destination_namespace.clone(),
            };
            let (key, generate_paths) = (key.clone(), watched.generate_paths.clone());
            self.jobs.push(Job {
                key,
                epoch,
                application,
                rule,
                tools,
                sources,
                attachments,
                previous,
                generate_paths,
            });
        }
    }

    /// Says what was found, at once or calmly, unless it was said already.
    pub(super) fn settle(&mut self, now: Instant, key: &Key) {
        let Some(known) = self.applications.get_mut(&key.uid) else { return };
        let Some((watched, track)) = known.track(key.purpose) else { return };
        if looks_again(now, track, &mut self.remotes) {
            return self.calm.cancel(key, track.wait.take());
        }
        let offer = (self.capabilities.as_deref(), self.build_options.as_deref(), self.tools.as_deref());
        let made = match track.news_by_grounds(self.offer) {
            Some(news) if !track.owes_refresh => Err(news),
            _ => Ok(publication(key, watched, track, &self.remotes, offer)),
        };
        let news = match &made {
            Ok(None) => return,
            Ok(Some(_)) if track.owes_refresh => News::Urgent,
            Ok(Some((_, print))) => print.news(track.said.as_ref().map(|said| &said.print)),
            Err(news) => *news,
        };
        match (news, made) {
            (News::Urgent, Ok(Some((publication, print)))) => {
                self.calm.cancel(key, track.wait.take());
                let stamp = stamp(&mut self.last_stamp);
                say(track, publication, print, (stamp, self.offer), &mut self.effects);
            }
            (News::Calm, _) => {
                track.wait = Some(self.calm.defer(now, self.settings.quiet, key, track.wait));
            }
            _ => self.calm.cancel(key, track.wait.take()),
        }
    }

    /// Says what has waited long enough, unless a new look was asked for: then that has the word.
    pub(super) fn say_calmly(&mut self, key: &Key) {
        let Some(known) = self.applications.get_mut(&key.uid) else { return };
        let Some((watched, track)) = known.track(key.purpose) else { return };
        track.wait = None;
        if track.owes_refresh {
            return;
        }
        let offer = (self.capabilities.as_deref(), self.build_options.as_deref(), self.tools.as_deref());
        let found = publication(key, watched, track, &self.remotes, offer);
        if let Some((publication, print)) = found {
            let publication = Publication { is_calm: true, ..publication };
            let stamp = stamp(&mut self.last_stamp);
            say(track, publication, print, (stamp, self.offer), &mut self.effects);
        }
    }

    /// Starts the calls to remotes that are due.
    pub(super) fn start_calls(&mut self, now: Instant) {
        for (repository, remote) in &mut self.remotes {
            if !remote.schedule.start(now) {
                continue;
            }
            let (mut revisions, mut with_proof) = (BTreeSet::new(), false);
            for (_, track) in self.applications.values().flat_map(|observed| observed.tracks()) {
                let project = track.request.project.as_str();
                for place in track.places().filter(|place| place.repository == repository) {
                    let rule = || self.settings.rules.as_ref().and_then(|rules| rules.of(project));
                    with_proof =
                        with_proof || rule().is_some_and(|rule| rule.wants_proof(place.url, repository));
                    revisions.insert(place.revision.clone());
                }
            }
            (remote.asked, remote.with_proof) = (revisions.clone(), with_proof);
            let mut tracks = self.applications.values().flat_map(|observed| observed.tracks());
            let is_named = self.settings.credentials.names(repository.url(), repository.scope())
                || tracks.any(|(_, track)| track.names(repository));
            let context = remote.reason.as_ref().map(|(_, context)| context.clone()).unwrap_or_default();
            self.effects.push(Effect::Observe {
                repository: repository.clone(),
                revisions,
                with_proof,
                is_led: !is_named,
                started: now,
                context,
            });
        }
    }
}

/// Where the sources of a request are, as far as the remotes' answers tell. Asks those whose do not.
fn locate(now: Instant, track: &Track, rule: &Rule, remotes: &mut Remotes) -> Located {
    if let Err(reason) = &track.request.sources {
        return Located::Fails(Outcome::failed(Reason::InvalidSpec, reason.clone(), false));
    }
    let mut found = Vec::new();
    let mut failure: Option<RepositoryError> = None;
    let mut waits = false;
    for (request, repository) in track.sources() {
        let repository = match repository {
            Ok(repository) => repository,
            Err(error) => return Located::Fails(failed(error)),
        };
        let Some(remote) = remotes.get_mut(repository) else {
            waits = true;
            continue;
        };
        let with_proof = rule.wants_proof(&request.source.repo_url, repository);
        match resolved(now, track, (&request.revision, with_proof), remote) {
            None => waits = true,
            Some(Err(error)) => failure = failure.or(Some(error)),
            Some(Ok(resolved)) => {
                found.push(JobSource {
                    source: request.source.clone(),
                    repository: repository.clone(),
                    resolved,
                });
            }
        }
    }
    // What cannot be had besides is no failure yet: the newest commit may want it no more.
    let mut attachments = Vec::with_capacity(track.attachments.len());
    for (want, repository) in &track.attachments {
        let found = match repository {
            Ok(key) => remotes.get_mut(key).and_then(|remote| {
                let with_proof = rule.wants_proof(&want.repository, key);
                let found = resolved(now, track, (&want.revision, with_proof), remote)?;
                Some(found.map(|resolved| (key.clone(), resolved)))
            }),
            Err(error) => Some(Err(error.clone())),
        };
        match found {
            Some(found) => attachments.push(Attachment { want: want.clone(), found }),
            None => waits = true,
        }
    }
    match failure {
        _ if waits => Located::Waits,
        Some(error) => Located::Fails(failed(&error)),
        None => Located::At(found, attachments),
    }
}

/// What a revision is by the remote's answer, with proof where that is wanted; None where it has to be asked.
fn resolved(
    now: Instant,
    track: &Track,
    (revision, with_proof): (&str, bool),
    remote: &mut Remote,
) -> Option<Result<Resolved, RepositoryError>> {
    // A remote that wants to be left alone is not asked for anybody: its failure is the answer.
    let was_asked = remote.schedule.is_held(now)
        || remote.schedule.last_started().is_some_and(|started| started >= track.fresh_from);
    let is_failing = remote.is_failing() && (was_asked || !track.is_forced) && !remote.schedule.is_running();
    let has_proof = |found: &&Result<Resolved, RepositoryError>| {
        !with_proof || found.as_ref().map_or(true, |resolved| resolved.proof.is_some())
    };
    let (started, answer) = match remote.standing(now) {
        Some(Ok(answer)) => (Some(answer.started), answer.revisions.get(revision).filter(has_proof).cloned()),
        _ => (None, None),
    };
    let is_fresh = started.is_some_and(|started| started >= track.fresh_from);
    if let Some(answer) = answer.filter(|_| is_fresh || is_failing) {
        if started < Some(track.seen) && !is_failing {
            // The answer may be a little older than the application: soon there will be a newer one.
            remote.schedule.request(started.unwrap_or(now) + FRESH);
        }
        return Some(answer);
    }
    if let Some(error) = remote.failure().filter(|_| is_failing) {
        return Some(Err(error.clone()));
    }
    let will_tell = remote.schedule.is_running()
        && was_asked
        && remote.asked.contains(revision)
        && (remote.with_proof || !with_proof);
    if !will_tell {
        remote.schedule.request(now);
    }
    None
}

/// Before a failure is said that a newer look may end, that look is taken.
fn looks_again(now: Instant, track: &mut Track, remotes: &mut Remotes) -> bool {
    let may_heal = |outcome: &Arc<Outcome>| outcome.failure.as_ref().is_some_and(|failure| failure.may_heal);
    if track.fresh_from >= track.seen || !track.outcome.as_ref().is_some_and(may_heal) {
        return false;
    }
    track.fresh_from = track.seen;
    let mut looks = false;
    let asked: BTreeSet<RepositoryKey> = track.remotes().cloned().collect();
    for repository in &asked {
        let Some(remote) = remotes.get_mut(repository).filter(|remote| !remote.is_failing()) else {
            continue;
        };
        if remote.schedule.last_started().is_none_or(|started| started < track.seen) {
            remote.schedule.request(now);
            looks = true;
        }
    }
    looks
}

/// The fact to be said of a request; None while something is missing for it.
fn publication(
    key: &Key,
    watched: &Watched,
    track: &Track,
    remotes: &Remotes,
    (capabilities, build_options, tools): Offer<'_>,
) -> Option<(Publication, Fingerprint)> {
    let outcome = track.outcome.as_ref()?;
    if outcome.has_chart && capabilities.is_none() || outcome.has_overlay() && build_options.is_none() {
        return None;
    }
    let mut fact = fact(watched, key.purpose, track, outcome, capabilities, build_options);
    let disabled = tools.into_iter().flat_map(|tools| tools.enabled.disabled());
    fact.disabled_tools = disabled.map(str::to_owned).collect();
    let print = fingerprint(&fact);
    let newest = track
        .remotes()
        .filter_map(|repository| remotes.get(repository)?.answer())
        .filter(|answer| answer.since >= track.seen)
        .max_by_key(|answer| answer.since);
    let (since, context) = match newest {
        Some(answer) => (answer.since, answer.context.clone()),
        None => (track.seen, opentelemetry::Context::new()),
    };
    Some((Publication { key: key.clone(), fact, is_calm: false, since, context }, print))
}

/// The stamp of the next fact, in microseconds since the epoch. Stamps rise, whatever the clock does.
fn stamp(last: &mut i64) -> i64 {
    let clock = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let clock = i64::try_from(clock.as_micros()).unwrap_or(i64::MAX);
    *last = clock.max(last.saturating_add(1));
    *last
}

/// Stamps a fact and hands it out.
fn say(
    track: &mut Track,
    mut publication: Publication,
    print: Fingerprint,
    (stamp, offer): (i64, u64),
    effects: &mut Vec<Effect>,
) {
    publication.fact.observed_at = stamp;
    let outcome = track.outcome.clone().unwrap_or_default();
    track.said = Some(Said { print, outcome, epoch: track.epoch, offer });
    track.owes_refresh = false;
    track.is_renewed = false;
    track.is_forced = false;
    effects.push(Effect::Publish(Box::new(publication)));
}

fn failed(error: &RepositoryError) -> Outcome {
    match error {
        RepositoryError::Forbidden { .. } => {
            Outcome::failed(Reason::InvalidSpec, format!("application {error}"), false)
        }
        RepositoryError::NotAdmitted { .. } => Outcome::failed(Reason::InvalidSpec, error.to_string(), false),
        _ => Outcome::failed(Reason::Source, error.to_string(), error.may_heal()),
    }
}

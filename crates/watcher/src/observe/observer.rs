//! What is known, and what is told: applications and repositories in, effects out.
//! How a request gets from one to the other is in `flow`.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use ithaca_api::annotation::Refresh;
use ithaca_proto::v1::{Capabilities, Purpose};

use super::calm::Calm;
use super::effect::{Effect, Job, Key};
use super::fact::Outcome;
use super::remote::{Answer, Remote};
use super::renewal::Renewals;
use super::track::{Epochs, Track};
use crate::application::Watched;
use crate::build_options::BuildOptions;
use crate::credentials::Index;
use crate::reads::Want;
use crate::repository::{Observation, RepositoryError, RepositoryKey};
use crate::schedule::{Ended, Policy};
use crate::signature::Rules;
use crate::tools::Tools;

/// What the observer is told once, or when settings change.
#[derive(Clone, Debug)]
pub struct Settings {
    /// How often remotes are asked.
    pub policy: Policy,
    /// How long a repository must be quiet before facts are said that change nothing.
    pub quiet: Duration,
    /// Whether local repositories are served.
    pub allow_files: bool,
    /// As whom repositories are reached.
    pub credentials: Arc<Index>,
    /// What projects permit and ask for; none until they were read.
    pub rules: Option<Rules>,
}

/// Everything that is observed.
pub struct Observer {
    pub(super) settings: Settings,
    pub(super) applications: HashMap<Arc<str>, Observed>,
    pub(super) remotes: BTreeMap<RepositoryKey, Remote>,
    pub(super) capabilities: Option<Arc<Capabilities>>,
    /// None until the settings were read: an overlay must not be built without them.
    pub(super) build_options: Option<Arc<BuildOptions>>,
    /// None until the settings were read: what a source is made with decides on what it reads.
    pub(super) tools: Option<Arc<Tools>>,
    /// Counts the changes of `capabilities` and `build_options`.
    pub(super) offer: u64,
    pub(super) calm: Calm,
    renewals: Renewals,
    epochs: Epochs,
    pub(super) effects: Vec<Effect>,
    pub(super) jobs: Vec<Job>,
    /// The newest stamp given to a fact, in microseconds since the epoch.
    pub(super) last_stamp: i64,
}

/// An application and its requests.
pub(super) struct Observed {
    pub(super) watched: Watched,
    tracked: Track,
    operation: Option<Track>,
}

impl Observed {
    fn new(now: Instant, epochs: &mut Epochs, watched: Watched, settings: &Settings) -> Self {
        let mut tracked = Track::new(now, epochs.next(), watched.tracked.clone(), String::new(), settings);
        if watched.refresh.is_some() || watched.look_for.is_some() {
            tracked.force(now);
        }
        let operation = watched.operation.clone();
        let operation =
            operation.map(|(key, request)| Track::new(now, epochs.next(), request, key, settings));
        Self { watched, tracked, operation }
    }

    /// The application and one of its requests.
    pub(super) fn track(&mut self, purpose: Purpose) -> Option<(&Watched, &mut Track)> {
        let track = match purpose {
            Purpose::Operation => self.operation.as_mut()?,
            _ => &mut self.tracked,
        };
        Some((&self.watched, track))
    }

    /// Looks up the repositories of all requests anew.
    fn relocate(&mut self, now: Instant, epochs: &mut Epochs, settings: &Settings) {
        for track in std::iter::once(&mut self.tracked).chain(&mut self.operation) {
            let request = track.request.clone();
            track.replace(now, epochs.next(), request, settings);
        }
    }

    pub(super) fn tracks(&self) -> impl Iterator<Item = (Purpose, &Track)> {
        let operation = self.operation.iter().map(|track| (Purpose::Operation, track));
        std::iter::once((Purpose::Tracked, &self.tracked)).chain(operation)
    }
}

impl Observer {
    /// An observer of nothing.
    pub fn new(settings: Settings) -> Self {
        Self {
            renewals: Renewals::new(settings.policy.hard),
            settings,
            applications: HashMap::new(),
            remotes: BTreeMap::new(),
            capabilities: None,
            build_options: None,
            tools: None,
            offer: 0,
            calm: Calm::default(),
            epochs: Epochs::default(),
            effects: Vec::new(),
            jobs: Vec::new(),
            last_stamp: 0,
        }
    }

    /// How many applications and repositories are observed.
    pub fn sizes(&self) -> (usize, usize) {
        (self.applications.len(), self.remotes.len())
    }

    /// Takes what is to be done since the last call, and starts the calls that are due.
    pub fn effects(&mut self, now: Instant) -> Vec<Effect> {
        for key in self.calm.due(now) {
            self.say_calmly(&key);
        }
        self.renew(now);
        self.start_calls(now);
        if !self.jobs.is_empty() {
            self.effects.push(Effect::Evaluate(std::mem::take(&mut self.jobs)));
        }
        std::mem::take(&mut self.effects)
    }

    /// Has those rendered anew whose time has come.
    fn renew(&mut self, now: Instant) {
        for uid in self.renewals.due(now) {
            let Some(known) = self.applications.get_mut(&uid) else { continue };
            if known.watched.generate_paths.is_some() {
                // What was read may be older than what is there.
                known.tracked.reconsider(self.epochs.next());
            }
            known.tracked.renew();
            self.advance(now, &Key { uid, purpose: Purpose::Tracked });
        }
    }

    /// When there is something to do even if nothing happens.
    pub fn next(&self) -> Option<Instant> {
        let calls = self.remotes.values().filter_map(|remote| remote.schedule.next());
        calls.chain(self.calm.next()).chain(self.renewals.next()).min()
    }

    /// An Application is there, or changed.
    pub fn application(&mut self, now: Instant, watched: Watched) {
        if watched.is_skipped {
            return self.removed(&watched.uid);
        }
        let uid = watched.uid.clone();
        let observed = match self.applications.remove(&uid) {
            None => Observed::new(now, &mut self.epochs, watched, &self.settings),
            Some(mut known) => {
                let before = std::mem::replace(&mut known.watched, watched);
                if before.tells_the_same_as(&known.watched) {
                    self.applications.insert(uid, known);
                    return;
                }
                self.count_users(&known, -1);
                self.update(now, &before, &mut known);
                known
            }
        };
        self.count_users(&observed, 1);
        self.bring_forward(now, &observed);
        self.renewals.add(now, &uid);
        self.applications.insert(uid.clone(), observed);
        self.forget_unused();
        for purpose in [Purpose::Tracked, Purpose::Operation] {
            self.advance(now, &Key { uid: uid.clone(), purpose });
        }
    }

    /// An Application is gone, or is to be left alone.
    pub fn removed(&mut self, uid: &str) {
        let Some(observed) = self.applications.remove(uid) else { return };
        self.count_users(&observed, -1);
        self.renewals.remove(uid);
        for (purpose, track) in observed.tracks() {
            let key = Key { uid: observed.watched.uid.clone(), purpose };
            self.calm.cancel(&key, track.wait);
            self.effects.push(Effect::Discard(key));
        }
        self.forget_unused();
    }

    /// These are all Applications that there are.
    pub fn only(&mut self, uids: &BTreeSet<Arc<str>>) {
        let gone: Vec<_> = self.applications.keys().filter(|uid| !uids.contains(*uid)).cloned().collect();
        gone.iter().for_each(|uid| self.removed(uid));
    }

    /// A remote answered, or failed to.
    pub fn observed(
        &mut self,
        now: Instant,
        repository: &RepositoryKey,
        (started, context): (Instant, opentelemetry::Context),
        answer: Result<Observation, RepositoryError>,
        chance: f64,
    ) {
        let policy = self.policy_of(repository);
        let Some(remote) = self.remotes.get_mut(repository) else { return };
        // It may be for somebody who is gone: who uses the repository anew has a call and a cache of their own.
        if remote.schedule.last_started() != Some(started) {
            return;
        }
        let ended = match &answer {
            Ok(_) => Ended::Answered,
            Err(error) => Ended::Failed(error.hold()),
        };
        remote.schedule.finish(now, ended, &policy, chance);
        // What came up during the call is what the next one is for.
        let reason = remote.reason.take_if(|(since, _)| *since <= started);
        let since = reason.map_or(started, |(since, _)| since);
        remote.take(now, answer.map(|revisions| Answer { started, since, context, revisions }));
        let users = self.keys(|track| track.remotes().any(|used| used == repository));
        users.iter().for_each(|key| self.advance(now, key));
    }

    /// What an application reads was found.
    pub fn evaluated(&mut self, now: Instant, key: &Key, epoch: u64, outcome: Outcome) {
        let Some(known) = self.applications.get_mut(&key.uid) else { return };
        let Some((_, track)) = known.track(key.purpose) else { return };
        track.is_evaluating = false;
        let wants =
            outcome.wants.as_deref().filter(|wants| epoch == track.epoch && !track.has_attached(wants));
        if let Some(wants) = wants {
            track.again = false;
            return self.attach(now, key, wants);
        }
        if epoch == track.epoch {
            track.outcome = Some(Arc::new(outcome));
        }
        if std::mem::take(&mut track.again) || epoch != track.epoch {
            return self.advance(now, key);
        }
        self.settle(now, key);
    }

    /// Has what the sources of an application were found to want from other repositories looked for as well.
    fn attach(&mut self, now: Instant, key: &Key, wants: &[Want]) {
        let Some(mut known) = self.applications.remove(&key.uid) else { return };
        self.count_users(&known, -1);
        if let Some((_, track)) = known.track(key.purpose) {
            track.attach(wants, &self.settings);
        }
        self.count_users(&known, 1);
        self.applications.insert(key.uid.clone(), known);
        self.forget_unused();
        self.advance(now, key);
    }

    /// Someone pushed to a repository that goes by one of these keys. Says how many repositories that is.
    pub fn pushed(&mut self, now: Instant, keys: &[String], context: &opentelemetry::Context) -> usize {
        let mut matched = 0;
        for (repository, remote) in &mut self.remotes {
            if repository.goes_by(keys) {
                remote.schedule.request(now);
                remote.reason = Some((now, context.clone()));
                matched += 1;
            }
        }
        matched
    }

    /// Settings changed.
    pub fn policy(&mut self, now: Instant, policy: Policy) {
        if self.settings.policy != policy {
            self.settings.policy = policy;
            self.renewals.set_interval(now, policy.hard, self.applications.keys());
            let applications = std::mem::take(&mut self.applications);
            applications.values().for_each(|observed| self.bring_forward(now, observed));
            self.applications = applications;
        }
    }

    /// As whom repositories are reached has changed: those that it concerns are asked again at once.
    pub fn credentials(&mut self, now: Instant, credentials: Arc<Index>) {
        let before = std::mem::replace(&mut self.settings.credentials, credentials);
        let moved = self.relocate(now);
        for (repository, remote) in &mut self.remotes {
            if self.settings.credentials.access(repository) != before.access(repository) {
                remote.schedule.release();
                remote.schedule.request(now);
            }
        }
        moved.iter().for_each(|key| self.advance(now, key));
    }

    /// Looks up the repositories of those applications anew whose sources mean others by now.
    fn relocate(&mut self, now: Instant) -> Vec<Key> {
        let moved: Vec<Arc<str>> = self
            .applications
            .iter()
            .filter(|(_, known)| known.tracks().any(|(_, track)| track.is_elsewhere(&self.settings)))
            .map(|(uid, _)| uid.clone())
            .collect();
        for uid in &moved {
            let Some(mut known) = self.applications.remove(uid) else { continue };
            self.count_users(&known, -1);
            known.relocate(now, &mut self.epochs, &self.settings);
            self.count_users(&known, 1);
            self.applications.insert(uid.clone(), known);
        }
        self.forget_unused();
        let of = |uid: &Arc<str>| {
            [Purpose::Tracked, Purpose::Operation].map(|purpose| Key { uid: uid.clone(), purpose })
        };
        moved.iter().flat_map(of).collect()
    }

    /// What is due later than an application's interval allows is due sooner.
    fn bring_forward(&mut self, now: Instant, observed: &Observed) {
        let policy = self.settings.policy.shortest([observed.watched.interval]);
        for repository in observed.tracks().flat_map(|(_, track)| track.remotes()) {
            if let Some(remote) = self.remotes.get_mut(repository) {
                remote.schedule.bring_forward(now, &policy);
            }
        }
    }

    /// How often a repository is asked: as often as the most eager of its applications wants.
    fn policy_of(&self, repository: &RepositoryKey) -> Policy {
        let uses = |observed: &&Observed| {
            observed.tracks().any(|(_, track)| track.remotes().any(|used| used == repository))
        };
        let asked = self.applications.values().filter(uses).map(|observed| observed.watched.interval);
        self.settings.policy.shortest(asked)
    }

    /// The destination offers something else.
    pub fn capabilities(&mut self, now: Instant, capabilities: Capabilities) {
        if self.capabilities.as_deref() == Some(&capabilities) {
            return;
        }
        self.capabilities = Some(Arc::new(capabilities));
        self.offer += 1;
        self.advance_where(now, |outcome| outcome.has_chart);
    }

    /// Overlays are built with other options.
    pub fn build_options(&mut self, now: Instant, options: BuildOptions) {
        if self.build_options.as_deref() == Some(&options) {
            return;
        }
        self.build_options = Some(Arc::new(options));
        self.offer += 1;
        self.advance_where(now, Outcome::has_overlay);
    }

    /// Projects permit or ask for something else, or there are other keys: those that it concerns are looked at anew.
    pub fn rules(&mut self, now: Instant, rules: Rules) {
        let before = self.settings.rules.replace(rules.clone());
        let moved = self.relocate(now);
        let of = |rules: Option<&Rules>, project: &str| rules.and_then(|rules| rules.of(project));
        let judges_alike = |project: &str| match (of(before.as_ref(), project), of(Some(&rules), project)) {
            (Some(before), Some(now)) => before.judges_as(&now),
            (before, now) => before.is_none() && now.is_none(),
        };
        let judged = self.keys(|track| !judges_alike(&track.request.project));
        moved.iter().filter(|key| !judged.contains(key)).for_each(|key| self.advance(now, key));
        self.reconsider(now, &judged);
    }

    /// Sources may be made with other tools: all are looked at anew.
    pub fn tools(&mut self, now: Instant, tools: Tools) {
        if self.tools.as_deref() != Some(&tools) {
            self.tools = Some(Arc::new(tools));
            self.reconsider(now, &self.keys(|_| true));
        }
    }

    /// Looks anew at requests.
    fn reconsider(&mut self, now: Instant, keys: &[Key]) {
        for key in keys {
            let known = self.applications.get_mut(&key.uid);
            if let Some((_, track)) = known.and_then(|known| known.track(key.purpose)) {
                track.reconsider(self.epochs.next());
            }
            self.advance(now, key);
        }
    }

    /// The bus has lost everything: say it all again.
    pub fn say_all_again(&mut self, now: Instant) {
        for observed in self.applications.values_mut() {
            observed.tracked.said = None;
            if let Some(operation) = &mut observed.operation {
                operation.said = None;
            }
        }
        self.advance_where(now, |_| true);
    }

    fn advance_where(&mut self, now: Instant, wanted: impl Fn(&Outcome) -> bool) {
        let keys = self.keys(|track| track.outcome.as_ref().is_some_and(|outcome| wanted(outcome)));
        keys.iter().for_each(|key| self.advance(now, key));
    }

    /// The requests for which something holds.
    fn keys(&self, holds: impl Fn(&Track) -> bool) -> Vec<Key> {
        let all = self.applications.values().flat_map(|observed| {
            observed.tracks().map(|(purpose, track)| (&observed.watched.uid, purpose, track))
        });
        all.filter(|(_, _, track)| holds(track))
            .map(|(uid, purpose, _)| Key { uid: uid.clone(), purpose })
            .collect()
    }

    fn count_users(&mut self, observed: &Observed, change: isize) {
        for repository in observed.tracks().flat_map(|(_, track)| track.remotes()) {
            let remote = self.remotes.entry(repository.clone()).or_default();
            remote.users = remote.users.saturating_add_signed(change);
        }
    }

    fn forget_unused(&mut self) {
        let unused: Vec<_> = self
            .remotes
            .extract_if(.., |_, remote| remote.users == 0)
            .map(|(repository, _)| repository)
            .collect();
        self.effects.extend(unused.into_iter().map(Effect::Forget));
    }

    fn update(&mut self, now: Instant, before: &Watched, observed: &mut Observed) {
        let settings = &self.settings;
        let Observed { watched, tracked, operation } = observed;
        if watched.tracked != before.tracked {
            tracked.replace(now, self.epochs.next(), watched.tracked.clone(), settings);
        }
        let looks_again = watched.look_for.is_some() && watched.look_for != before.look_for;
        if looks_again || watched.refresh.is_some() && watched.refresh != before.refresh {
            tracked.force(now);
        }
        let reads_anew = watched.refresh == Some(Refresh::Hard) && watched.refresh != before.refresh;
        if watched.generate_paths != before.generate_paths || reads_anew && watched.generate_paths.is_some() {
            // What was read may be older than what is there.
            tracked.reconsider(self.epochs.next());
        }
        if watched.operation != before.operation {
            let key = Key { uid: watched.uid.clone(), purpose: Purpose::Operation };
            self.calm.cancel(&key, operation.as_ref().and_then(|track| track.wait));
            let wanted = watched.operation.clone();
            *operation =
                wanted.map(|(key, request)| Track::new(now, self.epochs.next(), request, key, settings));
        }
    }
}

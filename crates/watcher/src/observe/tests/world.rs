//! The observer in a world of its own: remotes are a table of commits, and what an application reads is
//! one file per path, so that a commit changes what the test says it changes.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use ithaca_api::ApplicationNamespaces;
use ithaca_api::project::{AppProjectSpec, Integrity};
use ithaca_proto::v1::failure::Reason;
use serde_json::{Value, json};

use super::super::effect::JobSource;
use super::super::evaluate::attached;
use super::super::fact::ObservedSource;
use super::super::*;
use crate::application::{Watched, WatchedObject};
use crate::reads::{Reads, Want};
use crate::repository::{Artifact, Attached, Observation, Proof, RepositoryError, RepositoryKey, Resolved};
use crate::schedule::Policy;
use crate::signature::{Origins, Rules};
use crate::tools::Tools;

pub(super) const URL: &str = "https://example.org/repo";
pub(super) const SECOND: Duration = Duration::from_secs(1);
pub(super) const QUIET: Duration = Duration::from_secs(5);

pub(super) const POLICY: Policy =
    Policy { interval: Duration::from_secs(120), jitter: Duration::ZERO, hard: Duration::ZERO };

pub(super) struct World {
    pub(super) observer: Observer,
    pub(super) now: Instant,
    /// What each revision is.
    pub(super) revisions: BTreeMap<&'static str, &'static str>,
    /// What is at each path; absent paths do not exist.
    pub(super) files: BTreeMap<String, String>,
    pub(super) has_chart: bool,
    pub(super) is_overlay: bool,
    pub(super) is_down: bool,
    pub(super) calls: usize,
    /// How many of the calls asked for proof.
    pub(super) calls_for_proof: usize,
    /// Commits that show a signature where they are asked for proof.
    pub(super) shown: BTreeSet<&'static str>,
    /// Whom content alone led to.
    pub(super) led: BTreeSet<String>,
    /// What every application wants from other repositories.
    pub(super) wants: Vec<Want>,
}

/// A call to a remote that is under way.
pub(super) struct Call {
    pub(super) repository: RepositoryKey,
    pub(super) revisions: BTreeSet<String>,
    begun: (Instant, opentelemetry::Context),
}

impl World {
    pub(super) fn new() -> Self {
        let mut world = Self::before_projects();
        world.observer.rules(world.now, Rules::default());
        world
    }

    /// A world in which projects are not known yet.
    pub(super) fn before_projects() -> Self {
        let settings = Settings {
            policy: POLICY,
            quiet: QUIET,
            allow_files: false,
            credentials: Arc::default(),
            rules: None,
        };
        let (mut observer, now) = (Observer::new(settings), Instant::now());
        observer.tools(now, Tools::default());
        Self {
            observer,
            now,
            revisions: BTreeMap::from([("HEAD", "c1")]),
            files: BTreeMap::new(),
            has_chart: false,
            is_overlay: false,
            is_down: false,
            calls: 0,
            calls_for_proof: 0,
            shown: BTreeSet::new(),
            led: BTreeSet::new(),
            wants: Vec::new(),
        }
    }

    /// A file at `apps/<name>`, and an application that reads it.
    pub(super) fn with(mut self, names: &[&str]) -> Self {
        for name in names {
            self.files.insert(format!("apps/{name}"), "1".to_owned());
            self.apply(application(name, json!({})));
        }
        self
    }

    pub(super) fn apply(&mut self, object: Value) {
        let object: WatchedObject = serde_json::from_value(object).expect("an object");
        let namespaces = ApplicationNamespaces::new("argocd", "team-*".parse().expect("patterns"));
        self.observer.application(self.now, Watched::new(&object, &namespaces).expect("a uid"));
    }

    pub(super) fn commit(&mut self, id: &'static str, changed: &[&str]) {
        self.revisions.insert("HEAD", id);
        for name in changed {
            self.files.insert(format!("apps/{name}"), id.to_owned());
        }
    }

    pub(super) fn push(&mut self) -> usize {
        let keys = ["example.org/repo".to_owned()];
        self.observer.pushed(self.now, &keys, &opentelemetry::Context::new())
    }

    /// Carries out effects until there are none, and gives what was said: name, revision, failure.
    pub(super) fn settle(&mut self) -> Vec<Publication> {
        let mut said = Vec::new();
        loop {
            let effects = self.observer.effects(self.now);
            if effects.is_empty() {
                return said;
            }
            for effect in effects {
                match effect {
                    Effect::Observe { repository, revisions, with_proof, is_led, started, context } => {
                        self.calls += 1;
                        self.led.extend(is_led.then(|| repository.to_string()));
                        self.calls_for_proof += usize::from(with_proof);
                        let mut answer = self.answer(&repository, &revisions);
                        if let Ok(found) = &mut answer {
                            found.values_mut().flatten().for_each(|it| it.proof = self.proof(it, with_proof));
                        }
                        self.observer.observed(self.now, &repository, (started, context), answer, 0.0);
                    }
                    Effect::Evaluate(jobs) => {
                        for job in jobs {
                            let outcome = self.outcome(&job);
                            self.observer.evaluated(self.now, &job.key, job.epoch, outcome);
                        }
                    }
                    Effect::Publish(publication) => said.push(*publication),
                    Effect::Discard(_) | Effect::Forget(_) => {}
                }
            }
        }
    }

    /// Begins what is to be done, where that is one call to a remote.
    pub(super) fn call(&mut self) -> Call {
        match &*self.observer.effects(self.now) {
            [Effect::Observe { repository, revisions, started, context, .. }] => {
                let begun = (*started, context.clone());
                Call { repository: repository.clone(), revisions: revisions.clone(), begun }
            }
            effects => unreachable!("one call is to be made, not {effects:?}"),
        }
    }

    /// A call ends with this answer.
    pub(super) fn answered(&mut self, call: Call, answer: Result<Observation, RepositoryError>) {
        self.observer.observed(self.now, &call.repository, call.begun, answer, 0.0);
    }

    /// A call ends with what is there now.
    pub(super) fn reply(&mut self, call: Call) {
        let answer = self.answer(&call.repository, &call.revisions);
        self.answered(call, answer);
    }

    /// A call is made and answered, and nothing else is done.
    pub(super) fn look(&mut self) {
        let call = self.call();
        self.reply(call);
    }

    /// Begins what is to be done, where that is to evaluate.
    pub(super) fn evaluations(&mut self) -> Option<Vec<Job>> {
        match &*self.observer.effects(self.now) {
            [Effect::Evaluate(jobs)] => Some(jobs.clone()),
            _ => None,
        }
    }

    /// Evaluations end with what is there now.
    pub(super) fn evaluate(&mut self, jobs: &[Job]) {
        for job in jobs {
            let outcome = self.outcome(job);
            self.observer.evaluated(self.now, &job.key, job.epoch, outcome);
        }
    }

    /// What is said when time passes.
    pub(super) fn wait(&mut self, time: Duration) -> Vec<Publication> {
        let end = self.now + time;
        let mut said = self.settle();
        while let Some(next) = self.observer.next().filter(|next| *next <= end) {
            self.now = next.max(self.now);
            said.extend(self.settle());
        }
        self.now = end;
        said
    }

    pub(super) fn answer(
        &self,
        repository: &RepositoryKey,
        revisions: &BTreeSet<String>,
    ) -> Result<Observation, RepositoryError> {
        if self.is_down {
            return Err(RepositoryError::Timeout { repository: repository.to_string(), limit: 15 * SECOND });
        }
        let unknown = |revision: &String| RepositoryError::UnknownRevision {
            repository: repository.to_string(),
            revision: revision.clone(),
        };
        let commit = |revision: &String| {
            let id = self.revisions.get(revision.as_str()).ok_or_else(|| unknown(revision))?;
            Ok(Resolved::commit((*id).to_owned()))
        };
        Ok(revisions.iter().map(|revision| (revision.clone(), commit(revision))).collect())
    }

    fn proof(&self, resolved: &Resolved, with_proof: bool) -> Option<Arc<Proof>> {
        let mut artifact = Artifact { digest: resolved.commit.clone(), ..Artifact::default() };
        if self.shown.contains(resolved.commit.as_str()) {
            artifact.signatures.push(Attached::Bundle(Vec::new()));
        }
        with_proof.then(|| Arc::new(Proof { artifact: Some(artifact), ..Proof::default() }))
    }

    pub(super) fn outcome(&self, job: &Job) -> Outcome {
        let tree = |_, _: &Want, _: &RepositoryKey, resolved: &Resolved| {
            Ok(BTreeMap::from([(String::new(), format!("tree of {}", resolved.commit))]))
        };
        attached(job, self.derived(job), tree)
    }

    fn derived(&self, job: &Job) -> Outcome {
        let wants = Some(self.wants.clone());
        let mut outcome = Outcome { wants, has_chart: self.has_chart, ..Outcome::default() };
        // Where a project asks for signatures, commits with an s are signed, and what shows a signature.
        let shows = |resolved: &Resolved| {
            let artifact = resolved.proof.as_ref().and_then(|proof| proof.artifact.as_ref());
            artifact.is_some_and(|artifact| !artifact.signatures.is_empty())
        };
        let is_signed =
            |source: &JobSource| source.resolved.revision.starts_with('s') || shows(&source.resolved);
        if job.rule.asks() && !job.sources.iter().all(is_signed) {
            let mut outcome = Outcome::failed(Reason::Source, "it is not signed".to_owned(), true);
            let found = |source: &JobSource| ObservedSource {
                resolved: source.resolved.clone(),
                ..ObservedSource::default()
            };
            outcome.sources = job.sources.iter().map(found).collect();
            return outcome;
        }
        for source in &job.sources {
            let Some(id) = self.files.get(&source.source.path) else {
                let message =
                    format!("path {} does not exist at {}", source.source.path, source.resolved.revision);
                outcome = Outcome::failed(Reason::Source, message, true);
                let found = ObservedSource { resolved: source.resolved.clone(), ..Default::default() };
                outcome.sources.push(found);
                return outcome;
            };
            let paths = BTreeMap::from([(source.source.path.clone(), id.clone())]);
            let is_overlay = self.is_overlay;
            let reads = Reads { decided_by: paths.clone(), paths, is_overlay, ..Reads::default() };
            let reads = Arc::new(reads);
            outcome.sources.push(ObservedSource {
                resolved: source.resolved.clone(),
                reads,
                ..Default::default()
            });
        }
        outcome
    }
}

pub(super) fn application(name: &str, change: Value) -> Value {
    let mut object = json!({
        "metadata": {"uid": name, "name": name, "namespace": "argocd"},
        "spec": {"project": "", "destination": {}, "source": {"repoURL": URL, "path": format!("apps/{name}")}},
    });
    for (part, value) in change.as_object().expect("an object") {
        object[part] = value.clone();
    }
    object
}

pub(super) fn annotated(name: &str, annotation: &str, value: &str) -> Value {
    let metadata =
        json!({"uid": name, "name": name, "namespace": "argocd", "annotations": {annotation: value}});
    application(name, json!({"metadata": metadata}))
}

/// Rules of projects, of which these ask for signatures.
pub(super) fn rules(projects: &[(&str, bool)]) -> Rules {
    let integrity = |asks: bool| {
        let spec = json!({"signatureKeys": if asks { json!([{"keyID": "A"}]) } else { json!([]) }});
        Integrity::of(&serde_json::from_value(spec).expect("a spec"))
    };
    let projects = projects.iter().map(|(name, asks)| ((*name).to_owned(), Arc::new(integrity(*asks))));
    let projects: BTreeMap<_, _> = projects.collect();
    let all = Arc::new(all_repositories());
    let origins = projects.keys().map(|name| (name.clone(), all.clone())).collect();
    Rules { projects, origins, ..Rules::default() }
}

/// Rules of the default project, which asks for cosign's signatures of all that is in registries.
pub(super) fn asks_for_cosign() -> Rules {
    let policies = json!([{"repos": ["*"], "cosign": {"keys": ["team"]}}]);
    let spec = json!({"sourceIntegrity": {"oci": {"policies": policies}}});
    let integrity = Integrity::of(&serde_json::from_value(spec).expect("a spec"));
    let origins = [("default".to_owned(), Arc::new(all_repositories()))].into();
    Rules { projects: [("default".to_owned(), Arc::new(integrity))].into(), origins, ..Rules::default() }
}

fn all_repositories() -> Origins {
    Origins::of(&AppProjectSpec { source_repos: vec!["*".to_owned()], ..AppProjectSpec::default() })
}

/// What was said, as text: `name revision`, or `name: failure`.
pub(super) fn texts(said: &[Publication]) -> Vec<String> {
    let text = |publication: &Publication| {
        let fact = &publication.fact;
        let name = fact.application.as_ref().map_or("", |application| application.name.as_str());
        match &fact.failure {
            Some(failure) => format!("{name}: {}", failure.message),
            None => format!("{name} {}", fact.sources[0].revision),
        }
    };
    let mut texts: Vec<String> = said.iter().map(text).collect();
    texts.sort();
    texts
}

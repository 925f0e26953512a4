//! Whether what a job is about is signed as its project asks. Blocks on the caches of the repositories.

use std::collections::HashMap;
use std::time::{SystemTime, UNIX_EPOCH};

use ithaca_api::project::{HelmDemand, OciDemand};
use ithaca_proto::v1::failure::Reason;

use super::commits::Commits;
use super::effect::{Job, JobSource};
use super::fact::{FactFailure, ObservedSource, Outcome};
use super::history::Vouched;
use crate::cache::Handle;
use crate::reads::What;
use crate::repository::{Protocol, RepositoryError, RepositoryKey, Resolved};
use crate::signature::{Rule, verify_artifact, verify_chart};

pub(super) type Handles<'a> = HashMap<&'a RepositoryKey, Result<Handle<'a>, RepositoryError>>;

/// What was found of revisions, each once for a whole batch: a thousand applications may be of one commit.
pub(super) struct Verdicts<'a> {
    handles: &'a Handles<'a>,
    vouched: &'a Vouched,
    known: HashMap<(&'a RepositoryKey, &'a Resolved, &'a str, &'a str), Result<(), String>>,
    now: i64,
}

impl<'a> Verdicts<'a> {
    pub(super) fn new(handles: &'a Handles<'a>, vouched: &'a Vouched) -> Self {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let now = i64::try_from(now).unwrap_or(i64::MAX);
        Self { handles, vouched, known: HashMap::new(), now }
    }

    /// What is said instead of a job's sources, where one of them is not signed as asked.
    pub(super) fn refusal(&mut self, job: &'a Job) -> Option<Outcome> {
        if !job.rule.asks() {
            return None;
        }
        let judge = |source: &'a JobSource| {
            self.judge(job, &source.source.repo_url, &source.repository, &source.resolved).err()
        };
        let refused = job.sources.iter().find_map(judge);
        // What is not signed leads nowhere else.
        let named = job
            .attachments
            .iter()
            .filter(|attachment| matches!(attachment.want.what, What::Base | What::File));
        let mut named = named.filter_map(|attachment| {
            let (repository, resolved) = attachment.found.as_ref().ok()?;
            Some((attachment.want.repository.as_str(), repository, resolved))
        });
        let message = refused.or_else(|| {
            named.find_map(|(url, repository, resolved)| self.judge(job, url, repository, resolved).err())
        })?;
        let failure = FactFailure { reason: Reason::Source, message, may_heal: true };
        let sources = job
            .sources
            .iter()
            .map(|source| ObservedSource { resolved: source.resolved.clone(), ..ObservedSource::default() });
        Some(Outcome { sources: sources.collect(), failure: Some(failure), ..Outcome::default() })
    }

    /// Whether what a source or a chart calls by a URL is signed as the project of a job asks.
    pub(super) fn judge(
        &mut self,
        job: &'a Job,
        url: &'a str,
        repository: &'a RepositoryKey,
        resolved: &'a Resolved,
    ) -> Result<(), String> {
        let project = job.application.project.as_str();
        let key = (repository, resolved, project, url);
        if let Some(known) = self.known.get(&key) {
            return known.clone();
        }
        let verdict = job.rule.demands(url, repository).and_then(|demands| {
            let handle = || match self.handles.get(repository) {
                Some(Ok(handle)) => Ok(handle),
                Some(Err(error)) => Err(error.to_string()),
                None => Err("its repository is not open".to_owned()),
            };
            if let Some(demand) = demands.git {
                let commits = Commits { handle: handle()?, keyring: &job.rule.keyring, demand, repository };
                commits.judge(resolved, self.now, self.vouched)?;
            }
            if let Some(demand) = demands.chart {
                judge_chart(&job.rule, demand, (repository, resolved), self.now)?;
            }
            if let Some(demand) = demands.artifact {
                judge_artifact(&job.rule, demand, repository, resolved)?;
            }
            Ok(())
        });
        let verdict =
            verdict.map_err(|reason| format!("failed to verify the source for project {project}: {reason}"));
        self.known.insert(key, verdict.clone());
        verdict
    }
}

fn judge_chart(
    rule: &Rule,
    demand: &HelmDemand,
    (repository, resolved): (&RepositoryKey, &Resolved),
    now: i64,
) -> Result<(), String> {
    let proof = resolved.proof.as_ref().ok_or("its provenance was not looked for")?;
    let Some(chart) = &proof.chart else {
        // What an artifact holds need not be a chart.
        let is_chart = repository.protocol() == Protocol::Helm || !repository.chart().is_empty();
        return if is_chart { Err("its archive is not known".to_owned()) } else { Ok(()) };
    };
    verify_chart(chart, demand, &rule.keyring, now).map_err(|error| {
        let keys = wanted(&[("OpenPGP keys", Some(demand.keys.as_slice()))]);
        format!("revision {} of {repository} {error}; {keys}", resolved.revision)
    })
}

fn judge_artifact(
    rule: &Rule,
    demand: &OciDemand,
    repository: &RepositoryKey,
    resolved: &Resolved,
) -> Result<(), String> {
    let artifact = resolved.proof.as_ref().and_then(|proof| proof.artifact.as_ref());
    let artifact = artifact.ok_or("its signatures were not looked for")?;
    verify_artifact(artifact, demand, &rule.keyring).map_err(|error| {
        let keys = wanted(&[("cosign keys", Some(demand.keys.as_slice()))]);
        format!("artifact {} of {repository} {error}; {keys}", artifact.digest)
    })
}

/// What to do.
pub(super) fn wanted(permitted: &[(&str, Option<&[String]>)]) -> String {
    let listed = |(what, names): &(&str, Option<&[String]>)| match names {
        None => None,
        Some([]) => Some(format!("no {what}")),
        Some(names) => Some(format!("{what} {}", names.join(", "))),
    };
    let keys: Vec<String> = permitted.iter().filter_map(listed).collect();
    format!("the project permits {}: sign it with one of these, or change the project", keys.join(" and "))
}

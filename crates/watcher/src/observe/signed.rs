//! Whether the revisions of a job are signed as their project asks. Blocks on the caches of the repositories.

use std::collections::HashMap;
use std::time::{SystemTime, UNIX_EPOCH};

use ithaca_api::project::{Depth, GitDemand};
use ithaca_proto::v1::failure::Reason;

use super::effect::{Job, JobSource};
use super::fact::{FactFailure, ObservedSource, Outcome};
use crate::cache::Handle;
use crate::repository::{Protocol, RepositoryError, RepositoryKey, Resolved};
use crate::signature::{Rule, SignatureError, verify};

pub(super) type Handles<'a> = HashMap<&'a RepositoryKey, Result<Handle<'a>, RepositoryError>>;

/// What was found of revisions, each once for a whole batch: a thousand applications may be of one commit.
pub(super) struct Verdicts<'a> {
    handles: &'a Handles<'a>,
    known: HashMap<(&'a RepositoryKey, &'a Resolved, &'a str, &'a str), Result<(), String>>,
    now: i64,
}

impl<'a> Verdicts<'a> {
    pub(super) fn new(handles: &'a Handles<'a>) -> Self {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        Self { handles, known: HashMap::new(), now: i64::try_from(now).unwrap_or(i64::MAX) }
    }

    /// What is said instead of a job's sources, where one of them is not signed as asked.
    pub(super) fn refusal(&mut self, job: &'a Job) -> Option<Outcome> {
        if !job.rule.asks() {
            return None;
        }
        let message = job.sources.iter().find_map(|source| self.judge(job, source).err())?;
        let failure = FactFailure { reason: Reason::Source, message, may_heal: true };
        let sources = job
            .sources
            .iter()
            .map(|source| ObservedSource { resolved: source.resolved.clone(), ..ObservedSource::default() });
        Some(Outcome { sources: sources.collect(), failure: Some(failure), ..Outcome::default() })
    }

    fn judge(&mut self, job: &'a Job, source: &'a JobSource) -> Result<(), String> {
        let (project, url) = (job.application.project.as_str(), source.source.repo_url.as_str());
        let key = (&source.repository, &source.resolved, project, url);
        if let Some(known) = self.known.get(&key) {
            return known.clone();
        }
        let verdict = match self.handles.get(&source.repository) {
            Some(Ok(handle)) => judge(handle, &job.rule, source, self.now),
            Some(Err(error)) => Err(error.to_string()),
            None => Err("its repository is not open".to_owned()),
        };
        let verdict =
            verdict.map_err(|reason| format!("failed to verify the source for project {project}: {reason}"));
        self.known.insert(key, verdict.clone());
        verdict
    }
}

fn judge(handle: &Handle<'_>, rule: &Rule, source: &JobSource, now: i64) -> Result<(), String> {
    let (url, repository) = (source.source.repo_url.as_str(), &source.repository);
    let demand = match repository.protocol() {
        Protocol::Git => rule.integrity.git(url),
        Protocol::Helm => rule.integrity.helm(url).map(|()| None),
        Protocol::Oci => match rule.integrity.oci(url)? {
            None => Ok(None),
            Some(_) => {
                Err("spec.sourceIntegrity.oci asks for cosign's signatures, which are not verified yet"
                    .to_owned())
            }
        },
    };
    match demand? {
        None => Ok(()),
        Some(demand) => judge_git(handle, rule, demand, source, now),
    }
}

fn judge_git(
    handle: &Handle<'_>,
    rule: &Rule,
    demand: &GitDemand,
    source: &JobSource,
    now: i64,
) -> Result<(), String> {
    let (repository, Resolved { commit, tag, .. }) = (&source.repository, &source.resolved);
    if demand.depth == Depth::Strict {
        return Err(
            "spec.sourceIntegrity asks for mode strict, which is not supported yet: use mode head".to_owned()
        );
    }
    let (what, signed) = match tag {
        None => {
            (format!("commit {commit}"), handle.signed_commit(commit).map_err(|error| error.to_string())?)
        }
        Some(tag) => {
            let signed = handle.signed_tag(tag, commit).map_err(|error| error.to_string())?;
            let what = format!("tag {}", tag.name);
            let reason = "calls itself otherwise within, or is for another commit: make the tag anew";
            (what, signed.ok_or_else(|| format!("tag {} of {repository} {reason}", tag.name))?)
        }
    };
    let told = |error: SignatureError| format!("{what} of {repository} {error}; {}", wanted(demand));
    verify(&signed, demand, &rule.keyring, Some(now)).map_err(told)
}

/// What to do.
fn wanted(demand: &GitDemand) -> String {
    let listed = |what: &str, names: &Option<Vec<String>>| match names.as_deref() {
        None => None,
        Some([]) => Some(format!("no {what}")),
        Some(names) => Some(format!("{what} {}", names.join(", "))),
    };
    let keys = [listed("OpenPGP keys", &demand.keys), listed("SSH signers", &demand.signers)];
    let keys: Vec<String> = keys.into_iter().flatten().collect();
    format!("the project permits {}: sign it with one of these, or change the project", keys.join(" and "))
}

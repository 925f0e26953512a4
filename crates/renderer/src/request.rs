//! What to render, parsed at the door: `RevisionObserved` comes in, a request that cannot be wrong goes out.

use ithaca_api::ApplicationSource;
use ithaca_api::source_type::EnabledTools;
use ithaca_proto::v1::{
    ApplicationRef, Attachment, Capabilities, Commit, Failure, PathRead, Purpose, Reference, Refresh,
    RevisionObserved,
};

use crate::failure;

/// One source at its revision.
#[derive(Clone, Debug, Default)]
pub struct SourceRequest {
    /// What is rendered: what the Application says, and what files in the source's folder say over it.
    pub spec: ApplicationSource,
    /// The same as JSON with sorted keys.
    pub json: String,
    /// What the Application alone says, as JSON with sorted keys.
    pub written: String,
    /// What the watcher calls the repository.
    pub repository: String,
    /// The chart's name in a Helm repository; else empty.
    pub chart: String,
    /// The project whose alone the repository is; else empty.
    pub scope: String,
    /// Whether a pointer of Git LFS stands for the file that it points at.
    pub lfs: bool,
    /// The commit, version or digest.
    pub revision: String,
    /// All that may be read.
    pub reads: Vec<PathRead>,
    /// The commit, for people.
    pub commit: Option<Commit>,
    /// What the installation says on kustomize's command line.
    pub build_options: String,
    /// What is laid into its files, one after the other.
    pub attachments: Vec<Attachment>,
    /// Whether plugins are asked if the source is theirs, though it names none.
    pub discover: bool,
    /// What its kustomizations name by URL, and where that was laid.
    pub references: Vec<Reference>,
}

/// One revision of an application to make a bundle of.
#[derive(Clone, Debug)]
pub struct Request {
    /// The application.
    pub application: ApplicationRef,
    /// Its name where its namespace counts.
    pub instance: String,
    /// The name of its project.
    pub project: String,
    /// Tracked or operation.
    pub purpose: Purpose,
    /// Microseconds since the epoch.
    pub observed_at: i64,
    /// Of the Application.
    pub generation: i64,
    /// Of the operation that asked.
    pub request_key: String,
    /// Whether rendered bundles may be used again.
    pub refresh: Refresh,
    /// Where objects without a namespace go.
    pub destination_namespace: String,
    /// What to render, or why nothing can be.
    pub sources: Result<Vec<SourceRequest>, Failure>,
    /// What sources may be made with.
    pub tools: EnabledTools,
    /// What charts may ask for.
    pub capabilities: Capabilities,
}

/// A message that says nothing that could be acted on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("failed to read a revision: it has no {0}")]
pub struct Unreadable(&'static str);

impl Request {
    /// Reads the message.
    ///
    /// # Errors
    /// When it does not say for which application it is. Sources that cannot be understood are the application's failure.
    pub fn parse(message: RevisionObserved) -> Result<Self, Unreadable> {
        let purpose = match message.purpose() {
            Purpose::Unspecified => return Err(Unreadable("purpose")),
            purpose => purpose,
        };
        let refresh = message.refresh();
        let application = message.application.ok_or(Unreadable("application"))?;
        if application.uid.is_empty() || application.name.is_empty() {
            return Err(Unreadable("application"));
        }
        let sources = match message.failure {
            Some(failure) => Err(failure),
            None => message.sources.into_iter().map(source).collect(),
        };
        Ok(Self {
            application,
            instance: message.instance,
            project: message.project,
            purpose,
            observed_at: message.observed_at,
            generation: message.generation,
            request_key: message.request_key,
            refresh,
            destination_namespace: message.destination_namespace,
            sources,
            tools: EnabledTools::without(message.disabled_tools.iter().map(String::as_str)),
            capabilities: message.capabilities.unwrap_or_default(),
        })
    }
}

fn source(source: ithaca_proto::v1::SourceRevision) -> Result<SourceRequest, Failure> {
    let written = source.source;
    let json = if source.overridden.is_empty() { written.clone() } else { source.overridden };
    let spec = serde_json::from_str(&json)
        .map_err(|error| failure::invalid_spec(format!("failed to read the source: {error}")))?;
    Ok(SourceRequest {
        spec,
        json,
        written,
        repository: source.repository,
        chart: source.chart,
        scope: source.scope,
        lfs: source.lfs,
        attachments: source.attachments,
        references: source.references,
        revision: source.revision,
        reads: source.reads,
        commit: source.commit,
        build_options: source.kustomize_build_options,
        discover: source.discover,
    })
}

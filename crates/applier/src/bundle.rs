//! A bundle as the applier works with it: the fact, and what it amounts to in the cluster.
//!
//! What comes in: `BundleRendered` and its content. What goes out: desired objects. No I/O.

use std::{io::Read, sync::Arc};

use ithaca_api::{ApplicationSource, SourceType};
use ithaca_proto::v1::{self, BundleRendered, failure::Reason};
use serde_json::Value;

use crate::{
    desired::{self, Assembly, Owner, Scopes},
    error::Error,
    judge::Ignored,
};

/// Bytes of JSON beyond which content is refused.
const CONTENT_LIMIT: u64 = 256 << 20;

/// What a renderer said about an application, ready to be compared and applied.
#[derive(Clone, Debug)]
pub struct Bundle {
    /// Orders facts: microseconds since the epoch.
    pub observed_at: i64,
    /// The Application's generation for which it was rendered.
    pub generation: i64,
    /// The operation that asked for it; empty for the tracked one.
    pub request_key: String,
    /// A refresh was asked for.
    pub refresh: bool,
    /// Of the content; empty where nothing was ever rendered.
    pub digest: String,
    /// In the order of the sources.
    pub sources: Vec<Source>,
    /// Why there is nothing newer than this content.
    pub failure: Option<Failure>,
    /// The objects.
    pub assembly: Arc<Assembly>,
    /// Microseconds since the epoch.
    pub render_started_at: i64,
    /// Microseconds since the epoch.
    pub rendered_at: i64,
}

/// One source that was rendered.
#[derive(Clone, Debug, PartialEq)]
pub struct Source {
    /// As the spec has it.
    pub source: ApplicationSource,
    /// The full commit id or version.
    pub revision: String,
    /// The tool that rendered it.
    pub source_type: Option<SourceType>,
    /// The commit, for people.
    pub commit: v1::Commit,
}

/// Why a stage before this one had nothing to give.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The spec is at fault rather than a source.
    pub invalid_spec: bool,
    /// In the user's words.
    pub message: String,
}

impl Bundle {
    /// Takes a fact apart; `assembly` is what its content amounts to.
    pub fn new(fact: BundleRendered, assembly: Arc<Assembly>) -> Self {
        Self {
            sources: sources(&fact),
            observed_at: fact.observed_at,
            generation: fact.generation,
            refresh: fact.refresh() != v1::Refresh::Unspecified,
            digest: fact.content.as_ref().map(|content| content.digest.clone()).unwrap_or_default(),
            failure: fact.failure.map(|failure| Failure {
                invalid_spec: failure.reason() == Reason::InvalidSpec,
                message: failure.message,
            }),
            assembly,
            request_key: fact.request_key,
            render_started_at: fact.render_started_at,
            rendered_at: fact.rendered_at,
        }
    }

    /// The revisions, in the order of the sources.
    pub fn revisions(&self) -> Vec<String> {
        self.sources.iter().map(|source| source.revision.clone()).collect()
    }

    /// Whether there is anything to compare the cluster with.
    pub fn has_content(&self) -> bool {
        !self.digest.is_empty()
    }

    /// Why there is nothing, where there is nothing.
    pub fn why_empty(&self) -> &str {
        self.failure.as_ref().map_or("nothing was rendered yet", |failure| &failure.message)
    }
}

/// What was rendered, of a fact.
pub fn sources(fact: &BundleRendered) -> Vec<Source> {
    fact.content.iter().flat_map(|content| &content.sources).map(source).collect()
}

/// What compressed content amounts to in a cluster.
pub fn assemble(
    compressed: &[u8],
    owner: &Owner,
    ignored: Option<Arc<Ignored>>,
    scopes: Scopes<'_>,
) -> Result<Assembly, Error> {
    Ok(desired::assemble(unpack(compressed)?, owner, scopes).ignoring(ignored))
}

fn unpack(compressed: &[u8]) -> Result<Vec<Value>, Error> {
    if compressed.is_empty() {
        return Ok(Vec::new());
    }
    let failed = |reason: String| Error::Content { reason };
    let decoder = zstd::stream::read::Decoder::new(compressed).map_err(|e| failed(e.to_string()))?;
    serde_json::from_reader(decoder.take(CONTENT_LIMIT)).map_err(|e| failed(e.to_string()))
}

fn source(rendered: &v1::RenderedSource) -> Source {
    Source {
        source: serde_json::from_str(&rendered.source).unwrap_or_default(),
        revision: rendered.revision.clone(),
        source_type: serde_json::from_value(Value::from(rendered.source_type.as_str())).ok(),
        commit: rendered.commit.clone().unwrap_or_default(),
    }
}

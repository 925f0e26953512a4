//! What a repository shows for a revision beside its files, where projects ask for proof. Plain data, none of it
//! believed yet: `signature` judges it.

use std::hash::{Hash, Hasher};

/// What was found for a revision. For a commit that is nothing but that all it descends from is here.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Proof {
    /// The manifest in a registry that the files are from.
    pub artifact: Option<Artifact>,
    /// The archive that the files are from, where it is a chart's.
    pub chart: Option<ChartArchive>,
}

/// By what tells most proofs apart: a registry may show much, and many applications may be of one revision.
impl Hash for Proof {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let artifact = self.artifact.as_ref().map(|artifact| (&artifact.digest, artifact.signatures.len()));
        artifact.hash(state);
        self.chart.as_ref().map(|chart| (&chart.sha256, chart.provenance.is_some())).hash(state);
    }
}

/// The archive of a chart, and what lies beside it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ChartArchive {
    /// Which chart was asked for.
    pub name: String,
    /// Which version; None where it was asked for by a digest.
    pub version: Option<String>,
    /// The SHA-256 of the archive in hexadecimal digits.
    pub sha256: String,
    /// What claims to be its provenance file.
    pub provenance: Option<Vec<u8>>,
    /// Why there may be one, which could not be read.
    pub unread: Option<String>,
}

/// A manifest in a registry, and what lies beside it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Artifact {
    /// Its digest, by which the files were had.
    pub digest: String,
    /// Its bytes.
    pub manifest: Vec<u8>,
    /// What claims to be a signature of it.
    pub signatures: Vec<Attached>,
    /// Why there may be more, which could not be read.
    pub unread: Option<String>,
}

/// A claim to be a signature, in one of the forms that cosign writes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Attached {
    /// A payload, and its signature in Base64.
    Simple {
        /// What was signed.
        payload: Vec<u8>,
        /// The signature.
        signature: String,
    },
    /// A bundle in JSON.
    Bundle(Vec<u8>),
}

//! What lies beside a manifest as a signature of it, in both places where cosign puts it: a tag made of the digest, and
//! manifests that refer to it. Beside a chart's archive a provenance file may lie within the manifest. Nothing is judged
//! here but what is too much.
//!
//! A signature that cannot be read is told of and spoils no other. Where a registry does not answer, what it showed last
//! for the same digest holds, so a good revision is not taken for an unsigned one, and who asks for no proof is none the
//! worse.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use serde::Deserialize;

use super::address::is_digest;
use super::client::Client;
use super::manifest::chart;
use crate::repository::{Artifact, Attached, ChartArchive, Proof};
use crate::web::WebError;

/// What refers to a manifest as a bundle, and what as signatures in the older form.
const BUNDLE: &str = "application/vnd.dev.sigstore.bundle.v0.3+json";
const SIMPLE: &str = "application/vnd.dev.cosign.artifact.sig.v1+json";
/// What a layer with a payload is called, and where its signature is.
const PAYLOAD: &str = "application/vnd.dev.cosign.simplesigning.v1+json";
const SIGNATURE: &str = "dev.cosignproject.cosign/signature";
/// What a bundle says that it states; only one of all these is a signature.
const PREDICATE: &str = "dev.sigstore.bundle.predicateType";
const SIGN: &str = "https://sigstore.dev/cosign/sign/v1";

/// Manifests that are looked into for one artifact, and signatures that are read.
const MOST: usize = 32;
/// The largest payload, bundle or provenance file.
const LARGEST: u64 = 256 << 10;

/// What earlier looks have read, by digest, and is not read again.
#[derive(Default)]
pub(super) struct Memory {
    proofs: HashMap<String, Proof>,
    signatures: HashMap<String, Arc<[Attached]>>,
}

/// One look at a registry for what lies beside manifests.
pub(super) struct Look<'a> {
    client: &'a Client,
    before: &'a Memory,
    /// What this one has: what no look asks for any more is forgotten.
    now: Memory,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Index {
    #[serde(default)]
    manifests: Vec<Referrer>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Referrer {
    #[serde(default)]
    digest: String,
    #[serde(default)]
    artifact_type: String,
}

#[derive(Deserialize)]
struct Signatures {
    #[serde(default)]
    layers: Vec<Layer>,
    #[serde(default)]
    annotations: BTreeMap<String, String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Layer {
    #[serde(default)]
    media_type: String,
    #[serde(default)]
    digest: String,
    #[serde(default)]
    annotations: BTreeMap<String, String>,
}

impl<'a> Look<'a> {
    /// Begins one, with what the last one left. That is left as it is, for this one may be given up.
    pub(super) fn new(client: &'a Client, before: &'a Memory) -> Self {
        Self { client, before, now: Memory::default() }
    }

    /// What it leaves for the next.
    pub(super) fn end(self) -> Memory {
        self.now
    }

    /// What lies beside a manifest, and beside the chart of a name and a version if it is one's.
    pub(super) async fn proof(&mut self, digest: &str, name: &str, version: Option<&str>) -> Proof {
        let artifact = match self.artifact(digest).await {
            Ok(artifact) => artifact,
            Err(error) => match self.before.proofs.get(digest).cloned() {
                Some(known) => {
                    self.now.proofs.insert(digest.to_owned(), known.clone());
                    return known;
                }
                None => {
                    let unread = Some(format!("the registry does not show it: {}", error.reason()));
                    let artifact = Artifact { digest: digest.to_owned(), unread, ..Artifact::default() };
                    return Proof { artifact: Some(artifact), chart: None };
                }
            },
        };
        let chart = self.chart(&artifact.manifest, digest, name, version).await;
        let proof = Proof { artifact: Some(artifact), chart };
        self.now.proofs.insert(digest.to_owned(), proof.clone());
        proof
    }

    /// The archive of a chart, where a manifest is one's.
    async fn chart(
        &self,
        manifest: &[u8],
        digest: &str,
        name: &str,
        version: Option<&str>,
    ) -> Option<ChartArchive> {
        let (archive, provenance) = chart(manifest)?;
        let known = self.before.proofs.get(digest).and_then(|proof| proof.chart.as_ref());
        let known = known.and_then(|chart| chart.provenance.clone());
        let provenance = match (provenance, known) {
            (None, _) => Ok(None),
            (Some(_), Some(known)) => Ok(Some(known)),
            (Some(provenance), None) => self.client.small(&provenance, LARGEST).await.map(Some),
        };
        let (provenance, unread) = match provenance {
            Ok(provenance) => (provenance, None),
            Err(error) => (None, Some(error.reason())),
        };
        let (name, version) = (name.to_owned(), version.map(str::to_owned));
        let sha256 = archive.trim_start_matches("sha256:").to_owned();
        Some(ChartArchive { name, version, sha256, provenance, unread })
    }

    /// A manifest with all that lies beside it.
    async fn artifact(&mut self, digest: &str) -> Result<Artifact, WebError> {
        let known = self.before.proofs.get(digest).and_then(|proof| proof.artifact.as_ref());
        let manifest = match known {
            Some(known) => known.manifest.clone(),
            None => self.client.manifest(digest).await?,
        };
        let mut artifact =
            Artifact { digest: digest.to_owned(), manifest, signatures: Vec::new(), unread: None };
        let name = digest.replace(':', "-");
        for referrer in self.referrers(digest, &name).await? {
            self.add(&mut artifact, &referrer, None).await?;
        }
        if let Some((digest, text)) = self.client.tagged(&format!("{name}.sig")).await? {
            self.add(&mut artifact, &digest, Some(text)).await?;
        }
        Ok(artifact)
    }

    /// The digests of what refers to a manifest and may be a signature: as the registry says, or where it cannot tell, as
    /// a tag does that clients keep.
    async fn referrers(&self, digest: &str, name: &str) -> Result<Vec<String>, WebError> {
        let mut index = self.client.referrers(digest).await?.and_then(|text| read::<Index>(&text));
        if index.as_ref().is_none_or(|index| index.manifests.is_empty()) {
            let tagged = self.client.tagged(name).await?;
            index = tagged.and_then(|(_, text)| read(&text));
        }
        let manifests = index.into_iter().flat_map(|index| index.manifests);
        let may_be = |referrer: &Referrer| {
            [BUNDLE, SIMPLE].contains(&referrer.artifact_type.as_str()) && is_digest(&referrer.digest)
        };
        Ok(manifests.filter(may_be).map(|referrer| referrer.digest).take(MOST).collect())
    }

    /// Adds the signatures that a manifest holds, whose text may be here.
    async fn add(
        &mut self,
        artifact: &mut Artifact,
        digest: &str,
        text: Option<Vec<u8>>,
    ) -> Result<(), WebError> {
        let known = self.now.signatures.get(digest).or(self.before.signatures.get(digest)).cloned();
        let signatures = match known {
            Some(known) => known,
            None => match self.read(digest, text).await {
                Ok(read) => read.into(),
                Err(
                    error @ (WebError::Timeout
                    | WebError::Busy(_)
                    | WebError::Authentication
                    | WebError::Disk(_)),
                ) => {
                    return Err(error);
                }
                Err(error) => {
                    artifact.unread.get_or_insert(format!("{digest}: {}", error.reason()));
                    return Ok(());
                }
            },
        };
        self.now.signatures.insert(digest.to_owned(), signatures.clone());
        let room = MOST - artifact.signatures.len();
        if signatures.len() > room {
            artifact.unread.get_or_insert(format!("there are more than {MOST}, and no more are read"));
        }
        artifact.signatures.extend(signatures.iter().take(room).cloned());
        Ok(())
    }

    async fn read(&self, digest: &str, text: Option<Vec<u8>>) -> Result<Vec<Attached>, WebError> {
        let text = match text {
            Some(text) => text,
            None => self.client.manifest(digest).await?,
        };
        let Some(Signatures { layers, annotations }) = read(&text) else {
            return Err(WebError::Failed("its manifest cannot be read".to_owned()));
        };
        if annotations.get(PREDICATE).is_some_and(|predicate| predicate != SIGN) {
            return Ok(Vec::new());
        }
        let mut found = Vec::new();
        for Layer { media_type, digest, mut annotations } in layers.into_iter().take(MOST) {
            if !is_digest(&digest) {
                continue;
            }
            match (media_type.as_str(), annotations.remove(SIGNATURE)) {
                (PAYLOAD, Some(signature)) => {
                    let payload = self.client.small(&digest, LARGEST).await?;
                    found.push(Attached::Simple { payload, signature });
                }
                (BUNDLE, _) => found.push(Attached::Bundle(self.client.small(&digest, LARGEST).await?)),
                _ => {}
            }
        }
        Ok(found)
    }
}

fn read<'a, T: Deserialize<'a>>(text: &'a [u8]) -> Option<T> {
    serde_json::from_slice(text).ok()
}

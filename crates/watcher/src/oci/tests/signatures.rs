//! What a registry shows beside a manifest is found wherever cosign puts it, within limits, and is forgotten by no failure.

use super::*;
use crate::repository::{Artifact, Attached};

const BUNDLE: &str = "application/vnd.dev.sigstore.bundle.v0.3+json";
const PAYLOAD: &str = "application/vnd.dev.cosign.simplesigning.v1+json";

impl Registry {
    fn blob(&self, media_type: &str, content: &[u8]) -> Value {
        self.put(format!("blobs/{}", digest(content)), content);
        descriptor(media_type, content)
    }

    /// A manifest of one bundle; its entry in an index.
    fn bundle(&self, content: &[u8], annotations: &Value) -> Value {
        let mut manifest = manifest(&[self.blob(BUNDLE, content)]);
        manifest["annotations"] = annotations.clone();
        let text = manifest.to_string();
        self.put(format!("manifests/{}", digest(text.as_bytes())), text.as_bytes());
        json!({"digest": digest(text.as_bytes()), "artifactType": BUNDLE})
    }

    /// What refers to a manifest, as the registry itself tells or under the tag that clients keep.
    fn refer(&self, part: &str, referrers: &[Value]) {
        self.put(part.to_owned(), json!({"manifests": referrers}).to_string().as_bytes());
    }

    /// Signatures in the older form.
    fn tag_signatures(&self, digest: &str, payloads: &[&str]) {
        let layer = |payload: &&str| {
            let mut layer = self.blob(PAYLOAD, payload.as_bytes());
            layer["annotations"] = json!({"dev.cosignproject.cosign/signature": format!("of {payload}")});
            layer
        };
        let layers: Vec<Value> = payloads.iter().map(layer).collect();
        self.put(format!("manifests/{}.sig", tag_of(digest)), manifest(&layers).to_string().as_bytes());
    }
}

fn tag_of(digest: &str) -> String {
    digest.replace(':', "-")
}

async fn artifact(repository: &OciRepository) -> Artifact {
    let resolved = look_for(repository, "1.0.0", true).await.expect("a version");
    let proof = resolved.proof.expect("it was asked for");
    proof.artifact.clone().expect("an artifact")
}

fn texts(artifact: &Artifact) -> Vec<String> {
    let text = |attached: &Attached| match attached {
        Attached::Simple { payload, signature } => {
            format!("{} {signature}", String::from_utf8_lossy(payload))
        }
        Attached::Bundle(text) => String::from_utf8_lossy(text).into_owned(),
    };
    artifact.signatures.iter().map(text).collect()
}

#[tokio::test]
async fn signatures_are_found_in_every_place() {
    let world = World::new().await;
    let registry = &world.registry;
    let signed = registry.push_files("1.0.0", FILES, &[("a.yaml", "one")]);
    let repository = world.artifact();
    let found = artifact(&repository).await;
    assert_eq!((found.digest.as_str(), found.signatures.len(), &found.unread), (signed.as_str(), 0, &None));
    assert_eq!(digest(&found.manifest), signed);

    registry.tag_signatures(&signed, &["old", "older"]);
    let old = ["old of old", "older of older"];
    assert_eq!(texts(&artifact(&repository).await), old);

    // A registry that cannot tell of referrers, and says so in the one way or the other.
    let tag = format!("manifests/{}", tag_of(&signed));
    registry.refer(&tag, &[registry.bundle(b"{1}", &json!({}))]);
    let both = ["{1}", "old of old", "older of older"];
    assert_eq!(texts(&artifact(&repository).await), both);
    let part = format!("referrers/{signed}");
    registry.put(part.clone(), b"<html>log in</html>");
    assert_eq!(texts(&artifact(&repository).await), both);
    registry.failing.lock().expect("a lock").insert(part.clone(), 405);
    assert_eq!(texts(&artifact(&repository).await), both);

    // One that can.
    registry.failing.lock().expect("a lock").clear();
    let sbom = json!({"digest": digest(b"sbom"), "artifactType": "application/spdx+json"});
    let attestation = json!({"dev.sigstore.bundle.predicateType": "https://slsa.dev/provenance/v1"});
    let referrers = [sbom, registry.bundle(b"{2}", &json!({})), registry.bundle(b"{3}", &attestation)];
    registry.refer(&part, &referrers);
    assert_eq!(texts(&artifact(&repository).await), ["{2}", "old of old", "older of older"]);
}

#[tokio::test]
async fn what_cannot_be_read_spoils_nothing_and_too_much_is_left() {
    let world = World::new().await;
    let registry = &world.registry;
    let signed = registry.push_files("1.0.0", FILES, &[("a.yaml", "one")]);
    let part = format!("referrers/{signed}");
    let good = registry.bundle(b"{good}", &json!({}));
    let large = registry.bundle(&vec![b'x'; 257 << 10], &json!({}));
    let missing = json!({"digest": digest(b"missing"), "artifactType": BUNDLE});
    let odd = json!({"digest": "sha256:../../x", "artifactType": BUNDLE});
    let lying = registry.bundle(b"{lying}", &json!({}));
    registry.put(format!("blobs/{}", digest(b"{lying}")), b"{other}");
    let repository = world.artifact();
    for (bad, reason) in
        [(large, "more than"), (missing, "does not have it"), (lying, "gave a blob of the digest")]
    {
        registry.refer(&part, &[odd.clone(), bad, good.clone()]);
        let found = artifact(&repository).await;
        assert_eq!(texts(&found), ["{good}"]);
        assert!(found.unread.as_ref().is_some_and(|told| told.contains(reason)), "{:?}", found.unread);
    }
    let many: Vec<Value> =
        (0..100).map(|number| registry.bundle(number.to_string().as_bytes(), &json!({}))).collect();
    registry.refer(&part, &many);
    registry.tag_signatures(&signed, &["one too many"]);
    registry.asked.lock().expect("a lock").clear();
    let found = artifact(&repository).await;
    assert_eq!(found.signatures.len(), 32);
    assert!(found.unread.as_ref().is_some_and(|told| told.contains("more than 32")), "{:?}", found.unread);
    assert!(registry.asked.lock().expect("a lock").len() < 80);
    registry.put(part, b"nonsense");
    assert_eq!(texts(&artifact(&repository).await), ["one too many of one too many"]);
}

#[tokio::test]
async fn what_was_read_is_not_read_again_and_outlives_a_failure() {
    let world = World::new().await;
    let registry = &world.registry;
    let signed = registry.push_files("1.0.0", FILES, &[("a.yaml", "one")]);
    let part = format!("referrers/{signed}");
    registry.refer(&part, &[registry.bundle(b"{1}", &json!({}))]);
    let repository = world.artifact();
    let first = artifact(&repository).await;
    registry.asked.lock().expect("a lock").clear();
    assert_eq!(artifact(&repository).await, first);
    let asked = registry.asked.lock().expect("a lock").clone();
    assert!(asked.len() == 4 && asked.iter().all(|path| !path.contains("/blobs/")), "{asked:?}");
    registry.failing.lock().expect("a lock").insert(part, 500);
    assert_eq!(artifact(&repository).await, first);
    // Who never saw any is told why.
    let anew = artifact(&world.artifact()).await;
    assert!(anew.signatures.is_empty() && anew.unread.is_some_and(|told| told.contains("status 500")));
}

/// A good artifact was taken for an unsigned one.
#[tokio::test]
async fn what_was_read_outlives_a_look_that_is_given_up_and_one_for_files_alone() {
    let world = World::new().await;
    let registry = &world.registry;
    let signed = registry.push_files("1.0.0", FILES, &[("a.yaml", "one")]);
    let part = format!("referrers/{signed}");
    registry.refer(&part, &[registry.bundle(b"{1}", &json!({}))]);
    let fail = |status| {
        registry.failing.lock().expect("a lock").insert(part.clone(), status);
    };
    let repository = world.artifact();
    let first = artifact(&repository).await;

    fail(NEVER);
    registry.asked.lock().expect("a lock").clear();
    let is_asked = || registry.asked.lock().expect("a lock").iter().any(|path| path.ends_with(&part));
    let asked = async {
        while !is_asked() {
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        _ = artifact(&repository) => unreachable!("the registry does not answer"),
        () = asked => {}
    }
    fail(500);
    assert_eq!(artifact(&repository).await, first);

    look_for(&repository, "1.0.0", false).await.expect("a version");
    assert_eq!(artifact(&repository).await, first);
}

#[tokio::test]
async fn a_provenance_file_is_found_beside_the_archive_of_a_chart() {
    const PROVENANCE: &str = "application/vnd.cncf.helm.chart.provenance.v1.prov";
    let world = World::new().await;
    let registry = &world.registry;
    let archive = packed(&[("web/Chart.yaml", "name: web")]);
    let layers = [registry.blob(CHART, &archive), registry.blob(PROVENANCE, b"signed")];
    let signed = registry.push("1.0.0_build", &manifest(&layers));
    let repository = world.chart();
    let chart = async |repository: &OciRepository, revision: &str| {
        let resolved = look_for(repository, revision, true).await.expect("a version");
        resolved.proof.and_then(|proof| proof.chart.clone()).expect("a chart")
    };
    let found = chart(&repository, "1.0.0+build").await;
    assert_eq!((found.name.as_str(), found.version.as_deref()), ("web", Some("1.0.0+build")));
    assert_eq!(format!("sha256:{}", found.sha256), digest(&archive));
    assert_eq!(found.provenance.as_deref(), Some(b"signed".as_slice()));
    // By its digest it is no version, and by the whole address it is the same chart.
    assert_eq!(chart(&repository, &signed).await.version, None);
    assert_eq!(chart(&world.artifact(), "1.0.0_build").await.name, "web");
    registry.put(format!("blobs/{}", digest(b"signed")), b"other");
    let lied = chart(&world.chart(), "1.0.0+build").await;
    assert!(lied.provenance.is_none() && lied.unread.is_some_and(|told| told.contains("gave a blob")));
    registry.push_files("2.0.0", FILES, &[("a.yaml", "one")]);
    let plain = look_for(&world.artifact(), "2.0.0", true).await.expect("a tag");
    assert!(plain.proof.expect("it was asked for").chart.is_none());
}

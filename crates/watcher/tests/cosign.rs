//! What cosign's keys signed counts for the manifest that it names, and for nothing else. The real `cosign` is in the
//! behaviours.

use anyhow::{Context, ensure};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use ithaca_api::project::OciDemand;
use ithaca_watcher::repository::{Artifact, Attached};
use ithaca_watcher::signature::{CosignKeys, Keyring, SignatureError, verify_artifact};
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair};
use serde_json::json;
use sha2::{Digest, Sha256};

const MANIFEST: &[u8] = br#"{"schemaVersion":2,"layers":[]}"#;
const SIGN: &str = "https://sigstore.dev/cosign/sign/v1";
const STATEMENT: &str = "application/vnd.in-toto+json";
/// What stands before the point of a P-256 key.
const SPKI: &[u8] = &[
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86,
    0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
];

/// Somebody who signs.
struct Signer {
    key: EcdsaKeyPair,
    random: SystemRandom,
}

impl Signer {
    fn new() -> anyhow::Result<Self> {
        let random = SystemRandom::new();
        let algorithm = &ECDSA_P256_SHA256_ASN1_SIGNING;
        let pkcs8 = EcdsaKeyPair::generate_pkcs8(algorithm, &random).ok().context("a key")?;
        let key = EcdsaKeyPair::from_pkcs8(algorithm, pkcs8.as_ref(), &random).ok().context("a key")?;
        Ok(Self { key, random })
    }

    fn public(&self) -> String {
        let der = [SPKI, self.key.public_key().as_ref()].concat();
        let text = BASE64_STANDARD.encode(der);
        let (first, second) = text.split_at(64);
        format!("-----BEGIN PUBLIC KEY-----\n{first}\n{second}\n-----END PUBLIC KEY-----\n")
    }

    fn sign(&self, message: &[u8]) -> anyhow::Result<String> {
        let signature = self.key.sign(&self.random, message).ok().context("a signature")?;
        Ok(BASE64_STANDARD.encode(signature))
    }

    /// The older form.
    fn simple(&self, kind: &str, digest: &str) -> anyhow::Result<Attached> {
        let payload = json!({"critical": {"type": kind, "identity": {"docker-reference": "x"},
                             "image": {"docker-manifest-digest": digest}}, "optional": null});
        let payload = payload.to_string().into_bytes();
        let signature = self.sign(&payload)?;
        Ok(Attached::Simple { payload, signature })
    }

    /// A bundle with a statement.
    fn bundle(&self, payload_type: &str, predicate: &str, digest: &str) -> anyhow::Result<Attached> {
        let hex = digest.trim_start_matches("sha256:");
        let payload = json!({"_type": "https://in-toto.io/Statement/v1", "predicateType": predicate,
                             "subject": [{"digest": {"sha512": "x"}}, {"digest": {"sha256": hex}}]});
        let payload = payload.to_string();
        let sealed = format!("DSSEv1 {} {payload_type} {} {payload}", payload_type.len(), payload.len());
        let envelope = json!({"payload": BASE64_STANDARD.encode(&payload), "payloadType": payload_type,
                              "signatures": [{"sig": "bm9uc2Vuc2U="}, {"sig": self.sign(sealed.as_bytes())?}]});
        Ok(bundle(&json!({"verificationMaterial": {}, "dsseEnvelope": envelope})))
    }

    /// A bundle with a signature of the manifest itself.
    fn message(&self, manifest: &[u8]) -> anyhow::Result<Attached> {
        Ok(bundle(&json!({"messageSignature": {"signature": self.sign(manifest)?}})))
    }
}

fn bundle(value: &serde_json::Value) -> Attached {
    Attached::Bundle(value.to_string().into_bytes())
}

fn digest() -> String {
    format!("sha256:{}", hex::encode(Sha256::digest(MANIFEST)))
}

fn keyring(keys: &[(&str, &str)]) -> anyhow::Result<Keyring> {
    let (cosign, unreadable) = CosignKeys::read(keys.iter().copied());
    ensure!(unreadable.is_empty(), "{unreadable:?}");
    Ok(Keyring { cosign, ..Keyring::default() })
}

fn verify(signatures: Vec<Attached>, permitted: &[&str], keyring: &Keyring) -> Result<(), SignatureError> {
    let artifact = Artifact { digest: digest(), manifest: MANIFEST.to_vec(), signatures, unread: None };
    let keys = permitted.iter().map(|name| (*name).to_owned()).collect();
    verify_artifact(&artifact, &OciDemand { keys }, keyring)
}

fn refused(result: Result<(), SignatureError>, word: &str) -> anyhow::Result<()> {
    let error = result.err().with_context(|| format!("it should be refused: {word}"))?.to_string();
    ensure!(error.contains(word), "{error}");
    Ok(())
}

#[test]
fn a_signature_counts_in_every_form_and_beside_others() -> anyhow::Result<()> {
    let (team, other) = (Signer::new()?, Signer::new()?);
    let keyring = keyring(&[("team", &team.public()), ("other", &other.public())])?;
    let kind = "cosign container image signature";
    let good =
        [team.simple(kind, &digest())?, team.bundle(STATEMENT, SIGN, &digest())?, team.message(MANIFEST)?];
    for signature in good {
        verify(vec![signature.clone()], &["team"], &keyring)?;
        verify(vec![signature.clone()], &["other", "team"], &keyring)?;
        refused(verify(vec![signature.clone()], &["other"], &keyring), "none of the keys")?;
        refused(verify(vec![signature.clone()], &[], &keyring), "none of the keys")?;
        let junk = bundle(&json!({"messageSignature": 7}));
        let foreign = other.simple(kind, &digest())?;
        verify(vec![junk, foreign, signature], &["team"], &keyring)?;
    }
    refused(verify(Vec::new(), &["team"], &keyring), "is not signed")
}

#[test]
fn what_was_signed_for_something_else_does_not_count() -> anyhow::Result<()> {
    let team = Signer::new()?;
    let keyring = keyring(&[("team", &team.public())])?;
    let other = format!("sha256:{}", "0a".repeat(32));
    let kind = "cosign container image signature";
    for (signature, word) in [
        (team.simple(kind, &other)?, "it is for sha256:0a0a"),
        (team.simple("atomic container signature", &digest())?, "approves nothing"),
        (team.bundle(STATEMENT, SIGN, &other)?, "it is for sha256:0a0a"),
        (team.bundle(STATEMENT, "https://slsa.dev/provenance/v1", &digest())?, "slsa.dev"),
        (team.bundle("text/plain", SIGN, &digest())?, "of type text/plain"),
        (team.message(b"{}")?, "none of the keys"),
        (bundle(&json!({})), "its bundle holds none"),
        (Attached::Bundle(b"<html>".to_vec()), "cannot be read"),
    ] {
        refused(verify(vec![signature.clone()], &["team"], &keyring), word)
            .with_context(|| format!("{signature:?}"))?;
    }
    // A good signature under a payload that was changed afterwards.
    let Attached::Simple { signature, .. } = team.simple(kind, &other)? else {
        anyhow::bail!("no such form")
    };
    let Attached::Simple { payload, .. } = team.simple(kind, &digest())? else {
        anyhow::bail!("no such form")
    };
    refused(verify(vec![Attached::Simple { payload, signature }], &["team"], &keyring), "none of the keys")
}

#[test]
fn keys_are_known_by_name_and_may_follow_one_another() -> anyhow::Result<()> {
    let (old, new) = (Signer::new()?, Signer::new()?);
    let signature = || old.message(MANIFEST);
    let both = format!("{}{}", old.public(), new.public());
    verify(vec![signature()?], &["team"], &keyring(&[("team", &both)])?)?;
    refused(
        verify(vec![signature()?], &["team"], &keyring(&[("team", &new.public())])?),
        "none of the keys",
    )?;
    let elsewhere = keyring(&[("elsewhere", &old.public())])?;
    refused(verify(vec![signature()?], &["team"], &elsewhere), "not in ConfigMap ithaca-cosign-keys")?;
    let (_, unreadable) =
        CosignKeys::read([("team", "-----BEGIN PUBLIC KEY-----\nx\n-----END PUBLIC KEY-----")]);
    ensure!(unreadable.len() == 1 && unreadable[0].contains("entry team"), "{unreadable:?}");
    Ok(())
}

#[test]
fn a_signature_that_could_not_be_read_is_told_of() -> anyhow::Result<()> {
    let team = Signer::new()?;
    let unread = Some("sha256:00: the server does not have it".to_owned());
    let artifact = Artifact { digest: digest(), unread, ..Artifact::default() };
    let demand = OciDemand { keys: vec!["team".to_owned()] };
    let keyring = keyring(&[("team", &team.public())])?;
    refused(verify_artifact(&artifact, &demand, &keyring), "does not have it")
}

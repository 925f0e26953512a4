//! cosign: public keys, and signatures of manifests in both forms that `cosign sign --key` writes.
//!
//! A signature counts only for the manifest that it names itself. What certificates and transparency logs say plays no
//! part: a key that is given is trusted.

use std::collections::BTreeMap;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use ed25519_dalek::{Digest, Sha512, Signature, VerifyingKey};
use ring::signature::{
    ECDSA_P256_SHA256_ASN1, ECDSA_P384_SHA256_ASN1, ECDSA_P384_SHA384_ASN1, ED25519,
    RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey, VerificationAlgorithm,
};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;
use spki::SubjectPublicKeyInfoOwned;
use spki::der::DecodePem;
use spki::der::oid::ObjectIdentifier;

use super::error::{KeyName, SignatureError};
use crate::repository::{Artifact, Attached};

/// Where keys are.
pub const CONFIG_MAP: &str = "ithaca-cosign-keys";

/// What a key ends with.
const END: &str = "-----END PUBLIC KEY-----";
/// What a payload says that it is.
const SIMPLE: &str = "cosign container image signature";
/// The same in a statement. All others are attestations: they tell of an artifact, good or bad, and do not approve it.
const SIGN: &str = "https://sigstore.dev/cosign/sign/v1";
/// What an envelope holds.
const STATEMENT: &str = "application/vnd.in-toto+json";

/// The keys that are known, by name.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CosignKeys {
    keys: BTreeMap<String, Vec<Key>>,
}

#[derive(Clone, Debug, PartialEq)]
struct Key {
    kind: Kind,
    bytes: Vec<u8>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    P256,
    P384,
    Rsa,
    Ed25519,
}

impl CosignKeys {
    /// Reads named texts of one or more public keys in PEM each, and says which cannot be read.
    pub fn read<'a>(texts: impl IntoIterator<Item = (&'a str, &'a str)>) -> (Self, Vec<String>) {
        let (mut known, mut unreadable) = (Self::default(), Vec::new());
        for (name, text) in texts {
            for block in text.split_inclusive(END).map(str::trim).filter(|block| !block.is_empty()) {
                match Key::read(block) {
                    Ok(key) => known.keys.entry(name.to_owned()).or_default().push(key),
                    Err(reason) => unreadable.push(format!("entry {name}: {reason}")),
                }
            }
        }
        (known, unreadable)
    }

    /// Verifies that one of the permitted keys signed an artifact.
    pub(super) fn verify(&self, artifact: &Artifact, permitted: &[String]) -> Result<(), SignatureError> {
        let known = permitted.iter().filter_map(|name| Some((name, self.keys.get(name)?)));
        let keys: Vec<(&String, &Key)> =
            known.flat_map(|(name, keys)| keys.iter().map(move |key| (name, key))).collect();
        if keys.is_empty() && !permitted.is_empty() {
            return Err(SignatureError::NoKey { names: permitted.join(", "), config_map: CONFIG_MAP });
        }
        let mut failure = None;
        for attached in &artifact.signatures {
            match check(attached, artifact, &keys) {
                Ok(()) => return Ok(()),
                // That a permitted key signed something else says most.
                Err(error @ SignatureError::Elsewhere { .. }) => failure = Some(error),
                Err(error) => failure = failure.or(Some(error)),
            }
        }
        let unread = || artifact.unread.clone().map(SignatureError::Unreadable);
        Err(failure.or_else(unread).unwrap_or(SignatureError::Unsigned))
    }
}

impl Key {
    fn read(pem: &str) -> Result<Self, String> {
        let unreadable = |error: spki::der::Error| format!("it is no public key in PEM: {error}");
        let read = SubjectPublicKeyInfoOwned::from_pem(pem).map_err(unreadable)?;
        let curve = || read.algorithm.parameters.as_ref()?.decode_as::<ObjectIdentifier>().ok();
        let kind = match read.algorithm.oid.to_string().as_str() {
            "1.2.840.10045.2.1" => match curve().map(|curve| curve.to_string()).as_deref() {
                Some("1.2.840.10045.3.1.7") => Kind::P256,
                Some("1.3.132.0.34") => Kind::P384,
                _ => return Err("its curve is neither P-256 nor P-384".to_owned()),
            },
            "1.2.840.113549.1.1.1" => Kind::Rsa,
            "1.3.101.112" => Kind::Ed25519,
            other => return Err(format!("its algorithm, {other}, is none of ECDSA, RSA and Ed25519")),
        };
        let bytes = read.subject_public_key.as_bytes().ok_or("its bits are no bytes")?;
        Ok(Self { kind, bytes: bytes.to_vec() })
    }

    fn made(&self, message: &[u8], signature: &[u8]) -> bool {
        let by = |algorithm: &'static dyn VerificationAlgorithm| {
            UnparsedPublicKey::new(algorithm, &self.bytes).verify(message, signature).is_ok()
        };
        match self.kind {
            Kind::P256 => by(&ECDSA_P256_SHA256_ASN1),
            // cosign has hashed for it in both ways.
            Kind::P384 => by(&ECDSA_P384_SHA384_ASN1) || by(&ECDSA_P384_SHA256_ASN1),
            Kind::Rsa => by(&RSA_PKCS1_2048_8192_SHA256),
            Kind::Ed25519 => by(&ED25519) || self.made_of_hash(message, signature).is_some(),
        }
    }

    /// Ed25519 over a hash, as cosign signs bundles.
    fn made_of_hash(&self, message: &[u8], signature: &[u8]) -> Option<()> {
        let key = VerifyingKey::try_from(self.bytes.as_slice()).ok()?;
        let signature = Signature::from_slice(signature).ok()?;
        key.verify_prehashed(Sha512::new_with_prefix(message), None, &signature).ok()
    }
}

/// The payload of the older form.
#[derive(Deserialize)]
struct Simple {
    critical: Critical,
}

#[derive(Deserialize)]
struct Critical {
    image: Image,
    r#type: String,
}

#[derive(Deserialize)]
struct Image {
    #[serde(rename = "docker-manifest-digest")]
    digest: String,
}

/// A bundle, as far as it is read.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Bundle<'a> {
    #[serde(borrow)]
    dsse_envelope: Option<&'a RawValue>,
    #[serde(borrow)]
    message_signature: Option<&'a RawValue>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Envelope {
    payload: String,
    payload_type: String,
    signatures: Vec<EnvelopeSignature>,
}

#[derive(Deserialize)]
struct EnvelopeSignature {
    sig: String,
}

#[derive(Deserialize)]
struct Message {
    signature: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Statement {
    predicate_type: String,
    subject: Vec<Subject>,
}

#[derive(Deserialize)]
struct Subject {
    #[serde(default)]
    digest: BTreeMap<String, String>,
}

/// Who signed, then for what: nothing that is within is believed before.
fn check(attached: &Attached, artifact: &Artifact, keys: &[(&String, &Key)]) -> Result<(), SignatureError> {
    let maker = |message: &[u8], signatures: &[Vec<u8>]| {
        let made = |key: &&Key| signatures.iter().any(|signature| key.made(message, signature));
        let found = keys.iter().find(|(_, key)| made(key));
        let name = |(name, _): &(&String, &Key)| KeyName { kind: "cosign", id: (*name).clone(), owner: None };
        found.map(name).ok_or(SignatureError::NotByThese)
    };
    match attached {
        Attached::Simple { payload, signature } => {
            let key = maker(payload, &[decoded(signature)?])?;
            let Critical { image, r#type } = read::<Simple>(payload)?.critical;
            is_for(key, (&r#type, SIMPLE), &[&image.digest], artifact)
        }
        Attached::Bundle(text) => {
            let bundle: Bundle<'_> =
                serde_json::from_slice(text).map_err(|error| unreadable(&error.to_string()))?;
            match (bundle.dsse_envelope, bundle.message_signature) {
                (Some(envelope), _) => {
                    let Envelope { payload, payload_type, signatures } = read(envelope.get().as_bytes())?;
                    let payload = decoded(&payload)?;
                    let signatures: Vec<Vec<u8>> = signatures
                        .iter()
                        .map(|signature| decoded(&signature.sig))
                        .collect::<Result<_, _>>()?;
                    let key = maker(&sealed(&payload_type, &payload), &signatures)?;
                    if payload_type != STATEMENT {
                        return Err(elsewhere(key, format!("what was signed is of type {payload_type}")));
                    }
                    let statement: Statement = read(&payload)?;
                    let digests = statement.subject.iter().filter_map(|subject| subject.digest.get("sha256"));
                    let digests: Vec<String> = digests.map(|digest| format!("sha256:{digest}")).collect();
                    let digests: Vec<&str> = digests.iter().map(String::as_str).collect();
                    is_for(key, (&statement.predicate_type, SIGN), &digests, artifact)
                }
                // What was signed is the manifest itself.
                (None, Some(message)) => {
                    let message: Message = read(message.get().as_bytes())?;
                    maker(&artifact.manifest, &[decoded(&message.signature)?]).map(drop)
                }
                (None, None) => Err(unreadable("its bundle holds none")),
            }
        }
    }
}

/// Whether what was signed is a signature, and for an artifact.
fn is_for(
    key: KeyName,
    (kind, wanted): (&str, &str),
    digests: &[&str],
    artifact: &Artifact,
) -> Result<(), SignatureError> {
    if kind != wanted {
        return Err(elsewhere(key, format!("it is {kind:?}, which approves nothing")));
    }
    if !digests.contains(&artifact.digest.as_str()) {
        return Err(elsewhere(key, format!("it is for {}", digests.join(", "))));
    }
    Ok(())
}

fn elsewhere(key: KeyName, reason: String) -> SignatureError {
    SignatureError::Elsewhere { key, reason }
}

/// What is signed of an envelope: its type and its payload, each with its length.
fn sealed(payload_type: &str, payload: &[u8]) -> Vec<u8> {
    let head = format!("DSSEv1 {} {payload_type} {} ", payload_type.len(), payload.len());
    [head.as_bytes(), payload].concat()
}

fn read<T: DeserializeOwned>(text: &[u8]) -> Result<T, SignatureError> {
    serde_json::from_slice(text).map_err(|error| unreadable(&error.to_string()))
}

fn decoded(text: &str) -> Result<Vec<u8>, SignatureError> {
    BASE64_STANDARD.decode(text.trim()).map_err(|error| unreadable(&error.to_string()))
}

fn unreadable(reason: &str) -> SignatureError {
    SignatureError::Unreadable(reason.to_owned())
}

//! What is signed against what a project asks and the keys that are known.

use ithaca_api::project::{GitDemand, HelmDemand, OciDemand};

use super::error::SignatureError;
use super::validity::Moments;
use super::{AllowedSigners, CosignKeys, OpenPgpKeys, provenance};
use crate::repository::{Artifact, ChartArchive};

/// What OpenPGP signatures begin with; the second is of old versions.
const OPENPGP: [&str; 2] = ["-----BEGIN PGP SIGNATURE-----", "-----BEGIN PGP MESSAGE-----"];
/// What SSH signatures begin with.
const SSH: &str = "-----BEGIN SSH SIGNATURE-----";

/// The trailer of a commit whose author vouches for all that is before it, as Argo CD has it.
const SEAL: &[u8] = b"argocd-gpg-seal:";

/// The installation's keys.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Keyring {
    /// For signatures of `gpg`.
    pub openpgp: OpenPgpKeys,
    /// For signatures of `ssh-keygen`.
    pub ssh: AllowedSigners,
    /// For signatures of `cosign`.
    pub cosign: CosignKeys,
}

/// A commit or a tag, taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signed {
    /// What was signed.
    pub payload: Vec<u8>,
    /// The armoured signature; None where there is none.
    pub signature: Option<String>,
    /// When it says that it was made, in seconds since the epoch.
    pub made: i64,
}

impl Signed {
    /// Takes a tag apart: its signature is the end of its message.
    pub fn of_tag(content: &[u8], made: i64) -> Self {
        let starts = OPENPGP.iter().chain([&SSH]).filter_map(|start| {
            // Only what begins a line is one; where there are several, Git takes the last.
            let places = memchr::memmem::find_iter(content, start.as_bytes());
            places.filter(|place| *place == 0 || content[place - 1] == b'\n').last()
        });
        match starts.max() {
            Some(start) => Self {
                payload: content[..start].to_vec(),
                signature: Some(String::from_utf8_lossy(&content[start..]).into_owned()),
                made,
            },
            None => Self { payload: content.to_vec(), signature: None, made },
        }
    }
}

/// Whether an object is signed as asked. `now` is given where the key has to be valid now too.
///
/// # Errors
/// Why it is not.
pub fn verify(
    signed: &Signed,
    demand: &GitDemand,
    keyring: &Keyring,
    now: Option<i64>,
) -> Result<(), SignatureError> {
    let signature = signed.signature.as_deref().ok_or(SignatureError::Unsigned)?;
    let moments = Moments { made: signed.made, now };
    if OPENPGP.iter().any(|start| signature.starts_with(start)) {
        let Some(permitted) = &demand.keys else { return Err(SignatureError::KindNotPermitted("OpenPGP")) };
        return keyring.openpgp.verify(&signed.payload, signature, moments, permitted);
    }
    if signature.starts_with(SSH) {
        let Some(permitted) = &demand.signers else { return Err(SignatureError::KindNotPermitted("SSH")) };
        return keyring.ssh.verify(&signed.payload, signature, moments, permitted);
    }
    Err(SignatureError::Unreadable("it is neither OpenPGP's nor SSH's".to_owned()))
}

/// Whether a commit's message says that its author vouches for all that it descends from.
pub fn vouches(message: &[u8]) -> bool {
    let begins = |line: &[u8]| line.get(..SEAL.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(SEAL));
    message.split(|byte| *byte == b'\n').any(begins)
}

/// Whether an artifact is signed as asked.
///
/// # Errors
/// Why it is not.
pub fn verify_artifact(
    artifact: &Artifact,
    demand: &OciDemand,
    keyring: &Keyring,
) -> Result<(), SignatureError> {
    keyring.cosign.verify(artifact, &demand.keys)
}

/// Whether the archive of a chart has a provenance file as asked.
///
/// # Errors
/// Why it has none.
pub fn verify_chart(
    chart: &ChartArchive,
    demand: &HelmDemand,
    keyring: &Keyring,
    now: i64,
) -> Result<(), SignatureError> {
    provenance::verify(chart, &demand.keys, &keyring.openpgp, now)
}

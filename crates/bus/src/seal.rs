//! Contents that only renderers and appliers can read: a key comes in, sealed bytes go out, and back.
//!
//! A seal is bound to what it is about, so nobody can put one application's content in the place of another's. What it
//! does not do: keep the key, or say who has it.

use std::fmt;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::rand::{SecureRandom, SystemRandom};
use sha2::{Digest, Sha256};

/// Bytes of a key.
const KEY: usize = 32;

/// What renderers and appliers are told of the key.
#[derive(Clone, Debug, Default, clap::Args)]
#[group(skip)]
pub struct SealArgs {
    /// Key that bundles are sealed with, 32 bytes in base64; renderers and appliers need the same. Better given in the
    /// environment, where nobody lists it. Without one bundles are not sealed
    #[arg(long, env = "ITHACA_BUNDLE_KEY", hide_env_values = true, help_heading = "Bus")]
    pub bundle_key: Option<String>,
}

impl SealArgs {
    /// The seal, where there is a key.
    ///
    /// # Errors
    /// When the key is none.
    pub fn seal(&self) -> Result<Option<Seal>, SealError> {
        self.bundle_key.as_deref().map(Seal::parse).transpose()
    }
}

/// Why contents cannot be sealed or opened.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// Not a key.
    #[error(
        "failed to read the key of bundles: it must be {KEY} bytes in base64, as `openssl rand -base64 {KEY}` makes them"
    )]
    Key,
    /// No random numbers.
    #[error("failed to seal a bundle: the system gives no random numbers")]
    Random,
    /// Content without a seal, from before there was a key or from somebody who has none.
    #[error("the bundle is not sealed: restart the watcher, and it is rendered anew")]
    Missing,
    /// Content sealed by another key.
    #[error("the bundle is sealed with another key: restart renderer and watcher, and it is rendered anew")]
    Other,
    /// Content that was changed or moved.
    #[error("the bundle's seal is broken: somebody else has written to the bus")]
    Broken,
}

/// Seals and opens; cheap to clone, and not shown.
#[derive(Clone)]
pub struct Seal {
    key: Arc<LessSafeKey>,
    id: Arc<str>,
}

impl fmt::Debug for Seal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Seal({})", self.id)
    }
}

impl Seal {
    /// A key in base64.
    ///
    /// # Errors
    /// When it is none.
    pub fn parse(text: &str) -> Result<Self, SealError> {
        let bytes = STANDARD.decode(text.trim()).map_err(|_| SealError::Key)?;
        let key = UnboundKey::new(&AES_256_GCM, &bytes).map_err(|_| SealError::Key)?;
        let id = hex::encode(&Sha256::digest(&bytes)[..8]).into();
        Ok(Self { key: Arc::new(LessSafeKey::new(key)), id })
    }

    /// A new key, in base64.
    ///
    /// # Errors
    /// When the system gives no random numbers.
    pub fn new_key() -> Result<String, SealError> {
        let mut bytes = [0; KEY];
        SystemRandom::new().fill(&mut bytes).map_err(|_| SealError::Random)?;
        Ok(STANDARD.encode(bytes))
    }

    /// What tells one key from another, and tells nothing of it.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Seals bytes that are about something.
    pub(crate) fn close(&self, about: &str, mut bytes: Vec<u8>) -> Result<Vec<u8>, SealError> {
        let mut nonce = [0; NONCE_LEN];
        SystemRandom::new().fill(&mut nonce).map_err(|_| SealError::Random)?;
        let aad = Aad::from(about.as_bytes());
        let tag = self.key.seal_in_place_separate_tag(Nonce::assume_unique_for_key(nonce), aad, &mut bytes);
        let tag = tag.map_err(|_| SealError::Random)?;
        Ok([nonce.as_slice(), &bytes, tag.as_ref()].concat())
    }

    /// What was sealed about the same thing.
    pub(crate) fn open(&self, about: &str, sealed: &[u8]) -> Result<Vec<u8>, SealError> {
        let (nonce, sealed) = sealed.split_at_checked(NONCE_LEN).ok_or(SealError::Broken)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| SealError::Broken)?;
        let mut bytes = sealed.to_vec();
        let opened = self.key.open_in_place(nonce, Aad::from(about.as_bytes()), &mut bytes);
        let length = opened.map_err(|_| SealError::Broken)?.len();
        bytes.truncate(length);
        Ok(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seal() -> Seal {
        Seal::parse(&Seal::new_key().expect("a key")).expect("a seal")
    }

    #[test]
    fn what_was_sealed_opens_with_its_key_at_its_place_alone() {
        let (one, other) = (seal(), seal());
        let sealed = one.close("web", b"secret".to_vec()).expect("sealed");
        assert!(!sealed.windows(6).any(|part| part == b"secret"));
        assert_eq!(one.open("web", &sealed).as_deref(), Ok(b"secret".as_slice()));
        assert_eq!(one.open("shop", &sealed), Err(SealError::Broken));
        assert_eq!(other.open("web", &sealed), Err(SealError::Broken));
        assert_eq!(one.open("web", &sealed[..5]), Err(SealError::Broken));
        let mut changed = sealed.clone();
        changed[NONCE_LEN] ^= 1;
        assert_eq!(one.open("web", &changed), Err(SealError::Broken));
        assert_ne!(sealed, one.close("web", b"secret".to_vec()).expect("sealed"), "a nonce came twice");
    }

    #[test]
    fn only_keys_of_the_right_length_are_keys() {
        for text in ["", "c2hvcnQ=", "no base64!"] {
            assert_eq!(Seal::parse(text).map(|_| ()), Err(SealError::Key), "{text}");
        }
        let key = Seal::new_key().expect("a key");
        assert_eq!(
            Seal::parse(&key).map(|seal| seal.id().to_owned()),
            Seal::parse(&format!(" {key}\n")).map(|seal| seal.id().to_owned())
        );
        assert!(!format!("{:?}", Seal::parse(&key)).contains(&key));
    }
}

//! What an encrypted file says of itself: its part named `sops` comes in, the key of its values goes out.

use serde::{Deserialize, Deserializer};

use super::cipher::Mac;
use super::error::SopsError;
use super::keys::Keys;

/// How a file is encrypted.
#[derive(Clone, Debug, Default, Deserialize)]
pub(super) struct Metadata {
    #[serde(default, deserialize_with = "or_default")]
    pub(super) age: Vec<Age>,
    #[serde(default)]
    pub(super) lastmodified: String,
    #[serde(default)]
    pub(super) mac: String,
    #[serde(default)]
    pub(super) mac_only_encrypted: bool,
    #[serde(default, deserialize_with = "or_default")]
    pub(super) key_groups: Vec<serde::de::IgnoredAny>,
}

/// The data key, encrypted for one recipient.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub(super) struct Age {
    #[serde(default)]
    pub(super) recipient: String,
    #[serde(default)]
    pub(super) enc: String,
}

impl Metadata {
    /// The key of the values.
    pub(super) fn data_key(&self, keys: &Keys) -> Result<Vec<u8>, SopsError> {
        if self.key_groups.len() > 1 {
            return Err(SopsError::Format("keys that are divided among groups are not supported"));
        }
        if self.age.is_empty() {
            return Err(SopsError::OtherKeys);
        }
        let recipients = || {
            let names: Vec<_> = self.age.iter().map(|age| age.recipient.as_str()).collect();
            names.join(", ")
        };
        if keys.is_empty() {
            return Err(SopsError::NoKeys { recipients: recipients() });
        }
        let found = self.age.iter().find_map(|age| keys.decrypt(&age.enc));
        found.ok_or_else(|| SopsError::WrongKey { recipients: recipients() })
    }

    /// Whether the MAC of the values is the one that was written.
    pub(super) fn check(&self, cipher: &super::Cipher, mac: Mac) -> Result<(), SopsError> {
        let written = cipher.decrypt(&self.mac, &self.lastmodified).map_err(|_| SopsError::Mac)?;
        let is_same = |written: &[u8]| mac.hex().as_bytes().eq_ignore_ascii_case(written);
        if written.is_some_and(|written| is_same(written.bytes())) { Ok(()) } else { Err(SopsError::Mac) }
    }
}

/// Lists that are not used are written as null.
fn or_default<'de, D: Deserializer<'de>, T: Default + Deserialize<'de>>(
    deserializer: D,
) -> Result<T, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

//! SOPS: files that are encrypted in the repository come in, with age keys; what their authors wrote goes out.
//!
//! The format is recognised by the content: YAML, JSON, dotenv, and anything else in SOPS's JSON envelope. A file is
//! given whole or not at all: every value has to decrypt at its own place, and the file's MAC has to hold.
//! What it does not do: encrypt, or ask key services. Format: <https://getsops.io/docs/>.

mod cipher;
mod dotenv;
mod error;
mod follow;
mod json;
mod keys;
mod metadata;
mod tree;
mod yaml;

pub use error::SopsError;
pub use follow::watch_keys;
pub use keys::Keys;

use cipher::{Cipher, Mac};
use metadata::Metadata;

/// What each encrypted value begins with.
const VALUE: &[u8] = b"ENC[AES256_GCM,";

/// The key, or the prefix of keys, under which a file says how it is encrypted.
const METADATA: &str = "sops";

/// Decrypts a file where it is encrypted; None where it is not.
///
/// # Errors
/// When no key fits, a value or the MAC does not hold, or the format is none that is known.
pub fn decrypt(path: &str, content: &[u8], keys: &Keys) -> Result<Option<Vec<u8>>, SopsError> {
    // Most files are not encrypted, and cost one look.
    if memchr::memmem::find(content, VALUE).is_none() {
        return Ok(None);
    }
    let Ok(text) = std::str::from_utf8(content) else { return Ok(None) };
    if text.trim_start().starts_with('{') {
        return json::decrypt(path, text, keys);
    }
    if dotenv::is_encrypted(text) {
        return dotenv::decrypt(text, keys).map(Some);
    }
    if text.lines().any(|line| line.trim() == "[sops]") {
        return Err(SopsError::Format("files in the INI format are not supported"));
    }
    yaml::decrypt(path, text, keys)
}

/// What values are decrypted with, and the running MAC, of a file that says this of itself.
fn open(metadata: &Metadata, keys: &Keys) -> Result<(Cipher, Mac), SopsError> {
    let cipher = Cipher::new(&metadata.data_key(keys)?)?;
    Ok((cipher, Mac::new(metadata.mac_only_encrypted)))
}

//! One encrypted value: its text and its place come in, what it was goes out. And the MAC over all values.

use aes_gcm::aead::consts::U32;
use aes_gcm::aead::{Aead, KeyInit, Payload};
use aes_gcm::aes::Aes256;
use aes_gcm::{AesGcm, Nonce};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha512};

use super::error::SopsError;

/// SOPS's nonces have 32 bytes, where most of the world has 12.
type Aes = AesGcm<Aes256, U32>;

/// What a MAC over encrypted values alone begins with, so that it never equals one over all values.
const ONLY_ENCRYPTED: [u8; 32] = [
    0x8a, 0x3f, 0xd2, 0xad, 0x54, 0xce, 0x66, 0x52, 0x7b, 0x10, 0x34, 0xf3, 0xd1, 0x47, 0xbe, 0x0b, 0x0b,
    0x97, 0x5b, 0x3b, 0xf4, 0x4f, 0x72, 0xc6, 0xfd, 0xad, 0xec, 0x81, 0x76, 0xf2, 0x7d, 0x69,
];

/// A value as it was before it was encrypted.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Plain {
    /// Text, which may be any bytes.
    Text(Vec<u8>),
    /// A number, as it is written.
    Number(String),
    /// True or false.
    Bool(bool),
    /// Nothing.
    Null,
}

impl Plain {
    /// The bytes that a text has, and none of what is no text.
    pub(super) fn bytes(&self) -> &[u8] {
        if let Self::Text(bytes) = self { bytes } else { &[] }
    }
}

/// Decrypts the values of one file.
pub(super) struct Cipher(Aes);

impl Cipher {
    pub(super) fn new(key: &[u8]) -> Result<Self, SopsError> {
        let cipher = Aes::new_from_slice(key);
        cipher.map(Self).map_err(|_| SopsError::Metadata("the data key has a wrong length".to_owned()))
    }

    /// What `text` was at a place; None where it is not encrypted. The error tells nothing.
    pub(super) fn decrypt(&self, text: &str, place: &str) -> Result<Option<Plain>, Undecipherable> {
        let Some(parts) = text.strip_prefix("ENC[AES256_GCM,").and_then(|rest| rest.strip_suffix(']')) else {
            return Ok(None);
        };
        let mut named = parts.split(',').map(|part| part.split_once(':').unwrap_or((part, "")));
        let mut part = |name: &str| match named.next() {
            Some((found, value)) if found == name => Ok(value),
            _ => Err(Undecipherable),
        };
        let (data, nonce, tag, kind) = (part("data")?, part("iv")?, part("tag")?, part("type")?);
        let decode = |text: &str| STANDARD.decode(text).map_err(|_| Undecipherable);
        let (mut sealed, nonce) = (decode(data)?, decode(nonce)?);
        sealed.extend(decode(tag)?);
        let nonce = Nonce::<U32>::try_from(nonce.as_slice()).map_err(|_| Undecipherable)?;
        let payload = Payload { msg: &sealed, aad: place.as_bytes() };
        let bytes = self.0.decrypt(&nonce, payload).map_err(|_| Undecipherable)?;
        let text = |bytes| String::from_utf8(bytes).map_err(|_| Undecipherable);
        Ok(Some(match kind {
            "str" | "bytes" | "comment" => Plain::Text(bytes),
            "int" | "int64" | "float" => Plain::Number(text(bytes)?),
            "bool" => Plain::Bool(text(bytes)?.eq_ignore_ascii_case("true")),
            "time" => Plain::Text(bytes),
            _ => return Err(Undecipherable),
        }))
    }
}

/// A value that does not decrypt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Undecipherable;

/// The MAC over the values of a file, in the order in which they stand there.
pub(super) struct Mac {
    hash: Sha512,
    only_encrypted: bool,
}

impl Mac {
    pub(super) fn new(only_encrypted: bool) -> Self {
        let mut hash = Sha512::new();
        if only_encrypted {
            hash.update(ONLY_ENCRYPTED);
        }
        Self { hash, only_encrypted }
    }

    /// Takes the next value.
    pub(super) fn add(&mut self, value: &Plain, was_encrypted: bool) {
        if self.only_encrypted && !was_encrypted {
            return;
        }
        match value {
            Plain::Text(bytes) => self.hash.update(bytes),
            Plain::Number(digits) => self.hash.update(number(digits)),
            Plain::Bool(true) => self.hash.update("True"),
            Plain::Bool(false) => self.hash.update("False"),
            Plain::Null => {}
        }
    }

    pub(super) fn hex(self) -> String {
        hex::encode(self.hash.finalize())
    }
}

/// A number as SOPS counts it: whole ones by their digits, others in full without an exponent.
fn number(text: &str) -> String {
    match (text.parse::<i64>(), text.parse::<f64>()) {
        (Ok(whole), _) => whole.to_string(),
        (_, Ok(number)) => number.to_string(),
        _ => text.to_owned(),
    }
}

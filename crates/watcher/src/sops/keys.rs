//! The age keys that files are decrypted with: lines of text come in, data keys of files go out.

use std::io::Read as _;
use std::sync::Arc;

use age::armor::ArmoredReader;
use age::x25519::Identity;

/// Longer data keys are none.
const LONGEST_DATA_KEY: u64 = 1 << 10;

/// Keys, or none; cheap to clone. Not shown, not even for debugging.
#[derive(Clone, Default)]
pub struct Keys {
    identities: Arc<[Identity]>,
}

impl Keys {
    /// From files of keys as `age-keygen` writes them. Says of lines that are no keys where they are, never what they are.
    pub fn read<'a>(files: impl IntoIterator<Item = (&'a str, &'a str)>) -> (Self, Vec<String>) {
        let mut identities = Vec::new();
        let mut unreadable = Vec::new();
        for (name, text) in files {
            for (index, line) in text.lines().map(str::trim).enumerate() {
                if line.is_empty() || line.starts_with('#') {
                    continue;
                }
                match line.parse() {
                    Ok(identity) => identities.push(identity),
                    Err(_) => unreadable.push(format!("line {} of {name} is no age key", index + 1)),
                }
            }
        }
        (Self { identities: identities.into() }, unreadable)
    }

    /// True where there are none.
    pub fn is_empty(&self) -> bool {
        self.identities.is_empty()
    }

    /// The public halves, sorted: what tells one set of keys from another.
    pub fn recipients(&self) -> Vec<String> {
        let mut recipients: Vec<_> =
            self.identities.iter().map(|identity| identity.to_public().to_string()).collect();
        recipients.sort();
        recipients
    }

    /// What is inside an armoured age file; None where no key fits.
    pub(super) fn decrypt(&self, armoured: &str) -> Option<Vec<u8>> {
        let decryptor = age::Decryptor::new(ArmoredReader::new(armoured.as_bytes())).ok()?;
        let identities = self.identities.iter().map(|identity| identity as &dyn age::Identity);
        let mut plain = Vec::new();
        decryptor.decrypt(identities).ok()?.take(LONGEST_DATA_KEY).read_to_end(&mut plain).ok()?;
        Some(plain)
    }
}

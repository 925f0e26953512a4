//! Why an encrypted file is not given.

/// A failure of one file, in the words of whoever committed it. No value and no key is ever named.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SopsError {
    /// Something that cannot be read at all.
    #[error("{0}")]
    Format(&'static str),
    /// The text has no meaning in its format.
    #[error("it cannot be read: {0}")]
    Syntax(String),
    /// What the file says of its encryption.
    #[error("its part \"sops\" cannot be read: {0}")]
    Metadata(String),
    /// Nobody gave a key.
    #[error("there is no age key: create the Secret sops-age with the key that belongs to {recipients}")]
    NoKeys {
        /// For whom it is encrypted.
        recipients: String,
    },
    /// None of the keys is the right one.
    #[error("no age key of the Secret sops-age fits: it is encrypted for {recipients}")]
    WrongKey {
        /// For whom it is encrypted.
        recipients: String,
    },
    /// Encrypted for other kinds of keys alone.
    #[error("it is encrypted for no age key, and others are not supported: add an age recipient")]
    OtherKeys,
    /// A value that was tampered with, or moved.
    #[error("the value at \"{place}\" does not decrypt: it was changed or moved without sops")]
    Value {
        /// The keys that lead to it.
        place: String,
    },
    /// The whole was tampered with.
    #[error("its MAC does not hold: it was changed without sops")]
    Mac,
}

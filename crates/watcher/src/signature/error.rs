//! Why a signature does not count.

use std::fmt;

/// A failure of one signature, in words for whoever made it. They go on after "it ".
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// There is none.
    #[error("is not signed")]
    Unsigned,
    /// Nothing lies beside the archive of a chart.
    #[error("has no provenance file")]
    NoProvenance,
    /// It is of no kind that is known, or damaged.
    #[error("has a signature that cannot be read: {0}")]
    Unreadable(String),
    /// The project knows no keys of the kind.
    #[error("is signed with an {0} key, and the project permits none of that kind")]
    KindNotPermitted(&'static str),
    /// Nobody gave the key.
    #[error("is signed with {key}, which is not in ConfigMap {config_map}")]
    Unknown {
        /// Which.
        key: KeyName,
        /// Where keys are.
        config_map: &'static str,
    },
    /// The key is known, and did not sign this.
    #[error("has a signature of {0} that does not hold: what was signed is not what is here")]
    Invalid(KeyName),
    /// The owner took the key back.
    #[error("is signed with {0}, which is revoked")]
    Revoked(KeyName),
    /// Too late.
    #[error("is signed with {key}, which was valid until {until} only")]
    Expired {
        /// Which.
        key: KeyName,
        /// In the words of a calendar.
        until: String,
    },
    /// Too early.
    #[error("is signed with {key}, which is valid from {from} on only")]
    NotYetValid {
        /// Which.
        key: KeyName,
        /// In the words of a calendar.
        from: String,
    },
    /// The key is for other things.
    #[error("is signed with {key}, which is not meant for it: {reason}")]
    Unfit {
        /// Which.
        key: KeyName,
        /// Why.
        reason: &'static str,
    },
    /// None of the keys that the project permits was given.
    #[error("cannot be verified: cosign key {names} is not in ConfigMap {config_map}")]
    NoKey {
        /// Which.
        names: String,
        /// Where keys are.
        config_map: &'static str,
    },
    /// Whoever signed did so with a key that is not told.
    #[error("is signed with none of the keys that the project permits")]
    NotByThese,
    /// The key is good, and what it signed is something else.
    #[error("has a signature of {key} that does not count for it: {reason}")]
    Elsewhere {
        /// Which.
        key: KeyName,
        /// What it is.
        reason: String,
    },
    /// The key is good, and the project permits others.
    #[error("is signed with {0}, which the project does not permit")]
    NotPermitted(KeyName),
}

/// A key as people know it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyName {
    /// `OpenPGP`, `SSH` or `cosign`.
    pub(super) kind: &'static str,
    /// Its id, fingerprint or name.
    pub(super) id: String,
    /// Whose it is, where that is known.
    pub(super) owner: Option<String>,
}

impl fmt::Display for KeyName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} key {}", self.kind, self.id)?;
        self.owner.as_ref().map_or(Ok(()), |owner| write!(formatter, " of {owner}"))
    }
}

/// A time in the words of a calendar.
pub(super) fn calendar(seconds: i64) -> String {
    jiff::Timestamp::from_second(seconds).map(|time| time.to_string()).unwrap_or_else(|_| seconds.to_string())
}

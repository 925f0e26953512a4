//! What keys of all kinds have in common: when they have to be valid, and that one good word is enough.

use super::error::{KeyName, SignatureError, calendar};

/// When a key has to be valid, in seconds since the epoch.
#[derive(Clone, Copy, Debug)]
pub(super) struct Moments {
    /// When the object says that it was made.
    pub(super) made: i64,
    /// The time now, where that counts.
    pub(super) now: Option<i64>,
}

/// When something is valid, in seconds since the epoch.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Validity {
    /// The first second.
    pub(super) from: Option<i64>,
    /// The first second that is too late.
    pub(super) until: Option<i64>,
}

impl Validity {
    /// Whether a key is valid at all moments.
    pub(super) fn check(self, moments: Moments, key: impl Fn() -> KeyName) -> Result<(), SignatureError> {
        for moment in std::iter::once(moments.made).chain(moments.now) {
            if let Some(from) = self.from.filter(|from| moment < *from) {
                return Err(SignatureError::NotYetValid { key: key(), from: calendar(from) });
            }
            if let Some(until) = self.until.filter(|until| moment >= *until) {
                return Err(SignatureError::Expired { key: key(), until: calendar(until) });
            }
        }
        Ok(())
    }
}

/// The first that is good, or else what is wrong with the first; None where there is none.
pub(super) fn one_good<T>(
    judged: impl IntoIterator<Item = Result<T, SignatureError>>,
) -> Option<Result<T, SignatureError>> {
    let mut judged = judged.into_iter();
    let first = judged.next()?;
    Some(if first.is_ok() { first } else { judged.find(Result::is_ok).unwrap_or(first) })
}

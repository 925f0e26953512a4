//! A set of partitions: the grain in which the members of a service divide its work.

use std::fmt::{self, Debug, Formatter};

use ithaca_proto::subject::PARTITIONS;

/// Some of the partitions.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct Partitions(u64);

const _: () = assert!(PARTITIONS == u64::BITS, "one bit for each partition");

impl Partitions {
    /// None of them.
    pub const NONE: Self = Self(0);
    /// All of them.
    pub const ALL: Self = Self(u64::MAX);

    /// Whether it is one of these. What is no partition never is.
    pub fn contains(self, partition: u32) -> bool {
        partition < PARTITIONS && self.0 & (1 << partition) != 0
    }

    /// Whether there is none.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// These and those.
    #[must_use]
    pub fn and(self, others: Self) -> Self {
        Self(self.0 | others.0)
    }

    /// These without those.
    #[must_use]
    pub fn without(self, others: Self) -> Self {
        Self(self.0 & !others.0)
    }

    /// Each of them, in order.
    pub fn iter(self) -> impl Iterator<Item = u32> {
        (0..PARTITIONS).filter(move |partition| self.contains(*partition))
    }
}

impl FromIterator<u32> for Partitions {
    fn from_iter<I: IntoIterator<Item = u32>>(partitions: I) -> Self {
        let known = partitions.into_iter().filter(|partition| *partition < PARTITIONS);
        Self(known.fold(0, |set, partition| set | 1 << partition))
    }
}

impl Debug for Partitions {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        formatter.debug_set().entries(self.iter()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_holds_what_was_put_into_it() {
        let some: Partitions = [0, 7, 63, 64, 1_000].into_iter().collect();
        assert_eq!(some.iter().collect::<Vec<_>>(), [0, 7, 63]);
        assert!(!some.contains(64) && !some.contains(1));
        assert_eq!(some.and(Partitions::ALL), Partitions::ALL);
        assert!(some.without(some).is_empty());
    }
}

//! What an archive may hold, and readers that hold it to that while it is unpacked.

use std::io::{self, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::error::ArchiveError;

const MIB: u64 = 1 << 20;

/// Limits of one archive.
#[derive(Clone, Copy, Debug)]
pub struct ArchiveLimits {
    /// Bytes of all that it unpacks to.
    pub total: u64,
    /// Bytes of one file.
    pub file: u64,
    /// Files, folders and links.
    pub entries: usize,
    /// How many times its size it may unpack to.
    pub ratio: u64,
    /// What it may unpack to at any ratio: small files of one letter are no bombs.
    pub harmless: u64,
}

impl ArchiveLimits {
    /// Limits for a total given in MiB.
    pub fn of_mib(total: u64) -> Self {
        let total = total.saturating_mul(MIB);
        Self { total, file: 16 * MIB, entries: 20_000, ratio: 200, harmless: 16 * MIB }
    }
}

/// Counts what is read through it.
pub(super) struct Counted<R> {
    inner: R,
    count: Arc<AtomicU64>,
}

impl<R> Counted<R> {
    pub(super) fn new(inner: R) -> Self {
        Self { inner, count: Arc::default() }
    }

    pub(super) fn count(&self) -> Arc<AtomicU64> {
        self.count.clone()
    }
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.inner.read(buffer)?;
        self.count.fetch_add(length as u64, Ordering::Relaxed);
        Ok(length)
    }
}

/// Fails as soon as more was unpacked than the limits allow.
pub(super) struct Guarded<R> {
    inner: R,
    packed: Arc<AtomicU64>,
    unpacked: u64,
    limits: ArchiveLimits,
}

impl<R> Guarded<R> {
    pub(super) fn new(inner: R, packed: Arc<AtomicU64>, limits: &ArchiveLimits) -> Self {
        Self { inner, packed, unpacked: 0, limits: *limits }
    }
}

impl<R: Read> Read for Guarded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.inner.read(buffer)?;
        self.unpacked += length as u64;
        let ArchiveLimits { total, ratio, harmless, .. } = self.limits;
        let packed = self.packed.load(Ordering::Relaxed);
        if self.unpacked > total {
            let excess = format!("it unpacks to more than {} MiB", total / MIB);
            return Err(io::Error::other(ArchiveError::TooLarge(excess)));
        }
        if self.unpacked > harmless && self.unpacked / ratio > packed {
            return Err(io::Error::other(ArchiveError::Bomb { ratio }));
        }
        Ok(length)
    }
}

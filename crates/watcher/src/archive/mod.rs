//! Archives of charts and artifacts, unpacked straight into the objects of a cache.
//!
//! What comes in: the bytes of a tar archive that anybody may have made, and limits. What goes out: the id of a tree in
//! the cache, or why there is none. Nothing is ever written to a path that an archive names. What it does not do: know
//! charts or registries.

mod entries;
mod error;
mod limits;
mod path;
mod plant;
mod shelf;

use std::io::Read;

use flate2::read::MultiGzDecoder;
use git2::Oid;

pub use error::ArchiveError;
pub use limits::ArchiveLimits;
pub use shelf::{Archive, Shelf};

use limits::{Counted, Guarded};

/// How an archive is packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Packing {
    /// `tar`.
    Plain,
    /// `tar` in gzip.
    Gzip,
}

/// Where in an archive its files begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// At its root.
    AtRoot,
    /// In the folder that all of them are in, whatever it is called: how charts are packed.
    InFolder,
}

/// Unpacks an archive into a cache. Blocks.
pub fn unpack(
    archive: impl Read,
    packing: Packing,
    layout: Layout,
    limits: &ArchiveLimits,
    cache: &git2::Repository,
) -> Result<Oid, ArchiveError> {
    let packed = Counted::new(archive);
    let count = packed.count();
    match packing {
        Packing::Plain => entries::unpack(Guarded::new(packed, count, limits), layout, limits, cache),
        Packing::Gzip => {
            let unpacked = MultiGzDecoder::new(packed);
            entries::unpack(Guarded::new(unpacked, count, limits), layout, limits, cache)
        }
    }
}

#[cfg(test)]
mod tests;

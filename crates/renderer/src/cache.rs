//! What was rendered lately, by render key, bounded in bytes. It is lost with the process, which costs time and no truth.

use std::sync::Arc;

use ithaca_proto::v1::Failure;

use crate::render::Rendered;

/// A rendering, or a failure that will be the same each time.
pub type Known = Result<Arc<Rendered>, Failure>;

/// What an entry costs beside its content.
const ENTRY: usize = 512;

/// Renderings by key.
#[derive(Clone, Debug)]
pub struct Cache(moka::sync::Cache<String, Known>);

impl Cache {
    /// An empty cache for `limit` bytes.
    pub fn new(limit: u64) -> Self {
        let weigh = |key: &String, known: &Known| {
            let content = match known {
                Ok(rendered) => rendered.bundle.compressed.len(),
                Err(failure) => failure.message.len(),
            };
            u32::try_from(key.len() + content + ENTRY).unwrap_or(u32::MAX)
        };
        Self(moka::sync::Cache::builder().max_capacity(limit).weigher(weigh).build())
    }

    /// What is known under the key.
    pub fn get(&self, key: &str) -> Option<Known> {
        self.0.get(key)
    }

    /// Keeps it, until others need the room.
    pub fn put(&self, key: String, known: Known) {
        self.0.insert(key, known);
    }
}

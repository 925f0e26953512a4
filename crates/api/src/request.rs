//! Names the revision request inside an operation, so that the watcher, which resolves it, and the
//! applier, which waits for its bundle, mean the same one without speaking to each other.

use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::operation::Operation;
use crate::source::ApplicationSource;

/// How many hexadecimal digits a key has.
const KEY_LENGTH: usize = 16;

/// The key of the revisions or sources that an operation asks for outright. None where it asks for
/// none: then the bundle of the tracked revision serves it.
pub fn operation_request_key(operation: &Operation) -> Option<String> {
    let sync = operation.sync.as_ref()?;
    let request = Request {
        revision: &sync.revision,
        revisions: &sync.revisions,
        source: sync.source.as_ref(),
        sources: &sync.sources,
    };
    if request.is_empty() {
        return None;
    }
    let text = serde_json::to_vec(&request).ok()?;
    let mut key = hex::encode(Sha256::digest(text));
    key.truncate(KEY_LENGTH);
    Some(key)
}

impl Operation {
    /// Whether somebody asked for what is tracked, and so means the newest of it at that moment.
    pub fn means_newest(&self) -> bool {
        !self.initiated_by.automated && self.sync.is_some() && operation_request_key(self).is_none()
    }
}

#[derive(Serialize)]
struct Request<'a> {
    revision: &'a str,
    revisions: &'a [String],
    source: Option<&'a ApplicationSource>,
    sources: &'a [ApplicationSource],
}

impl Request<'_> {
    fn is_empty(&self) -> bool {
        self.revision.is_empty()
            && self.revisions.iter().all(String::is_empty)
            && self.source.is_none()
            && self.sources.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn key(sync: serde_json::Value) -> Option<String> {
        let operation = serde_json::from_value(json!({"sync": sync})).expect("an operation");
        operation_request_key(&operation)
    }

    #[test]
    fn the_tracked_revision_needs_no_key() {
        assert_eq!(key(json!({})), None);
        assert_eq!(key(json!({"prune": true, "revision": "", "revisions": [""]})), None);
        assert_eq!(operation_request_key(&Operation::default()), None);
    }

    #[test]
    fn the_key_names_the_request_and_nothing_beside_it() {
        let first = key(json!({"revision": "abc"})).expect("a key");
        assert_eq!(first.len(), KEY_LENGTH);
        assert_eq!(key(json!({"revision": "abc", "prune": true})), Some(first.clone()));
        assert_ne!(key(json!({"revision": "abd"})), Some(first.clone()));
        assert_ne!(key(json!({"revisions": ["abc"]})), Some(first.clone()));
        assert_ne!(key(json!({"source": {"repoURL": "abc"}})), Some(first));
    }
}

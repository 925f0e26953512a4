//! One source with its content: what the renderers of each type work on.

use std::sync::Arc;

use ithaca_api::source_type::KUSTOMIZATION_FILES;

use crate::request::SourceRequest;
use crate::tree::{Found, Tree};

/// A source, its files, and where in them it begins.
#[derive(Clone, Debug)]
pub struct Source {
    /// Its place among the application's sources.
    pub index: usize,
    /// What is asked.
    pub request: SourceRequest,
    /// The files.
    pub tree: Arc<Tree>,
    /// The source's folder, a plain path in `tree`; empty for the root.
    pub folder: String,
}

impl Source {
    /// Where the tree of source `index` is in a sandbox.
    pub fn root(index: usize) -> String {
        format!("sources/{index}")
    }

    /// Where this source's folder is in a sandbox.
    pub fn in_sandbox(&self) -> String {
        let root = Self::root(self.index);
        if self.folder.is_empty() { root } else { format!("{root}/{}", self.folder) }
    }

    /// The path of the kustomization in a folder and its text, if there is one.
    pub fn kustomization(&self, folder: &str) -> Option<(String, String)> {
        KUSTOMIZATION_FILES.iter().find_map(|name| {
            let path = if folder.is_empty() { (*name).to_owned() } else { format!("{folder}/{name}") };
            match self.tree.find(&path) {
                Ok(Found::File(data)) => Some((path, String::from_utf8_lossy(data).into_owned())),
                _ => None,
            }
        })
    }

    /// Whether `path`, as written in the source's folder, leads to a folder.
    pub fn has_folder(&self, path: &str) -> bool {
        matches!(self.tree.find(&format!("{}/{path}", self.folder)), Ok(Found::Folder))
    }
}

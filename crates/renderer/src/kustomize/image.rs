//! An image override of an Application: its text comes in, an entry of a kustomization's `images` goes out.

use serde_json::{Value, json};

/// What a part of an image is called that stays as the kustomization has it.
const KEEP: &str = "*";

/// `[name=]newName[:tag][@digest]`.
pub(super) struct Image<'a> {
    /// What the objects call it.
    pub(super) name: &'a str,
    new_name: &'a str,
    tag: &'a str,
    digest: &'a str,
}

impl<'a> Image<'a> {
    /// None where nothing is named, or nothing that could be changed.
    pub(super) fn parse(text: &'a str) -> Option<Self> {
        let (name, image) = match text.split_once('=') {
            Some((name, image)) => (Some(name), image),
            None => (None, text),
        };
        let (image, digest) = image.split_once('@').unwrap_or((image, ""));
        // A colon before the last slash belongs to the registry's port.
        let start = image.rfind('/').unwrap_or(0);
        let (image, tag) = match image[start..].rfind(':') {
            Some(colon) => (&image[..start + colon], &image[start + colon + 1..]),
            None => (image, ""),
        };
        let parsed = match name {
            Some(name) => Self { name, new_name: image, tag, digest },
            None => Self { name: image, new_name: "", tag, digest },
        };
        let changes = [parsed.new_name, parsed.tag, parsed.digest].iter().any(|part| !part.is_empty());
        (changes && !parsed.name.is_empty()).then_some(parsed)
    }

    /// The entry of a kustomization; `old` is the one that it replaces.
    pub(super) fn merged(&self, old: Option<&Value>) -> Value {
        let mut image = json!({"name": self.name});
        let parts = [("newName", self.new_name), ("newTag", self.tag), ("digest", self.digest)];
        for (field, part) in parts {
            if part == KEEP {
                if let Some(kept) = old.map(|old| &old[field]).filter(|kept| !kept.is_null()) {
                    image[field] = kept.clone();
                }
            } else if !part.is_empty() {
                image[field] = json!(part);
            }
        }
        image
    }
}

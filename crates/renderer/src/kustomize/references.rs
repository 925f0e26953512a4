//! What a kustomization names by URL: its content comes in, and goes out with the paths where that lies.

use ithaca_proto::v1::Reference;
use serde_json::Value;

/// The fields whose entries may be URLs.
const FIELDS: [&str; 3] = ["resources", "bases", "components"];

/// Calls what is named by URL by its path. Returns whether there was anything to change.
pub fn localise<'a>(
    kustomization: &mut Value,
    references: impl Iterator<Item = &'a Reference> + Clone,
) -> bool {
    let mut is_changed = false;
    for field in FIELDS {
        for entry in kustomization.get_mut(field).and_then(Value::as_array_mut).into_iter().flatten() {
            let known = references.clone().find(|reference| entry.as_str() == Some(&reference.written));
            if let Some(Reference { path, .. }) = known {
                *entry = Value::from(path.as_str());
                is_changed = true;
            }
        }
    }
    is_changed
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn entries_that_are_known_are_replaced_where_they_may_be_urls() {
        let reference = |written: &str, path: &str| Reference {
            folder: "app".to_owned(),
            written: written.to_owned(),
            path: path.to_owned(),
        };
        let references = [reference("https://h/a//b", "../x/b"), reference("https://h/c", "../y")];
        let mut kustomization = json!({
            "resources": ["a.yaml", "https://h/a//b", "https://h/a//b?ref=v1"],
            "components": ["https://h/c"],
            "commonAnnotations": {"of": "https://h/c"},
            "crds": ["https://h/c"],
        });
        assert!(localise(&mut kustomization, references.iter()));
        assert_eq!(
            kustomization,
            json!({
                "resources": ["a.yaml", "../x/b", "https://h/a//b?ref=v1"],
                "components": ["../y"],
                "commonAnnotations": {"of": "https://h/c"},
                "crds": ["https://h/c"],
            })
        );
        assert!(!localise(&mut kustomization, references.iter()));
        assert!(!localise(&mut json!(null), references.iter()));
    }
}

//! Who changed fields of a live object, as far as the object itself tells.
//!
//! What comes in: a live object and paths of it. What goes out: a name and a time. A field that
//! somebody removed has no owner any more, and so no author.

use serde_json::Value;

use super::{
    field_set::{Element, FieldSet},
    managed::{self, Entry},
    path::Path,
};

/// Who wrote fields of an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Author {
    /// The name that the writer gave itself, such as `kubectl-edit`.
    pub manager: String,
    /// When it last changed what it owns, in microseconds since the epoch; the API tells whole seconds.
    pub changed_at: Option<i64>,
}

/// The manager other than `own_manager` that wrote one of the fields (paths as `compare` and
/// `differences` give them), or something in or around it. Of several, the one that wrote last.
pub fn attribute(live: &Value, fields: &[String], own_manager: &str) -> Option<Author> {
    let others = managed::entries(live).filter(|entry| entry.manager != own_manager);
    let owners = others.filter(|entry| entry.fields.is_some_and(|set| owns_any(set, fields, &Path::ROOT)));
    let newest = owners.map(|entry| (micros(&entry), entry)).max_by_key(|(time, _)| *time);
    newest.map(|(changed_at, entry)| Author { manager: entry.manager.to_owned(), changed_at })
}

fn micros(entry: &Entry<'_>) -> Option<i64> {
    entry.time.parse::<jiff::Timestamp>().ok().map(jiff::Timestamp::as_microsecond)
}

fn owns_any(set: &FieldSet, fields: &[String], path: &Path<'_>) -> bool {
    set.iter().any(|(name, below)| {
        let (Some(element), Some(below)) = (Element::parse(name), below.as_object()) else { return false };
        if element == Element::Itself {
            let here = path.to_string();
            return fields.contains(&here);
        }
        let path = path.element(&element);
        let here = path.to_string();
        // Everything below a field in question is in question, and a leaf is owned with all that is in it.
        fields.iter().any(|field| is_within(&here, field))
            || fields.iter().any(|field| is_within(field, &here))
                && (below.is_empty() || owns_any(below, fields, &path))
    })
}

/// Whether a path is another one or leads on from it.
fn is_within(path: &str, outer: &str) -> bool {
    path.strip_prefix(outer).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
}

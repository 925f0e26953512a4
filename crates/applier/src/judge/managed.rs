//! The entries of `metadata.managedFields`: who wrote which fields of an object, and how.

use serde_json::Value;

use super::field_set::FieldSet;

/// One entry. Texts that are absent are empty.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry<'a> {
    /// The name that the writer gave itself.
    pub manager: &'a str,
    /// `Apply` or `Update`.
    pub operation: &'a str,
    /// The version of the API in which the fields are named.
    pub api_version: &'a str,
    /// The part of the object that was written through; empty is the object itself.
    pub subresource: &'a str,
    /// When the entry last changed, in RFC 3339.
    pub time: &'a str,
    /// The fields. None where the entry is of a form that is not known.
    pub fields: Option<&'a FieldSet>,
}

impl<'a> Entry<'a> {
    /// Reads one entry.
    pub fn of(value: &'a Value) -> Self {
        let text = |name: &str| value[name].as_str().unwrap_or_default();
        Self {
            manager: text("manager"),
            operation: text("operation"),
            api_version: text("apiVersion"),
            subresource: text("subresource"),
            time: text("time"),
            fields: value["fieldsV1"].as_object(),
        }
    }

    /// Whether this is what a manager applied server-side to the object itself.
    pub fn is_applied_by(&self, manager: &str) -> bool {
        self.manager == manager && self.operation == "Apply" && self.subresource.is_empty()
    }
}

/// The entries of an object, as JSON.
pub(super) fn raw_entries(live: &Value) -> &[Value] {
    live["metadata"]["managedFields"].as_array().map(Vec::as_slice).unwrap_or_default()
}

/// The entries of an object.
pub(super) fn entries(live: &Value) -> impl Iterator<Item = Entry<'_>> {
    raw_entries(live).iter().map(Entry::of)
}

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
pub(super) fn is_within(path: &str, outer: &str) -> bool {
    path.strip_prefix(outer).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::json;

    use super::*;
    use crate::judge::{compare, comparison::Comparison, fixture};

    const IMAGE: &str = ".spec.template.spec.containers[name=web].image";

    fn author(fields: &[&str]) -> Option<String> {
        let fields: Vec<String> = fields.iter().map(|field| (*field).to_owned()).collect();
        attribute(&fixture::edited(), &fields, "argocd-controller").map(|author| author.manager)
    }

    #[rstest]
    #[case::edit(&[IMAGE], Some("kubectl-edit"))]
    #[case::scale(&[".spec.replicas"], Some("kubectl"))]
    #[case::label(&[".metadata.labels[\"app.kubernetes.io/name\"]"], Some("kubectl-label"))]
    #[case::something_within(&[".metadata.labels"], Some("kubectl-label"))]
    #[case::item(&[".spec.template.spec.containers[name=sidecar]"], Some("injector"))]
    #[case::within_a_leaf(&[".spec.template.spec.containers[name=web].args[0]"], Some("injector"))]
    #[case::newest_of_two(&[".spec.template.spec.containers"], Some("injector"))]
    #[case::ours_alone(&[".spec.selector"], None)]
    #[case::nobody(&[".spec.paused"], None)]
    #[case::same_beginning(&[".spec.replicasNot", ".spec.template.spec.containers[name=web].imageNot"], None)]
    #[case::no_question(&[], None)]
    fn fields_are_attributed_to_who_wrote_them(#[case] fields: &[&str], #[case] expected: Option<&str>) {
        assert_eq!(author(fields).as_deref(), expected);
    }

    #[test]
    fn the_time_is_in_microseconds_and_may_be_unknown() {
        let changed_at =
            |field: &str| attribute(&fixture::edited(), &[field.to_owned()], "argocd-controller");
        let edited = changed_at(IMAGE).and_then(|author| author.changed_at);
        // 2026-11-25T02:03:20Z
        assert_eq!(edited, Some(1_795_572_200_000_000));
        // Scaling leaves no time.
        assert_eq!(changed_at(".spec.replicas").map(|author| author.changed_at), Some(None));
    }

    #[test]
    fn suspects_of_the_comparison_can_be_attributed() {
        let live = fixture::edited();
        let Comparison::Suspect { fields } = compare(&fixture::wanted(), &live, "argocd-controller") else {
            unreachable!("the object was edited")
        };
        for field in fields {
            assert!(attribute(&live, std::slice::from_ref(&field), "argocd-controller").is_some(), "{field}");
        }
    }

    #[test]
    fn objects_without_managed_fields_have_no_authors() {
        let live = json!({"metadata": {"managedFields": [null, {"manager": "m"}, {"fieldsV1": []}]}});
        assert_eq!(attribute(&live, &[".spec".to_owned()], "us"), None);
    }
}

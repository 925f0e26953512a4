//! Fields that the cluster's schema does not know, such as misspelt ones. Server-side apply refuses an object for
//! them; every other way of writing drops them with a warning, and so do we.
//!
//! What comes in: what the API server said, and the object that it was said about. What goes out: the fields, and the
//! object without them. Which fields are unknown is the API server's word alone.

use serde_json::Value;

/// How the API server refuses an object to apply that has unknown fields.
const REFUSAL: &str = "field not declared in schema";

/// How it warns of one in an object that it decodes.
const WARNING: &str = "unknown field \"";

/// The most fields that are taken out of one object: more is no slip.
const MOST: usize = 100;

/// Whether a refusal is for unknown fields.
pub fn is_for_unknown_fields(message: &str) -> bool {
    message.contains(REFUSAL)
}

/// The unknown fields that HTTP `Warning` headers name, such as `spec.containers[0].imagee`.
pub fn unknown_fields<'a>(warnings: impl Iterator<Item = &'a str>) -> Vec<String> {
    let fields = warnings.filter_map(|warning| {
        let text = unquoted(warning.split_once('"')?.1);
        let field = text.strip_prefix(WARNING)?.strip_suffix('"')?;
        Some(field.to_owned())
    });
    let mut fields: Vec<String> = fields.take(MOST).collect();
    fields.sort_unstable();
    fields.dedup();
    fields
}

/// The text of a quoted string of HTTP, from behind its first quote.
fn unquoted(quoted: &str) -> String {
    let mut text = String::with_capacity(quoted.len());
    let mut letters = quoted.chars();
    while let Some(letter) = letters.next() {
        match letter {
            '"' => break,
            '\\' => text.extend(letters.next()),
            letter => text.push(letter),
        }
    }
    text
}

/// An object without these fields. None where it has none of them.
pub fn without_fields(object: &Value, fields: &[String]) -> Option<Value> {
    let mut rest = object.clone();
    let removed = fields.iter().filter(|field| remove(&mut rest, field)).count();
    (removed > 0).then_some(rest)
}

/// Removes a field. Names may have dots in them, so it is the object that tells where a name ends.
fn remove(value: &mut Value, path: &str) -> bool {
    match value {
        Value::Object(fields) => {
            if fields.remove(path).is_some() {
                return true;
            }
            fields.iter_mut().any(|(name, inner)| {
                let rest = path.strip_prefix(name.as_str());
                rest.is_some_and(|rest| match rest.strip_prefix('.') {
                    Some(rest) => remove(inner, rest),
                    None => rest.starts_with('[') && remove(inner, rest),
                })
            })
        }
        Value::Array(items) => {
            let Some((index, rest)) = path.strip_prefix('[').and_then(|path| path.split_once(']')) else {
                return false;
            };
            let item = index.parse::<usize>().ok().and_then(|index| items.get_mut(index));
            item.is_some_and(|item| remove(item, rest.strip_prefix('.').unwrap_or(rest)))
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;
    use serde_json::json;

    use super::*;

    #[test]
    fn warnings_name_unknown_fields_among_others() {
        let warnings = [
            r#"299 - "unknown field \"spec.hellm\"""#,
            r#"299 - "v1 Endpoints is deprecated in v1.33+""#,
            r#"299 - "unknown field \"spec.containers[0].imagee\"""#,
            r#"299 - "unknown field \"spec.hellm\"""#,
            "299",
        ];
        assert_eq!(unknown_fields(warnings.into_iter()), ["spec.containers[0].imagee", "spec.hellm"]);
    }

    #[rstest]
    #[case("spec.hellm", json!({"spec": {"list": [{"a": 1, "b": 1}], "a.b": {"c": 1}}}))]
    #[case("spec.list[0].a", json!({"spec": {"hellm": 1, "list": [{"b": 1}], "a.b": {"c": 1}}}))]
    #[case("spec.a.b.c", json!({"spec": {"hellm": 1, "list": [{"a": 1, "b": 1}], "a.b": {}}}))]
    fn an_object_is_rid_of_them(#[case] field: &str, #[case] expected: Value) {
        let object = json!({"spec": {"hellm": 1, "list": [{"a": 1, "b": 1}], "a.b": {"c": 1}}});
        assert_eq!(without_fields(&object, &[field.to_owned()]), Some(expected));
    }

    #[rstest]
    #[case("spec.other")]
    #[case("spec[0]")]
    #[case("")]
    fn what_is_not_there_is_not_removed(#[case] field: &str) {
        assert_eq!(without_fields(&json!({"spec": {"a": 1}}), &[field.to_owned()]), None);
    }

    proptest! {
        #[test]
        fn no_text_breaks_it(warning in "\\PC{0,40}", field in "[a.\\[\\]0-9\"]{0,20}") {
            unknown_fields([warning.as_str()].into_iter());
            without_fields(&json!({"a": {"a": [{"a.a": [1]}], "": {}}}), &[field]);
        }
    }
}

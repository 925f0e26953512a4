//! Encrypted JSON, and whatever else SOPS wraps into JSON.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::Number;

use super::cipher::Plain;
use super::error::SopsError;
use super::tree::{self, Leaf, Node};
use super::{Keys, METADATA};

/// Where the content of a file in an envelope is.
const CONTENT: &str = "data";

/// None where the text is not JSON or says nothing of SOPS.
pub(super) fn decrypt(path: &str, text: &str, keys: &Keys) -> Result<Option<Vec<u8>>, SopsError> {
    let Ok(mut document) = serde_json::from_str::<Node>(text) else { return Ok(None) };
    let is_envelope = !path.ends_with(".json") && holds_only(&document, &[CONTENT, METADATA]);
    if !tree::decrypt(std::slice::from_mut(&mut document), keys)? {
        return Ok(None);
    }
    if is_envelope
        && let Node::Map(entries) = &document
        && let [(_, Node::Leaf(leaf))] = entries.as_slice()
    {
        return Ok(Some(leaf.value.bytes().to_vec()));
    }
    let mut written = String::new();
    write(&document, 0, &mut written);
    written.push('\n');
    Ok(Some(written.into_bytes()))
}

fn holds_only(document: &Node, names: &[&str]) -> bool {
    matches!(document, Node::Map(entries) if entries.iter().all(|(key, _)| names.contains(&key.as_str())))
}

/// Indented by tabs, as SOPS does.
fn write(node: &Node, depth: usize, out: &mut String) {
    let line = |out: &mut String, depth: usize| {
        out.push('\n');
        out.extend(std::iter::repeat_n('\t', depth));
    };
    match node {
        Node::Map(entries) if entries.is_empty() => out.push_str("{}"),
        Node::List(items) if items.is_empty() => out.push_str("[]"),
        Node::Map(entries) => {
            out.push('{');
            for (index, (key, node)) in entries.iter().enumerate() {
                out.push_str(if index == 0 { "" } else { "," });
                line(out, depth + 1);
                out.push_str(&quoted(key.as_bytes()));
                out.push_str(": ");
                write(node, depth + 1, out);
            }
            line(out, depth);
            out.push('}');
        }
        Node::List(items) => {
            out.push('[');
            for (index, node) in items.iter().enumerate() {
                out.push_str(if index == 0 { "" } else { "," });
                line(out, depth + 1);
                write(node, depth + 1, out);
            }
            line(out, depth);
            out.push(']');
        }
        Node::Leaf(leaf) => match &leaf.value {
            Plain::Text(bytes) => out.push_str(&quoted(bytes)),
            Plain::Number(digits) => out.push_str(digits),
            Plain::Bool(is_true) => out.push_str(if *is_true { "true" } else { "false" }),
            Plain::Null => out.push_str("null"),
        },
    }
}

/// A text in quotes, which YAML reads as well.
pub(super) fn quoted(bytes: &[u8]) -> String {
    let text = serde_json::Value::from(String::from_utf8_lossy(bytes)).to_string();
    // JSON lets pass what YAML does not.
    let is_unprintable = |c: char| matches!(c, '\u{7f}'..='\u{9f}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}');
    if !text.contains(is_unprintable) {
        return text;
    }
    let escaped =
        |c: char| if is_unprintable(c) { format!("\\u{:04x}", u32::from(c)) } else { c.to_string() };
    text.chars().map(escaped).collect()
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Reader)
    }
}

struct Reader;

fn leaf(value: Plain) -> Node {
    Node::Leaf(Leaf::new(value, 0..0))
}

impl<'de> Visitor<'de> for Reader {
    type Value = Node;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("JSON")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Node, E> {
        Ok(leaf(Plain::Bool(value)))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Node, E> {
        Ok(leaf(Plain::Number(value.to_string())))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Node, E> {
        Ok(leaf(Plain::Number(value.to_string())))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Node, E> {
        Ok(leaf(Number::from_f64(value).map_or(Plain::Null, |number| Plain::Number(number.to_string()))))
    }

    fn visit_str<E>(self, value: &str) -> Result<Node, E> {
        Ok(leaf(Plain::Text(value.as_bytes().to_vec())))
    }

    fn visit_unit<E>(self) -> Result<Node, E> {
        Ok(leaf(Plain::Null))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Node, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = list.next_element()? {
            items.push(item);
        }
        Ok(Node::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Node, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = map.next_entry()? {
            entries.push(entry);
        }
        Ok(Node::Map(entries))
    }
}

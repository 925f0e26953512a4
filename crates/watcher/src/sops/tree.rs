//! The values of a document in their order, wherever they were written: places and texts come in, plain values go out.

use std::ops::Range;

use serde_json::Value;

use super::cipher::{Cipher, Mac, Plain};
use super::error::SopsError;
use super::metadata::Metadata;
use super::{Keys, METADATA, open};

/// A part of a document. Keys keep their order, which the MAC depends on.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Node {
    Map(Vec<(String, Node)>),
    List(Vec<Node>),
    Leaf(Leaf),
}

/// A value, and where it stands in the text.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Leaf {
    pub(super) value: Plain,
    /// In characters; empty where nobody asks.
    pub(super) at: Range<usize>,
    /// Whether `value` stands encrypted in the text.
    pub(super) was_encrypted: bool,
}

impl Leaf {
    pub(super) fn new(value: Plain, at: Range<usize>) -> Self {
        Self { value, at, was_encrypted: false }
    }
}

/// Decrypts documents in place and takes their part `sops` away; false where they have none.
pub(super) fn decrypt(documents: &mut [Node], keys: &Keys) -> Result<bool, SopsError> {
    let mut metadata = None;
    for document in &mut *documents {
        let Node::Map(entries) = document else { continue };
        if let Some(index) = entries.iter().position(|(key, _)| key == METADATA) {
            metadata.get_or_insert(entries.remove(index).1);
        }
    }
    let Some(metadata) = metadata else { return Ok(false) };
    let metadata: Metadata =
        serde_json::from_value(value(metadata)).map_err(|error| SopsError::Metadata(error.to_string()))?;
    let (cipher, mut mac) = open(&metadata, keys)?;
    for document in documents {
        open_node(document, &mut Vec::new(), &cipher, &mut mac)?;
    }
    metadata.check(&cipher, mac)?;
    Ok(true)
}

fn open_node(
    node: &mut Node,
    path: &mut Vec<String>,
    cipher: &Cipher,
    mac: &mut Mac,
) -> Result<(), SopsError> {
    match node {
        Node::Map(entries) => {
            for (key, node) in entries {
                path.push(key.clone());
                open_node(node, path, cipher, mac)?;
                path.pop();
            }
        }
        // Items of a list have the place of the list.
        Node::List(items) => {
            for node in items {
                open_node(node, path, cipher, mac)?;
            }
        }
        Node::Leaf(leaf) => open_leaf(leaf, path, cipher, mac)?,
    }
    Ok(())
}

fn open_leaf(leaf: &mut Leaf, path: &[String], cipher: &Cipher, mac: &mut Mac) -> Result<(), SopsError> {
    let place = format!("{}:", path.join(":"));
    let found = match std::str::from_utf8(leaf.value.bytes()) {
        Ok(text) => cipher.decrypt(text, &place),
        Err(_) => Ok(None),
    };
    if let Some(value) = found.map_err(|_| SopsError::Value { place: path.join(".") })? {
        leaf.value = value;
        leaf.was_encrypted = true;
    }
    mac.add(&leaf.value, leaf.was_encrypted);
    Ok(())
}

/// The same without places and order.
fn value(node: Node) -> Value {
    match node {
        Node::Map(entries) => {
            Value::Object(entries.into_iter().map(|(key, node)| (key, value(node))).collect())
        }
        Node::List(items) => Value::Array(items.into_iter().map(value).collect()),
        Node::Leaf(Leaf { value, .. }) => match value {
            Plain::Text(bytes) => String::from_utf8_lossy(&bytes).into_owned().into(),
            Plain::Number(digits) => digits.parse::<i64>().map_or(digits.into(), Value::from),
            Plain::Bool(is_true) => is_true.into(),
            Plain::Null => Value::Null,
        },
    }
}

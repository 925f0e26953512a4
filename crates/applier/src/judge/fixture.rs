//! Objects as a real API server returned them, for tests.
//!
//! A Deployment as it was wanted and applied; the same after a scale, an edit, a label, an annotation and
//! an injected sidecar; what a dry run of applying it again made of that; and one that was written
//! client-side, with and without the loss of its managed fields.

use serde_json::{Map, Value};

/// The Deployment `web`, as it was applied.
pub(super) fn wanted() -> Value {
    read(include_str!("fixtures/wanted.json"))
}

/// What it was afterwards.
pub(super) fn live() -> Value {
    read(include_str!("fixtures/live.json"))
}

/// What it was after others had changed it.
pub(super) fn edited() -> Value {
    read(include_str!("fixtures/edited.json"))
}

/// What a dry run of applying it again answered.
pub(super) fn applied() -> Value {
    read(include_str!("fixtures/applied.json"))
}

/// The Deployment `taken`, written by `kubectl apply`.
pub(super) fn client_side() -> Value {
    read(include_str!("fixtures/client_side.json"))
}

/// The same after its managed fields were lost and it was applied server-side.
pub(super) fn before_first_apply() -> Value {
    read(include_str!("fixtures/before_first_apply.json"))
}

/// Sets the field that a JSON pointer names, and what it needs above it. Null removes it.
pub(super) fn set(object: &mut Value, pointer: &str, value: Value) {
    let (parent, name) = pointer.rsplit_once('/').expect("a pointer");
    let name = name.replace("~1", "/");
    if object.pointer(parent).is_none() {
        set(object, parent, Value::Object(Map::new()));
    }
    match object.pointer_mut(parent).expect("the parent was set") {
        Value::Array(items) => items[name.parse::<usize>().expect("a place")] = value,
        Value::Object(fields) if value.is_null() => drop(fields.remove(&name)),
        parent => parent[name] = value,
    }
}

fn read(text: &str) -> Value {
    serde_json::from_str(text).expect("a fixture is JSON")
}

//! Paths to fields, in a form for people: `.spec.template.spec.containers[name=web].image`.
//!
//! A path is a chain of steps on the stack of whoever walks down an object, so that walking costs
//! nothing until there is something to report.

use std::fmt;

use serde_json::{Map, Value};

use super::field_set::Element;

/// A place in an object.
#[derive(Clone, Copy, Debug)]
pub(super) struct Path<'a> {
    parent: Option<&'a Path<'a>>,
    step: Step<'a>,
}

#[derive(Clone, Copy, Debug)]
enum Step<'a> {
    Root,
    Field(&'a str),
    Key(&'a Map<String, Value>),
    Value(&'a Value),
    Index(usize),
}

impl<'a> Path<'a> {
    /// The object itself.
    pub const ROOT: Path<'static> = Path { parent: None, step: Step::Root };

    /// A field of the object here.
    pub fn field(&'a self, name: &'a str) -> Self {
        Self { parent: Some(self), step: Step::Field(name) }
    }

    /// The item of the list here that has these fields.
    pub fn key(&'a self, key: &'a Map<String, Value>) -> Self {
        Self { parent: Some(self), step: Step::Key(key) }
    }

    /// The item of the list here that is this value.
    pub fn value(&'a self, value: &'a Value) -> Self {
        Self { parent: Some(self), step: Step::Value(value) }
    }

    /// The item at this place, from 0, of the list here.
    pub fn index(&'a self, index: usize) -> Self {
        Self { parent: Some(self), step: Step::Index(index) }
    }

    /// What an element of a field set stands for. The set itself stands for what is here.
    pub fn element(&'a self, element: &'a Element<'a>) -> Self {
        match element {
            Element::Itself => *self,
            Element::Field(name) => self.field(name),
            Element::Key(key) => self.key(key),
            Element::Value(value) => self.value(value),
            Element::Index(index) => self.index(*index),
        }
    }
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(parent) = self.parent {
            parent.fmt(formatter)?;
        }
        match self.step {
            Step::Root => Ok(()),
            Step::Field(name) if is_word(name) => write!(formatter, ".{name}"),
            Step::Field(name) => write!(formatter, "[{name:?}]"),
            Step::Key(key) => {
                for (place, (name, value)) in key.iter().enumerate() {
                    write!(formatter, "{}{name}=", if place == 0 { "[" } else { "," })?;
                    plain(value, formatter)?;
                }
                formatter.write_str("]")
            }
            Step::Value(value) => {
                formatter.write_str("[=")?;
                plain(value, formatter)?;
                formatter.write_str("]")
            }
            Step::Index(index) => write!(formatter, "[{index}]"),
        }
    }
}

/// Whether a name can stand without quotes.
fn is_word(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'))
}

/// A value without quotes, unless it has characters that end a step.
fn plain(value: &Value, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
    match value.as_str() {
        Some(text) if !text.is_empty() && !text.contains(['[', ']', ',', '=', '"', ' ']) => {
            formatter.write_str(text)
        }
        _ => write!(formatter, "{value}"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn paths_read_as_people_write_them() {
        let spec = Path::ROOT.field("spec");
        let containers = spec.field("containers");
        let name = json!({"name": "web"});
        let web = containers.key(name.as_object().expect("a key"));
        assert_eq!(web.field("image").to_string(), ".spec.containers[name=web].image");
        let port = json!({"containerPort": 80, "protocol": "TCP"});
        let ports = web.field("ports");
        let port = ports.key(port.as_object().expect("a key"));
        assert_eq!(port.to_string(), ".spec.containers[name=web].ports[containerPort=80,protocol=TCP]");
    }

    #[test]
    fn names_with_dots_and_odd_values_are_quoted() {
        let metadata = Path::ROOT.field("metadata");
        let annotations = metadata.field("annotations");
        assert_eq!(annotations.field("a.b/c").to_string(), ".metadata.annotations[\"a.b/c\"]");
        let finalizers = metadata.field("finalizers");
        assert_eq!(finalizers.value(&json!("a.b/c")).to_string(), ".metadata.finalizers[=a.b/c]");
        assert_eq!(finalizers.value(&json!("a]b")).to_string(), ".metadata.finalizers[=\"a]b\"]");
        assert_eq!(finalizers.index(3).to_string(), ".metadata.finalizers[3]");
    }
}

//! The conditions in an object's status, read without trusting their shape.

use serde_json::Value;

use super::count;

/// One entry of `status.conditions`. Fields that are absent are empty.
#[derive(Clone, Copy, Debug)]
pub(super) struct Condition<'a> {
    /// What it is about.
    pub kind: &'a str,
    /// `True`, `False` or `Unknown`.
    pub status: &'a str,
    /// A word for machines.
    pub reason: &'a str,
    /// A sentence for people.
    pub message: &'a str,
    /// How bad it is, where the operator says so.
    pub severity: &'a str,
    /// The generation that it speaks of.
    pub observed_generation: Option<i64>,
}

impl<'a> Condition<'a> {
    /// Reads one entry.
    pub fn of(entry: &'a Value) -> Self {
        let text = |name: &str| entry[name].as_str().unwrap_or_default();
        Self {
            kind: text("type"),
            status: text("status"),
            reason: text("reason"),
            message: text("message"),
            severity: text("severity"),
            observed_generation: entry["observedGeneration"].as_i64(),
        }
    }

    /// Whether it holds.
    pub fn is_true(&self) -> bool {
        self.status == "True"
    }

    /// Whether it speaks of an older generation of the object.
    pub fn is_old(&self, live: &Value) -> bool {
        self.observed_generation.is_some_and(|seen| seen < count(live, "/metadata/generation"))
    }

    /// Whether it is known not to hold.
    pub fn is_false(&self) -> bool {
        self.status == "False"
    }
}

/// The conditions of an object, in their order.
pub(super) fn all(live: &Value) -> impl Iterator<Item = Condition<'_>> {
    live["status"]["conditions"].as_array().into_iter().flatten().map(Condition::of)
}

/// The first condition of a type.
pub(super) fn find<'a>(live: &'a Value, kind: &str) -> Option<Condition<'a>> {
    all(live).find(|condition| condition.kind == kind)
}

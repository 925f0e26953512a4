//! Health of the custom resources that people run most, where their operators tell it otherwise than by the conditions
//! that most operators write: a table, and one file for each family.
//!
//! What comes in: one object. What goes out: its health, or none. Kinds that are not in the table, and those whose
//! rule has nothing to say, are judged by their conditions alone.

mod cert_manager;
mod cloud_native_pg;
mod cluster_api;
mod crossplane;
mod external_secrets;
mod flux;
mod gateway;
mod helm_chart;
mod keda;
mod knative;
mod kyverno;
mod longhorn;
mod prometheus;
mod rollouts;
mod sealed_secret;
mod velero;
// Those of which nothing is told: they say so by their tests alone.
#[cfg(test)]
mod metal_lb;
#[cfg(test)]
mod traefik;

use serde_json::Value;

use super::{Health, condition, count, custom, text};

/// All families.
const FAMILIES: &[&[Rule]] = &[
    cert_manager::RULES,
    cloud_native_pg::RULES,
    cluster_api::RULES,
    crossplane::RULES,
    external_secrets::RULES,
    flux::RULES,
    gateway::RULES,
    helm_chart::RULES,
    keda::RULES,
    knative::RULES,
    kyverno::RULES,
    longhorn::RULES,
    prometheus::RULES,
    rollouts::RULES,
    sealed_secret::RULES,
    velero::RULES,
];

/// How the health of some kinds is told. The first that is for a kind counts.
struct Rule {
    /// API group; `*.` before it stands for any groups below it.
    group: &'static str,
    /// Kinds; none stands for all.
    kinds: &'static [&'static str],
    /// Where the object says, by `true`, that its operator shall leave it alone.
    halt: &'static str,
    how: How,
}

/// Where health is read.
enum How {
    /// In the conditions. They will come: without any, the operator has yet to look at the object.
    Conditions,
    /// In a word. Words that are not named, and no word, are on the way to one that is.
    Phase(Phase),
    /// By a rule of its own, which may leave the last word to the conditions.
    Own(fn(&Value) -> Option<Health>),
}

/// A word in the status, and what it means.
struct Phase {
    /// Where the word is.
    at: &'static str,
    /// Where a sentence may be.
    message: &'static str,
    healthy: &'static [&'static str],
    degraded: &'static [&'static str],
    suspended: &'static [&'static str],
    unknown: &'static [&'static str],
}

impl Phase {
    /// A word whose place is known and whose meanings are not.
    const NONE: Self =
        Self { at: "", message: "", healthy: &[], degraded: &[], suspended: &[], unknown: &[] };

    fn assess(&self, live: &Value) -> Health {
        let (word, message) = (text(live, self.at), text(live, self.message));
        let message = if message.is_empty() { word } else { message };
        match word {
            "" => Health::progressing(UNTOUCHED),
            word if self.healthy.contains(&word) => Health::healthy(message),
            word if self.degraded.contains(&word) => Health::degraded(message),
            word if self.suspended.contains(&word) => Health::suspended(message),
            word if self.unknown.contains(&word) => Health::unknown(message),
            _ => Health::progressing(message),
        }
    }
}

/// What is said of objects that nobody has looked at.
const UNTOUCHED: &str = "Waiting for its operator to look at it";

impl Rule {
    const fn new(group: &'static str, kinds: &'static [&'static str], how: How) -> Self {
        Self { group, kinds, halt: "", how }
    }

    const fn halted_by(self, halt: &'static str) -> Self {
        Self { halt, ..self }
    }

    fn is_for(&self, group: &str, kind: &str) -> bool {
        let in_group = match self.group.strip_prefix("*.") {
            Some(parent) => {
                group == parent || group.strip_suffix(parent).is_some_and(|rest| rest.ends_with('.'))
            }
            None => self.group == group,
        };
        in_group && (self.kinds.is_empty() || self.kinds.contains(&kind))
    }

    fn assess(&self, live: &Value) -> Option<Health> {
        if !self.halt.is_empty() && live.pointer(self.halt) == Some(&Value::Bool(true)) {
            return Some(Health::suspended(format!("{} is true", self.halt[1..].replace('/', "."))));
        }
        match &self.how {
            How::Conditions => by_conditions(live),
            How::Phase(_) if custom::is_behind(live) => Some(Health::progressing(custom::BEHIND)),
            How::Phase(phase) => Some(phase.assess(live)),
            How::Own(assess) => assess(live),
        }
    }
}

/// Judges one custom resource.
pub(super) fn assess(group: &str, kind: &str, live: &Value) -> Option<Health> {
    let mut rules = FAMILIES.iter().copied().flatten();
    match rules.find(|rule| rule.is_for(group, kind)) {
        Some(rule) => rule.assess(live),
        None => custom::assess(live),
    }
}

/// By the conditions, which will come.
fn by_conditions(live: &Value) -> Option<Health> {
    match condition::all(live).next() {
        None => Some(Health::progressing(UNTOUCHED)),
        Some(_) => custom::assess(live),
    }
}

#[cfg(test)]
mod tests {
    use ithaca_api::HealthStatusCode;
    use serde_json::json;

    use super::*;
    use crate::health;

    /// One case of a kind: the word that is expected, or none, and the sentence.
    #[track_caller]
    pub(super) fn check(
        group: &str,
        kind: &str,
        live: &Value,
        expected: Option<HealthStatusCode>,
        message: &str,
    ) {
        let health = health::assess(group, kind, live);
        let told = health.as_ref().map_or("", |health| &health.message);
        assert_eq!((health.as_ref().map(|health| health.status), told), (expected, message), "{live}");
    }

    /// A condition.
    pub(super) fn is(kind: &str, status: &str, reason: &str) -> Value {
        json!({"type": kind, "status": status, "reason": reason, "message": format!("{reason} {kind}")})
    }

    /// An object with these conditions.
    pub(super) fn with(conditions: Value) -> Value {
        json!({"metadata": {"generation": 1}, "status": {"conditions": conditions}})
    }

    #[test]
    fn a_group_below_another_is_meant_by_a_star() {
        let rule = Rule::new("*.example.org", &[], How::Conditions);
        assert!(rule.is_for("a.b.example.org", "Any") && rule.is_for("example.org", "Any"));
        assert!(!rule.is_for("an-example.org", "Any") && !rule.is_for("example.org.uk", "Any"));
    }

    #[test]
    fn no_kind_is_named_twice() {
        let rules: Vec<_> = FAMILIES.iter().copied().flatten().collect();
        for (place, rule) in rules.iter().enumerate() {
            for kind in rule.kinds {
                let others = rules.iter().enumerate().filter(|(other, _)| *other != place);
                let mut twice =
                    others.filter(|(_, other)| other.group == rule.group && other.kinds.contains(kind));
                assert!(twice.next().is_none(), "{} {kind}", rule.group);
            }
        }
    }

    #[test]
    fn whatever_the_status_nothing_panics() {
        let odd = [json!(null), json!("x"), json!(1), json!([]), json!([null]), json!({"a": 1}), json!(true)];
        for rule in FAMILIES.iter().copied().flatten() {
            let kind = rule.kinds.first().copied().unwrap_or("Any");
            for value in &odd {
                for live in [
                    json!({"status": value}),
                    json!({"spec": value, "status": {"conditions": value, "phase": value, "parents": value}}),
                ] {
                    health::assess(rule.group.trim_start_matches("*."), kind, &live);
                }
            }
        }
    }
}

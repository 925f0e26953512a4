//! Differences that do not count: `spec.ignoreDifferences` and the installation's own rules.
//!
//! What comes in: rules, read once for an Application, and objects. What goes out: objects without the fields in
//! question, so that whoever compares them needs to know nothing of rules; and objects that take those fields from the
//! cluster (`RespectIgnoreDifferences`). It decides nothing about a difference that counts.

use std::{
    hash::{DefaultHasher, Hash, Hasher},
    sync::OnceLock,
};

use ithaca_api::{KindPattern, annotation, sync_policy::IgnoreDifference};
use serde_json::Value;

use crate::object::ObjectKey;

mod metered;
mod owned;
mod place;
#[cfg(test)]
mod properties;
mod query;
mod respect;

use place::{Place, Pointer};
use query::{Exhausted, Query};

/// The rules of one Application, and those of the installation that hold for it too.
#[derive(Debug)]
pub struct Ignored {
    rules: Vec<Rule>,
    /// Equal numbers mean equal rules.
    hash: u64,
    fault: OnceLock<Fault>,
}

/// Why rules cannot be followed. What they are about is not compared then: to act as if there were none would undo
/// what they protect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The Application's own spec is at fault, rather than the installation's settings.
    pub invalid_spec: bool,
    /// Which rule, and why.
    pub message: String,
}

#[derive(Debug)]
struct Rule {
    kinds: KindPattern,
    /// Empty is any.
    name: String,
    /// Empty is any.
    namespace: String,
    pointers: Vec<Pointer>,
    queries: Vec<(String, Query)>,
    managers: Vec<String>,
    /// Holds only where there is something at this place.
    only_with: Option<Pointer>,
}

impl Ignored {
    /// Reads the rules of an Application and those of its installation; `aggregated_roles`: the rules of ClusterRoles
    /// that are made of others do not count. None where there are no rules.
    pub fn compile(
        own: &[IgnoreDifference],
        installation: &[IgnoreDifference],
        aggregated_roles: bool,
    ) -> Option<Self> {
        if own.is_empty() && installation.is_empty() && !aggregated_roles {
            return None;
        }
        let mut hasher = DefaultHasher::new();
        for rule in own.iter().chain(installation) {
            serde_json::to_string(rule).unwrap_or_default().hash(&mut hasher);
        }
        aggregated_roles.hash(&mut hasher);
        let ignored = Self { rules: Vec::new(), hash: hasher.finish(), fault: OnceLock::new() };
        let read = |rules: &[IgnoreDifference], invalid_spec| -> Result<Vec<Rule>, Fault> {
            rules.iter().map(|rule| Rule::read(rule).map_err(|why| fault(rule, &why, invalid_spec))).collect()
        };
        match read(own, true).and_then(|own| Ok((own, read(installation, false)?))) {
            Ok((own, installation)) => {
                let aggregated = aggregated_roles.then(Rule::aggregated_roles).flatten();
                let rules = own.into_iter().chain(installation).chain(aggregated).collect();
                Some(Self { rules, ..ignored })
            }
            Err(fault) => Some(Self { fault: OnceLock::from(fault), ..ignored }),
        }
    }

    /// Equal numbers mean equal rules.
    pub fn hash(&self) -> u64 {
        self.hash
    }

    /// Why the rules cannot be followed. It stays so until the rules change.
    pub fn fault(&self) -> Option<&Fault> {
        self.fault.get()
    }

    /// Whether any rule is about the object.
    pub fn concerns(&self, key: &ObjectKey) -> bool {
        self.rules_for(key).next().is_some()
    }

    /// An object without what does not count; `live` is the object in the cluster, which tells who owns what. With
    /// `tidy`, what is left empty goes too. None where a rule cannot be followed: see [`Self::fault`].
    pub fn without(&self, key: &ObjectKey, object: &Value, live: &Value, tidy: bool) -> Option<Value> {
        let mut rest = object.clone();
        place::remove(&mut rest, self.places(key, object, live)?, tidy);
        restore(&mut rest, object);
        Some(rest)
    }

    /// A wanted object with the values that are live where differences do not count. None where a rule cannot be
    /// followed.
    pub fn respected(&self, key: &ObjectKey, wanted: &Value, live: &Value) -> Option<Value> {
        let (in_wanted, in_live) = (self.places(key, wanted, live)?, self.places(key, live, live)?);
        let mut respected = respect::respect(wanted, live, in_wanted, in_live);
        restore(&mut respected, wanted);
        Some(respected)
    }

    fn rules_for(&self, key: &ObjectKey) -> impl Iterator<Item = &Rule> {
        self.rules.iter().filter(move |rule| rule.concerns(key))
    }

    /// The places of an object that do not count.
    fn places(&self, key: &ObjectKey, object: &Value, live: &Value) -> Option<Vec<Place>> {
        if self.fault.get().is_some() {
            return None;
        }
        let mut places = Vec::new();
        let rules = || self.rules_for(key).filter(|rule| rule.holds_for(object));
        for rule in rules() {
            places.extend(rule.pointers.iter().filter_map(|pointer| pointer.find(object)));
            owned::places(&rule.managers, object, live, &mut places);
        }
        match queried(rules().flat_map(|rule| &rule.queries), object) {
            Ok(found) => places.extend(found),
            Err(expression) => {
                let message = format!(
                    "the jq path expression {expression:?} of ignoreDifferences, with those before it, takes too many steps on {key}; write a simpler one"
                );
                // Where two threads come to this, the first is told.
                let _ = self.fault.set(Fault { invalid_spec: false, message });
                return None;
            }
        }
        Some(place::outermost(places))
    }
}

/// The places that expressions name, all of them on the fuel of one run. Otherwise the expression that it was spent on.
fn queried<'a>(
    queries: impl Iterator<Item = &'a (String, Query)>,
    object: &Value,
) -> Result<Vec<Place>, &'a str> {
    let mut queries = queries.peekable();
    if queries.peek().is_none() {
        return Ok(Vec::new());
    }
    metered::run(|| {
        let input = query::input(object);
        let mut places = Vec::new();
        for (expression, query) in queries {
            places.extend(query.find(&input).map_err(|Exhausted| expression.as_str())?);
        }
        Ok(places)
    })
}

impl PartialEq for Ignored {
    fn eq(&self, other: &Self) -> bool {
        self.hash == other.hash
    }
}

impl Rule {
    fn read(rule: &IgnoreDifference) -> Result<Self, String> {
        let query = |text: &String| {
            let query = Query::parse(text);
            query
                .map(|query| (text.clone(), query))
                .map_err(|why| format!("jqPathExpressions {text:?}: {why}"))
        };
        Ok(Self {
            kinds: KindPattern::new(&rule.group, &rule.kind)?,
            name: rule.name.clone(),
            namespace: rule.namespace.clone(),
            pointers: rule.json_pointers.iter().map(|text| Pointer::parse(text)).collect::<Result<_, _>>()?,
            queries: rule.jq_path_expressions.iter().map(query).collect::<Result<_, _>>()?,
            managers: rule.managed_fields_managers.clone(),
            only_with: None,
        })
    }

    /// What a controller collects into a ClusterRole from others.
    fn aggregated_roles() -> Option<Self> {
        Some(Self {
            kinds: KindPattern::new("rbac.authorization.k8s.io", "ClusterRole").ok()?,
            name: String::new(),
            namespace: String::new(),
            pointers: Pointer::parse("/rules").into_iter().collect(),
            queries: Vec::new(),
            managers: Vec::new(),
            only_with: Pointer::parse("/aggregationRule").ok(),
        })
    }

    fn concerns(&self, key: &ObjectKey) -> bool {
        self.kinds.matches(&key.group, &key.kind)
            && (self.name.is_empty() || *self.name == *key.name)
            && (self.namespace.is_empty() || *self.namespace == *key.namespace)
    }

    fn holds_for(&self, object: &Value) -> bool {
        self.only_with.as_ref().is_none_or(|pointer| pointer.find(object).is_some())
    }
}

fn fault(rule: &IgnoreDifference, why: &str, invalid_spec: bool) -> Fault {
    let whose = if invalid_spec { "spec.ignoreDifferences" } else { "ignoreDifferences of argocd-cm" };
    let (group, kind) = (&rule.group, &rule.kind);
    let message = format!("failed to read the rule for {group}/{kind} in {whose}: {why}");
    Fault { invalid_spec, message }
}

/// No rule reaches what says which object it is, whose it is, and who wrote what.
fn restore(rest: &mut Value, object: &Value) {
    let Some(fields) = rest.as_object_mut() else { return };
    for name in ["apiVersion", "kind"] {
        put_back(fields, object, name);
    }
    let metadata = fields.entry("metadata").or_insert_with(|| Value::Object(Default::default()));
    let Some(metadata) = metadata.as_object_mut() else { return };
    for name in ["name", "namespace", "uid", "managedFields"] {
        put_back(metadata, &object["metadata"], name);
    }
    let before = &object["metadata"]["annotations"];
    let tracking = [annotation::TRACKING_ID, annotation::INSTALLATION_ID];
    for name in tracking.into_iter().filter(|name| before.get(name).is_some()) {
        let annotations = metadata.entry("annotations").or_insert_with(|| Value::Object(Default::default()));
        if let Some(annotations) = annotations.as_object_mut() {
            put_back(annotations, before, name);
        }
    }
}

fn put_back(fields: &mut serde_json::Map<String, Value>, before: &Value, name: &str) {
    if let Some(value) = before.get(name) {
        fields.insert(name.to_owned(), value.clone());
    }
}

#[cfg(test)]
mod tests;

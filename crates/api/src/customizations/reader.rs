//! Reading the ConfigMap's data, part by part, into all that is said about each group and kind.
//!
//! What comes in: keys, and texts that are YAML or Lua. What goes out: entries by kind, and what cannot be read.

use std::collections::BTreeMap;

use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Map, Value};
use serde_saphyr::options::DuplicateKeyPolicy;

use super::{Actions, COMPARE_OPTIONS, CompareOptions, DOCUMENT, StatusOf, Unreadable};
use crate::kind_pattern::KindPattern;

/// What of a kind is never put right.
const IGNORE_DIFFERENCES: &str = "ignoreDifferences";

/// Whether the rules of ClusterRoles that are made of others are never put right.
const IGNORE_AGGREGATED_ROLES: &str = "ignoreAggregatedRoles";

/// A group and a kind as they are written: globs.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct KindName {
    pub group: String,
    pub kind: String,
}

impl KindName {
    /// Reads `group/Kind` or `group_Kind`; the core group is left out or empty, `all` is every kind.
    fn parse(text: &str, separator: char) -> Result<Self, String> {
        let (group, kind) = match text.split_once(separator) {
            None if text == "all" => ("*", "*"),
            None => ("", text),
            Some(parts) => parts,
        };
        if kind.is_empty() || kind.contains(separator) {
            let form = format!("group{separator}Kind");
            return Err(format!("{text:?} names no kind; write {form}, Kind for the core group, or all"));
        }
        Ok(Self { group: group.to_owned(), kind: kind.to_owned() })
    }
}

/// All that is said about one group and kind.
#[derive(Debug, Default)]
pub(super) struct Entry {
    pub pattern: Option<KindPattern>,
    /// The health script, and where it stands.
    pub lua: Option<(String, String)>,
    pub use_open_libs: bool,
    pub actions: Option<Actions>,
    pub ignore_differences: Option<Fields>,
    pub ignore_resource_updates: Option<Fields>,
}

/// Fields of objects.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub(super) struct Fields {
    pub json_pointers: Vec<String>,
    pub jq_path_expressions: Vec<String>,
    pub managed_fields_managers: Vec<String>,
}

#[derive(Debug, Default)]
pub(super) struct Reader {
    pub entries: BTreeMap<KindName, Entry>,
    pub unreadable: Vec<Unreadable>,
}

impl Reader {
    /// The YAML document: kinds, and for each what is said about it.
    pub fn document(&mut self, text: &str) {
        let kinds = match yaml::<Option<Map<String, Value>>>(text) {
            Ok(kinds) => kinds.unwrap_or_default(),
            Err(reason) => return self.refuse(DOCUMENT.to_owned(), reason, true),
        };
        for (name, properties) in kinds {
            let kind = format!("{DOCUMENT}, {name}");
            let Value::Object(properties) = properties else {
                self.refuse(kind, "it is no map; write what it customizes below it".to_owned(), true);
                continue;
            };
            for (property, value) in properties {
                // The two spellings differ in these names alone.
                let what = match property.as_str() {
                    "health.lua" => "health",
                    "health.lua.useOpenLibs" => "useOpenLibs",
                    other => other,
                };
                let place = format!("{kind}, {property}");
                let taken = self.take(&place, KindName::parse(&name, '/'), what, &value);
                let protects = what == IGNORE_DIFFERENCES;
                taken.unwrap_or_else(|reason| self.refuse(place, reason, protects));
            }
        }
    }

    /// One key: what is said, and of which kind.
    pub fn key(&mut self, key: &str, rest: &str, text: &str) {
        let taken = match rest.split_once('.') {
            Some((what, name)) => {
                self.take(key, KindName::parse(name, '_'), what, &Value::String(text.to_owned()))
            }
            None => Err(format!("it names no kind; write {DOCUMENT}.{rest}.<group_Kind>")),
        };
        let protects = rest.split('.').next() == Some(IGNORE_DIFFERENCES);
        taken.unwrap_or_else(|reason| self.refuse(key.to_owned(), reason, protects));
    }

    /// What stands at a place, said of a kind.
    fn take(
        &mut self,
        place: &str,
        name: Result<KindName, String>,
        what: &str,
        value: &Value,
    ) -> Result<(), String> {
        let name = name?;
        let pattern = KindPattern::new(&name.group, &name.kind)?;
        let entry = self.entries.entry(name).or_default();
        entry.pattern = Some(pattern);
        match what {
            "health" => entry.lua = Some((place.to_owned(), text(value)?)),
            "useOpenLibs" => entry.use_open_libs = flag(value)?,
            "actions" => entry.actions = Some(part(value)?),
            IGNORE_DIFFERENCES => entry.ignore_differences = Some(part(value)?),
            "ignoreResourceUpdates" => entry.ignore_resource_updates = Some(part(value)?),
            // Quantities written in other words are no difference to the API server, which judges here.
            "knownTypeFields" => {}
            _ => {
                return Err(format!(
                    "{what:?} is not known; there are health, useOpenLibs, actions, ignoreDifferences and \
                     ignoreResourceUpdates"
                ));
            }
        }
        Ok(())
    }

    pub fn compare_options(&mut self, text: &str) -> CompareOptions {
        let mut options = CompareOptions::default();
        let said = match yaml::<Option<Map<String, Value>>>(text) {
            Ok(said) => said.unwrap_or_default(),
            Err(reason) => {
                self.refuse(COMPARE_OPTIONS.to_owned(), reason, true);
                return options;
            }
        };
        for (option, value) in said {
            let taken = match option.as_str() {
                IGNORE_AGGREGATED_ROLES => flag(&value).map(|on| options.ignore_aggregated_roles = on),
                "ignoreResourceStatusField" => status_of(&value).map(|of| options.ignore_status_of = of),
                "ignoreDifferencesOnResourceUpdates" => {
                    flag(&value).map(|on| options.ignore_differences_on_resource_updates = on)
                }
                _ => Err("it is not known; there are ignoreAggregatedRoles, ignoreResourceStatusField and \
                          ignoreDifferencesOnResourceUpdates"
                    .to_owned()),
            };
            let protects = option == IGNORE_AGGREGATED_ROLES;
            taken.unwrap_or_else(|reason| {
                self.refuse(format!("{COMPARE_OPTIONS}, {option}"), reason, protects);
            });
        }
        options
    }

    fn refuse(&mut self, key: String, reason: String, protects: bool) {
        self.unreadable.push(Unreadable { key, reason, protects });
    }
}

/// How much a document may refer to parts of itself.
const REPEATED: usize = 20_000;

/// Reads a setting that is YAML.
pub(crate) fn yaml<T: DeserializeOwned>(text: &str) -> Result<T, String> {
    let options = serde_saphyr::options! {
        duplicate_keys: DuplicateKeyPolicy::LastWins,
        alias_limits: serde_saphyr::alias_limits! { max_total_replayed_events: REPEATED },
    };
    serde_saphyr::from_str_with_options(text, options)
        .map_err(|error| format!("it is not the YAML that it should be: {error}"))
}

/// A part that is YAML within a text; within the document it may also stand as it is.
fn part<T: DeserializeOwned>(value: &Value) -> Result<T, String> {
    match value {
        Value::String(text) => yaml(text),
        other => serde_json::from_value(other.clone()).map_err(|error| error.to_string()),
    }
}

fn text(value: &Value) -> Result<String, String> {
    value.as_str().map(str::to_owned).ok_or_else(|| "it is no text; write `|` before the script".to_owned())
}

fn flag(value: &Value) -> Result<bool, String> {
    match value {
        Value::Bool(on) => Ok(*on),
        Value::String(text) if text.trim().eq_ignore_ascii_case("true") => Ok(true),
        Value::String(text) if text.trim().eq_ignore_ascii_case("false") => Ok(false),
        other => Err(format!("{other} is neither true nor false")),
    }
}

fn status_of(value: &Value) -> Result<StatusOf, String> {
    match value {
        Value::Bool(false) => Ok(StatusOf::None),
        Value::String(text) => match text.as_str() {
            "" | "all" => Ok(StatusOf::All),
            "crd" => Ok(StatusOf::Definitions),
            "none" | "off" | "false" => Ok(StatusOf::None),
            other => Err(format!("{other:?} is not known; write all, crd or none")),
        },
        other => Err(format!("{other} is not known; write all, crd or none")),
    }
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*, sample::select};

    use super::super::Customizations;

    /// Words that keys and documents are made of, in any order: most is nonsense, some is nearly right.
    fn words(words: &'static [&'static str]) -> impl Strategy<Value = String> {
        vec(select(words), 0..12).prop_map(|words| words.concat())
    }

    fn key() -> impl Strategy<Value = String> {
        let parts: &[&str] = &[
            "resource.customizations",
            "resource.compareoptions",
            ".",
            "health",
            "useOpenLibs",
            "actions",
            "ignoreDifferences",
            "ignoreResourceUpdates",
            "apps",
            "_",
            "Deployment",
            "all",
            "/",
            "*",
            "{a,",
            "}",
            "[",
        ];
        prop_oneof![
            Just("resource.customizations".to_owned()),
            Just("resource.compareoptions".to_owned()),
            words(parts),
            words(parts).prop_map(|rest| format!("resource.customizations.{rest}")),
            words(parts).prop_map(|rest| format!("resource.customizations.ignoreDifferences.{rest}")),
        ]
    }

    fn text() -> impl Strategy<Value = String> {
        let parts: &[&str] = &[
            "apps/Deployment",
            ": ",
            "\n",
            "  ",
            "- ",
            "health.lua",
            "|",
            "{",
            "}",
            "[",
            "]",
            ", ",
            "'",
            "\"",
            "&a ",
            "*a ",
            "!!binary ",
            "<<: ",
            "jsonPointers",
            "/spec/a",
            "actions",
            "true",
            "1e999",
            "\t",
            "#",
            "---\n",
            "? ",
        ];
        prop_oneof![words(parts), any::<String>()]
    }

    proptest! {
        #[test]
        fn whatever_the_rest_what_is_right_counts(data in vec((key(), text()), 0..6)) {
            let right = "resource.customizations.health.example.org_Widget".to_owned();
            let data = data.into_iter().chain([(right, "return {}".to_owned())]).collect();
            let (customizations, _) = Customizations::read(&data);
            let script = customizations.health("example.org", "Widget").map(|script| script.lua.as_str());
            prop_assert_eq!(script, Some("return {}"));
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(ProptestConfig::default().cases / 16))]

        #[test]
        fn a_document_of_references_to_references_is_refused(width in 2..12_usize, depth in 2..30_usize) {
            let mut document = "a: &a0 [x, x]\n".to_owned();
            for level in 1..depth {
                let references = vec![format!("*a{}", level - 1); width].join(", ");
                document.push_str(&format!("b{level}: &a{level} [{references}]\n"));
            }
            let data = [("resource.customizations".to_owned(), document)].into();
            let (customizations, unreadable) = Customizations::read(&data);
            prop_assert!(customizations.health_scripts.is_empty() && !unreadable.is_empty());
        }
    }
}

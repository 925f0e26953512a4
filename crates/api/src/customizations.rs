//! What an installation says about kinds, from the data of ConfigMap `argocd-cm`: health scripts, actions, and the
//! fields that do not count in a comparison.
//!
//! What comes in: the ConfigMap's data, in both spellings: one key for each thing
//! (`resource.customizations.health.argoproj.io_Application`) and one YAML document for all (`resource.customizations`).
//! What goes out: the rules in a plain form, and an error for each part that cannot be read; the rest still counts.
//! It neither compiles Lua nor jq, and holds nothing against an object.

mod reader;

use std::{collections::BTreeMap, fmt, sync::Arc};

pub(crate) use reader::yaml;
use reader::{Entry, Fields, KindName, Reader};
use serde::Deserialize;

use crate::{annotation::SETTINGS_CONFIG_MAP, kind_pattern::KindPattern, sync_policy::IgnoreDifference};

const DOCUMENT: &str = "resource.customizations";
const SENSITIVE: &str = "resource.sensitive.mask.annotations";
const COMPARE_OPTIONS: &str = "resource.compareoptions";

/// What an installation says about kinds.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Customizations {
    /// Health scripts by kind; see [`Self::health`].
    pub health_scripts: Vec<(KindPattern, Arc<HealthScript>)>,
    /// Actions by kind; see [`Self::actions`].
    pub actions: Vec<(KindPattern, Actions)>,
    /// Fields in which differences do not count: rules as in an Application, never with a name or a namespace.
    /// Every rule that matches an object holds. The globs have been checked.
    pub ignore_differences: Vec<IgnoreDifference>,
    /// Fields whose changes are no news, in the same form.
    pub ignore_resource_updates: Vec<IgnoreDifference>,
    /// How everything is compared.
    pub compare_options: CompareOptions,
    /// Annotations whose values are not shown.
    pub sensitive_annotations: Vec<String>,
}

/// A Lua script that judges an object's health.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct HealthScript {
    /// Where it stands; within the YAML document, the way to it.
    pub key: String,
    /// Its text: gets the object as `obj`, returns a table with `status` and `message`.
    pub lua: String,
    /// Whether it may use the libraries beyond the basic ones.
    pub use_open_libs: bool,
}

/// What people can do to objects of a kind, in Lua.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct Actions {
    /// The script that tells which actions an object has.
    #[serde(rename = "discovery.lua", default)]
    pub discovery: String,
    /// The actions themselves.
    #[serde(default)]
    pub definitions: Vec<Action>,
    /// Whether the actions that come with the installation stay.
    #[serde(rename = "mergeBuiltinActions", default)]
    pub merge_built_in: bool,
}

/// One action.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct Action {
    /// Its name, as discovery gives it.
    pub name: String,
    /// The script that changes the object.
    #[serde(rename = "action.lua")]
    pub lua: String,
}

/// How everything is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CompareOptions {
    /// The rules of aggregated ClusterRoles do not count: Kubernetes itself writes them.
    pub ignore_aggregated_roles: bool,
    /// Of which kinds the status does not count.
    pub ignore_status_of: StatusOf,
    /// Changes of fields in which differences do not count are no news either.
    pub ignore_differences_on_resource_updates: bool,
}

impl Default for CompareOptions {
    fn default() -> Self {
        Self {
            ignore_aggregated_roles: true,
            ignore_status_of: StatusOf::All,
            ignore_differences_on_resource_updates: true,
        }
    }
}

/// Kinds whose status does not count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum StatusOf {
    /// All.
    #[default]
    All,
    /// CustomResourceDefinitions alone.
    Definitions,
    /// None: the status counts.
    None,
}

/// A part that cannot be read, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unreadable {
    /// Its key; within the YAML document, the way to it.
    pub key: String,
    /// What is wrong, and what to do.
    pub reason: String,
    /// It may say of which differences none may be put right: nothing may be decided without it.
    pub protects: bool,
}

impl fmt::Display for Unreadable {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "failed to read {} of ConfigMap {SETTINGS_CONFIG_MAP}: {}", self.key, self.reason)
    }
}

impl Customizations {
    /// Reads the ConfigMap's data.
    pub fn read(data: &BTreeMap<String, String>) -> (Self, Vec<Unreadable>) {
        let mut reader = Reader::default();
        if let Some(text) = data.get(DOCUMENT) {
            reader.document(text);
        }
        // Keys of their own win over the document.
        for (key, text) in data {
            if let Some(rest) = key.strip_prefix(DOCUMENT).and_then(|rest| rest.strip_prefix('.')) {
                reader.key(key, rest, text);
            }
        }
        let mut customizations = Self::default();
        if let Some(text) = data.get(COMPARE_OPTIONS) {
            customizations.compare_options = reader.compare_options(text);
        }
        let sensitive = data.get(SENSITIVE).map(String::as_str).unwrap_or_default().split(',').map(str::trim);
        customizations.sensitive_annotations =
            sensitive.filter(|name| !name.is_empty()).map(str::to_owned).collect();
        for (name, entry) in reader.entries {
            customizations.add(name, entry);
        }
        // What names a kind comes before what may mean it among others.
        customizations.health_scripts.sort_by_key(|(pattern, _)| !pattern.is_exact());
        customizations.actions.sort_by_key(|(pattern, _)| !pattern.is_exact());
        (customizations, reader.unreadable)
    }

    /// The script for a kind: the one that names it, else the first whose globs match.
    pub fn health(&self, group: &str, kind: &str) -> Option<&Arc<HealthScript>> {
        let found = self.health_scripts.iter().find(|(pattern, _)| pattern.matches(group, kind));
        found.map(|(_, script)| script)
    }

    /// The actions for a kind: those that name it, else the first whose globs match.
    pub fn actions(&self, group: &str, kind: &str) -> Option<&Actions> {
        let found = self.actions.iter().find(|(pattern, _)| pattern.matches(group, kind));
        found.map(|(_, actions)| actions)
    }

    fn add(&mut self, name: KindName, entry: Entry) {
        let rule = |fields: Fields| IgnoreDifference {
            group: name.group.clone(),
            kind: name.kind.clone(),
            json_pointers: fields.json_pointers,
            jq_path_expressions: fields.jq_path_expressions,
            managed_fields_managers: fields.managed_fields_managers,
            ..IgnoreDifference::default()
        };
        self.ignore_differences.extend(entry.ignore_differences.map(rule));
        self.ignore_resource_updates.extend(entry.ignore_resource_updates.map(rule));
        let Some(pattern) = entry.pattern else { return };
        if let Some((key, lua)) = entry.lua {
            let script = HealthScript { key, lua, use_open_libs: entry.use_open_libs };
            self.health_scripts.push((pattern.clone(), Arc::new(script)));
        }
        self.actions.extend(entry.actions.map(|actions| (pattern, actions)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(data: &[(&str, &str)]) -> (Customizations, Vec<String>) {
        let data = data.iter().map(|(key, text)| ((*key).to_owned(), (*text).to_owned())).collect();
        let (customizations, unreadable) = Customizations::read(&data);
        (customizations, unreadable.iter().map(Unreadable::to_string).collect())
    }

    #[track_caller]
    fn good(data: &[(&str, &str)]) -> Customizations {
        let (customizations, unreadable) = read(data);
        assert_eq!(unreadable, [""; 0]);
        customizations
    }

    const FIELDS: &str =
        "jsonPointers: [/spec/a]\njqPathExpressions:\n- .spec.b[]\nmanagedFieldsManagers: [c]\n";

    fn rule(group: &str, kind: &str) -> IgnoreDifference {
        IgnoreDifference {
            group: group.to_owned(),
            kind: kind.to_owned(),
            json_pointers: vec!["/spec/a".to_owned()],
            jq_path_expressions: vec![".spec.b[]".to_owned()],
            managed_fields_managers: vec!["c".to_owned()],
            ..IgnoreDifference::default()
        }
    }

    #[test]
    fn an_empty_config_map_customizes_nothing() {
        assert_eq!(good(&[]), Customizations::default());
        assert_eq!(good(&[(DOCUMENT, ""), (COMPARE_OPTIONS, "")]), Customizations::default());
    }

    #[test]
    fn both_spellings_say_the_same() {
        let actions = "discovery.lua: |\n  return {}\ndefinitions:\n- name: go\n  action.lua: return obj\n";
        let split = good(&[
            ("resource.customizations.health.example.org_Widget", "return {}"),
            ("resource.customizations.useOpenLibs.example.org_Widget", "true"),
            ("resource.customizations.actions.example.org_Widget", actions),
            ("resource.customizations.ignoreDifferences.example.org_Widget", FIELDS),
            ("resource.customizations.ignoreResourceUpdates.all", FIELDS),
        ]);
        let document = "
example.org/Widget:
  health.lua: return {}
  health.lua.useOpenLibs: true
  actions: |
    discovery.lua: |
      return {}
    definitions:
    - name: go
      action.lua: return obj
  ignoreDifferences: |
    jsonPointers: [/spec/a]
    jqPathExpressions: [\".spec.b[]\"]
    managedFieldsManagers: [c]
all:
  ignoreResourceUpdates:
    jsonPointers: [/spec/a]
    jqPathExpressions: [\".spec.b[]\"]
    managedFieldsManagers: [c]
";
        let whole = good(&[(DOCUMENT, document)]);
        let places = [
            (&split, "resource.customizations.health.example.org_Widget"),
            (&whole, "resource.customizations, example.org/Widget, health.lua"),
        ];
        for (said, key) in places {
            let (key, lua) = (key.to_owned(), "return {}".to_owned());
            let script = Arc::new(HealthScript { key, lua, use_open_libs: true });
            assert_eq!(said.health("example.org", "Widget"), Some(&script));
        }
        assert_eq!(Customizations { health_scripts: whole.health_scripts.clone(), ..split.clone() }, whole);
        assert_eq!(split.ignore_differences, [rule("example.org", "Widget")]);
        assert_eq!(split.ignore_resource_updates, [rule("*", "*")]);
        assert_eq!(split.actions[0].1.definitions[0].name, "go");
    }

    #[test]
    fn the_core_group_has_no_name() {
        for key in ["ConfigMap", "_ConfigMap"] {
            let key = format!("resource.customizations.ignoreDifferences.{key}");
            assert_eq!(good(&[(&key, FIELDS)]).ignore_differences, [rule("", "ConfigMap")], "{key}");
        }
        let document = format!("{DOCUMENT}.health.Pod");
        assert!(good(&[(&document, "return {}")]).health("", "Pod").is_some());
    }

    #[test]
    fn what_names_a_kind_wins_over_globs() {
        let document = "
'*/*': {health.lua: any}
'*.example.org/*': {health.lua: group}
a.example.org/Widget: {health.lua: kind}
";
        let customizations = good(&[(DOCUMENT, document)]);
        let lua = |group, kind| customizations.health(group, kind).map(|script| script.lua.as_str());
        assert_eq!(lua("a.example.org", "Widget"), Some("kind"));
        assert_eq!(lua("", "Pod"), Some("any"));
        assert!(good(&[]).health("", "Pod").is_none());
    }

    #[test]
    fn a_key_of_its_own_wins_over_the_document() {
        let customizations = good(&[
            (DOCUMENT, "apps/Deployment: {health.lua: old, ignoreDifferences: 'jsonPointers: [/spec/a]'}"),
            ("resource.customizations.health.apps_Deployment", "new"),
        ]);
        assert_eq!(customizations.health("apps", "Deployment").map(|script| &*script.lua), Some("new"));
        assert_eq!(customizations.ignore_differences.len(), 1);
    }

    #[test]
    fn compare_options_have_argo_cds_defaults() {
        assert_eq!(good(&[]).compare_options, CompareOptions::default());
        let text = "ignoreAggregatedRoles: true\nignoreResourceStatusField: crd\nignoreDifferencesOnResourceUpdates: false\n";
        let expected = CompareOptions {
            ignore_aggregated_roles: true,
            ignore_status_of: StatusOf::Definitions,
            ignore_differences_on_resource_updates: false,
        };
        assert_eq!(good(&[(COMPARE_OPTIONS, text)]).compare_options, expected);
        for off in ["none", "off", "false"] {
            let text = format!("ignoreResourceStatusField: {off}");
            let options = good(&[(COMPARE_OPTIONS, &text)]).compare_options;
            assert_eq!(options.ignore_status_of, StatusOf::None, "{off}");
        }
    }

    #[test]
    fn annotations_that_are_not_shown_are_listed_with_commas() {
        let customizations = good(&[(SENSITIVE, "example.org/token, api-key,")]);
        assert_eq!(customizations.sensitive_annotations, ["example.org/token", "api-key"]);
    }

    #[test]
    fn what_cannot_be_read_names_its_key_and_the_rest_counts() {
        let bad: [(&str, &str, &[&str]); 12] = [
            ("resource.customizations.helth.apps_Deployment", "x", &["\"helth\" is not known", "health"]),
            ("resource.customizations.health", "x", &["names no kind"]),
            ("resource.customizations.health.a_b_c", "x", &["\"a_b_c\" names no kind", "group_Kind"]),
            ("resource.customizations.health.apps_", "x", &["names no kind"]),
            ("resource.customizations.useOpenLibs.apps_Deployment", "perhaps", &["neither true nor false"]),
            ("resource.customizations.ignoreDifferences.apps_Deployment", "jsonPointers: [", &["YAML"]),
            ("resource.customizations.ignoreDifferences.Pod", "jsonPointer: [/a]", &["jsonPointer"]),
            ("resource.customizations.actions.apps_Deployment", "definitions: [{name: x}]", &["action.lua"]),
            (DOCUMENT, "- a", &["YAML"]),
            (DOCUMENT, "apps/Deployment: true", &["apps/Deployment", "no map"]),
            (DOCUMENT, "apps/Deployment: {health.lua: [1]}", &["apps/Deployment, health.lua", "no text"]),
            (COMPARE_OPTIONS, "ignoreResourceStatusField: some", &["ignoreResourceStatusField", "\"some\""]),
        ];
        let neighbour = ("resource.customizations.health.batch_Job", "return {}");
        for (key, text, words) in bad {
            let (customizations, unreadable) = read(&[(key, text), neighbour]);
            assert!(customizations.health("batch", "Job").is_some(), "{key} took its neighbour along");
            assert_eq!(unreadable.len(), 1, "{key}: {unreadable:?}");
            let message = &unreadable[0];
            for word in [key, "argocd-cm"].iter().chain(words) {
                assert!(message.contains(word), "{word:?} is not in: {message}");
            }
        }
    }
}

//! Sync options: `Key=value` texts on an Application or an object, to a set with typed answers.
//! An object's options are laid over its Application's.

use std::collections::BTreeMap;

/// Options by key; of a key that is given twice the last counts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SyncOptions {
    values: BTreeMap<String, String>,
}

/// Whether something may be deleted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Deletion {
    /// It may.
    #[default]
    Allowed,
    /// It may not.
    Forbidden,
    /// It may when someone confirms.
    Confirmed,
}

/// What happens to the dependents of a pruned object.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Propagation {
    /// They go first.
    #[default]
    Foreground,
    /// They go later.
    Background,
    /// They stay.
    Orphan,
}

/// Where options are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// On an Application, or in an operation.
    Application,
    /// On an object.
    Object,
}

/// An option that is known: its key, its values, and where it has an effect.
struct Known(&'static str, &'static [&'static str], &'static [Place]);

const SWITCH: &[&str] = &["true", "false"];
const DELETION: &[&str] = &["true", "false", "confirm"];
const BOTH: &[Place] = &[Place::Application, Place::Object];
const APPLICATION: &[Place] = &[Place::Application];
const OBJECT: &[Place] = &[Place::Object];

/// Compat 1.6.
const KNOWN: &[Known] = &[
    Known("ApplyOutOfSyncOnly", SWITCH, APPLICATION),
    Known("ClientSideApplyMigration", SWITCH, APPLICATION),
    Known("CreateNamespace", SWITCH, APPLICATION),
    Known("Delete", DELETION, BOTH),
    Known("FailOnSharedResource", SWITCH, APPLICATION),
    Known("Force", SWITCH, OBJECT),
    Known("Prune", DELETION, BOTH),
    Known("PruneLast", SWITCH, BOTH),
    Known("PrunePropagationPolicy", &["foreground", "background", "orphan"], APPLICATION),
    Known("Replace", SWITCH, BOTH),
    Known("RespectIgnoreDifferences", SWITCH, APPLICATION),
    // Objects are always applied server-side.
    Known("ServerSideApply", &["true"], BOTH),
    Known("SkipDryRunOnMissingResource", SWITCH, BOTH),
    Known("Validate", SWITCH, BOTH),
];

/// What of a list of options has no effect where it is written, and why; for people.
pub fn unsupported<T: AsRef<str>>(options: impl IntoIterator<Item = T>, place: Place) -> Vec<String> {
    let options = options.into_iter().filter(|option| !option.as_ref().trim().is_empty());
    options.filter_map(|option| without_effect(option.as_ref().trim(), place)).collect()
}

fn without_effect(option: &str, place: Place) -> Option<String> {
    let Some((key, value)) = option.split_once('=').map(|(key, value)| (key.trim(), value.trim())) else {
        return Some(format!("{option:?} is no sync option: options are written Key=value"));
    };
    let Some(Known(_, values, places)) = KNOWN.iter().find(|known| known.0 == key) else {
        let keys: Vec<_> = KNOWN.iter().map(|known| known.0).collect();
        return Some(format!("there is no sync option {key}; known are {}", keys.join(", ")));
    };
    if !places.contains(&place) {
        let place = if place == Place::Object { "an object" } else { "an Application" };
        return Some(format!("sync option {key} has no effect on {place}"));
    }
    (!values.contains(&value))
        .then(|| format!("sync option {key}={value} has no effect; known values are {}", values.join(", ")))
}

impl SyncOptions {
    /// Reads a list of options. Texts without `=` are left out: no option has that form.
    pub fn from_list<T: AsRef<str>>(options: impl IntoIterator<Item = T>) -> Self {
        let values = options
            .into_iter()
            .filter_map(|option| {
                let (key, value) = option.as_ref().split_once('=')?;
                Some((key.trim().to_owned(), value.trim().to_owned()))
            })
            .collect();
        Self { values }
    }

    /// Reads an annotation's value: options separated by commas.
    pub fn from_annotation(value: &str) -> Self {
        Self::from_list(value.split(','))
    }

    /// These options with an object's laid over them.
    pub fn overlaid_with(&self, object: &Self) -> Self {
        let mut values = self.values.clone();
        values.extend(object.values.clone());
        Self { values }
    }

    /// The value of an option, if given.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.values.get(key).map(String::as_str)
    }

    /// `CreateNamespace=true`: make the destination's namespace.
    pub fn create_namespace(&self) -> bool {
        self.is("CreateNamespace", "true")
    }

    /// `Prune=false|confirm`: whether the object may be pruned.
    pub fn prune(&self) -> Deletion {
        self.deletion("Prune")
    }

    /// `Delete=false|confirm`: whether the object may be deleted with its Application.
    pub fn delete(&self) -> Deletion {
        self.deletion("Delete")
    }

    /// `PruneLast=true`: prune after all else.
    pub fn prune_last(&self) -> bool {
        self.is("PruneLast", "true")
    }

    /// `ApplyOutOfSyncOnly=true`: what is as wanted is not even listed in the result.
    pub fn apply_out_of_sync_only(&self) -> bool {
        self.is("ApplyOutOfSyncOnly", "true")
    }

    /// `Replace=true`: replace the object as a whole instead of applying it.
    pub fn replace(&self) -> bool {
        self.is("Replace", "true")
    }

    /// `Force=true`: delete the object and make it anew where it cannot be changed.
    pub fn force(&self) -> bool {
        self.is("Force", "true")
    }

    /// `FailOnSharedResource=true`: touch nothing where an object belongs to another Application.
    pub fn fail_on_shared_resource(&self) -> bool {
        self.is("FailOnSharedResource", "true")
    }

    /// `SkipDryRunOnMissingResource=true`: an object of a kind that is not there yet holds nothing up before its turn.
    pub fn skips_missing_kinds(&self) -> bool {
        self.is("SkipDryRunOnMissingResource", "true")
    }

    /// `Validate=false`: the object's turn shows whether the API server takes it, and nothing before.
    pub fn validates(&self) -> bool {
        !self.is("Validate", "false")
    }

    /// `ClientSideApplyMigration=false`: fields that were written client-side stay whose they are.
    pub fn keeps_client_side(&self) -> bool {
        self.is("ClientSideApplyMigration", "false")
    }

    /// `RespectIgnoreDifferences=true`: apply without touching the fields in which differences do not count.
    pub fn respect_ignore_differences(&self) -> bool {
        self.is("RespectIgnoreDifferences", "true")
    }

    /// `PrunePropagationPolicy`: what happens to the dependents of pruned objects.
    pub fn prune_propagation(&self) -> Propagation {
        match self.get("PrunePropagationPolicy") {
            Some("background") => Propagation::Background,
            Some("orphan") => Propagation::Orphan,
            _ => Propagation::Foreground,
        }
    }

    fn is(&self, key: &str, value: &str) -> bool {
        self.get(key) == Some(value)
    }

    fn deletion(&self, key: &str) -> Deletion {
        match self.get(key) {
            Some("false") => Deletion::Forbidden,
            Some("confirm") => Deletion::Confirmed,
            _ => Deletion::Allowed,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_read_from_lists_and_annotations() {
        let list = SyncOptions::from_list(["CreateNamespace=true", "PruneLast=true", "nonsense"]);
        assert!(list.create_namespace());
        assert!(list.prune_last());
        let annotation = SyncOptions::from_annotation("Prune=confirm, Delete=false ,PruneLast=true");
        assert_eq!(annotation.prune(), Deletion::Confirmed);
        assert_eq!(annotation.delete(), Deletion::Forbidden);
        assert!(annotation.prune_last());
    }

    #[test]
    fn options_without_effect_are_named() {
        let told = unsupported(
            ["CreateNamespace=true", "Prunelast=true", "Prune=maybe", "Force=true", "now"],
            Place::Application,
        );
        assert!(told[0].starts_with("there is no sync option Prunelast; known are ApplyOutOfSyncOnly, "));
        assert_eq!(
            told[1..],
            [
                "sync option Prune=maybe has no effect; known values are true, false, confirm",
                "sync option Force has no effect on an Application",
                "\"now\" is no sync option: options are written Key=value",
            ]
        );
        assert!(unsupported("Prune=confirm, Replace=true".split(','), Place::Object).is_empty());
    }

    #[test]
    fn absent_options_have_argo_cds_defaults() {
        let none = SyncOptions::default();
        assert!(!none.create_namespace());
        assert!(!none.prune_last());
        assert!(!none.respect_ignore_differences());
        assert_eq!(none.prune(), Deletion::Allowed);
        assert_eq!(none.prune_propagation(), Propagation::Foreground);
    }

    #[test]
    fn an_objects_options_win_over_its_applications() {
        let application = SyncOptions::from_list(["Prune=false", "PruneLast=true"]);
        let object = SyncOptions::from_annotation("Prune=true");
        let both = application.overlaid_with(&object);
        assert_eq!(both.prune(), Deletion::Allowed);
        assert!(both.prune_last());
    }
}

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

    /// `Validate=false`: take objects with fields that their kind does not have.
    pub fn validate(&self) -> bool {
        !self.is("Validate", "false")
    }

    /// `SkipDryRunOnMissingResource=true`: do not try objects whose kind does not exist yet.
    pub fn skip_dry_run_on_missing_resource(&self) -> bool {
        self.is("SkipDryRunOnMissingResource", "true")
    }

    /// `ApplyOutOfSyncOnly=true`: leave objects that match alone.
    pub fn apply_out_of_sync_only(&self) -> bool {
        self.is("ApplyOutOfSyncOnly", "true")
    }

    /// `PruneLast=true`: prune after all else.
    pub fn prune_last(&self) -> bool {
        self.is("PruneLast", "true")
    }

    /// `PrunePropagationPolicy`: what happens to the dependents of pruned objects.
    pub fn prune_propagation(&self) -> Propagation {
        match self.get("PrunePropagationPolicy") {
            Some("background") => Propagation::Background,
            Some("orphan") => Propagation::Orphan,
            _ => Propagation::Foreground,
        }
    }

    /// `Replace=true`: replace in place of applying.
    pub fn replace(&self) -> bool {
        self.is("Replace", "true")
    }

    /// `Force=true`: delete and create what cannot be changed in place.
    pub fn force(&self) -> bool {
        self.is("Force", "true")
    }

    /// `ServerSideApply`: what the user says about it, if anything.
    pub fn server_side_apply(&self) -> Option<bool> {
        match self.get("ServerSideApply") {
            Some("true") => Some(true),
            Some("false") => Some(false),
            _ => None,
        }
    }

    /// `ClientSideApplyMigration=false`: leave client-side managers' fields to them.
    pub fn client_side_apply_migration(&self) -> bool {
        !self.is("ClientSideApplyMigration", "false")
    }

    /// `RespectIgnoreDifferences=true`: apply the live values of ignored fields.
    pub fn respect_ignore_differences(&self) -> bool {
        self.is("RespectIgnoreDifferences", "true")
    }

    /// `FailOnSharedResource=true`: fail where another Application manages an object.
    pub fn fail_on_shared_resource(&self) -> bool {
        self.is("FailOnSharedResource", "true")
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
        let list = SyncOptions::from_list(["CreateNamespace=true", "Validate=false", "nonsense"]);
        assert!(list.create_namespace());
        assert!(!list.validate());
        let annotation = SyncOptions::from_annotation("Prune=confirm, Delete=false ,Replace=true");
        assert_eq!(annotation.prune(), Deletion::Confirmed);
        assert_eq!(annotation.delete(), Deletion::Forbidden);
        assert!(annotation.replace());
    }

    #[test]
    fn absent_options_have_argo_cds_defaults() {
        let none = SyncOptions::default();
        assert!(!none.create_namespace());
        assert!(none.validate());
        assert!(none.client_side_apply_migration());
        assert_eq!(none.prune(), Deletion::Allowed);
        assert_eq!(none.prune_propagation(), Propagation::Foreground);
        assert_eq!(none.server_side_apply(), None);
    }

    #[test]
    fn an_objects_options_win_over_its_applications() {
        let application = SyncOptions::from_list(["ServerSideApply=true", "PruneLast=true"]);
        let object = SyncOptions::from_annotation("ServerSideApply=false");
        let both = application.overlaid_with(&object);
        assert_eq!(both.server_side_apply(), Some(false));
        assert!(both.prune_last());
    }
}

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

    /// `PruneLast=true`: prune after all else.
    pub fn prune_last(&self) -> bool {
        self.is("PruneLast", "true")
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

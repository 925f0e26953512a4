//! The words of a status. Words that are not known are read as the one that promises least, so that
//! an Application written by another version can still be read.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize};

/// Defines an enum whose JSON form is its variants' names and whose schema is a plain string.
macro_rules! words {
    ($(#[$meta:meta])* $name:ident, unknown: $unknown:ident { $($(#[$doc:meta])* $variant:ident,)* }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
        pub enum $name {
            $($(#[$doc])* $variant,)*
        }

        impl $name {
            /// Every word, in the order of their definition.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// The word as JSON has it.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => stringify!($variant),)*
                }
            }

            /// Reads the word; None where it is not known.
            pub fn parse(text: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|word| word.as_str() == text)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str(self.as_str())
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = Cow::<str>::deserialize(deserializer)?;
                Ok(Self::parse(&text).unwrap_or(Self::$unknown))
            }
        }

        impl JsonSchema for $name {
            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({"type": "string"})
            }
        }
    };
}

words! {
    /// Whether the cluster matches the source.
    #[derive(Default)]
    SyncStatusCode, unknown: Unknown {
        /// It does.
        Synced,
        /// It does not.
        OutOfSync,
        /// It could not be found out.
        #[default]
        Unknown,
    }
}

words! {
    /// Health, from best to worst: an Application is as healthy as its least healthy object.
    #[derive(PartialOrd, Ord, Default)]
    HealthStatusCode, unknown: Unknown {
        /// As it should be.
        Healthy,
        /// Halted on purpose.
        Suspended,
        /// On its way to being healthy.
        Progressing,
        /// Not in the cluster.
        Missing,
        /// Failed, or not healthy in time.
        Degraded,
        /// It could not be found out.
        #[default]
        Unknown,
    }
}

words! {
    /// How far an operation is.
    OperationPhase, unknown: Error {
        /// Under way, or waiting to be repeated.
        Running,
        /// Being stopped.
        Terminating,
        /// Done, not as asked.
        Failed,
        /// Could not be carried out.
        Error,
        /// Done as asked.
        Succeeded,
    }
}

impl OperationPhase {
    /// True where nothing more will happen.
    pub fn is_completed(self) -> bool {
        matches!(self, Self::Failed | Self::Error | Self::Succeeded)
    }
}

words! {
    /// What an operation did to an object.
    ResultCode, unknown: SyncFailed {
        /// Applied.
        Synced,
        /// Failed to apply or delete.
        SyncFailed,
        /// Deleted.
        Pruned,
        /// Left alone although the source does not have it.
        PruneSkipped,
    }
}

words! {
    /// What kind of thing a condition tells.
    #[derive(PartialOrd, Ord)]
    ConditionType, unknown: UnknownError {
        /// Failed to delete the Application's objects.
        DeletionError,
        /// The spec contradicts itself, or names a project or cluster that does not serve.
        InvalidSpecError,
        /// Failed to compare: the source could not be had or rendered, or an object could not be judged.
        ComparisonError,
        /// Failed to sync without being asked.
        SyncError,
        /// Something else failed.
        UnknownError,
        /// Another Application manages one of the objects.
        SharedResourceWarning,
        /// The sources hold an object more than once.
        RepeatedResourceWarning,
        /// The sources hold an object of an excluded kind.
        ExcludedResourceWarning,
        /// The namespace holds objects that no Application manages.
        OrphanedResourceWarning,
        /// Something is written that has no effect. Ithaca's own.
        UnsupportedWarning,
        /// A sync waits for other Applications. Ithaca's own.
        DependencyWarning,
        /// A sync would delete more than goes without a word. Ithaca's own.
        PruneHeldWarning,
        /// An ApplicationSet would lose more Applications than go without a word. Ithaca's own.
        DeletionHeldWarning,
        /// An operation waits for a hook that has run for long. Ithaca's own.
        HookWarning,
        /// The cluster's schema does not know a field of an object and drops it. Ithaca's own; Argo CD has no such word.
        UnknownFieldWarning,
        /// A sync window holds back a sync that nobody asked for. Argo CD has no such word.
        SyncWindowWarning,
    }
}

impl ConditionType {
    /// True for errors, false for warnings.
    pub fn is_error(self) -> bool {
        self.as_str().ends_with("Error")
    }
}

/// Reads a word, an unknown one as an absent one.
pub(crate) fn known<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: serde::de::DeserializeOwned,
{
    let value = serde_json::Value::deserialize(deserializer)?;
    Ok(serde_json::from_value(value).ok())
}

/// Reads a list of words and leaves unknown ones out.
pub(crate) fn all_known<'de, D, T>(deserializer: D) -> Result<Vec<T>, D::Error>
where
    D: Deserializer<'de>,
    T: serde::de::DeserializeOwned,
{
    let values = Vec::<serde_json::Value>::deserialize(deserializer)?;
    let known = values.into_iter().filter_map(|value| serde_json::from_value(value).ok());
    Ok(known.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn health_is_ordered_from_best_to_worst() {
        let worst = HealthStatusCode::ALL.iter().max();
        assert_eq!(worst, Some(&HealthStatusCode::Unknown));
        assert!(HealthStatusCode::Healthy < HealthStatusCode::Suspended);
        assert!(HealthStatusCode::Progressing < HealthStatusCode::Missing);
        assert!(HealthStatusCode::Missing < HealthStatusCode::Degraded);
    }

    #[test]
    fn words_are_their_names_and_unknown_ones_promise_least() {
        let text = serde_json::to_string(&SyncStatusCode::OutOfSync).expect("JSON");
        assert_eq!(text, "\"OutOfSync\"");
        let read: SyncStatusCode = serde_json::from_str("\"Later\"").expect("a word");
        assert_eq!(read, SyncStatusCode::Unknown);
        let read: OperationPhase = serde_json::from_str("\"Terminating\"").expect("a word");
        assert_eq!(read, OperationPhase::Terminating);
    }

    #[test]
    fn conditions_are_errors_or_warnings_by_their_name() {
        assert!(ConditionType::ComparisonError.is_error());
        assert!(!ConditionType::SharedResourceWarning.is_error());
    }
}

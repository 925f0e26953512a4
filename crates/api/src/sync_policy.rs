//! `spec.syncPolicy` and `spec.ignoreDifferences`: when the cluster is made to match, with which
//! retries, and which differences do not count.

use std::collections::BTreeMap;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::duration::{DurationError, parse_duration};
use crate::is_default;

/// When and how the cluster is made to match.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct SyncPolicy {
    /// Present: changes are applied without being asked for.
    #[serde(skip_serializing_if = "is_default")]
    pub automated: Option<Automated>,
    /// `Key=value` options; see [`crate::SyncOptions`].
    #[serde(skip_serializing_if = "is_default")]
    pub sync_options: Vec<String>,
    /// How failed operations are repeated.
    #[serde(skip_serializing_if = "is_default")]
    pub retry: Option<Retry>,
    /// Labels and annotations of the namespace that `CreateNamespace=true` makes.
    #[serde(skip_serializing_if = "is_default")]
    pub managed_namespace_metadata: Option<ManagedNamespaceMetadata>,
}

impl SyncPolicy {
    /// The automation in force: present and not switched off.
    pub fn automated(&self) -> Option<&Automated> {
        self.automated.as_ref().filter(|automated| automated.enabled != Some(false))
    }
}

/// How changes are applied without being asked for.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Automated {
    /// False switches automation off; absent means on.
    #[serde(skip_serializing_if = "is_default")]
    pub enabled: Option<bool>,
    /// Delete objects that Git no longer has.
    #[serde(skip_serializing_if = "is_default")]
    pub prune: bool,
    /// Undo changes made in the cluster.
    #[serde(skip_serializing_if = "is_default")]
    pub self_heal: bool,
    /// Allow that everything is pruned.
    #[serde(skip_serializing_if = "is_default")]
    pub allow_empty: bool,
}

/// How failed operations are repeated.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Retry {
    /// How often at most; below 0 without end, 0 never.
    #[serde(skip_serializing_if = "is_default")]
    pub limit: i64,
    /// Take the newest revision when repeating.
    #[serde(skip_serializing_if = "is_default")]
    pub refresh: bool,
    /// How long to wait in between.
    #[serde(skip_serializing_if = "is_default")]
    pub backoff: Option<Backoff>,
}

impl Retry {
    /// What holds for automated operations where the policy does not speak of retries.
    pub fn automated_default() -> Self {
        Self { limit: 5, ..Self::default() }
    }

    /// True while an operation that was repeated `retries` times may be repeated again.
    pub fn allows(&self, retries: i64) -> bool {
        self.limit < 0 || retries < self.limit
    }
}

/// How long to wait between repetitions: `duration * factor^n`, at most `maxDuration`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Backoff {
    /// The first wait, as a duration (`5s`, `1m30s`) or whole seconds; empty means 5 s.
    #[serde(skip_serializing_if = "is_default")]
    pub duration: String,
    /// By how much each wait is longer than the one before; absent means 2.
    #[serde(skip_serializing_if = "is_default")]
    pub factor: Option<i64>,
    /// The longest wait, as `duration`; empty means 3 minutes.
    #[serde(skip_serializing_if = "is_default")]
    pub max_duration: String,
}

impl Backoff {
    /// How long to wait before repetition number `retries` (the first is 0). What cannot be read is as if absent.
    pub fn delay(&self, retries: u32) -> Duration {
        let first = parse_or(&self.duration, FIRST_WAIT);
        let longest = parse_or(&self.max_duration, LONGEST_WAIT);
        let factor = self.factor.map_or(2.0, |factor| factor.max(1) as f64);
        let exponent = i32::try_from(retries).unwrap_or(i32::MAX);
        let seconds = first.as_secs_f64() * factor.powi(exponent);
        Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX).min(longest)
    }

    /// Which of its durations cannot be read, and what is taken instead; for people.
    pub fn unreadable(&self) -> Vec<String> {
        let durations =
            [("duration", &self.duration, FIRST_WAIT), ("maxDuration", &self.max_duration, LONGEST_WAIT)];
        let faults = durations.into_iter().filter_map(|(name, text, default)| {
            let fault = read(text)?.err()?;
            Some(format!("backoff.{name}: {fault}; {} s are taken", default.as_secs()))
        });
        faults.collect()
    }
}

const FIRST_WAIT: Duration = Duration::from_secs(5);
const LONGEST_WAIT: Duration = Duration::from_secs(180);

/// None where nothing is written.
fn read(text: &str) -> Option<Result<Duration, DurationError>> {
    (!text.is_empty()).then(|| parse_duration(text))
}

fn parse_or(text: &str, default: Duration) -> Duration {
    read(text).and_then(Result::ok).unwrap_or(default)
}

/// Labels and annotations of the namespace that `CreateNamespace=true` makes.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct ManagedNamespaceMetadata {
    /// Labels by key.
    #[serde(skip_serializing_if = "is_default")]
    pub labels: BTreeMap<String, String>,
    /// Annotations by key.
    #[serde(skip_serializing_if = "is_default")]
    pub annotations: BTreeMap<String, String>,
}

/// Objects and the fields of theirs in which differences do not count.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct IgnoreDifference {
    /// API group, a glob; empty is the core group.
    #[serde(default, skip_serializing_if = "is_default")]
    pub group: String,
    /// Kind, a glob.
    pub kind: String,
    /// Name; empty is any.
    #[serde(default, skip_serializing_if = "is_default")]
    pub name: String,
    /// Namespace; empty is any.
    #[serde(default, skip_serializing_if = "is_default")]
    pub namespace: String,
    /// JSON pointers to the fields.
    #[serde(default, skip_serializing_if = "is_default")]
    pub json_pointers: Vec<String>,
    /// jq path expressions for the fields.
    #[serde(default, skip_serializing_if = "is_default")]
    pub jq_path_expressions: Vec<String>,
    /// Field managers whose fields do not count.
    #[serde(default, skip_serializing_if = "is_default")]
    pub managed_fields_managers: Vec<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(backoff: &Backoff) -> Vec<u64> {
        (0..7).map(|n| backoff.delay(n).as_secs()).collect()
    }

    #[test]
    fn waits_double_from_five_seconds_to_three_minutes() {
        assert_eq!(seconds(&Backoff::default()), [5, 10, 20, 40, 80, 160, 180]);
    }

    #[test]
    fn a_users_backoff_is_followed() {
        let backoff = Backoff { duration: "1".into(), factor: Some(3), max_duration: "1m".into() };
        assert_eq!(seconds(&backoff), [1, 3, 9, 27, 60, 60, 60]);
        let unreadable = Backoff { duration: "soon".into(), max_duration: "1m".into(), ..backoff };
        assert_eq!(unreadable.delay(0).as_secs(), 5, "a retry is not given up for it");
        let told = unreadable.unreadable();
        assert!(matches!(&told[..], [fault] if fault.starts_with("backoff.duration: ")), "{told:?}");
    }

    #[test]
    fn enabled_false_switches_automation_off() {
        let policy = |enabled| SyncPolicy {
            automated: Some(Automated { enabled, ..Automated::default() }),
            ..SyncPolicy::default()
        };
        assert!(policy(None).automated().is_some());
        assert!(policy(Some(true)).automated().is_some());
        assert!(policy(Some(false)).automated().is_none());
        assert!(SyncPolicy::default().automated().is_none());
    }

    #[test]
    fn a_negative_limit_has_no_end() {
        assert!(Retry { limit: -1, ..Retry::default() }.allows(1_000));
        assert!(!Retry::default().allows(0));
        assert!(Retry::automated_default().allows(4));
        assert!(!Retry::automated_default().allows(5));
    }
}

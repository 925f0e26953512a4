//! The names of annotations, labels and finalizers, and the values that are small languages.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;

use crate::GeneratePaths;
use crate::duration::parse_duration;

/// On an Application: the Applications that have to be Synced and Healthy before it is synced, `name` or
/// `namespace/name`, separated by commas. Ithaca's own.
pub const DEPENDS_ON: &str = "ithaca.dev/depends-on";
/// On an Application: how often its repositories are asked, a duration; `0` leaves that to webhooks. Ithaca's own.
pub const INTERVAL: &str = "ithaca.dev/interval";
/// On an Application: ask for a comparison with freshly resolved revisions; see [`Refresh`].
pub const REFRESH: &str = "argocd.argoproj.io/refresh";
/// On an Application or cluster Secret: the literal `true` stops all processing.
pub const SKIP_RECONCILE: &str = "argocd.argoproj.io/skip-reconcile";
/// On an Application: paths that its manifests come from, separated by `;`.
pub const MANIFEST_GENERATE_PATHS: &str = "argocd.argoproj.io/manifest-generate-paths";
/// On any managed object: which Application it belongs to; see [`crate::tracking`].
pub const TRACKING_ID: &str = "argocd.argoproj.io/tracking-id";
/// On any managed object: which installation manages it.
pub const INSTALLATION_ID: &str = "argocd.argoproj.io/installation-id";
/// On any managed object: its wave, an integer.
pub const SYNC_WAVE: &str = "argocd.argoproj.io/sync-wave";
/// On any managed object: the phases in which it runs as a hook.
pub const HOOK: &str = "argocd.argoproj.io/hook";
/// On a hook: when it is deleted.
pub const HOOK_DELETE_POLICY: &str = "argocd.argoproj.io/hook-delete-policy";
/// On a hook's object: the attempt and phase that it was created for. Ithaca's own.
pub const HOOK_OF: &str = "ithaca.dev/hook-of";
/// On any managed object: sync options, separated by commas; see [`crate::SyncOptions`].
pub const SYNC_OPTIONS: &str = "argocd.argoproj.io/sync-options";
/// On any managed object or Application: how it is compared.
pub const COMPARE_OPTIONS: &str = "argocd.argoproj.io/compare-options";
/// On any managed object: `true` leaves it out of the Application's health.
pub const IGNORE_HEALTHCHECK: &str = "argocd.argoproj.io/ignore-healthcheck";
/// On an Application: the time from which confirmed deletions are allowed.
pub const DELETION_APPROVED: &str = "argocd.argoproj.io/deletion-approved";
/// On an Application: the client-side manager whose fields are taken over.
pub const CLIENT_SIDE_APPLY_MIGRATION_MANAGER: &str =
    "argocd.argoproj.io/client-side-apply-migration-manager";
/// What kubectl leaves on objects that it applied client-side.
pub const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";
/// On a Helm-rendered object: the wave where [`SYNC_WAVE`] is absent.
pub const HELM_HOOK_WEIGHT: &str = "helm.sh/hook-weight";
/// On an object of a Helm chart: the Helm hook it is.
pub const HELM_HOOK: &str = "helm.sh/hook";
/// On an object of a Helm chart: when a Helm hook is deleted.
pub const HELM_HOOK_DELETE_POLICY: &str = "helm.sh/hook-delete-policy";
/// On an object of a Helm chart: `keep` protects it from deletion.
pub const HELM_RESOURCE_POLICY: &str = "helm.sh/resource-policy";

/// Label on Secrets that configure Argo CD: cluster, repository, repo-creds and so on.
pub const SECRET_TYPE_LABEL: &str = "argocd.argoproj.io/secret-type";
/// Label that names the Application where tracking is by label.
pub const INSTANCE_LABEL: &str = "app.kubernetes.io/instance";
/// Label that Argo CD requires, with the value `argocd`, on its ConfigMaps and its Secret.
pub const PART_OF_LABEL: &str = "app.kubernetes.io/part-of";

/// On an Application: its objects are deleted with it, in the foreground.
pub const RESOURCES_FINALIZER: &str = "resources-finalizer.argocd.argoproj.io";
/// As [`RESOURCES_FINALIZER`], said outright.
pub const FOREGROUND_FINALIZER: &str = "resources-finalizer.argocd.argoproj.io/foreground";
/// On an Application: its objects are deleted with it, in the background.
pub const BACKGROUND_FINALIZER: &str = "resources-finalizer.argocd.argoproj.io/background";
/// On an Application with pre-delete hooks.
pub const PRE_DELETE_FINALIZER: &str = "pre-delete-finalizer.argocd.argoproj.io";
/// On an Application with pre-delete hooks, until their objects are cleaned up.
pub const PRE_DELETE_CLEANUP_FINALIZER: &str = "pre-delete-finalizer.argocd.argoproj.io/cleanup";
/// On an Application with post-delete hooks, until their objects are cleaned up.
pub const POST_DELETE_CLEANUP_FINALIZER: &str = "post-delete-finalizer.argocd.argoproj.io/cleanup";
/// On an Application with post-delete hooks.
pub const POST_DELETE_FINALIZER: &str = "post-delete-finalizer.argocd.argoproj.io";
/// On a hook object until its hook is done.
pub const HOOK_FINALIZER: &str = "argocd.argoproj.io/hook-finalizer";

/// The ConfigMap with the installation's settings. It may be absent.
pub const SETTINGS_CONFIG_MAP: &str = "argocd-cm";
/// The Secret with the installation's secrets, webhook secrets among them. It may be absent.
pub const SETTINGS_SECRET: &str = "argocd-secret";
/// The project of an Application that names none.
pub const DEFAULT_PROJECT: &str = "default";
/// The field manager of everything applied: Argo CD's, so that either can take over.
pub const FIELD_MANAGER: &str = "argocd-controller";

/// What the refresh annotation asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Refresh {
    /// Resolve revisions anew and compare.
    Normal,
    /// Bypass cached renderings as well.
    Hard,
}

impl Refresh {
    /// Reads the annotation's value. Any value asks for a refresh; only `hard` asks for more.
    pub fn parse(value: &str) -> Self {
        if value == "hard" { Self::Hard } else { Self::Normal }
    }
}

/// The shortest interval that an Application may ask for.
const SHORTEST_INTERVAL: Duration = Duration::from_secs(1);

/// Reads the interval annotation's value.
pub fn parse_interval(value: &str) -> Result<Duration, String> {
    match parse_duration(value) {
        Ok(interval) if !interval.is_zero() && interval < SHORTEST_INTERVAL => {
            Err(format!("{value:?} is too short: it must be 0, which leaves it to webhooks, or at least 1s"))
        }
        other => other.map_err(|error| error.to_string()),
    }
}

/// What cannot be read in an Application's annotations, and is done without: each reason names its annotation.
pub fn unreadable(annotations: &BTreeMap<String, String>) -> Vec<String> {
    let fault = |name: &str, read: fn(&str) -> Option<String>| {
        let reason = annotations.get(name).and_then(|value| read(value))?;
        Some(format!("annotation {name}: {reason}"))
    };
    let interval = fault(INTERVAL, |value| parse_interval(value).err());
    let paths = fault(MANIFEST_GENERATE_PATHS, |value| GeneratePaths::parse(value).err());
    let approval = fault(DELETION_APPROVED, |value| parse_approval(value).err());
    let compared = fault(COMPARE_OPTIONS, without_effect);
    let unread = annotations.keys().filter_map(|name| {
        let (_, reason) = UNREAD.iter().find(|(prefix, _)| name.starts_with(prefix))?;
        Some(format!("annotation {name} has no effect: {reason}"))
    });
    interval.into_iter().chain(paths).chain(approval).chain(compared).chain(unread).collect()
}

/// Annotations of Argo CD on Applications that are not read, by how they begin, and what to do instead.
const UNREAD: &[(&str, &str)] = &[
    (
        "notifications.argoproj.io/subscribe.",
        "subscriptions of Argo CD's notifications are not read; give the notifier a webhook instead",
    ),
    ("argocd.argoproj.io/hydrate", "there is no hydrator"),
];

/// Reads the approval annotation's value.
pub fn parse_approval(value: &str) -> Result<Timestamp, String> {
    let parsed = value.trim().parse();
    parsed.map_err(|_| {
        format!("{value:?} is no time, so it approves nothing: write it as 2026-01-02T15:04:05Z")
    })
}

/// Compare options as they are in force, whether they are written or not: the API server itself compares, with all that
/// its webhooks change.
const ALWAYS: [&str; 2] = ["ServerSideDiff=true", "IncludeMutationWebhook=true"];

const IGNORE_EXTRANEOUS: &str = "IgnoreExtraneous";

/// What of compare options, separated by commas, has no effect, and why.
pub fn without_effect(compare_options: &str) -> Option<String> {
    let options = compare_options.split(',').map(str::trim).filter(|option| !option.is_empty());
    let unknown: Vec<_> =
        options.filter(|option| *option != IGNORE_EXTRANEOUS && !ALWAYS.contains(option)).collect();
    if unknown.is_empty() {
        return None;
    }
    let always = ALWAYS.join(" and ");
    Some(format!(
        "{} has no effect; known is {IGNORE_EXTRANEOUS}, and {always} always hold",
        unknown.join(", ")
    ))
}

/// True where the compare options, separated by commas, hold `IgnoreExtraneous`: the object does not count where the
/// source does not have it.
pub fn ignores_extraneous(compare_options: &str) -> bool {
    compare_options.split(',').any(|option| option.trim() == IGNORE_EXTRANEOUS)
}

/// True where the skip-reconcile annotation has the one value that counts.
pub fn skips_reconcile(value: Option<&str>) -> bool {
    value == Some("true")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_hard_refreshes_hard() {
        assert_eq!(Refresh::parse("hard"), Refresh::Hard);
        assert_eq!(Refresh::parse("normal"), Refresh::Normal);
        assert_eq!(Refresh::parse("please"), Refresh::Normal);
    }

    #[test]
    fn an_interval_is_a_duration_of_a_second_or_more_or_none_at_all() {
        assert_eq!(parse_interval("10m"), Ok(Duration::from_secs(600)));
        assert_eq!(parse_interval("0"), Ok(Duration::ZERO));
        assert_eq!(parse_interval("1s"), Ok(Duration::from_secs(1)));
        for text in ["often", "-1s", "500ms", ""] {
            assert!(parse_interval(text).is_err(), "{text}");
        }
        let told = unreadable(&BTreeMap::from([(INTERVAL.to_owned(), "often".to_owned())]));
        assert!(
            matches!(&told[..], [reason] if reason.contains("ithaca.dev/interval: failed to read \"often\""))
        );
    }

    #[test]
    fn extraneous_objects_are_ignored_by_one_option_among_others() {
        assert!(ignores_extraneous("ServerSideDiff=true, IgnoreExtraneous"));
        assert!(!ignores_extraneous("IgnoreExtraneousThings"));
    }

    #[test]
    fn what_of_an_applications_annotations_has_no_effect_is_told() {
        let told =
            |name: &str, value: &str| unreadable(&BTreeMap::from([(name.to_owned(), value.to_owned())]));
        for (name, value) in [
            (DELETION_APPROVED, "yes"),
            (COMPARE_OPTIONS, "IgnoreExtraneous,ServerSideDiff=false"),
            ("notifications.argoproj.io/subscribe.on-sync-failed.slack", "team"),
            ("argocd.argoproj.io/hydrate", "normal"),
        ] {
            let told = told(name, value);
            assert!(matches!(&told[..], [reason] if reason.contains(name)), "{told:?}");
        }
        for (name, value) in [
            (DELETION_APPROVED, "2026-01-02T15:04:05Z"),
            (DELETION_APPROVED, "2026-01-02T15:04:05.123+02:00"),
            (COMPARE_OPTIONS, "ServerSideDiff=true, IgnoreExtraneous"),
            ("example.org/hydrate", "normal"),
        ] {
            assert!(told(name, value).is_empty(), "{name}={value}");
        }
    }

    #[test]
    fn only_the_literal_true_skips() {
        assert!(skips_reconcile(Some("true")));
        assert!(!skips_reconcile(Some("True")));
        assert!(!skips_reconcile(None));
    }
}

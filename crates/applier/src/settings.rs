//! The installation's settings that concern the applier, from ConfigMap `argocd-cm`, which may be absent.
//!
//! What comes in: the ConfigMap, at the start and whenever it changes. What goes out: settings for whoever asks, and
//! word to whom a change concerns. What cannot be read is logged, and the rest counts.

use std::{sync::Arc, time::Duration};

use futures::{StreamExt, TryStreamExt};
use ithaca_api::{
    Customizations,
    annotation::SETTINGS_CONFIG_MAP,
    customizations::{HealthScript, StatusOf, Unreadable},
    tracking,
};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::{
    Api,
    runtime::{WatchStreamExt, watcher::watch_object},
};
use serde_json::Value;
use tokio::sync::watch;

use crate::{
    health,
    object::{GroupKind, ObjectKey},
    rules::Rules,
    scripts::{self, Scripts},
    service::Shared,
    state::Everywhere,
    tracked,
};

/// Whether syncs act as accounts of their project.
const IMPERSONATION: &str = "application.sync.impersonation.enabled";

/// Whether Applications may go to the cluster that Ithaca runs in.
const IN_CLUSTER: &str = "cluster.inClusterEnabled";

/// What is set at one time.
#[derive(Debug, Default)]
pub struct Settings {
    /// What is said about kinds.
    pub customizations: Customizations,
    /// What is said about all objects.
    pub rules: Arc<Rules>,
    /// What of it could not be read.
    unreadable: Vec<Unreadable>,
    scripts: Scripts,
}

impl Settings {
    /// The script that judges the health of a kind.
    fn script(&self, group: &str, kind: &str) -> Option<&Arc<HealthScript>> {
        self.customizations.health(group, kind)
    }
}

/// The settings in force, to be asked and followed.
pub struct SettingsCell {
    current: watch::Sender<Arc<Settings>>,
    /// The namespace of the control plane.
    namespace: String,
}

impl SettingsCell {
    /// Nothing is set.
    pub fn new(namespace: &str) -> Self {
        Self { current: watch::Sender::new(Arc::default()), namespace: namespace.to_owned() }
    }

    /// What is set now.
    pub fn current(&self) -> Arc<Settings> {
        self.current.borrow().clone()
    }

    /// The health of an object by the installation's script; None where there is no script for its kind. What is
    /// being deleted is judged by that alone. An Application that contains itself would wait for itself, so it has no
    /// health among its objects.
    pub async fn scripted_health(&self, key: &ObjectKey, live: &Value) -> Option<scripts::Answer> {
        loop {
            let settings = self.current();
            let script = settings.script(&key.group, &key.kind)?;
            if health::is_pending_deletion(live) {
                return None;
            }
            if self.contains_itself(key, live, &settings.rules) {
                return Some(Ok(None));
            }
            let answer = settings.scripts.health(script, live).await;
            // An answer of settings that are gone must not outlive the second look that every object gets now.
            if Arc::ptr_eq(&settings, &self.current()) {
                return Some(answer);
            }
        }
    }

    fn contains_itself(&self, key: &ObjectKey, live: &Value, rules: &Rules) -> bool {
        let itself = tracking::instance_name(&key.name, &key.namespace, &self.namespace);
        *key.group == *ithaca_api::GROUP
            && &*key.kind == "Application"
            && tracked::instance(key, live, &rules.tracking).as_deref() == Some(&*itself)
    }

    /// Word of changes that concern the objects of a kind.
    pub fn changes(&self, kind: &GroupKind) -> Changes {
        let updates = self.current.subscribe();
        let script = updates.borrow().script(&kind.group, &kind.kind).cloned();
        Changes { kind: kind.clone(), script, updates }
    }

    fn set(&self, config_map: Option<ConfigMap>) {
        let data = config_map.and_then(|config_map| config_map.data).unwrap_or_default();
        let (customizations, unreadable) = Customizations::read(&data);
        let before = self.current();
        unreadable.iter().filter(|part| !before.unreadable.contains(part)).for_each(tell);
        let mut rules = Arc::new(Rules::read(&data, &unreadable, &before.rules));
        if rules == before.rules {
            rules = before.rules.clone();
        }
        if let Some(fault) = rules.fault.as_ref().filter(|_| rules.fault != before.rules.fault) {
            tracing::error!(fault, "nothing is decided until this setting is mended");
        }
        let status_of = customizations.compare_options.ignore_status_of;
        if status_of != StatusOf::All && status_of != before.customizations.compare_options.ignore_status_of {
            tracing::warn!(
                "ignoreResourceStatusField is taken as all: applying an object does not write its status, so no \
                 difference there could be put right"
            );
        }
        let same = customizations == before.customizations && rules == before.rules;
        if !same || unreadable != before.unreadable {
            let settings = Settings { customizations, rules, unreadable, scripts: Scripts::default() };
            self.current.send_replace(Arc::new(settings));
        }
    }
}

/// Follows what is set for one kind.
pub struct Changes {
    kind: GroupKind,
    script: Option<Arc<HealthScript>>,
    updates: watch::Receiver<Arc<Settings>>,
}

impl Changes {
    /// Waits until objects of the kind have to be judged by other rules. May be left and called again.
    pub async fn next(&mut self) {
        while self.updates.changed().await.is_ok() {
            let settings = self.updates.borrow_and_update().clone();
            let script = settings.script(&self.kind.group, &self.kind.kind).cloned();
            if script != self.script {
                self.script = script;
                return;
            }
        }
        std::future::pending().await
    }
}

fn tell(unreadable: &Unreadable) {
    tracing::warn!(key = unreadable.key, "{unreadable}");
}

/// Reads the settings before anything is decided by them: whose rights a sync has is one of them.
pub async fn read_patiently(shared: &Shared) {
    let api: Api<ConfigMap> = Api::namespaced(shared.home.client(), &shared.namespace);
    loop {
        match api.get_opt(SETTINGS_CONFIG_MAP).await {
            Ok(config_map) => return take(shared, config_map),
            Err(error) => {
                tracing::warn!(error = &error as &dyn std::error::Error, "waiting for the settings");
                tokio::time::sleep(Duration::from_millis(250)).await;
            }
        }
    }
}

/// Follows the ConfigMap.
pub async fn follow(shared: Arc<Shared>) {
    let api: Api<ConfigMap> = Api::namespaced(shared.home.client(), &shared.namespace);
    let mut events = watch_object(api, SETTINGS_CONFIG_MAP)
        .inspect_err(|error| tracing::warn!(%error, "failed to watch ConfigMap {SETTINGS_CONFIG_MAP}"))
        .backoff(ithaca_api::patience())
        .boxed();
    while let Some(event) = events.next().await {
        if let Ok(config_map) = event {
            take(&shared, config_map);
        }
    }
}

/// Puts settings in force: scripts by themselves, and rules of comparison for every Application.
fn take(shared: &Shared, config_map: Option<ConfigMap>) {
    let data = config_map.as_ref().and_then(|config_map| config_map.data.as_ref());
    let impersonates = data.and_then(|data| data.get(IMPERSONATION)).is_some_and(|value| value == "true");
    let in_cluster = data.and_then(|data| data.get(IN_CLUSTER)).is_none_or(|value| value != "false");
    shared.settings.set(config_map);
    let settings = shared.settings.current();
    let everywhere = Everywhere {
        ignore_differences: settings.customizations.ignore_differences.clone(),
        ignore_aggregated_roles: settings.customizations.compare_options.ignore_aggregated_roles,
        rules: settings.rules.clone(),
    };
    let mut state = shared.state();
    let changed = state.projects.set_impersonates(impersonates)
        | state.clusters.enable_in_cluster(in_cluster)
        | state.set_everywhere(everywhere);
    drop(state);
    if changed {
        shared.dirty_all();
    }
}

#[cfg(test)]
mod tests {
    use ithaca_api::HealthStatusCode::Healthy;
    use serde_json::json;

    use super::*;
    use crate::health::Health;

    /// Settings with a script for these kinds.
    fn set(cell: &SettingsCell, kinds: &[&str], lua: &str) {
        let data =
            kinds.iter().map(|kind| (format!("resource.customizations.health.{kind}"), lua.to_owned()));
        cell.set(Some(ConfigMap { data: Some(data.collect()), ..ConfigMap::default() }));
    }

    const HEALTHY: &str = "return {status = 'Healthy'}";

    #[tokio::test]
    async fn a_script_judges_its_kind_alone() {
        let cell = SettingsCell::new("argocd");
        let (widget, gadget) = (
            ObjectKey::new("example.org", "Widget", "web", "web"),
            ObjectKey::new("example.org", "Gadget", "web", "web"),
        );
        assert_eq!(cell.scripted_health(&widget, &json!({})).await, None);
        set(&cell, &["example.org_Widget"], HEALTHY);
        let healthy = Health { status: Healthy, message: String::new() };
        assert_eq!(cell.scripted_health(&widget, &json!({})).await, Some(Ok(Some(healthy))));
        assert_eq!(cell.scripted_health(&gadget, &json!({})).await, None);
        let deleted = json!({"metadata": {"deletionTimestamp": "2026-11-25T01:00:00Z"}});
        assert_eq!(cell.scripted_health(&widget, &deleted).await, None, "it is pending deletion");
    }

    #[tokio::test]
    async fn an_application_that_contains_itself_has_no_health_there() {
        let cell = SettingsCell::new("argocd");
        set(&cell, &["argoproj.io_Application"], HEALTHY);
        let tracked = |id: &str| json!({"metadata": {"annotations": {"argocd.argoproj.io/tracking-id": id}}});
        let cases = [
            ("argocd", "root:argoproj.io/Application:argocd/root", true),
            ("argocd", "other:argoproj.io/Application:argocd/root", false),
            ("team", "team_root:argoproj.io/Application:team/root", true),
            ("team", "root:argoproj.io/Application:team/root", false),
        ];
        for (namespace, id, is_itself) in cases {
            let key = ObjectKey::new("argoproj.io", "Application", namespace, "root");
            let answer = cell.scripted_health(&key, &tracked(id)).await;
            assert_eq!(answer == Some(Ok(None)), is_itself, "{id}");
        }
    }

    #[test]
    fn what_is_the_same_changes_nothing_and_what_is_unreadable_is_noted() {
        let cell = SettingsCell::new("argocd");
        set(&cell, &["example.org_Widget"], HEALTHY);
        let before = cell.current();
        set(&cell, &["example.org_Widget"], HEALTHY);
        assert!(Arc::ptr_eq(&before, &cell.current()));
        set(&cell, &["example.org_Widget", "a_b_c"], HEALTHY);
        let now = cell.current();
        assert_eq!(now.customizations, before.customizations);
        assert_eq!(now.unreadable[0].key, "resource.customizations.health.a_b_c");
    }

    #[tokio::test]
    async fn only_whom_a_change_concerns_is_told() {
        let cell = SettingsCell::new("argocd");
        let kind = |name: &str| GroupKind { group: "example.org".to_owned(), kind: name.to_owned() };
        let (mut widgets, mut gadgets) = (cell.changes(&kind("Widget")), cell.changes(&kind("Gadget")));
        set(&cell, &["example.org_Widget"], HEALTHY);
        widgets.next().await;
        set(&cell, &["example.org_Widget", "example.org_Gadget"], HEALTHY);
        gadgets.next().await;
        let quiet = futures::FutureExt::now_or_never(widgets.next());
        assert_eq!(quiet, None, "the script for widgets is the same");
        set(&cell, &["example.org_Gadget"], HEALTHY);
        widgets.next().await;
    }
}

//! What goes with an Application, in which order, and what stays.

mod hooks;

use std::sync::Arc;

use rstest::rstest;
use serde_json::{Value, json};

use super::*;
use crate::{
    clusters::Known,
    desired::Owner,
    orphans::Orphaned,
    plan::{
        Guard,
        dependencies::{Name, Nobody, Other, Others},
    },
    projects::Project,
};

const DELETED_AT: &str = "2026-01-01T12:00:00Z";

/// An Application `web` that is being deleted, and the cluster that it goes to.
pub(super) struct Case {
    pub(super) application: Application,
    project: Project,
    pub(super) owner: Owner,
    pub(super) records: Records,
    pub(super) now: Timestamp,
    others: Box<dyn Others>,
}

impl Case {
    fn new(finalizer: &str, annotations: Value) -> Self {
        let application = json!({
            "metadata": {
                "name": "web", "namespace": "argocd", "annotations": annotations,
                "finalizers": [finalizer], "deletionTimestamp": DELETED_AT,
            },
            "spec": {
                "project": "default",
                "source": {"repoURL": "https://git.example.org/a", "path": "app"},
                "destination": {"name": "in-cluster", "namespace": "web"},
            },
        });
        let project = json!({"metadata": {"name": "default"}, "spec": {
            "sourceRepos": ["*"],
            "destinations": [{"server": "*", "namespace": "*"}],
            "clusterResourceWhitelist": [{"group": "*", "kind": "*"}],
        }});
        Self {
            application: serde_json::from_value(application).expect("an Application"),
            project: Project::of(serde_json::from_value(project).expect("an AppProject")),
            owner: Owner { instance: "web".to_owned(), namespace: "web".to_owned(), ..Owner::default() },
            records: Records::default(),
            now: Timestamp::UNIX_EPOCH,
            others: Box::new(Nobody),
        }
    }

    pub(super) fn foreground() -> Self {
        Self::new(annotation::RESOURCES_FINALIZER, json!({}))
    }

    /// An object of this instance's is there.
    fn put(&mut self, key: &ObjectKey, instance: &str, annotations: Value) {
        let id = format!("{instance}:{}/{}:{}/{}", key.group, key.kind, key.namespace, key.name);
        let mut metadata =
            json!({"name": &*key.name, "namespace": &*key.namespace, "annotations": annotations});
        metadata["annotations"]["argocd.argoproj.io/tracking-id"] = json!(id);
        let live = json!({"metadata": metadata});
        self.records.set_watched(key.group_kind(), true);
        self.records.put(key.clone(), Record::of(key, &live, None, None, &Default::default()));
    }

    /// A ConfigMap of the Application's is there.
    pub(super) fn has(&mut self, name: &str, annotations: Value) {
        self.put(&config_map(name), "web", annotations);
    }

    fn decide(&self) -> Action {
        self.decide_with(None, None)
    }

    pub(super) fn decide_with(&self, tracked: Option<&Arc<Bundle>>, run: Option<&Run>) -> Action {
        self.viewed(tracked, run, decide)
    }

    pub(super) fn guard_of(&self, bundle: &Arc<Bundle>) -> Option<Action> {
        self.viewed(Some(bundle), None, |view| guard(view, bundle))
    }

    fn viewed<T>(
        &self,
        tracked: Option<&Arc<Bundle>>,
        run: Option<&Run>,
        decide: impl Fn(View<'_>) -> T,
    ) -> T {
        decide(View {
            cluster: Ok(&Known::home()),
            application: &self.application,
            owner: &self.owner,
            tracked,
            requested: None,
            asked: Default::default(),
            project: Some(&self.project),
            orphaned: Orphaned::None,
            held: None,
            run,
            refreshed: 0,
            records: &self.records,
            guard: Guard::default(),
            others: &*self.others,
            control_plane: "argocd",
            now: self.now,
        })
    }

    /// The names of what is deleted now.
    fn deleted(&self) -> Vec<String> {
        match self.decide() {
            Action::Delete(keys, _) => keys.iter().map(|key| key.name.to_string()).collect(),
            _ => Vec::new(),
        }
    }

    /// Whether nothing is left that the Application has to wait for.
    fn lets_go(&self) -> bool {
        matches!(self.decide(), Action::Release(left) if left.is_empty())
    }

    /// What is told of the deletion.
    fn told(&self) -> String {
        match self.decide() {
            Action::Write(change) => {
                let conditions = change.status.conditions.iter();
                conditions.map(|told| format!("{}: {}", told.type_, told.message)).collect()
            }
            _ => String::new(),
        }
    }
}

pub(super) fn config_map(name: &str) -> ObjectKey {
    ObjectKey::new("", "ConfigMap", "web", name)
}

fn wave(number: &str) -> Value {
    json!({"argocd.argoproj.io/sync-wave": number})
}

#[test]
fn the_highest_wave_goes_first_and_the_next_when_it_is_gone() {
    let mut case = Case::foreground();
    case.has("base", wave("-1"));
    case.has("middle", json!({}));
    case.has("top", wave("2"));
    case.has("also-top", json!({"helm.sh/hook-weight": "2"}));
    assert_eq!(case.deleted(), ["also-top", "top"]);
    case.records.set_deleting(&config_map("also-top"));
    assert_eq!(case.deleted(), ["top"]);
    case.records.set_deleting(&config_map("top"));
    assert!(matches!(case.decide(), Action::Idle(None)), "{:?}", case.decide());
    case.records.remove(&config_map("top"));
    assert!(matches!(case.decide(), Action::Idle(None)), "one of the wave is still there");
    case.records.remove(&config_map("also-top"));
    assert_eq!(case.deleted(), ["middle"]);
    case.records.remove(&config_map("middle"));
    assert_eq!(case.deleted(), ["base"]);
    case.records.remove(&config_map("base"));
    assert!(case.lets_go(), "{:?}", case.decide());
}

#[test]
fn definitions_the_application_itself_and_what_is_to_be_kept_stay() {
    let mut case = Case::foreground();
    let definition =
        ObjectKey::new("apiextensions.k8s.io", "CustomResourceDefinition", "", "boats.example.com");
    case.put(&definition, "web", json!({}));
    case.put(&ObjectKey::new("argoproj.io", "Application", "argocd", "web"), "web", json!({}));
    case.has("kept", json!({"helm.sh/resource-policy": "keep"}));
    case.has("held", json!({"argocd.argoproj.io/sync-options": "Delete=false"}));
    case.put(&config_map("theirs"), "shop", json!({}));
    assert!(case.lets_go(), "{:?}", case.decide());
    case.put(&ObjectKey::new("argoproj.io", "Application", "argocd", "child"), "web", json!({}));
    case.put(&ObjectKey::new("argoproj.io", "Application", "web", "web"), "web", json!({}));
    case.has("goes", json!({"helm.sh/resource-policy": "delete"}));
    assert_eq!(case.deleted(), ["goes", "child", "web"]);
}

#[rstest]
#[case(annotation::RESOURCES_FINALIZER, Propagation::Foreground)]
#[case(annotation::FOREGROUND_FINALIZER, Propagation::Foreground)]
#[case(annotation::BACKGROUND_FINALIZER, Propagation::Background)]
fn the_finalizer_says_how_objects_go(#[case] finalizer: &str, #[case] expected: Propagation) {
    let mut case = Case::new(finalizer, json!({}));
    case.has("settings", json!({}));
    assert!(
        matches!(case.decide(), Action::Delete(_, propagation) if propagation == expected),
        "{:?}",
        case.decide()
    );
    case.records.remove(&config_map("settings"));
    assert!(case.lets_go(), "{:?}", case.decide());
}

#[test]
fn without_a_finalizer_for_them_objects_stay() {
    let mut case = Case::new("example.org/theirs", json!({}));
    case.has("settings", json!({}));
    assert!(matches!(case.decide(), Action::Idle(None)), "{:?}", case.decide());
}

/// An approval of long ago was given to something else.
#[rstest]
#[case::none(json!({}), false)]
#[case::older(json!({"argocd.argoproj.io/deletion-approved": "2026-01-01T11:59:59Z"}), false)]
#[case::no_time(json!({"argocd.argoproj.io/deletion-approved": "true"}), false)]
#[case::in_the_same_second(json!({"argocd.argoproj.io/deletion-approved": DELETED_AT}), true)]
#[case::elsewhere(json!({"argocd.argoproj.io/deletion-approved": "2026-01-01T13:00:01+01:00"}), true)]
fn only_an_approval_of_this_deletion_counts(#[case] annotations: Value, #[case] approves: bool) {
    let mut case = Case::new(annotation::RESOURCES_FINALIZER, annotations);
    case.has("asks", json!({"argocd.argoproj.io/sync-options": "Delete=confirm"}));
    match approves {
        true => assert_eq!(case.deleted(), ["asks"]),
        false => {
            let told = case.told();
            let expected = "DeletionError: waiting for deletion confirmation of /ConfigMap/web/asks";
            assert!(told.starts_with(expected), "{told} {:?}", case.decide());
        }
    }
}

#[test]
fn what_waits_for_a_confirmation_holds_up_nothing_else() {
    let mut case = Case::foreground();
    let asks = "argocd.argoproj.io/sync-options";
    case.has("asks", json!({asks: "Delete=confirm", "argocd.argoproj.io/sync-wave": "5"}));
    case.has("settings", json!({}));
    assert_eq!(case.deleted(), ["settings"]);
    case.records.remove(&config_map("settings"));
    assert!(case.told().contains("waiting for deletion confirmation"), "{:?}", case.decide());
}

/// Compat 1.6: an option of the Application is for every object, and an object has the last word.
#[test]
fn objects_stay_where_the_application_says_so_and_they_do_not_say_otherwise() {
    let mut case = Case::foreground();
    case.application.spec.sync_policy = serde_json::from_value(json!({"syncOptions": ["Delete=false"]})).ok();
    case.has("settings", json!({}));
    case.has("goes", json!({"argocd.argoproj.io/sync-options": "Delete=true"}));
    assert_eq!(case.deleted(), ["goes"]);
    case.records.remove(&config_map("goes"));
    assert!(case.lets_go(), "{:?}", case.decide());
}

/// An Application that names `web` in its annotation and is being deleted as well.
struct Dependent(Application);

impl Others for Dependent {
    fn find(&self, name: &Name) -> Option<Other<'_>> {
        (*name == Name::of(&self.0)).then_some(Other { application: &self.0, tracked: None, project: None })
    }

    fn dependents(&self, _: &Name) -> Vec<Name> {
        vec![Name::of(&self.0)]
    }
}

#[test]
fn objects_stay_until_the_applications_that_depend_on_theirs_are_gone() {
    let mut case = Case::foreground();
    case.has("settings", json!({}));
    let mut dependent = case.application.clone();
    dependent.metadata.name = Some("shop".to_owned());
    case.others = Box::new(Dependent(dependent));
    assert_eq!(
        case.told(),
        "DeletionError: waiting for Applications that depend on it to go first: shop",
        "{:?}",
        case.decide()
    );
    case.application.metadata.finalizers = None;
    assert!(matches!(case.decide(), Action::Idle(None)), "nothing keeps it: {:?}", case.decide());
    case.application.metadata.finalizers = Case::foreground().application.metadata.finalizers;
    case.others = Box::new(Nobody);
    assert_eq!(case.deleted(), ["settings"]);
}

//! AppProjects: what is known of them.
//!
//! What comes in: the AppProjects of the control plane's namespace, as `follow` brings them. What goes out: what each
//! permits to an application. What it does not do: decide.

mod follow;

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use ithaca_api::{
    AppProject, Application, Destination,
    annotation::{DEFAULT_PROJECT, RESOURCES_FINALIZER},
    project::{AppProjectSpec, ClusterRef, ClusterResource, Orphans, Permissions, Target, Windows},
};
use kube::core::ObjectMeta;
use tokio::sync::Notify;

use crate::object::ObjectKey;

pub use follow::{follow, look_for};

/// A project, ready to be asked.
#[derive(Debug)]
pub struct Project {
    /// Its name.
    pub name: Box<str>,
    /// What it permits.
    pub permissions: Permissions,
    /// When it permits syncs.
    pub windows: Windows,
    /// What it wants to hear of objects that nobody manages.
    pub orphans: Orphans,
    spec: AppProjectSpec,
}

impl Project {
    /// Reads a project.
    pub fn of(project: AppProject) -> Self {
        Self {
            name: project.metadata.name.as_deref().unwrap_or_default().into(),
            permissions: Permissions::of(&project),
            windows: Windows::of(&project),
            orphans: Orphans::of(project.spec.orphaned_resources.as_ref()),
            spec: project.spec,
        }
    }

    /// Whether an application of the project may manage an object.
    pub fn permits(&self, cluster: ClusterRef<'_>, key: &ObjectKey) -> bool {
        let kind = (&*key.group, &*key.kind);
        self.permissions.permits_object(cluster, kind, &key.namespace, &key.name)
    }

    /// Whether an application of the project may make the namespace that it goes to, or why not.
    pub fn may_create_namespace(&self, name: &str) -> Result<(), String> {
        match self.permissions.permits_kind("", "Namespace", false, name) {
            true => Ok(()),
            false => Err(format!(
                "resource :Namespace is not permitted in project {}: make the namespace by hand, or name the kind in \
                 its spec.clusterResourceWhitelist",
                self.name
            )),
        }
    }

    /// Whom windows look at.
    pub fn target<'a>(application: &'a Application, cluster: ClusterRef<'a>) -> Target<'a> {
        Target {
            application: application.metadata.name.as_deref().unwrap_or_default(),
            namespace: &application.spec.destination.namespace,
            cluster,
        }
    }
}

/// All projects.
#[derive(Debug, Default)]
pub struct Projects {
    /// Whether all are known.
    listed: bool,
    known: HashMap<Box<str>, Arc<Project>>,
    /// Those that are being deleted and stay until no application is of them, with their other finalizers.
    leaving: BTreeMap<Box<str>, Vec<String>>,
    /// Word that one of those may be free to go, or that there are other kinds to watch.
    look_again: Arc<Notify>,
    /// Whether syncs act as accounts of their project; None until the settings were read.
    impersonates: Option<bool>,
    /// Those that were deleted: an application that goes together with its project still knows what was its own.
    gone: HashMap<Box<str>, Arc<Project>>,
}

impl Projects {
    /// Whether all are known, and what is set for all. Before that nothing is decided.
    pub fn is_listed(&self) -> bool {
        self.listed && self.impersonates.is_some()
    }

    /// Notes whether syncs act as accounts of their project. Returns whether that is news.
    pub fn set_impersonates(&mut self, value: bool) -> bool {
        self.impersonates.replace(value) != Some(value)
    }

    /// Whether any wants to hear of objects that nobody manages.
    pub fn ask_for_orphans(&self) -> bool {
        self.known.values().any(|project| project.orphans.warns())
    }

    /// The cluster serves other kinds than before.
    pub fn note_kinds(&self) {
        if self.ask_for_orphans() {
            self.look_again.notify_one();
        }
    }

    /// Applications are fewer, or others than before: a project that waits for that may be free to go.
    pub fn note_applications(&self) {
        if !self.leaving.is_empty() {
            self.look_again.notify_one();
        }
    }

    /// The user as whom a sync of an application acts; None for the applier itself.
    pub fn user(&self, application: &Application, cluster: ClusterRef<'_>) -> Result<Option<String>, String> {
        if self.impersonates != Some(true) {
            return Ok(None);
        }
        let Some(project) = self.of(application) else { return Ok(None) };
        let destination = &application.spec.destination;
        let own = application.metadata.namespace.as_deref().unwrap_or_default();
        let user = project.permissions.user(cluster, &destination.namespace, own);
        let told = |reason| {
            format!(
                "failed to find a matching service account to impersonate: {reason}: see spec.destinationServiceAccounts of \
                 project {}",
                project.name
            )
        };
        user.map(Some).map_err(told)
    }

    /// The project of an application.
    pub fn of(&self, application: &Application) -> Option<&Arc<Project>> {
        let name = application.spec.project();
        let leaves = application.metadata.deletion_timestamp.is_some();
        self.known.get(name).or_else(|| self.gone.get(name).filter(|_| leaves))
    }

    /// Takes over a project. Returns whether anything in it is new.
    fn put(&mut self, project: AppProject) -> bool {
        let name = project.metadata.name.as_deref().unwrap_or_default();
        let finalizers = project.metadata.finalizers.clone().unwrap_or_default();
        let (ours, others): (Vec<_>, Vec<_>) =
            finalizers.into_iter().partition(|finalizer| finalizer == RESOURCES_FINALIZER);
        match project.metadata.deletion_timestamp.is_some() && !ours.is_empty() {
            true => drop(self.leaving.insert(name.into(), others)),
            false => drop(self.leaving.remove(name)),
        }
        if self.known.get(name).is_some_and(|known| known.spec == project.spec) {
            return false;
        }
        let project = Arc::new(Project::of(project));
        self.gone.remove(&project.name);
        self.known.insert(project.name.clone(), project);
        true
    }

    /// Forgets a project. Returns whether it was known.
    fn remove(&mut self, name: &str) -> bool {
        self.leaving.remove(name);
        let Some(project) = self.known.remove(name) else { return false };
        self.gone.insert(project.name.clone(), project);
        true
    }
}

/// What `default` is where nobody made one: it allows everything, as Argo CD's does.
fn default_project() -> AppProject {
    let all = "*".to_owned();
    AppProject {
        metadata: ObjectMeta { name: Some(DEFAULT_PROJECT.to_owned()), ..ObjectMeta::default() },
        spec: AppProjectSpec {
            source_repos: vec![all.clone()],
            destinations: vec![Destination {
                server: all.clone(),
                namespace: all.clone(),
                ..Destination::default()
            }],
            cluster_resource_whitelist: Some(vec![ClusterResource {
                group: all.clone(),
                kind: all,
                ..ClusterResource::default()
            }]),
            ..AppProjectSpec::default()
        },
        status: None,
    }
}

#[cfg(test)]
mod tests {
    use ithaca_api::ClusterSpec;

    use super::*;

    #[test]
    fn the_default_project_allows_everything() {
        let project = Project::of(default_project());
        let here = ClusterSpec::in_cluster();
        let here = here.reference();
        assert!(project.permissions.permits_source("https://git.example.org/team/a"));
        assert!(project.permissions.permits_destination(here, "kube-system"));
        assert!(project.permissions.permits_kind("", "Namespace", false, "web"));
        assert!(project.permissions.permits_kind("apps", "Deployment", true, "web"));
    }

    #[test]
    fn a_project_that_says_the_same_again_is_no_news() {
        let mut projects = Projects::default();
        assert!(projects.put(default_project()));
        assert!(!projects.put(default_project()));
        assert!(projects.remove(DEFAULT_PROJECT));
        assert!(!projects.remove(DEFAULT_PROJECT));
        assert!(projects.put(default_project()));
    }

    #[test]
    fn only_an_application_that_goes_still_has_a_project_that_is_gone() {
        let mut projects = Projects::default();
        let mut application = Application::default();
        projects.put(default_project());
        assert!(projects.of(&application).is_some(), "no project means default");
        projects.remove(DEFAULT_PROJECT);
        assert!(projects.of(&application).is_none());
        application.metadata.deletion_timestamp = serde_json::from_str("\"2026-01-01T00:00:00Z\"").ok();
        assert!(projects.of(&application).is_some());
    }
}

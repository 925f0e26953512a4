//! AppProjects: what is known of them, and how they arrive.
//!
//! What comes in: the AppProjects of the control plane's namespace. What goes out: what each permits, and which
//! applications have to be looked at again. What it does not do: decide, or overwrite a project. The one that it
//! writes is `default`, where there is none.

use std::{
    collections::{HashMap, HashSet},
    pin::pin,
    sync::Arc,
    time::Duration,
};

use futures::StreamExt;
use ithaca_api::{
    AppProject, Application, Destination,
    annotation::{DEFAULT_PROJECT, FIELD_MANAGER},
    destination::{IN_CLUSTER_NAME, IN_CLUSTER_SERVER},
    project::{AppProjectSpec, ClusterRef, ClusterResource, Permissions, Target, Windows},
};
use ithaca_chassis::ReadyFlag;
use kube::{
    Api,
    api::PostParams,
    core::{ApiResource, GroupVersionKind, ObjectMeta},
    runtime::watcher,
};

use crate::{
    cluster::{self, Event, Served},
    error::Error,
    object::ObjectKey,
    service::Shared,
    state::Uid,
};

/// How long the API server is left alone when it did not take the default project.
const PAUSE: Duration = Duration::from_millis(500);

/// A project, ready to be asked.
#[derive(Debug)]
pub struct Project {
    /// Its name.
    pub name: Box<str>,
    /// What it permits.
    pub permissions: Permissions,
    /// When it permits syncs.
    pub windows: Windows,
    spec: AppProjectSpec,
}

impl Project {
    /// Reads a project.
    pub fn of(project: AppProject) -> Self {
        Self {
            name: project.metadata.name.as_deref().unwrap_or_default().into(),
            permissions: Permissions::of(&project),
            windows: Windows::of(&project),
            spec: project.spec,
        }
    }

    /// Whether an application of the project may manage an object.
    pub fn permits(&self, destination: &Destination, key: &ObjectKey) -> bool {
        let kind = (&*key.group, &*key.kind);
        self.permissions.permits_object(cluster_of(destination), kind, &key.namespace, &key.name)
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
    pub fn target<'a>(application: &'a Application) -> Target<'a> {
        let destination = &application.spec.destination;
        Target {
            application: application.metadata.name.as_deref().unwrap_or_default(),
            namespace: &destination.namespace,
            cluster: cluster_of(destination),
        }
    }
}

/// The cluster that a destination names. The one that Ithaca runs in has both of its names, and belongs to no project.
pub fn cluster_of(destination: &Destination) -> ClusterRef<'_> {
    match destination.is_in_cluster() {
        true => ClusterRef { server: IN_CLUSTER_SERVER, name: IN_CLUSTER_NAME, project: "" },
        false => ClusterRef { server: &destination.server, name: &destination.name, project: "" },
    }
}

/// All projects.
#[derive(Debug, Default)]
pub struct Projects {
    /// Whether all are known.
    listed: bool,
    known: HashMap<Box<str>, Arc<Project>>,
    /// Those that were deleted: an application that goes together with its project still knows what was its own.
    gone: HashMap<Box<str>, Arc<Project>>,
}

impl Projects {
    /// Whether all are known. Before that nothing is decided.
    pub fn is_listed(&self) -> bool {
        self.listed
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
        let Some(project) = self.known.remove(name) else { return false };
        self.gone.insert(project.name.clone(), project);
        true
    }
}

/// Follows the projects of the control plane's namespace.
pub async fn follow(shared: Arc<Shared>, ready: ReadyFlag) {
    let kind = GroupVersionKind::gvk(ithaca_api::GROUP, ithaca_api::VERSION, "AppProject");
    let resource = ApiResource::from_gvk_with_plural(&kind, "appprojects");
    let served = Served { resource, namespaced: true, watchable: true };
    let mut events = pin!(cluster::watch(shared.cluster.client(), &served, Some(&shared.namespace)));
    let mut seen = HashSet::new();
    while let Some(event) = events.next().await {
        match event {
            Ok(Event::Init) => seen.clear(),
            Ok(Event::InitApply(passing)) => seen.extend(take(&shared, passing.value)),
            Ok(Event::Apply(passing)) => drop(take(&shared, passing.value)),
            Ok(Event::Delete(passing)) => {
                forget(&shared, passing.value["metadata"]["name"].as_str().unwrap_or_default());
            }
            Ok(Event::InitDone) => {
                let known: Vec<_> = shared.state().projects.known.keys().cloned().collect();
                known.iter().filter(|name| !seen.contains(*name)).for_each(|name| forget(&shared, name));
                if !shared.state().projects.is_listed() {
                    ensure_default(&shared).await;
                    shared.state().projects.listed = true;
                    shared.dirty_all();
                    ready.set(true);
                }
            }
            Err(error) => {
                let why = unreadable(&error);
                tracing::warn!(why, %error, "failed to watch AppProjects, trying again; until then no Application is worked on");
            }
        }
    }
}

/// Takes over a project as it passes by, and wakes its applications. Returns its name.
fn take(shared: &Shared, value: serde_json::Value) -> Option<Box<str>> {
    match serde_json::from_value::<AppProject>(value) {
        Ok(project) => {
            let name: Box<str> = project.metadata.name.as_deref()?.into();
            if shared.state().projects.put(project) {
                wake(shared, &name);
            }
            Some(name)
        }
        Err(error) => {
            tracing::error!(%error, "failed to read an AppProject; its CRD is not the one of this version");
            None
        }
    }
}

fn forget(shared: &Shared, name: &str) {
    if shared.state().projects.remove(name) {
        wake(shared, name);
    }
}

/// The applications of a project have to be looked at again.
fn wake(shared: &Shared, project: &str) {
    let state = shared.state();
    let of_it = state.apps.iter().filter(|(_, app)| app.application.spec.project() == project);
    of_it.map(|(uid, _)| uid).for_each(|uid: &Uid| shared.queue.dirty(uid));
}

/// Makes the project `default` where there is none. It allows everything, as Argo CD's does.
async fn ensure_default(shared: &Shared) {
    if shared.state().projects.known.contains_key(DEFAULT_PROJECT) {
        return;
    }
    let api: Api<AppProject> = Api::namespaced(shared.cluster.client(), &shared.namespace);
    let params = PostParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PostParams::default() };
    loop {
        match api.create(&params, &default_project()).await {
            Ok(project) => {
                shared.state().projects.put(project);
                return tracing::info!("made the AppProject default: it allows everything");
            }
            Err(kube::Error::Api(status)) if status.code == 409 => {
                return tracing::debug!("somebody else made the AppProject default");
            }
            Err(error) => match Error::of("the AppProject default", error) {
                error if error.is_passing() => {
                    tracing::warn!(error = &error as &dyn std::error::Error, "trying again in {PAUSE:?}");
                    tokio::time::sleep(PAUSE).await;
                }
                refused => {
                    return tracing::error!(
                        error = &refused as &dyn std::error::Error,
                        "failed to make the AppProject default; make it by hand"
                    );
                }
            },
        }
    }
}

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

/// What stands between the applier and the AppProjects.
fn unreadable(error: &watcher::Error) -> &'static str {
    let (watcher::Error::InitialListFailed(kube::Error::Api(status))
    | watcher::Error::WatchStartFailed(kube::Error::Api(status))) = error
    else {
        return "the cluster did not answer";
    };
    match status.code {
        404 => {
            "the cluster does not know AppProjects (argoproj.io/v1alpha1): apply the folder crds of Ithaca's chart"
        }
        403 => "this account may not read AppProjects: a Role must let it get, list, watch and create them",
        _ => "the API server refused",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_project_allows_everything() {
        let project = Project::of(default_project());
        let destination = Destination { name: IN_CLUSTER_NAME.to_owned(), ..Destination::default() };
        let here = cluster_of(&destination);
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

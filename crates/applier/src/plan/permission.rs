//! What an application's project says to it: whether it may be worked on at all, which objects it may manage, and
//! whether a sync may go on now.
//!
//! What comes in: the view and, for objects, a comparison. What goes out: reasons, in Argo CD's words where scripts
//! look for them, and the time at which to ask again.

use std::collections::HashSet;

use ithaca_api::{SyncStatusCode, project::Gate, without_credentials};
use jiff::Timestamp;

use super::{Run, comparison::Comparison, decide::View};
use crate::{
    bundle::Bundle,
    object::ObjectKey,
    projects::{Project, cluster_of},
};

/// Something that the project does not permit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Forbidden {
    /// The object; None where it is the whole.
    pub key: Option<ObjectKey>,
    /// For people.
    pub reason: String,
}

/// A sync that has to wait.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hold {
    /// Why, and until when.
    pub reason: String,
    /// When to ask again; None where only a change of the project helps.
    pub ask_again: Option<Timestamp>,
}

/// Why the application may not be worked on at all.
pub(super) fn refusal(view: View<'_>) -> Option<String> {
    let Some(project) = view.project else { return Some(missing(view)) };
    let (spec, metadata) = (&view.application.spec, &view.application.metadata);
    let namespace = metadata.namespace.as_deref().unwrap_or_default();
    let mut reasons = Vec::new();
    if !project.permissions.permits_application_in(namespace, view.control_plane) {
        let name = metadata.name.as_deref().unwrap_or_default();
        let need = "its spec.sourceNamespaces has to name the namespace";
        reasons.push(format!(
            "application '{name}' in namespace '{namespace}' is not allowed to use project '{}': {need}",
            project.name
        ));
    }
    reasons.extend(spec.sources().iter().filter_map(|source| forbidden_source(project, &source.repo_url)));
    let (destination, cluster) = (&spec.destination, cluster_of(&spec.destination));
    if !project.permissions.permits_destination(cluster, &destination.namespace) {
        reasons.push(format!(
            "application destination server '{}' and namespace '{}' do not match any of the allowed destinations in \
             project '{}': its spec.destinations has to allow them",
            cluster.server, destination.namespace, project.name
        ));
    }
    (!reasons.is_empty()).then(|| reasons.join("; "))
}

/// There is no such project.
pub(super) fn missing(view: View<'_>) -> String {
    format!("Application referencing project {} which does not exist", view.application.spec.project())
}

/// Whether an object is the application's to delete.
pub(super) fn may_delete(view: View<'_>, key: &ObjectKey) -> bool {
    view.project.is_some_and(|project| project.permits(&view.application.spec.destination, key))
}

/// Takes what the project does not permit out of a comparison: what is wanted cannot be applied, and what is there and
/// not wanted is not this application's to know of.
pub(super) fn forbid(view: View<'_>, bundle: &Bundle, comparison: &mut Comparison) {
    let Some(project) = view.project else { return };
    let urls = bundle.sources.iter().map(|source| source.source.repo_url.as_str());
    let sources = urls.filter_map(|url| forbidden_source(project, url));
    let mut forbidden: Vec<_> = sources.map(|reason| Forbidden { key: None, reason }).collect();
    let objects = &bundle.assembly.objects;
    let reasons = objects.iter().filter_map(|desired| {
        let reason = forbidden_object(view, project, &desired.key)?;
        Some(Forbidden { key: Some(desired.key.clone()), reason })
    });
    forbidden.extend(reasons);
    let extras = comparison.extras.len();
    comparison.extras.retain(|key| may_delete(view, key));
    comparison.prunable.retain(|key| may_delete(view, key));
    if forbidden.is_empty() && comparison.extras.len() == extras {
        return;
    }
    let barred: HashSet<_> = forbidden.iter().filter_map(|forbidden| forbidden.key.as_ref()).collect();
    let is_free = |place: &usize| objects.get(*place).is_none_or(|desired| !barred.contains(&desired.key));
    comparison.undecided.retain(is_free);
    comparison.out_of_sync.retain(is_free);
    comparison.unserved |= !forbidden.is_empty();
    comparison.resources.retain_mut(|resource| {
        let key = ObjectKey::new(&resource.group, &resource.kind, &resource.namespace, &resource.name);
        if barred.contains(&key) {
            let of_its_kind = permits_kind(project, &key);
            let code = if of_its_kind { SyncStatusCode::OutOfSync } else { SyncStatusCode::Unknown };
            resource.status = Some(code);
        }
        !resource.requires_pruning || may_delete(view, &key)
    });
    comparison.forbidden = forbidden;
}

fn permits_kind(project: &Project, key: &ObjectKey) -> bool {
    project.permissions.permits_kind(&key.group, &key.kind, !key.namespace.is_empty(), &key.name)
}

fn forbidden_object(view: View<'_>, project: &Project, key: &ObjectKey) -> Option<String> {
    let (name, namespace) = (&project.name, &key.namespace);
    if !permits_kind(project, key) {
        let lists =
            if namespace.is_empty() { "clusterResourceWhitelist" } else { "namespaceResourceWhitelist" };
        return Some(format!(
            "resource {}:{} is not permitted in project {name}: see its spec.{lists} and blacklist",
            key.group, key.kind
        ));
    }
    let permitted = project.permits(&view.application.spec.destination, key);
    (!permitted).then(|| {
        format!("namespace {namespace} is not permitted in project '{name}': its spec.destinations has to allow it")
    })
}

fn forbidden_source(project: &Project, url: &str) -> Option<String> {
    (!project.permissions.permits_source(url)).then(|| {
        format!(
            "application repo {} is not permitted in project '{}': its spec.sourceRepos has to allow it",
            without_credentials(url),
            project.name
        )
    })
}

/// Why automation may not start a sync now.
pub(super) fn holds_automation(view: View<'_>) -> Option<Hold> {
    let project = view.project?;
    hold(project.windows.may_start(Project::target(view.application), false, view.now))
}

/// Why an operation may not go on now.
pub(super) fn holds(view: View<'_>, run: &Run) -> Option<Hold> {
    let project = view.project?;
    let manual = !run.operation.initiated_by.automated;
    let target = Project::target(view.application);
    hold(project.windows.may_go_on(target, manual, run.started_at, view.now))
}

fn hold(gate: Gate) -> Option<Hold> {
    match gate {
        Gate::Open => None,
        Gate::Closed { reason, ask_again } => Some(Hold { reason, ask_again }),
    }
}

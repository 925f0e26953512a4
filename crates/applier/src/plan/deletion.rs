//! An Application that goes: what of its objects goes with it.
//!
//! What comes in: an Application with a deletion timestamp. What goes out: objects to delete, or the finalizers
//! that are left. Without a finalizer there is nothing to decide: the Application vanishes and its objects stay.

use ithaca_api::{Application, annotation, sync_options::Propagation};

use super::decide::{Action, View, watch_kinds};
use crate::object::{Kind, ObjectKey};

const ALL_RESOURCES_FINALIZERS: [&str; 3] =
    [annotation::RESOURCES_FINALIZER, annotation::FOREGROUND_FINALIZER, annotation::BACKGROUND_FINALIZER];

/// Decides for an Application that is being deleted.
pub(super) fn decide(view: View<'_>) -> Action {
    let finalizers = view.application.metadata.finalizers.as_deref().unwrap_or_default();
    let Some(ours) = finalizers.iter().find(|name| ALL_RESOURCES_FINALIZERS.contains(&name.as_str())) else {
        return Action::Idle(None);
    };
    let desired =
        view.tracked.iter().flat_map(|bundle| &bundle.assembly.objects).map(|desired| desired.kind());
    if let Some(action) = watch_kinds(inventory(view.application).into_iter().chain(desired), view.records) {
        return action;
    }
    let left: Vec<&ObjectKey> = doomed(view).collect();
    if left.is_empty() {
        let kept = finalizers.iter().filter(|name| !ALL_RESOURCES_FINALIZERS.contains(&name.as_str()));
        return Action::Release(kept.cloned().collect());
    }
    let propagation = match ours == annotation::BACKGROUND_FINALIZER {
        true => Propagation::Background,
        false => Propagation::Foreground,
    };
    let not_yet = left.into_iter().filter(|key| view.records.get(key).is_some_and(|record| !record.deleting));
    match not_yet.cloned().collect::<Vec<_>>() {
        none if none.is_empty() => Action::Idle(None),
        objects => Action::Delete(objects, propagation),
    }
}

/// The objects that go: the application's own, but no definitions, not itself, and none that asks to be kept.
fn doomed<'a>(view: View<'a>) -> impl Iterator<Item = &'a ObjectKey> {
    let tracked = view.records.tracked_by(&view.owner.instance);
    let kept =
        move |key: &ObjectKey| &*key.kind == "CustomResourceDefinition" || is_itself(key, view.application);
    tracked.filter(move |(key, record)| !record.kept && !kept(key)).map(|(key, _)| key)
}

fn is_itself(key: &ObjectKey, application: &Application) -> bool {
    *key.group == *ithaca_api::GROUP
        && &*key.kind == "Application"
        && application.metadata.name.as_deref() == Some(&key.name)
        && application.metadata.namespace.as_deref() == Some(&key.namespace)
}

/// The kinds of what was managed before, as the status tells.
pub(super) fn inventory(application: &Application) -> Vec<Kind> {
    let resources = application.status.iter().flat_map(|status| &status.resources);
    let known = resources.filter(|resource| !resource.kind.is_empty());
    known
        .map(|resource| Kind {
            group: resource.group.clone(),
            version: resource.version.clone(),
            kind: resource.kind.clone(),
        })
        .collect()
}

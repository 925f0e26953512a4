//! An Application that goes: what of its objects goes with it.
//!
//! What comes in: an Application with a deletion timestamp. What goes out: objects to delete, or the finalizers
//! that are left. Without a finalizer there is nothing to decide: the Application vanishes and its objects stay.

use ithaca_api::{
    Application, ConditionType, annotation,
    sync_options::{Deletion, Propagation},
};
use jiff::Timestamp;

use super::{
    decide::{Action, View, approves, watch_kinds, write_or},
    permission, status,
};
use crate::object::{Kind, ObjectKey};

const ALL_RESOURCES_FINALIZERS: [&str; 3] =
    [annotation::RESOURCES_FINALIZER, annotation::FOREGROUND_FINALIZER, annotation::BACKGROUND_FINALIZER];

/// Decides for an Application that is being deleted.
pub(super) fn decide(view: View<'_>) -> Action {
    let finalizers = view.application.metadata.finalizers.as_deref().unwrap_or_default();
    let Some(ours) = finalizers.iter().find(|name| ALL_RESOURCES_FINALIZERS.contains(&name.as_str())) else {
        return Action::Idle(None);
    };
    if view.project.is_none() {
        return undeleted(view, &format!("{}: make it again", permission::missing(view)));
    }
    let desired =
        view.tracked.iter().flat_map(|bundle| &bundle.assembly.objects).map(|desired| desired.kind());
    if let Some(action) = watch_kinds(inventory(view.application).into_iter().chain(desired), view) {
        return action;
    }
    let Doomed { left, unconfirmed } = doomed(view);
    if left.is_empty() && unconfirmed.is_empty() {
        let kept = finalizers.iter().filter(|name| !ALL_RESOURCES_FINALIZERS.contains(&name.as_str()));
        return Action::Release(kept.cloned().collect());
    }
    let propagation = match ours == annotation::BACKGROUND_FINALIZER {
        true => Propagation::Background,
        false => Propagation::Foreground,
    };
    let not_yet = left.into_iter().filter(|key| view.records.get(key).is_some_and(|record| !record.deleting));
    match not_yet.cloned().collect::<Vec<_>>() {
        objects if !objects.is_empty() => Action::Delete(objects, propagation),
        _ if unconfirmed.is_empty() => Action::Idle(None),
        _ => {
            let message = format!(
                "waiting for deletion confirmation of {}: annotate the Application with {}=<the time now, RFC 3339>",
                named(&unconfirmed),
                annotation::DELETION_APPROVED
            );
            undeleted(view, &message)
        }
    }
}

/// What there is to say when objects could not be deleted.
pub fn undeleted(view: View<'_>, reason: &str) -> Action {
    write_or(view, status::told(view, ConditionType::DeletionError, reason), None)
}

/// The objects that go.
#[derive(Default)]
struct Doomed<'a> {
    /// Those that may.
    left: Vec<&'a ObjectKey>,
    /// Those that wait for somebody's word.
    unconfirmed: Vec<&'a ObjectKey>,
}

/// The application's own objects, but no definitions, not itself, none that asks to be kept, and none that its project
/// does not permit.
fn doomed(view: View<'_>) -> Doomed<'_> {
    let (mut doomed, options) = (Doomed::default(), view.options());
    let since = view.application.metadata.deletion_timestamp.as_ref();
    let since = since.and_then(|time| Timestamp::from_second(time.0.as_second()).ok());
    let approved = since.is_some_and(|since| approves(view.approval(), since));
    for (key, record) in view.records.tracked_by(&view.owner.instance) {
        if !permission::may_delete(view, key) {
            continue;
        }
        if record.kept || &*key.kind == "CustomResourceDefinition" || is_itself(key, view.application) {
            continue;
        }
        match options.overlaid_with(&record.options).delete() {
            Deletion::Forbidden => {}
            Deletion::Confirmed if !approved && !record.deleting => doomed.unconfirmed.push(key),
            Deletion::Allowed | Deletion::Confirmed => doomed.left.push(key),
        }
    }
    doomed.left.sort();
    doomed.unconfirmed.sort();
    doomed
}

/// The first of many, for people.
pub(super) fn named(keys: &[&ObjectKey]) -> String {
    const SHOWN: usize = 5;
    let mut names: Vec<String> = keys.iter().take(SHOWN).map(ToString::to_string).collect();
    if let Some(more) = keys.len().checked_sub(SHOWN).filter(|more| *more > 0) {
        names.push(format!("{more} more"));
    }
    names.join(", ")
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

//! The conditions of an Application: what is wrong with it, and what of it has no effect.
//!
//! What comes in: the view, a comparison, why automation gave up. What goes out: conditions in a fixed order, a bounded
//! number of each type. Their times are set by whoever puts them into a status.

use std::collections::BTreeMap;

use ithaca_api::{
    Application, ConditionType, SyncOptions, annotation,
    status::Condition,
    sync_options::{self, Place},
};

use super::{
    application_set,
    comparison::Comparison,
    run::{Run, Unended},
    told,
    view::View,
};
use crate::{bundle::Bundle, live::Verdict, object::ObjectKey, orphans::Orphaned, scripts::Fault};

/// Objects that are named where a guard holds a deletion back: who confirms has to know them.
const MOST_HELD: usize = 100;

/// All of them. `sync_error` is why automation gave up, or why the last attempt failed; `run` what is under way.
pub(super) fn conditions(
    bundle: &Bundle,
    comparison: &Comparison,
    view: View<'_>,
    sync_error: Option<&str>,
    run: Option<&Run>,
) -> Vec<Condition> {
    let assembly = &bundle.assembly;
    let mut conditions: Vec<Condition> = failure_condition(bundle).into_iter().collect();
    conditions.extend(
        assembly.invalid.iter().map(|reason| condition(ConditionType::InvalidSpecError, reason.clone())),
    );
    let unknown = assembly.unknown.iter().map(|(key, reason)| format!("{key}: {reason}"));
    let errors = sync_error.map(str::to_owned).into_iter().chain(unknown.filter(|_| sync_error.is_none()));
    let errors: Vec<String> = errors.collect();
    let fails = !errors.is_empty();
    conditions.extend(errors.into_iter().map(|message| condition(ConditionType::SyncError, message)));
    conditions.extend(assembly.repeated.iter().map(|key| {
        condition(
            ConditionType::RepeatedResourceWarning,
            format!(
                "Resource {key} appeared more than once among application resources; the last one counts."
            ),
        )
    }));
    conditions.extend(excluded(bundle));
    conditions.extend(assembly.unsupported.iter().map(|reason| unsupported(reason.clone())));
    conditions.extend(of_application(view.application));
    conditions.extend(rejected(bundle, comparison, view).filter(|_| !fails));
    conditions.extend(failing_scripts(bundle, comparison, view));
    conditions.extend(shared(comparison, view));
    conditions.extend(unknown_fields(bundle, view));
    conditions.extend(view.held.map(|(type_, reason)| condition(type_, reason.to_owned())));
    conditions.extend(orphaned(view));
    conditions.extend(run.and_then(|run| held_prunes(run, comparison)));
    conditions.extend(run.into_iter().flat_map(|run| unended_hooks(run, view)));
    bounded(conditions)
}

/// One, and beside it that a guard holds the Application, where it does: that must not be forgotten.
pub(super) fn only(view: View<'_>, type_: ConditionType, message: &str) -> Vec<Condition> {
    let held = application_set::held(view.application).filter(|held| held.type_ != type_);
    bounded([condition(type_, message.to_owned())].into_iter().chain(held.cloned()).collect())
}

/// What is said where nothing was ever rendered.
pub(super) fn without_content(bundle: &Bundle, view: View<'_>) -> Vec<Condition> {
    bounded(failure_condition(bundle).into_iter().chain(of_application(view.application)).collect())
}

/// Sorted, and no more of each type than people read.
fn bounded(mut conditions: Vec<Condition>) -> Vec<Condition> {
    conditions.sort_by(|a, b| (a.type_, &a.message).cmp(&(b.type_, &b.message)));
    let mut counts = BTreeMap::<ConditionType, usize>::new();
    conditions.retain(|condition| {
        let count = counts.entry(condition.type_).or_default();
        *count += 1;
        *count <= told::MOST
    });
    let more = counts.into_iter().filter(|(_, count)| *count > told::MOST);
    conditions.extend(more.map(|(type_, count)| {
        condition(type_, format!("{} more conditions of this type are not shown", count - told::MOST))
    }));
    conditions
}

/// What of an Application itself has no effect.
fn of_application(application: &Application) -> Vec<Condition> {
    let spec = &application.spec;
    let options = sync_options::unsupported(spec.sync_options(), Place::Application);
    let options = options.into_iter().map(|reason| format!("spec.syncPolicy.syncOptions: {reason}"));
    let policy = spec.sync_policy.as_ref();
    let retry = policy.and_then(|policy| policy.retry.as_ref()?.backoff.as_ref());
    let retry = retry.into_iter().flat_map(|backoff| backoff.unreadable());
    let retry = retry.map(|reason| format!("spec.syncPolicy.retry.{reason}"));
    let namespace = policy.is_some_and(|policy| policy.managed_namespace_metadata.is_some())
        && !SyncOptions::from_list(spec.sync_options()).create_namespace();
    let namespace = namespace.then(|| {
        "spec.syncPolicy.managedNamespaceMetadata has no effect without CreateNamespace=true".to_owned()
    });
    let hydrator = spec.source_hydrator.is_some().then(|| {
        "spec.sourceHydrator has no effect: there is no hydrator; name the branch that holds the rendered \
         manifests in spec.source"
            .to_owned()
    });
    let annotations = application.metadata.annotations.as_ref().map(annotation::unreadable);
    let annotations = annotations.into_iter().flatten();
    let all = options.chain(retry).chain(namespace).chain(hydrator).chain(annotations);
    all.chain(of_operation(application)).map(unsupported).collect()
}

/// What of the operation that somebody asked for has no effect: told until the next one.
fn of_operation(application: &Application) -> Vec<String> {
    let last = application.status.as_ref().and_then(|status| status.operation_state.as_ref());
    let operation = application.operation.as_ref().or(last.map(|state| &state.operation));
    let Some(operation) = operation.filter(|operation| !operation.initiated_by.automated) else {
        return Vec::new();
    };
    let options = operation.sync.as_ref().map(|sync| sync.sync_options.as_slice()).unwrap_or_default();
    let options = sync_options::unsupported(options, Place::Application);
    let options = options.into_iter().map(|reason| format!("operation.sync.syncOptions: {reason}"));
    let retry = operation.retry.backoff.as_ref().map(|backoff| backoff.unreadable()).unwrap_or_default();
    options.chain(retry.into_iter().map(|reason| format!("operation.retry.{reason}"))).collect()
}

fn unsupported(reason: String) -> Condition {
    condition(ConditionType::UnsupportedWarning, reason)
}

/// What would go and waits for somebody's word.
fn held_prunes(run: &Run, comparison: &Comparison) -> Option<Condition> {
    let held = run.tasks.iter().filter(|task| task.confirm && task.outcome.is_none()).map(|task| &task.key);
    let held: Vec<_> = held.collect();
    if held.is_empty() || !comparison.guarded {
        return None;
    }
    let message = format!(
        "{} of {} objects would be deleted: {}. If that is meant, annotate the Application with {}=<the time now, RFC 3339>; if not, revert the commit",
        held.len(),
        comparison.live,
        told::named(&held, MOST_HELD),
        annotation::DELETION_APPROVED
    );
    Some(condition(ConditionType::PruneHeldWarning, message))
}

/// Hooks that the operation has waited for so long that somebody should look.
fn unended_hooks<'a>(run: &'a Run, view: View<'a>) -> impl Iterator<Item = Condition> + 'a {
    let due = run.unended_hooks(view.records).filter(move |hook| hook.told_from <= view.now);
    due.map(|Unended { key, since, .. }| {
        let message = format!(
            "hook {key} has run since {since} and has not ended, and the operation waits for it: see what it does; \
             delete it, which makes the operation fail, or terminate the operation"
        );
        condition(ConditionType::HookWarning, message)
    })
}

/// Objects that the API server would not take as they are wanted.
fn rejected<'a>(
    bundle: &'a Bundle,
    comparison: &'a Comparison,
    view: View<'a>,
) -> impl Iterator<Item = Condition> + 'a {
    let objects = comparison.out_of_sync.iter().filter_map(|place| bundle.assembly.objects.get(*place));
    objects.filter_map(move |desired| {
        let Verdict::OutOfSync(drift) = &view.records.get(&desired.key)?.verdict else { return None };
        let reason = drift.rejected.as_ref()?;
        let message = format!("failed to compare {} with what Git wants: {reason}", desired.key);
        Some(condition(ConditionType::ComparisonError, message))
    })
}

/// Health scripts that fail, each with one of the objects that it fails on: the one that is told of, as long as it does.
/// Objects are judged one by one, and a list of them would be written anew with each.
fn failing_scripts(bundle: &Bundle, comparison: &Comparison, view: View<'_>) -> Vec<Condition> {
    let wanted = bundle.assembly.objects.iter().map(|desired| &desired.key);
    let mut failing = BTreeMap::<&str, Vec<(&ObjectKey, &Fault)>>::new();
    for key in wanted.chain(&comparison.extras) {
        if let Some(fault) = view.records.get(key).and_then(|record| record.script_fault.as_ref()) {
            failing.entry(&fault.key).or_default().push((key, fault));
        }
    }
    let before = view.application.status.iter().flat_map(|status| &status.conditions);
    let before: Vec<&str> = before.map(|told| told.message.as_str()).collect();
    let one = |faults: Vec<(&ObjectKey, &Fault)>| {
        let mut messages = faults.iter().map(|(key, fault)| failing_script(key, fault));
        let told = messages.clone().find(|message| before.contains(&message.as_str()));
        told.or_else(|| messages.next()).map(|message| condition(ConditionType::ComparisonError, message))
    };
    failing.into_values().filter_map(one).collect()
}

fn failing_script(key: &ObjectKey, Fault { key: script, reason }: &Fault) -> String {
    format!(
        "failed to assess the health of objects by {script} of ConfigMap {}, such as {key}: {reason}; mend the script",
        annotation::SETTINGS_CONFIG_MAP,
    )
}

/// Objects of kinds that the installation does not manage.
fn excluded(bundle: &Bundle) -> impl Iterator<Item = Condition> + '_ {
    bundle.assembly.excluded.iter().map(|key| {
        let message = format!("Resource {}/{} {} is excluded in the settings", key.group, key.kind, key.name);
        condition(ConditionType::ExcludedResourceWarning, message)
    })
}

/// Objects that carry another application's tracking id, or that another wants as well.
fn shared<'a>(comparison: &'a Comparison, view: View<'a>) -> impl Iterator<Item = Condition> + 'a {
    comparison.shared.iter().chain(&comparison.rivals).map(move |(key, other)| {
        let message = format!("{key} is part of applications {} and {other}", view.owner.instance);
        condition(ConditionType::SharedResourceWarning, message)
    })
}

/// Objects with fields that the cluster's schema does not know.
fn unknown_fields(bundle: &Bundle, view: View<'_>) -> Vec<Condition> {
    let objects = bundle.assembly.objects.iter();
    let all =
        objects.filter_map(|desired| Some((&desired.key, view.records.get(&desired.key)?.unknown.as_ref()?)));
    let told = all.map(|(key, fields)| {
        let fields = fields.iter().take(told::MOST).map(String::as_str).collect::<Vec<_>>().join(", ");
        let message = format!(
            "{key} has fields that the cluster does not know and drops: {fields}; check their spelling"
        );
        condition(ConditionType::UnknownFieldWarning, message)
    });
    told.collect()
}

/// Objects that no application manages. While they are being counted, what was told before stays.
fn orphaned(view: View<'_>) -> Option<Condition> {
    let type_ = ConditionType::OrphanedResourceWarning;
    match view.orphaned {
        Orphaned::None => None,
        Orphaned::Some(count) => {
            Some(condition(type_, format!("Application has {count} orphaned resources")))
        }
        Orphaned::Unknown => {
            let told =
                view.application.status.as_ref()?.conditions.iter().find(|told| told.type_ == type_)?;
            Some(condition(type_, told.message.clone()))
        }
    }
}

fn failure_condition(bundle: &Bundle) -> Option<Condition> {
    let failure = bundle.failure.as_ref()?;
    let type_ =
        if failure.invalid_spec { ConditionType::InvalidSpecError } else { ConditionType::ComparisonError };
    Some(condition(type_, failure.message.clone()))
}

pub(super) fn condition(type_: ConditionType, message: String) -> Condition {
    Condition { type_, message, last_transition_time: None }
}

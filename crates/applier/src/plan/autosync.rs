//! Whether to sync without being asked (compat: auto-sync and self-heal).

use std::time::Duration;

use ithaca_api::{
    Application, ApplicationSource, Operation, OperationPhase,
    operation::{Initiator, SyncOperation, SyncResource},
    status::{OperationState, SyncOperationResult, one_or_several},
    sync_policy::Retry,
};
use jiff::Timestamp;

use super::{comparison::Comparison, told};
use crate::bundle::Bundle;

/// What automation says.
#[derive(Debug, PartialEq)]
pub enum AutoSync {
    /// There is nothing to do, or it is switched off.
    No,
    /// Everything is to be synced.
    Sync(Box<Operation>),
    /// What drifted is to be put right.
    Heal(Box<Operation>),
    /// It is to be put right, but not before then.
    HealAt(Timestamp),
    /// It will not be tried; the condition SyncError tells why.
    Refused(String),
}

/// Decides for an application without an operation. `presume_different`: what is undecided counts as different, unless
/// the difference may be one that does not count.
pub fn auto_sync(
    application: &Application,
    bundle: &Bundle,
    comparison: &Comparison,
    presume_different: bool,
    now: Timestamp,
) -> AutoSync {
    let policy = application.spec.sync_policy.as_ref();
    let Some(automated) = policy.and_then(|policy| policy.automated()) else { return AutoSync::No };
    let mut undecided = comparison.undecided.iter().filter_map(|place| bundle.assembly.objects.get(*place));
    let undecided = presume_different && undecided.any(|desired| desired.ignored.is_none());
    let differs = undecided || comparison.unserved || !comparison.out_of_sync.is_empty();
    let prunes = automated.prune && !comparison.prunable.is_empty();
    if !differs && !prunes {
        return AutoSync::No;
    }
    let last = application.status.as_ref().and_then(|status| status.operation_state.as_ref());
    let attempt = last.filter(|last| attempted(last, bundle));
    match attempt {
        None if bundle.failure.is_some() => AutoSync::No,
        _ if prunes && comparison.would_wipe(bundle) && !automated.allow_empty => AutoSync::Refused(
            "auto-sync will wipe out all resources: set spec.syncPolicy.automated.allowEmpty to allow it"
                .to_owned(),
        ),
        None => AutoSync::Sync(Box::new(operation(application, bundle, automated.prune, 0, Vec::new()))),
        Some(last) if last.phase != OperationPhase::Succeeded => {
            let revisions = bundle.revisions().join(", ");
            AutoSync::Refused(format!("Failed last sync attempt to [{revisions}]: {}", last.message))
        }
        Some(last) if automated.self_heal => {
            heal(application, bundle, comparison, last, automated.prune, now)
        }
        Some(_) => AutoSync::No,
    }
}

fn heal(
    application: &Application,
    bundle: &Bundle,
    comparison: &Comparison,
    last: &OperationState,
    prune: bool,
    now: Timestamp,
) -> AutoSync {
    let attempts = last.operation.sync.as_ref().map_or(0, |sync| sync.auto_heal_attempts_count);
    let finished = last.finished_at.unwrap_or(last.started_at).0;
    let due = finished.saturating_add(heal_delay(attempts)).unwrap_or(now);
    if attempts > 0 && due > now {
        return AutoSync::HealAt(due);
    }
    let objects = &bundle.assembly.objects;
    let differing =
        comparison.out_of_sync.iter().filter_map(|place| objects.get(*place)).map(|desired| &desired.key);
    let differing = differing.filter(|key| !comparison.taken.contains(*key));
    let extras = comparison.prunable.iter().filter(|_| prune);
    let resources: Vec<_> = differing
        .chain(extras)
        .map(|key| SyncResource {
            group: key.group.to_string(),
            kind: key.kind.to_string(),
            name: key.name.to_string(),
            namespace: key.namespace.to_string(),
        })
        .collect();
    // An operation on nothing would be one on all, and what is not served or not permitted would fail it for good.
    if resources.is_empty() {
        return unhealable(comparison);
    }
    AutoSync::Heal(Box::new(operation(application, bundle, prune, attempts + 1, resources)))
}

/// What no operation could put right is told until the cluster or the project is different.
fn unhealable(comparison: &Comparison) -> AutoSync {
    match told::listed(comparison.forbidden.iter().map(ToString::to_string)) {
        None => AutoSync::No,
        Some(reasons) => {
            AutoSync::Refused(format!("one or more synchronization tasks are not valid: {reasons}"))
        }
    }
}

/// 2 s, then three times as long each time, five minutes at most.
fn heal_delay(attempts: i64) -> Duration {
    let exponent = u32::try_from(attempts - 1).unwrap_or(0).min(8);
    Duration::from_secs((2 * 3_u64.pow(exponent)).min(300))
}

/// Whether the last operation was for this revision of these sources.
fn attempted(last: &OperationState, bundle: &Bundle) -> bool {
    let Some(result) = &last.sync_result else { return false };
    let sources = bundle.sources.iter().map(|source| source.source.shown());
    last.phase.is_completed()
        && one_or_several(&result.revision, &result.revisions) == bundle.revisions()
        && sources_of(result).into_iter().map(ApplicationSource::shown).eq(sources)
}

fn sources_of(result: &SyncOperationResult) -> Vec<&ApplicationSource> {
    if result.sources.is_empty() { result.source.iter().collect() } else { result.sources.iter().collect() }
}

fn operation(
    application: &Application,
    bundle: &Bundle,
    prune: bool,
    heal_attempts: i64,
    resources: Vec<SyncResource>,
) -> Operation {
    let several = application.spec.has_multiple_sources();
    let mut revisions = bundle.revisions();
    let retry = application.spec.sync_policy.as_ref().and_then(|policy| policy.retry.clone());
    Operation {
        sync: Some(SyncOperation {
            revision: if several { String::new() } else { revisions.pop().unwrap_or_default() },
            revisions: if several { revisions } else { Vec::new() },
            prune,
            resources,
            sync_options: application.spec.sync_options().to_vec(),
            auto_heal_attempts_count: heal_attempts,
            ..SyncOperation::default()
        }),
        initiated_by: Initiator { automated: true, ..Initiator::default() },
        retry: retry.unwrap_or_else(Retry::automated_default),
        ..Operation::default()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::{
        bundle::Source,
        desired::{self, Owner},
        object::ObjectKey,
        plan::{
            dependencies::{Name, Other, Others},
            permission::Forbidden,
        },
    };

    #[test]
    fn self_heal_backs_off_from_two_seconds_to_five_minutes() {
        let delays: Vec<u64> = (1..8).map(|attempts| heal_delay(attempts).as_secs()).collect();
        assert_eq!(delays, [2, 6, 18, 54, 162, 300, 300]);
    }

    /// An Application at revision a whose last operation was this, and what of it differs.
    struct Case {
        application: Application,
        bundle: Bundle,
        comparison: Comparison,
    }

    impl Case {
        fn new(automated: &Value, phase: &str, revision: &str) -> Self {
            let source = json!({"repoURL": "https://git.example.org/a", "path": "app"});
            let sync = json!({"autoHealAttemptsCount": 0});
            let application = json!({
                "metadata": {"name": "web"},
                "spec": {
                    "project": "default", "source": source, "syncPolicy": {"automated": automated}, "destination": {},
                },
                "status": {"operationState": {
                    "operation": {"sync": sync}, "phase": phase, "message": "told", "startedAt": "1970-01-01T00:00:00Z",
                    "syncResult": {"revision": revision, "source": source},
                }},
            });
            let application: Application = serde_json::from_value(application).expect("an Application");
            let source = Source {
                source: application.spec.sources()[0].clone(),
                revision: "a".to_owned(),
                source_type: None,
                commit: Default::default(),
            };
            let owner = Owner { instance: "web".to_owned(), namespace: "web".to_owned(), ..Owner::default() };
            let manifests = ["one", "two"]
                .map(|name| json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}}));
            let assembly = desired::assemble(manifests.to_vec(), &owner, &|_| Some(true));
            let bundle =
                Bundle::new(ithaca_proto::v1::BundleRendered::default(), std::sync::Arc::new(assembly));
            let bundle = Bundle { sources: vec![source], ..bundle };
            Self {
                application,
                bundle,
                comparison: Comparison { out_of_sync: vec![1], ..Comparison::default() },
            }
        }

        fn decide(&self, now: i64) -> AutoSync {
            let now = Timestamp::from_second(now).expect("a time");
            auto_sync(&self.application, &self.bundle, &self.comparison, false, now)
        }

        fn set_heals(&mut self, heals: i64) {
            let state = self.application.status.as_mut().and_then(|status| status.operation_state.as_mut());
            let sync = state.and_then(|state| state.operation.sync.as_mut()).expect("an operation");
            sync.auto_heal_attempts_count = heals;
        }
    }

    fn resources(decision: &AutoSync) -> Vec<&str> {
        let (AutoSync::Sync(operation) | AutoSync::Heal(operation)) = decision else { return vec!["none"] };
        let resources = operation.sync.iter().flat_map(|sync| &sync.resources);
        resources.map(|resource| resource.name.as_str()).collect()
    }

    #[test]
    fn each_revision_is_tried_once() {
        let failed = Case::new(&json!({"selfHeal": true}), "Failed", "a").decide(0);
        assert_eq!(failed, AutoSync::Refused("Failed last sync attempt to [a]: told".to_owned()));
        let decision = Case::new(&json!({}), "Failed", "before").decide(0);
        assert!(matches!(decision, AutoSync::Sync(_)) && resources(&decision).is_empty(), "{decision:?}");
        assert_eq!(Case::new(&json!({}), "Succeeded", "a").decide(0), AutoSync::No);
        assert_eq!(Case::new(&json!({"enabled": false}), "Failed", "before").decide(0), AutoSync::No);
    }

    #[test]
    fn what_drifted_is_healed_alone_at_once_and_later_more_slowly() {
        let mut case = Case::new(&json!({"selfHeal": true}), "Succeeded", "a");
        let decision = case.decide(0);
        assert!(matches!(&decision, AutoSync::Heal(operation)
            if operation.sync.as_ref().is_some_and(|sync| sync.auto_heal_attempts_count == 1)));
        assert_eq!(resources(&decision), ["two"]);
        case.set_heals(2);
        assert_eq!(case.decide(5), AutoSync::HealAt(Timestamp::from_second(6).expect("a time")));
        assert!(matches!(case.decide(6), AutoSync::Heal(_)));
    }

    /// Two that heal would take an object from each other for ever; what nobody else wants any more is put right.
    #[test]
    fn what_another_application_has_taken_and_wants_is_not_taken_back() {
        struct Wanting(bool);
        impl Others for Wanting {
            fn find(&self, _: &Name) -> Option<Other<'_>> {
                None
            }
            fn dependents(&self, _: &Name) -> Vec<Name> {
                Vec::new()
            }
            fn wants(&self, instance: &str, _: &ObjectKey) -> bool {
                self.0 && instance == "shop"
            }
        }
        let mut case = Case::new(&json!({"selfHeal": true}), "Succeeded", "a");
        for (wanted, differing, expected) in
            [(false, vec![1], vec!["two"]), (true, vec![1], vec!["none"]), (true, vec![0, 1], vec!["one"])]
        {
            let shared = vec![(case.bundle.assembly.objects[1].key.clone(), "shop".into())];
            let comparison = Comparison { out_of_sync: differing, shared, ..Comparison::default() };
            case.comparison = comparison.among(&case.application, &Wanting(wanted));
            assert_eq!(resources(&case.decide(0)), expected);
        }
        // A new revision is a new word: it is synced whoever has the object.
        let comparison = std::mem::take(&mut case.comparison);
        case = Case { comparison, ..Case::new(&json!({"selfHeal": true}), "Succeeded", "before") };
        assert!(matches!(case.decide(0), AutoSync::Sync(_)));
    }

    #[test]
    fn nothing_but_pruning_is_no_reason_where_nothing_is_pruned() {
        let extra = crate::object::ObjectKey::new("", "ConfigMap", "web", "extra");
        for (prune, expected) in [(false, false), (true, true)] {
            let mut case = Case::new(&json!({"prune": prune}), "Succeeded", "before");
            case.comparison = Comparison { prunable: vec![extra.clone()], ..Comparison::default() };
            assert_eq!(matches!(case.decide(0), AutoSync::Sync(_)), expected);
        }
    }

    /// Was an operation on all objects, which failed for good and let nothing be healed after it.
    #[test]
    fn what_cannot_be_put_right_begins_no_operation() {
        let mut case = Case::new(&json!({"selfHeal": true}), "Succeeded", "a");
        case.comparison = Comparison { unserved: true, ..Comparison::default() };
        assert_eq!(case.decide(0), AutoSync::No);
        case.comparison.forbidden = vec![Forbidden { key: None, reason: "no such source".to_owned() }];
        let reason = "one or more synchronization tasks are not valid: no such source".to_owned();
        assert_eq!(case.decide(0), AutoSync::Refused(reason));
    }

    #[test]
    fn an_application_is_emptied_only_where_that_is_allowed() {
        let extra = crate::object::ObjectKey::new("", "ConfigMap", "web", "extra");
        let mut case = Case::new(&json!({"prune": true}), "Succeeded", "before");
        case.comparison = Comparison {
            prunable: vec![extra.clone()],
            extras: vec![extra.clone()],
            ..Comparison::default()
        };
        assert!(matches!(case.decide(0), AutoSync::Sync(_)), "something is left");
        let empty = || Bundle::new(ithaca_proto::v1::BundleRendered::default(), std::sync::Arc::default());
        case.bundle = Bundle { sources: std::mem::take(&mut case.bundle.sources), ..empty() };
        assert!(matches!(case.decide(0), AutoSync::Refused(reason) if reason.contains("wipe out")));
        let mut allowed = Case::new(&json!({"prune": true, "allowEmpty": true}), "Succeeded", "before");
        allowed.bundle = case.bundle;
        allowed.comparison = case.comparison;
        assert!(matches!(allowed.decide(0), AutoSync::Sync(_)));
    }

    #[test]
    fn an_operation_says_what_it_syncs_and_that_nobody_asked() {
        let operation = match Case::new(&json!({"prune": true}), "Succeeded", "before").decide(0) {
            AutoSync::Sync(operation) => Some(operation),
            _ => None,
        };
        let operation = operation.expect("it differs");
        assert!(operation.initiated_by.automated);
        let sync = operation.sync.expect("a sync");
        assert_eq!((sync.revision.as_str(), sync.prune), ("a", true));
    }

    /// After a restart nothing is decided at first: to apply it again is right, unless the rules of what does not count
    /// have not been followed yet.
    #[test]
    fn what_is_undecided_differs_only_where_that_is_presumed_and_no_rule_may_ignore_it() {
        let now = Timestamp::UNIX_EPOCH;
        let mut case = Case::new(&json!({}), "Succeeded", "before");
        case.comparison = Comparison { undecided: vec![0], ..Comparison::default() };
        let decide = |case: &Case, presumed| {
            auto_sync(&case.application, &case.bundle, &case.comparison, presumed, now)
        };
        assert_eq!(decide(&case, false), AutoSync::No);
        assert!(matches!(decide(&case, true), AutoSync::Sync(_)));
        let rule = json!({"kind": "ConfigMap", "jsonPointers": ["/data"]});
        let rules = [serde_json::from_value(rule).expect("a rule")];
        let ignored = crate::judge::Ignored::compile(&rules, &[], false).map(std::sync::Arc::new);
        let bundle = Case::new(&json!({}), "Succeeded", "before").bundle;
        let assembly = std::sync::Arc::into_inner(bundle.assembly).expect("nobody else has it");
        case.bundle.assembly = std::sync::Arc::new(assembly.ignoring(ignored));
        assert_eq!(decide(&case, true), AutoSync::No);
    }

    #[test]
    fn a_revision_that_was_not_rendered_is_not_synced() {
        let mut case = Case::new(&json!({"selfHeal": true}), "Succeeded", "before");
        case.bundle.failure =
            Some(crate::bundle::Failure { invalid_spec: false, message: "told".to_owned() });
        assert_eq!(case.decide(0), AutoSync::No);
    }

    #[test]
    fn an_operation_carries_options_retry_and_the_revision_of_each_source() {
        let mut case = Case::new(&json!({}), "Succeeded", "before");
        let spec = &mut case.application.spec;
        let policy = spec.sync_policy.as_mut().expect("a policy");
        policy.sync_options = vec!["Validate=false".to_owned()];
        policy.retry = Some(Retry { limit: 7, ..Retry::automated_default() });
        let source = spec.source.take().expect("a source");
        spec.sources = vec![source.clone(), source];
        let first = case.bundle.sources[0].clone();
        case.bundle.sources = vec![first.clone(), Source { revision: "b".to_owned(), ..first }];
        let operation = match case.decide(0) {
            AutoSync::Sync(operation) => Some(operation),
            _ => None,
        };
        let operation = operation.expect("it differs");
        assert_eq!(operation.retry.limit, 7);
        let sync = operation.sync.expect("a sync");
        assert_eq!((sync.revision.as_str(), sync.revisions), ("", vec!["a".to_owned(), "b".to_owned()]));
        assert_eq!(sync.sync_options, ["Validate=false"]);
    }
}

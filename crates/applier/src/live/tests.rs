//! What is remembered of objects, and for how long.

use serde_json::json;

use super::*;

/// An Ingress as it was written, or with the address that its controller has announced since.
fn ingress(version: &str, addresses: &Value) -> (ObjectKey, Record) {
    let key = ObjectKey::new("networking.k8s.io", "Ingress", "web", "web");
    let metadata = json!({"name": "web", "namespace": "web", "resourceVersion": version});
    let live = json!({"metadata": metadata, "status": {"loadBalancer": {"ingress": addresses}}});
    let record = Record::of(&key, &live, None, None, &Tracking::default());
    (key, record)
}

/// Was seen as an application that stayed Progressing: the answer to the apply came after the watch had told of
/// the address.
#[test]
fn an_answer_does_not_undo_what_the_watch_has_told_since() {
    let (key, announced) = ingress("387", &json!([{"ip": "10.0.0.1"}]));
    let (_, applied) = ingress("378", &json!([]));
    let mut records = Records::default();
    let rules = records.rules().clone();
    records.put(key.clone(), announced.clone());
    records.put_answer(key.clone(), applied, &rules);
    assert_eq!(records.get(&key).map(|record| &record.health), Some(&announced.health));
}

/// It would be asked anew with each change of a status.
#[test]
fn what_the_api_server_said_holds_until_the_object_or_what_is_wanted_changes() {
    let desired = |value: &str| {
        let metadata = json!({"name": "web", "namespace": "web"});
        let manifest = json!({"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "data": value});
        let assembly = crate::desired::assemble(vec![manifest], &Default::default(), &|_| Some(true));
        assembly.objects[0].clone()
    };
    let (wanted, other) = (desired("a"), desired("b"));
    let live = |value: &str, status: &str| json!({"metadata": {"name": "web", "namespace": "web"}, "data": value, "status": status});
    let seen = |live: &Value, desired: &Desired, before: Option<&Record>| {
        Record::of(&desired.key, live, Some(desired), before, &Tracking::default())
    };
    let drifted = Verdict::OutOfSync(Arc::default());
    let told = Record { verdict: drifted.clone(), ..seen(&live("c", "new"), &wanted, None) };
    assert_eq!(seen(&live("c", "old"), &wanted, Some(&told)).verdict, drifted);
    assert_eq!(seen(&live("d", "old"), &wanted, Some(&told)).verdict, Verdict::Undecided);
    assert_eq!(seen(&live("c", "old"), &other, Some(&told)).verdict, Verdict::Undecided);
}

#[test]
fn what_is_not_managed_any_more_is_forgotten_and_needs_no_watch() {
    let exclusions = |text: &str| {
        let data = [("resource.exclusions".to_owned(), text.to_owned())].into();
        Arc::new(Rules::read(&data, &[], &Rules::default()))
    };
    let (key, record) = ingress("378", &json!([]));
    let kind = key.group_kind();
    let mut records = Records::default();
    records.set_watched(kind.clone(), true);
    records.put(key.clone(), record.clone());
    records.set_rules(exclusions("- {kinds: [Ingress]}"));
    assert!(records.get(&key).is_none() && records.is_complete(&kind) && records.is_watched(&kind));
    records.put(key.clone(), record.clone());
    assert!(records.get(&key).is_none(), "a watch that is about to end brought it back");
    assert!(!records.may_be_of(&key, "web"), "it would be pruned by a plan of before");
    records.set_rules(exclusions(""));
    assert!(!records.is_watched(&kind), "nobody watches it yet");
}

#[test]
fn a_kind_that_is_not_served_is_known_completely_and_looked_for_again() {
    let (key, _) = ingress("378", &json!([]));
    let (unserved, served) = (key.group_kind(), ObjectKey::new("", "Pod", "web", "a").group_kind());
    let mut records = Records::default();
    records.set_watched(served, true);
    records.set_unserved(unserved.clone());
    assert!(records.is_complete(&unserved) && !records.is_followed(&unserved));
    assert_eq!(records.unserved(), [unserved]);
}

#[test]
fn another_tracking_method_has_all_looked_at_again() {
    let (key, record) = ingress("378", &json!([]));
    let mut records = Records::default();
    let before = records.rules().clone();
    records.set_watched(key.group_kind(), true);
    records.put(key.clone(), record.clone());
    let data = [("application.resourceTrackingMethod".to_owned(), "label".to_owned())].into();
    records.set_rules(Arc::new(Rules::read(&data, &[], &before)));
    assert!(records.get(&key).is_none() && !records.is_watched(&key.group_kind()));
    records.put_answer(key.clone(), record, &before);
    assert!(records.get(&key).is_none(), "an answer that was read by the rules of before");
}

/// Was suspected of an application that stayed Synced: the watch has nothing to add to an answer.
#[test]
fn an_answer_tells_whose_an_object_was() {
    let of = |instance: &str| {
        let (key, record) = ingress("378", &json!([]));
        (key, Record { instance: Some(instance.into()), ..record })
    };
    let mut records = Records::default();
    let rules = records.rules().clone();
    let mut answer = |instance: &str| {
        let (key, record) = of(instance);
        records.put_answer(key, record, &rules)
    };
    assert_eq!(answer("one"), None);
    assert_eq!(answer("one"), None);
    assert_eq!(answer("two"), Some("one".into()));
}

/// Was seen as an operation that waited for ever for the deletion of a hook.
#[test]
fn an_answer_does_not_bring_back_what_is_gone() {
    let (key, answered) = ingress("378", &json!([]));
    let mut records = Records::default();
    let rules = records.rules().clone();
    records.put(key.clone(), answered.clone());
    records.remove_at(&key, Some(387));
    records.put_answer(key.clone(), answered, &rules);
    assert!(records.get(&key).is_none());
    records.put_answer(key.clone(), ingress("390", &json!([])).1, &rules);
    assert!(records.get(&key).is_some());
}

#[test]
fn an_answer_that_is_newer_is_remembered() {
    let (key, applied) = ingress("378", &json!([]));
    let (_, announced) = ingress("387", &json!([{"ip": "10.0.0.1"}]));
    let mut records = Records::default();
    let rules = records.rules().clone();
    records.put_answer(key.clone(), applied, &rules);
    records.put_answer(key.clone(), announced.clone(), &rules);
    assert_eq!(records.get(&key).map(|record| &record.health), Some(&announced.health));
}

/// Each place says so again every few seconds, and each time all Applications there were written anew.
#[test]
fn a_kind_that_is_refused_in_several_places_is_refused_for_one_reason() {
    let kind = GroupKind { group: String::new(), kind: "Secret".to_owned() };
    let mut records = Records::default();
    assert!(!records.set_refused(&kind, 0, "nobody asks".to_owned()));
    records.set_watched(kind.clone(), false);
    assert!(records.set_refused(&kind, 1, "not in b".to_owned()));
    assert!(records.set_refused(&kind, 0, "not in a".to_owned()));
    for (place, reason) in [(1, "not in b"), (0, "not in a"), (1, "not in b")] {
        assert!(!records.set_refused(&kind, place, reason.to_owned()), "no news");
    }
    assert_eq!(records.refusal(&kind), Some("not in a"));
    assert!(records.set_listed(&kind, 0) && !records.set_listed(&kind, 0));
    assert_eq!(records.refusal(&kind), Some("not in b"));
    assert!(records.set_listed(&kind, 1));
    assert_eq!(records.refusal(&kind), None);
    records.set_watched(kind.clone(), true);
    assert!(!records.set_refused(&kind, 0, "not any more".to_owned()), "all its objects are known");
}

#[test]
fn what_was_not_found_and_was_made_anew_meanwhile_is_not_forgotten() {
    let (key, old) = ingress("378", &json!([]));
    let (_, new) = ingress("387", &json!([]));
    let mut records = Records::default();
    records.put(key.clone(), old.clone());
    let known = old.version;
    records.remove_at(&key, Some(380));
    records.put(key.clone(), new);
    records.remove_answer(&key, known);
    assert!(records.get(&key).is_some());
    records.put(key.clone(), old);
    records.remove_answer(&key, known);
    assert!(records.get(&key).is_none());
}

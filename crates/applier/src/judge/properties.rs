//! What holds for any object: laws of the judge, tried on random ones.

use proptest::{collection::vec, prelude::*, sample::Index};
use serde_json::{Map, Value, json};

use super::{Comparison, attribute, compare, differences, fingerprint, takeover};
use crate::{
    health,
    judge::field_set::{FieldSet, restrict, subtract, unite},
};

const US: &str = "argocd-controller";

fn scalar() -> impl Strategy<Value = Value> {
    prop_oneof![
        any::<bool>().prop_map(Value::from),
        any::<i8>().prop_map(Value::from),
        "[a-c]{0,2}".prop_map(Value::from)
    ]
}

/// A spec as somebody may write it: objects, lists without keys, and lists of items with names.
fn spec() -> impl Strategy<Value = Value> {
    let leaf =
        prop_oneof![4 => scalar(), 1 => vec(scalar(), 0..3).prop_map(Value::from), 1 => Just(json!({}))];
    let tree = leaf.prop_recursive(4, 24, 4, |inner| {
        let fields = vec(("[a-e]", inner), 1..4).prop_map(|fields| fields.into_iter().collect::<Map<_, _>>());
        let items = vec(fields.clone(), 1..4).prop_map(|items| {
            let named = items.into_iter().enumerate().map(|(place, mut item)| {
                item.insert("name".to_owned(), json!(format!("n{place}")));
                Value::Object(item)
            });
            named.collect::<Value>()
        });
        prop_oneof![fields.prop_map(Value::Object), items]
    });
    vec(("[a-e]", tree), 1..5).prop_map(|fields| fields.into_iter().collect())
}

fn is_keyed(items: &[Value]) -> bool {
    !items.is_empty() && items.iter().all(|item| item.get("name").is_some())
}

/// The fields that the API server writes down for whoever applies a value.
fn owned(value: &Value) -> Value {
    match value {
        Value::Object(fields) => {
            fields.iter().map(|(name, value)| (format!("f:{name}"), owned(value))).collect()
        }
        Value::Array(items) if is_keyed(items) => {
            let items = items.iter().map(|item| {
                let mut fields = owned(item);
                fields["."] = json!({});
                (format!("k:{}", json!({"name": item["name"]})), fields)
            });
            items.collect()
        }
        _ => json!({}),
    }
}

/// What may become of a value in the cluster: defaults and other people's fields and items.
fn completed(value: &Value) -> Value {
    match value {
        Value::Object(fields) if !fields.is_empty() => {
            let fields = fields.iter().map(|(name, value)| (name.clone(), completed(value)));
            fields.chain([("zDefault".to_owned(), json!("theirs"))]).collect()
        }
        Value::Array(items) if is_keyed(items) => {
            let theirs = json!({"name": "theirs", "a": 1});
            [theirs.clone()].into_iter().chain(items.iter().map(completed)).collect()
        }
        value => value.clone(),
    }
}

fn desired(spec: &Value) -> Value {
    json!({"apiVersion": "example.org/v1", "kind": "Widget", "metadata": {"name": "w"}, "spec": spec})
}

fn live(spec: &Value) -> Value {
    let mut live = desired(&completed(spec));
    live["metadata"]["managedFields"] = json!([{
        "manager": US,
        "operation": "Apply",
        "apiVersion": "example.org/v1",
        "fieldsV1": {"f:spec": owned(spec)},
    }]);
    live
}

/// Pointers to all values within a value.
fn pointers(value: &Value) -> Vec<String> {
    let below = |name: String, value: &Value| {
        let inner = pointers(value).into_iter().map(move |rest| format!("/{name}{rest}"));
        inner.collect::<Vec<_>>()
    };
    let inner: Vec<String> = match value {
        Value::Object(fields) => fields.iter().flat_map(|(name, value)| below(name.clone(), value)).collect(),
        Value::Array(items) => {
            items.iter().enumerate().flat_map(|(place, item)| below(place.to_string(), item)).collect()
        }
        _ => Vec::new(),
    };
    [String::new()].into_iter().chain(inner).collect()
}

/// JSON made of the words that the judge looks for, in any shape.
fn anything() -> impl Strategy<Value = Value> {
    let words = "(f:a|f:spec|f:status|f:metadata|k:\\{\"name\":\"a\"\\}|k:|v:1|v:|i:0|i:9|\\.|name|a|spec|status|metadata|managedFields|\
                 fieldsV1|manager|operation|apiVersion|kind|annotations|conditions|type|finalizers|containerStatuses)";
    let texts = "(a|argocd-controller|Apply|Update|kubectl-client-side-apply|before-first-apply|v1|Ready|True|\\{\\})";
    let leaf = prop_oneof![Just(Value::Null), scalar(), texts.prop_map(Value::from)];
    leaf.prop_recursive(6, 48, 6, move |inner| {
        let object = vec((words, inner.clone()), 0..6).prop_map(|fields| fields.into_iter().collect());
        prop_oneof![3 => object, 1 => vec(inner, 0..4).prop_map(Value::from)]
    })
}

fn field_set() -> impl Strategy<Value = FieldSet> {
    spec().prop_map(|spec| owned(&spec).as_object().cloned().unwrap_or_default())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(ProptestConfig::default().cases / 4))]

    #[test]
    fn what_was_applied_is_equal_whatever_others_add(spec in spec()) {
        prop_assert_eq!(compare(&desired(&spec), &live(&spec), US), Comparison::Equal);
    }

    #[test]
    fn a_wish_that_differs_from_what_is_live_is_never_equal(spec in spec(), at in any::<Index>(), value in scalar()) {
        let mut changed = spec.clone();
        let pointers = pointers(&spec);
        let place = changed.pointer_mut(at.get(&pointers).as_str()).expect("a pointer into it");
        prop_assume!(*place != value);
        *place = value;
        prop_assert_ne!(compare(&desired(&changed), &live(&spec), US), Comparison::Equal);
    }

    #[test]
    fn a_wish_that_is_withdrawn_is_never_equal(spec in spec(), at in any::<Index>()) {
        let mut changed = spec.clone();
        let pointers: Vec<String> = pointers(&spec).into_iter().skip(1).collect();
        let (parent, name) = at.get(&pointers).rsplit_once('/').expect("a pointer");
        match changed.pointer_mut(parent).expect("a pointer into it") {
            Value::Object(fields) => drop(fields.remove(name)),
            Value::Array(items) => drop(items.remove(name.parse::<usize>().expect("a place"))),
            _ => unreachable!("a parent"),
        }
        prop_assert_ne!(compare(&desired(&changed), &live(&spec), US), Comparison::Equal);
    }

    #[test]
    fn whatever_the_comparison_suspects_the_dry_run_would_name_too(spec in spec(), at in any::<Index>()) {
        let before = live(&spec);
        let mut after = before.clone();
        let pointers = pointers(&before["spec"]);
        *after["spec"].pointer_mut(at.get(&pointers).as_str()).expect("a pointer into it") = json!("changed");
        prop_assert_eq!(differences(&before, &before), Vec::<String>::new());
        prop_assert_ne!(differences(&before, &after), Vec::<String>::new());
        prop_assert_ne!(fingerprint(&before), fingerprint(&after));
    }

    #[test]
    fn a_takeover_loses_no_field_and_leaves_nothing_to_take(ours in field_set(), theirs in field_set()) {
        let entry = |manager: &str, operation: &str, fields: &FieldSet| json!({
            "manager": manager, "operation": operation, "apiVersion": "v1", "fieldsV1": fields,
        });
        let mut live = json!({"metadata": {"managedFields": [
            entry(US, "Apply", &ours),
            entry("kubectl-client-side-apply", "Update", &theirs),
        ]}});
        let taken = takeover(&live, US, None).expect("something to take over");
        let mut all = ours;
        unite(&mut all, &theirs);
        prop_assert_eq!(&taken, &json!([entry(US, "Apply", &all)]));
        live["metadata"]["managedFields"] = taken;
        prop_assert_eq!(takeover(&live, US, None), None);
    }

    #[test]
    fn sets_unite_in_any_order(one in field_set(), other in field_set()) {
        let (mut left, mut right) = (one.clone(), other.clone());
        unite(&mut left, &other);
        unite(&mut right, &one);
        prop_assert_eq!(&left, &right);
        unite(&mut left, &one);
        prop_assert_eq!(&left, &right);
        let mut nothing = left.clone();
        subtract(&mut nothing, &left);
        prop_assert_eq!(nothing, FieldSet::new());
    }

    #[test]
    fn a_part_and_the_rest_are_the_whole(set in field_set(), value in spec()) {
        let mut part = restrict(&set, &value);
        let mut rest = set.clone();
        subtract(&mut rest, &part);
        unite(&mut part, &rest);
        prop_assert_eq!(part, set);
    }

    #[test]
    fn no_object_breaks_the_judge(live in anything(), other in anything(), field in "[.a-e\\[\\]=]{0,9}") {
        compare(&other, &live, US);
        let fields = differences(&live, &other);
        attribute(&live, &fields, US);
        attribute(&live, &[field], US);
        takeover(&live, US, None);
        fingerprint(&live);
        for (group, kind) in [("apps", "Deployment"), ("", "Pod"), ("example.org", "Widget"), ("batch", "CronJob")] {
            health::assess(group, kind, &live);
        }
    }
}

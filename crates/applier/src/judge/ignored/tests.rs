//! Rules on the Deployment of the fixtures: what is left to compare, and what is applied.

use rstest::rstest;
use serde_json::json;

use super::*;
use crate::judge::{Comparison, compare, differences, fixture};

const US: &str = "argocd-controller";

fn key() -> ObjectKey {
    ObjectKey::new("apps", "Deployment", "shop", "web")
}

fn rules(rules: Value) -> Ignored {
    let rules: Vec<IgnoreDifference> = serde_json::from_value(rules).expect("rules");
    Ignored::compile(&rules, &[], false).expect("some rules")
}

fn rule(field: &str, value: &str) -> Ignored {
    rules(json!([{"group": "apps", "kind": "Deployment", field: [value]}]))
}

/// The fields that still differ between the edited Deployment and what applying it again would make of it.
fn counted(ignored: &Ignored) -> Vec<String> {
    assert_eq!(ignored.fault(), None);
    let (live, applied) = (fixture::edited(), fixture::applied());
    let one = ignored.without(&key(), &live, &live, true).expect("a rule that is followed");
    let other = ignored.without(&key(), &applied, &live, true).expect("a rule that is followed");
    differences(&one, &other)
}

const NAME: &str = ".metadata.labels[\"app.kubernetes.io/name\"]";
const REPLICAS: &str = ".spec.replicas";
const ARGS: &str = ".spec.template.spec.containers[name=web].args";
const IMAGE: &str = ".spec.template.spec.containers[name=web].image";

#[test]
fn without_a_rule_that_concerns_it_all_counts() {
    let other = rules(json!([{"group": "", "kind": "Deployment", "jsonPointers": ["/spec"]}]));
    assert!(!other.concerns(&key()));
    assert_eq!(counted(&other), [NAME, REPLICAS, ARGS, IMAGE]);
}

#[rstest]
#[case::pointer("jsonPointers", "/spec/replicas", &[NAME, ARGS, IMAGE])]
#[case::escaped("jsonPointers", "/metadata/labels/app.kubernetes.io~1name", &[REPLICAS, ARGS, IMAGE])]
#[case::whole_spec("jsonPointers", "/spec", &[NAME])]
#[case::whole("jsonPointers", "", &[])]
#[case::nothing_there("jsonPointers", "/spec/paused", &[NAME, REPLICAS, ARGS, IMAGE])]
#[case::query("jqPathExpressions", ".spec.replicas", &[NAME, ARGS, IMAGE])]
#[case::selected("jqPathExpressions", r#".spec.template.spec.containers[] | select(.name == "web") | .args, .image"#, &[NAME, REPLICAS])]
#[case::tested("jqPathExpressions", r#".spec.template.spec.containers[] | select(.name | test("^W"; "i")) | .image"#, &[NAME, REPLICAS, ARGS])]
#[case::everywhere("jqPathExpressions", "..|.image?", &[NAME, REPLICAS, ARGS])]
#[case::fails("jqPathExpressions", ".spec.replicas[]", &[NAME, REPLICAS, ARGS, IMAGE])]
#[case::manager("managedFieldsManagers", "kubectl-edit", &[NAME, REPLICAS, ARGS])]
#[case::autoscaler("managedFieldsManagers", "kubectl", &[NAME, ARGS, IMAGE])]
fn what_a_rule_names_does_not_count(#[case] field: &str, #[case] value: &str, #[case] expected: &[&str]) {
    assert_eq!(counted(&rule(field, value)), expected);
}

#[rstest]
#[case("*", "Deploy*", true)]
#[case("a{pps,utoscaling}", "Deployment", true)]
#[case("apps", "*", true)]
#[case("", "*", false)]
#[case("apps", "deployment", false)]
fn groups_and_kinds_are_globs(#[case] group: &str, #[case] kind: &str, #[case] expected: bool) {
    let ignored = rules(json!([{"group": group, "kind": kind, "jsonPointers": ["/spec"]}]));
    assert_eq!(ignored.concerns(&key()), expected);
}

#[rstest]
#[case(json!({"name": "web"}), true)]
#[case(json!({"name": "we*"}), false)]
#[case(json!({"namespace": "shop"}), true)]
#[case(json!({"name": "web", "namespace": "other"}), false)]
fn names_and_namespaces_are_exact(#[case] mut rule: Value, #[case] expected: bool) {
    rule["kind"] = json!("*");
    rule["group"] = json!("*");
    assert_eq!(rules(json!([rule])).concerns(&key()), expected);
}

#[rstest]
#[case("jsonPointers", "spec", "begins with a slash")]
#[case("jqPathExpressions", ".spec[", "not a jq expression")]
#[case("jqPathExpressions", ".spec | nothing", "nothing is none of the functions")]
#[case("jqPathExpressions", "$ENV.HOME", "$ENV")]
#[case("jqPathExpressions", "def f: f; f", "defines no functions")]
#[case("jqPathExpressions", ".spec) , (.status", "not a jq expression")]
fn a_rule_that_cannot_be_read_is_named(#[case] field: &str, #[case] value: &str, #[case] why: &str) {
    let fault = rule(field, value).fault().cloned().expect("a fault");
    assert!(fault.invalid_spec);
    for word in ["apps/Deployment", "spec.ignoreDifferences", why] {
        assert!(fault.message.contains(word), "{word} is not in: {}", fault.message);
    }
}

#[test]
fn a_rule_of_the_installation_that_cannot_be_read_is_not_the_applications_fault() {
    let broken =
        IgnoreDifference { kind: "*".to_owned(), json_pointers: vec!["x".to_owned()], ..Default::default() };
    let ignored = Ignored::compile(&[], &[broken], false).expect("a rule");
    assert!(ignored.fault().is_some_and(|fault| !fault.invalid_spec && fault.message.contains("argocd-cm")));
}

#[rstest]
#[case("..|..|..|..|..")]
#[case(
    "select([..] | [.[],.[]] | [.[],.[]] | [.[],.[]] | [.[],.[]] | [.[],.[]] | [.[],.[]] | [.[],.[]] | [.[],.[]] | length > 9)"
)]
#[case("select([..] as $x | $x[] as $b | $x[] as $c | $x[] as $d | $x[] | empty)")]
#[case("path(..) as $p | path(..) as $q | path(..) as $r | path(..) as $s | getpath($p)")]
fn an_expression_that_explodes_is_stopped_and_told(#[case] expression: &str) {
    let ignored = rule("jqPathExpressions", expression);
    assert_eq!(ignored.fault(), None);
    let live = fixture::edited();
    assert!(ignored.without(&key(), &live, &live, false).is_none(), "it was not stopped");
    let fault = ignored.fault().expect("a fault");
    assert!(fault.message.contains("too many steps on apps/Deployment/shop/web"), "{}", fault.message);
}

#[test]
fn what_does_not_count_is_no_suspicion_whoever_owns_it() {
    let ignored = rules(json!([{"group": "apps", "kind": "Deployment",
        "jsonPointers": ["/spec/replicas", "/metadata/labels"],
        "jqPathExpressions": [".spec.template.spec.containers[] | .image, .args"]}]));
    let (wanted, live) = (fixture::wanted(), fixture::edited());
    let one = ignored.without(&key(), &wanted, &live, false).expect("a rule that is followed");
    let other = ignored.without(&key(), &live, &live, false).expect("a rule that is followed");
    assert_eq!(compare(&one, &other, US), Comparison::Equal);
}

#[test]
fn no_rule_reaches_what_identifies_an_object() {
    let live = fixture::edited();
    let rest = rule("jsonPointers", "").without(&key(), &live, &live, true).expect("a rule that is followed");
    assert_eq!(rest["kind"], "Deployment");
    assert_eq!(rest["metadata"]["name"], live["metadata"]["name"]);
    assert_eq!(rest["metadata"]["managedFields"], live["metadata"]["managedFields"]);
    assert_eq!(rest.get("spec"), None);
}

#[test]
fn aggregated_roles_are_ignored_where_the_installation_says_so() {
    let ignored = Ignored::compile(&[], &[], true).expect("a rule");
    let key = ObjectKey::new("rbac.authorization.k8s.io", "ClusterRole", "", "all");
    let role = |aggregated: bool| {
        let mut role =
            json!({"kind": "ClusterRole", "metadata": {"name": "all"}, "rules": [{"verbs": ["get"]}]});
        if aggregated {
            role["aggregationRule"] = json!({"clusterRoleSelectors": []});
        }
        let rest = ignored.without(&key, &role, &role, false).expect("a rule that is followed");
        rest.get("rules").is_some()
    };
    assert!(!role(true));
    assert!(role(false));
}

#[test]
fn respected_fields_are_left_to_whoever_owns_them_and_kept_where_we_do() {
    let ignored = rules(json!([{"group": "apps", "kind": "Deployment",
        "jsonPointers": ["/spec/replicas", "/spec/revisionHistoryLimit", "/spec/template/spec/initContainers/0/image"]}]));
    let (mut wanted, live) = (fixture::wanted(), fixture::edited());
    let respected = ignored.respected(&key(), &wanted, &live).expect("a rule that is followed");
    // Somebody scaled it.
    assert_eq!(respected["spec"].get("replicas"), None);
    // We wrote it, and it is live.
    let image = "/spec/template/spec/initContainers/0/image";
    assert_eq!(respected.pointer(image), live.pointer(image));
    // Nobody owns a default, and Git does not speak of it.
    assert_eq!(respected["spec"].get("revisionHistoryLimit"), None);
    // Git no longer speaks of what we wrote.
    wanted
        .pointer_mut("/spec/template/spec/initContainers/0")
        .and_then(Value::as_object_mut)
        .expect("it")
        .remove("image");
    let respected = ignored.respected(&key(), &wanted, &live).expect("a rule that is followed");
    assert_eq!(respected.pointer(image), live.pointer(image));
}

#[test]
fn within_what_is_owned_as_a_whole_the_live_value_is_copied() {
    let ignored =
        rule("jqPathExpressions", r#".spec.template.spec.containers[] | select(.name == "web") | .args[0]"#);
    let (wanted, live) = (fixture::wanted(), fixture::edited());
    let args = |object: &Value| {
        let containers =
            object.pointer("/spec/template/spec/containers").and_then(Value::as_array).expect("a list");
        containers.iter().find(|one| one["name"] == "web").expect("it")["args"][0].clone()
    };
    assert_ne!(args(&wanted), args(&live));
    let respected = ignored.respected(&key(), &wanted, &live).expect("a rule that is followed");
    assert_eq!(args(&respected), args(&live));
}

#[test]
fn status_is_never_taken_from_the_cluster() {
    let ignored = rule("jsonPointers", "/status");
    let respected =
        ignored.respected(&key(), &fixture::wanted(), &fixture::live()).expect("a rule that is followed");
    assert_eq!(respected.get("status"), None);
}

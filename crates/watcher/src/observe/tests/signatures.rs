//! What projects ask of signatures is known before anything is said, and holds at once.

use super::*;

#[test]
fn nothing_is_said_of_an_application_before_its_project_is_known() {
    let mut world = World::before_projects().with(&["a"]);
    assert!(world.wait(SECOND).is_empty());
    world.observer.rules(world.now, rules(&[]));
    assert_eq!(texts(&world.settle()), ["a c1"], "the default project needs no object");

    world.files.insert("apps/b".to_owned(), "1".to_owned());
    let mut object = application("b", json!({}));
    object["spec"]["project"] = json!("shop");
    world.apply(object);
    assert!(world.wait(SECOND).is_empty());
    world.observer.rules(world.now, rules(&[("shop", true)]));
    assert_eq!(texts(&world.settle()), ["b: it is not signed"]);
}

#[test]
fn what_a_project_asks_for_takes_effect_at_once() {
    let mut world = World::new().with(&["a"]);
    assert_eq!(texts(&world.settle()), ["a c1"]);
    world.observer.rules(world.now, rules(&[("other", true)]));
    assert!(world.settle().is_empty());
    world.observer.rules(world.now, rules(&[("default", true)]));
    assert_eq!(texts(&world.settle()), ["a: it is not signed"]);
    world.commit("s2", &["a"]);
    world.push();
    assert_eq!(texts(&world.settle()), ["a s2"]);
    // Nothing is news in what was good before and is good now.
    world.observer.rules(world.now, rules(&[("default", false)]));
    assert!(world.settle().is_empty());
    world.observer.rules(world.now, rules(&[("default", true)]));
    assert!(world.settle().is_empty());
}

#[test]
fn a_verdict_under_other_rules_does_not_count() {
    let mut world = World::new().with(&["a"]);
    world.look();
    let job = &world.evaluations().expect("one evaluation")[0];
    let outcome = world.outcome(job);
    world.observer.rules(world.now, rules(&[("default", true)]));
    world.observer.evaluated(world.now, &job.key, job.epoch, outcome);
    assert_eq!(texts(&world.settle()), ["a: it is not signed"]);
}

/// An application of an artifact.
fn of_registry(name: &str) -> serde_json::Value {
    let mut object = application(name, json!({}));
    object["spec"]["source"]["repoURL"] = json!("oci://registry.example.org/team/app");
    object["spec"]["source"]["targetRevision"] = json!("HEAD");
    object
}

#[test]
fn a_registry_is_asked_for_proof_where_a_project_wants_it_and_only_there() {
    let mut world = World::new();
    world.files.insert("apps/a".to_owned(), "1".to_owned());
    world.apply(of_registry("a"));
    assert_eq!(texts(&world.settle()), ["a c1"]);
    assert_eq!((world.calls, world.calls_for_proof), (1, 0));

    // What was answered before holds no proof: it is asked for before anything is said.
    world.shown.insert("c1");
    world.observer.rules(world.now, asks_for_cosign());
    assert!(world.settle().is_empty(), "it is signed, and was said already");
    assert_eq!((world.calls, world.calls_for_proof), (2, 1));
    world.observer.rules(world.now, rules(&[]));
    assert!(world.wait(130 * SECOND).is_empty());
    assert_eq!((world.calls, world.calls_for_proof), (3, 1));

    // Repositories of Git are asked for nothing more.
    let mut world = World::new().with(&["a"]);
    world.observer.rules(world.now, asks_for_cosign());
    assert_eq!(texts(&world.settle()), ["a: it is not signed"]);
    assert_eq!(world.calls_for_proof, 0);
}

#[test]
fn a_signature_that_comes_later_makes_a_revision_good_at_the_next_look() {
    let mut world = World::new();
    world.observer.rules(world.now, asks_for_cosign());
    world.files.insert("apps/a".to_owned(), "1".to_owned());
    world.apply(of_registry("a"));
    assert_eq!(texts(&world.settle()), ["a: it is not signed"]);
    assert!(world.wait(130 * SECOND).is_empty());
    world.shown.insert("c1");
    assert_eq!(texts(&world.wait(130 * SECOND)), ["a c1"]);
    // Another signature of the same is no news.
    world.observer.rules(world.now, asks_for_cosign());
    assert!(world.wait(130 * SECOND).is_empty());
}

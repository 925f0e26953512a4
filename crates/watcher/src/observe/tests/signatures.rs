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
    let effects = world.observer.effects(world.now);
    let (repository, revisions, begun) = call(&effects).expect("one call");
    let answer = world.answer(repository, revisions);
    world.observer.observed(world.now, repository, begun, answer, 0.0);
    let effects = world.observer.effects(world.now);
    let job = &evaluation(&effects).expect("one evaluation")[0];
    let outcome = world.outcome(job);
    world.observer.rules(world.now, rules(&[("default", true)]));
    world.observer.evaluated(world.now, &job.key, job.epoch, outcome);
    assert_eq!(texts(&world.settle()), ["a: it is not signed"]);
}

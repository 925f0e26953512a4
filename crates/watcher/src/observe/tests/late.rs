//! What comes while something else is under way: late results are of what they were begun for, and of nothing that took its
//! place.

use super::*;
use crate::repository::RepositoryError;

fn operated(revision: &str) -> Value {
    application("a", json!({"operation": {"sync": {"revision": revision}}}))
}

#[test]
fn what_was_found_for_an_operation_is_no_answer_to_the_next() {
    for ends_between in [false, true] {
        let mut world = World::new().with(&["a"]);
        world.revisions.extend([("v1", "c1"), ("v2", "c2")]);
        world.settle();
        world.now += SECOND;
        world.apply(operated("v1"));
        world.look();
        let jobs = world.evaluations().expect("an evaluation");
        if ends_between {
            world.apply(application("a", json!({})));
        }
        world.apply(operated("v2"));
        world.evaluate(&jobs);
        assert_eq!(texts(&world.settle()), ["a c2"]);
    }
}

/// Was said of a cache that was taken out of the way: the repository had lost its only application, and got another.
#[test]
fn an_answer_to_somebody_who_is_gone_is_none_to_who_came_after() {
    let mut world = World::new().with(&["a"]);
    let before = world.call();
    world.observer.removed("a");
    world.observer.effects(world.now);
    world.now += SECOND;
    world = world.with(&["b"]);
    let call = world.call();
    let gone = RepositoryError::of_cache(URL, "it is not there");
    world.answered(before, Err(gone));
    assert!(world.settle().is_empty(), "the call that was made since is still under way");
    assert_eq!(world.calls, 0);
    world.reply(call);
    assert_eq!(texts(&world.settle()), ["b c1"]);
}

#[test]
fn what_was_found_before_an_application_was_left_alone_is_not_told_of_what_it_became() {
    let mut world = World::new().with(&["a", "b"]);
    world.look();
    let jobs = world.evaluations().expect("an evaluation");
    world.apply(annotated("a", "argocd.argoproj.io/skip-reconcile", "true"));
    let source = json!({"repoURL": URL, "path": "apps/b"});
    world.apply(application("a", json!({"spec": {"project": "", "destination": {}, "source": source}})));
    world.evaluate(&jobs);
    let said = world.settle();
    assert_eq!(texts(&said), ["a c1", "b c1"]);
    assert!(said.iter().all(|said| said.fact.sources[0].reads[0].path == "apps/b"));
}

#[test]
fn a_branch_that_is_moved_back_is_not_told_where_it_was() {
    let mut world = World::new().with(&["a"]);
    world.settle();
    world.commit("c2", &["a"]);
    world.push();
    world.look();
    let jobs = world.evaluations().expect("an evaluation");
    let outcomes: Vec<Outcome> = jobs.iter().map(|job| world.outcome(job)).collect();
    world.commit("c1", &[]);
    world.files.insert("apps/a".to_owned(), "1".to_owned());
    world.push();
    assert!(world.settle().is_empty());
    for (job, outcome) in jobs.iter().zip(outcomes) {
        world.observer.evaluated(world.now, &job.key, job.epoch, outcome);
    }
    assert!(world.settle().is_empty());
}

#[test]
fn a_failure_that_was_told_is_not_taken_back_by_what_was_found_before_it() {
    let mut world = World::new().with(&["a"]);
    world.settle();
    world.commit("c2", &["a"]);
    world.push();
    world.look();
    let jobs = world.evaluations().expect("an evaluation");
    world.revisions.remove("HEAD");
    world.push();
    assert!(texts(&world.settle())[0].contains("no such branch"));
    world.evaluate(&jobs);
    assert!(world.settle().is_empty());
}

#[test]
fn a_refresh_is_answered_by_a_look_of_its_own_though_the_spec_changes_meanwhile() {
    let mut world = World::new().with(&["a", "b"]);
    world.settle();
    world.commit("c2", &["a", "b"]);
    world.now += SECOND;
    let mut object = annotated("a", "argocd.argoproj.io/refresh", "normal");
    world.apply(object.clone());
    object["spec"]["source"]["path"] = json!("apps/b");
    world.apply(object);
    world.look();
    assert_eq!(texts(&world.settle()), ["a c2", "b c2"]);
}

#[test]
fn other_files_that_concern_an_application_count_though_it_was_being_evaluated() {
    let mut world = World::new().with(&["a"]);
    world.settle();
    world.commit("c2", &["a"]);
    world.push();
    world.look();
    let jobs = world.evaluations().expect("an evaluation");
    world.apply(annotated("a", "argocd.argoproj.io/manifest-generate-paths", "/shared"));
    world.evaluate(&jobs);
    let jobs = world.evaluations().expect("another evaluation");
    assert!(jobs[0].generate_paths.is_some() && jobs[0].previous.is_none());
}

#[test]
fn an_old_failure_is_no_answer_to_an_operation() {
    let mut world = World::new();
    world.is_down = true;
    world = world.with(&["a"]);
    world.settle();
    world.is_down = false;
    world.revisions.insert("v1", "c1");
    world.now += SECOND;
    world.apply(operated("v1"));
    assert_eq!(texts(&world.settle()), ["a c1", "a c1"], "what is tracked is had as well");
}

#[test]
fn what_was_known_before_a_failure_is_no_answer_to_an_operation() {
    let mut world = World::new().with(&["a"]);
    world.settle();
    world.is_down = true;
    world.now += SECOND;
    world.push();
    world.settle();
    world.is_down = false;
    world.commit("c2", &["a"]);
    world.now += SECOND;
    world.apply(operated("HEAD"));
    let said = world.settle();
    let operation = said.iter().filter(|said| said.key.purpose == Purpose::Operation);
    assert_eq!(texts(&operation.cloned().collect::<Vec<_>>()), ["a c2"]);
}

#[test]
fn a_failure_that_may_heal_is_not_told_for_what_waited() {
    let mut world = World::new().with(&["a"]);
    world.settle();
    world.commit("c2", &[]);
    world.push();
    assert!(world.settle().is_empty(), "it waits for quiet");
    world.now += SECOND;
    world.apply(application(
        "a",
        json!({"spec": {"project": "", "destination": {}, "source": {"repoURL": URL, "path": "apps/b"}}}),
    ));
    let jobs = world.evaluations().expect("an evaluation");
    world.evaluate(&jobs);
    let call = world.call();
    world.now += QUIET;
    assert!(world.observer.effects(world.now).is_empty());
    world.commit("c3", &["b"]);
    world.reply(call);
    assert_eq!(texts(&world.settle()), ["a c3"]);
}

#[test]
fn a_push_during_a_look_is_what_the_next_look_is_for() {
    let mut world = World::new().with(&["a"]);
    world.settle();
    world.now += SECOND;
    let begun = world.now;
    world.commit("c2", &["a"]);
    world.push();
    let call = world.call();
    let answer = world.answer(&call.repository, &call.revisions);
    world.now += SECOND;
    world.commit("c3", &["a"]);
    world.push();
    world.answered(call, answer);
    world.now += SECOND;
    let said = world.settle();
    let since: Vec<Instant> = said.iter().map(|said| said.since).collect();
    assert_eq!((texts(&said), since), (vec!["a c3".to_owned()], vec![begun + SECOND]));
}

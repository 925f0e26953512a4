//! What the observer says in a world of remotes and files that the tests change.

mod dependencies;
mod late;
mod looks;
mod permissions;
mod renewals;
mod secrets;
mod signatures;
mod tools;
mod world;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Instant;

use ithaca_proto::v1::failure::Reason;
use ithaca_proto::v1::{Capabilities, Purpose, Refresh};
use serde_json::{Value, json};

use self::world::*;
use super::*;
use crate::build_options::BuildOptions;

#[test]
fn many_applications_of_a_repository_cost_one_call() {
    let names: Vec<String> = (0..1_000).map(|number| format!("app-{number}")).collect();
    let mut world = World::new().with(&names.iter().map(String::as_str).collect::<Vec<_>>());
    assert_eq!(world.settle().len(), 1_000);
    assert_eq!(world.calls, 1);
    assert!(world.wait(100 * SECOND).is_empty());
    assert_eq!(world.calls, 1);
}

#[test]
fn applications_that_come_during_a_call_are_served_by_its_answer() {
    let mut world = World::new().with(&["a"]);
    let call = world.call();
    world.now += SECOND;
    world = world.with(&["b"]);
    assert!(world.observer.effects(world.now).is_empty());
    world.reply(call);
    assert_eq!(texts(&world.settle()), ["a c1", "b c1"]);
    assert_eq!(world.calls, 0);
    // What was pushed between the call and the application is found a little later.
    world.commit("c2", &["b"]);
    assert_eq!(texts(&world.wait(6 * SECOND)), ["b c2"]);
}

#[test]
fn an_interval_without_a_commit_says_nothing() {
    let mut world = World::new().with(&["a"]);
    world.settle();
    assert!(world.wait(600 * SECOND).is_empty());
    assert_eq!(world.calls, 6);
}

#[test]
fn the_shortest_interval_counts_and_only_while_it_is_asked_for() {
    let mut world = World::new().with(&["a"]);
    world.apply(annotated("b", "ithaca.dev/interval", "10s"));
    world.settle();
    world.calls = 0;
    world.wait(100 * SECOND);
    assert_eq!(world.calls, 10);
    world.apply(annotated("b", "ithaca.dev/interval", "0"));
    world.wait(11 * SECOND);
    world.calls = 0;
    world.wait(240 * SECOND);
    assert_eq!(world.calls, 2);
    world.apply(annotated("b", "ithaca.dev/interval", "20s"));
    world.wait(21 * SECOND);
    assert_eq!(world.calls, 3);
}

#[test]
fn without_an_interval_only_pushes_lead_to_a_look() {
    let mut world = World::new();
    world.files.insert("apps/a".to_owned(), "1".to_owned());
    world.apply(annotated("a", "ithaca.dev/interval", "0"));
    world.settle();
    assert!(world.wait(10_000 * SECOND).is_empty());
    assert_eq!(world.calls, 1);
    world.commit("c2", &["a"]);
    world.push();
    assert_eq!(texts(&world.settle()), ["a c2"]);
}

#[test]
fn a_push_is_said_at_once_to_those_it_concerns_and_calmly_to_the_rest() {
    let mut world = World::new().with(&["a", "b", "c"]);
    world.settle();
    world.now += 10 * SECOND;
    world.commit("c2", &["b"]);
    assert_eq!(world.push(), 1);
    assert_eq!(texts(&world.settle()), ["b c2"]);
    assert!(world.wait(QUIET - SECOND).is_empty());
    let calm = world.wait(2 * SECOND);
    assert_eq!(texts(&calm), ["a c2", "c c2"]);
    assert!(calm.iter().all(|publication| publication.is_calm));
}

#[test]
fn however_many_pushes_come_during_a_look_one_more_follows() {
    let mut world = World::new().with(&["a"]);
    world.settle();
    world.push();
    let call = world.call();
    let answer = world.answer(&call.repository, &call.revisions);
    world.commit("c2", &["a"]);
    for _ in 0..100 {
        assert_eq!(world.push(), 1);
        assert!(world.observer.effects(world.now).is_empty());
    }
    world.answered(call, answer);
    world.calls = 0;
    assert_eq!(texts(&world.settle()), ["a c2"]);
    assert_eq!(world.calls, 1);
}

#[test]
fn calm_facts_wait_for_quiet_and_come_a_few_at_a_time() {
    let names: Vec<String> = (0..100).map(|number| format!("app-{number}")).collect();
    let mut world = World::new().with(&names.iter().map(String::as_str).collect::<Vec<_>>());
    world.settle();
    world.now += 10 * SECOND;
    world.commit("c2", &[]);
    world.push();
    assert!(world.wait(3 * SECOND).is_empty());
    world.commit("c3", &[]);
    world.push();
    assert!(world.wait(4 * SECOND).is_empty());
    assert!(world.wait(SECOND + SECOND / 10).len() < 50);
    let rest = world.wait(5 * SECOND);
    assert!(texts(&rest).iter().all(|text| text.ends_with(" c3")));
}

#[test]
fn a_repository_that_is_never_quiet_still_moves_on() {
    let mut world = World::new().with(&["a"]);
    world.settle();
    let ids = ["c2", "c3", "c4"];
    let mut said = Vec::new();
    for round in 0..30 {
        world.commit(ids[round % 3], &[]);
        world.push();
        said.extend(world.wait(3 * SECOND));
    }
    assert!(!said.is_empty());
}

#[test]
fn a_refresh_asks_anew_and_is_answered_even_without_news() {
    let mut world = World::new().with(&["a"]);
    world.settle();
    world.now += SECOND;
    world.apply(annotated("a", "argocd.argoproj.io/refresh", "hard"));
    let said = world.settle();
    assert_eq!(texts(&said), ["a c1"]);
    assert_eq!(said[0].fact.refresh(), Refresh::Hard);
    assert_eq!(world.calls, 2);
    world.apply(application("a", json!({})));
    assert!(world.settle().is_empty());
}

#[test]
fn an_operation_is_answered_beside_what_is_tracked() {
    let mut world = World::new().with(&["a"]);
    world.revisions.insert("v1", "c0");
    world.settle();
    world.apply(application("a", json!({"operation": {"sync": {"revision": "v1"}}})));
    let said = world.settle();
    assert_eq!(texts(&said), ["a c0"]);
    assert_eq!(said[0].fact.purpose(), Purpose::Operation);
    assert!(!said[0].fact.request_key.is_empty());
    world.apply(application("a", json!({"operation": {"sync": {"revision": "v9"}}})));
    assert!(texts(&world.settle())[0].contains("\"v9\""));
}

#[test]
fn a_remote_that_fails_concerns_its_applications_once() {
    let mut world = World::new();
    world.is_down = true;
    world = world.with(&["a"]);
    assert!(texts(&world.settle())[0].contains("no answer"));
    world = world.with(&["b"]);
    assert_eq!(world.settle().len(), 1);
    assert_eq!(world.calls, 1);
    assert!(world.wait(60 * SECOND).is_empty());
    world.is_down = false;
    assert_eq!(texts(&world.wait(60 * SECOND)), ["a c1", "b c1"]);
}

#[test]
fn a_remote_that_answered_before_may_fail_for_a_while() {
    let mut world = World::new().with(&["a"]);
    world.settle();
    world.is_down = true;
    world.now += SECOND;
    world.push();
    assert!(world.wait(150 * SECOND).is_empty());
    assert!(texts(&world.wait(120 * SECOND))[0].contains("no answer"));
    assert!(world.calls < 12);
}

#[test]
fn a_new_revision_of_a_failing_remote_fails_without_being_asked_for_ever() {
    let mut world = World::new().with(&["a"]);
    world.settle();
    world.is_down = true;
    world.now += SECOND;
    world.push();
    world.settle();
    let source = json!({"repoURL": URL, "path": "apps/a", "targetRevision": "v1"});
    world.apply(application("b", json!({"spec": {"project": "", "destination": {}, "source": source}})));
    assert!(texts(&world.settle())[0].contains("no answer"));
    assert!(world.calls <= 3);
}

#[test]
fn a_refresh_of_a_failing_remote_asks_once_more() {
    let mut world = World::new().with(&["a"]);
    world.settle();
    world.is_down = true;
    world.now += SECOND;
    world.apply(annotated("a", "argocd.argoproj.io/refresh", "normal"));
    let said = world.settle();
    assert_eq!(said.len(), 1);
    assert_eq!(said[0].fact.refresh(), Refresh::Normal);
    assert_eq!(world.calls, 2);
}

#[test]
fn before_a_missing_path_is_told_the_newest_commit_is_looked_at() {
    let mut world = World::new().with(&["a"]);
    world.settle();
    world.now += SECOND;
    world.commit("c2", &["b"]);
    world.files.remove("apps/b");
    world.apply(application("b", json!({})));
    let jobs = world.evaluations().expect("an evaluation");
    let outcome = world.outcome(&jobs[0]);
    world.files.insert("apps/b".into(), "new".into());
    world.observer.evaluated(world.now, &jobs[0].key, jobs[0].epoch, outcome);
    assert!(texts(&world.settle()).contains(&"b c2".to_owned()));
}

#[test]
fn a_path_that_is_missing_is_told_and_mended_by_a_commit() {
    let mut world = World::new();
    world.apply(application("a", json!({})));
    assert_eq!(texts(&world.settle()), ["a: path apps/a does not exist at c1"]);
    assert!(world.calls <= 2);
    world.commit("c2", &["a"]);
    world.push();
    assert_eq!(texts(&world.settle()), ["a c2"]);
}

#[test]
fn a_spec_that_cannot_be_followed_is_told_without_a_call() {
    let mut world = World::new();
    world.apply(application("a", json!({"spec": {"project": "", "destination": {}}})));
    let said = world.settle();
    assert_eq!(said[0].fact.failure.as_ref().map(|failure| failure.reason()), Some(Reason::InvalidSpec));
    let source = json!({"repoURL": "file:///srv/repo", "path": "x"});
    world.apply(application("a", json!({"spec": {"project": "", "destination": {}, "source": source}})));
    assert!(texts(&world.settle())[0].contains("not allowed"));
    assert_eq!(world.calls, 0);
}

#[test]
fn a_late_outcome_of_an_older_spec_is_not_told() {
    let mut world = World::new().with(&["a", "b"]);
    world.settle();
    world.commit("c2", &["a"]);
    world.push();
    world.look();
    let jobs = world.evaluations().expect("an evaluation");
    let source = json!({"repoURL": URL, "path": "apps/b"});
    world.apply(application("a", json!({"spec": {"project": "", "destination": {}, "source": source}})));
    world.evaluate(&jobs);
    let said = world.settle();
    assert_eq!(texts(&said), ["a c2"]);
    assert_eq!(said[0].fact.sources[0].reads[0].path, "apps/b");
}

#[test]
fn a_bus_that_lost_everything_is_told_everything() {
    let mut world = World::new().with(&["a", "b"]);
    world.settle();
    world.observer.say_all_again(world.now);
    assert_eq!(texts(&world.settle()), ["a c1", "b c1"]);
    assert_eq!(world.calls, 1);
}

#[test]
fn stamps_rise() {
    let mut world = World::new().with(&["a", "b", "c"]);
    let said = world.settle();
    let stamps: Vec<i64> = said.iter().map(|publication| publication.fact.observed_at).collect();
    assert!(stamps.is_sorted_by(|one, next| one < next));
}

#[test]
fn an_application_that_is_gone_or_to_be_left_alone_is_forgotten() {
    let mut world = World::new().with(&["a", "b"]);
    world.settle();
    world.apply(annotated("a", "argocd.argoproj.io/skip-reconcile", "true"));
    assert_eq!(world.observer.sizes(), (1, 1));
    world.observer.only(&BTreeSet::new());
    assert_eq!(world.observer.sizes(), (0, 0));
    let effects = world.observer.effects(world.now);
    assert!(effects.iter().any(|effect| matches!(effect, Effect::Forget(_))));
    assert_eq!(world.observer.next(), None);
}

#[test]
fn a_chart_waits_for_what_the_destination_offers_and_hears_calmly_of_more() {
    let offer = |kind: &str| Capabilities {
        kube_version: "v1.37.2".into(),
        api_versions: vec![format!("example.org/v1/{kind}")],
    };
    let mut world = World::new().with(&["a"]);
    world.has_chart = true;
    assert!(world.settle().is_empty());
    world.observer.capabilities(world.now, offer("One"));
    assert_eq!(world.settle()[0].fact.capabilities, Some(offer("One")));
    world.observer.capabilities(world.now, offer("Two"));
    assert!(world.settle().is_empty());
    assert_eq!(world.wait(QUIET)[0].fact.capabilities, Some(offer("Two")));
}

#[test]
fn an_overlay_waits_for_the_build_options_and_hears_at_once_of_others() {
    let options =
        |text: &str| BuildOptions::of(&[("kustomize.buildOptions".to_owned(), text.to_owned())].into());
    let mut world = World::new().with(&["a"]);
    world.is_overlay = true;
    assert!(world.settle().is_empty());
    world.observer.build_options(world.now, options("--enable-helm"));
    assert_eq!(world.settle()[0].fact.sources[0].kustomize_build_options, "--enable-helm");
    world.observer.build_options(world.now, options("--enable-helm"));
    assert!(world.settle().is_empty());
    world.observer.build_options(world.now, options(""));
    assert_eq!(world.settle()[0].fact.sources[0].kustomize_build_options, "");
}

#[test]
fn build_options_concern_overlays_alone() {
    let mut world = World::new().with(&["a"]);
    assert_eq!(world.settle().len(), 1);
    world.observer.build_options(world.now, BuildOptions::default());
    assert!(world.settle().is_empty());
}

#[test]
fn a_repository_that_nobody_names_any_more_is_forgotten() {
    let mut world = World::new().with(&["a"]);
    world.settle();
    let source = json!({"repoURL": "https://example.org/other", "path": "apps/a"});
    world.apply(application("a", json!({"spec": {"project": "", "destination": {}, "source": source}})));
    world.settle();
    assert_eq!((world.push(), world.observer.sizes()), (0, (1, 1)));
}

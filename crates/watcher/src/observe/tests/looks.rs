//! Somebody asks for a new look: with an annotation, or with an operation that means what is tracked. It is answered by
//! what a look finds that began after it, and by nothing found before.

use super::*;

fn refreshed() -> Value {
    annotated("a", "argocd.argoproj.io/refresh", "normal")
}

fn operated(sync: Value) -> Value {
    application("a", json!({"operation": sync}))
}

#[test]
fn an_operation_that_names_no_revision_means_the_newest() {
    let mut world = World::new().with(&["a"]);
    world.settle();
    world.commit("c2", &["a"]);
    world.now += SECOND;
    world.apply(operated(json!({"sync": {}})));
    assert_eq!(texts(&world.settle()), ["a c2"]);
    assert_eq!(world.calls, 2);
    // The next is answered as well, though there is no news.
    world.now += SECOND;
    world.apply(operated(json!({"sync": {"prune": true}})));
    let said = world.settle();
    assert_eq!((texts(&said), said[0].fact.purpose()), (vec!["a c2".to_owned()], Purpose::Tracked));
    assert_eq!(world.calls, 3);
    world.apply(application("a", json!({})));
    assert!(world.settle().is_empty(), "its end is no news");
}

#[test]
fn an_operation_that_nobody_asked_for_is_no_reason_to_look() {
    let mut world = World::new().with(&["a"]);
    world.settle();
    world.now += SECOND;
    world.apply(operated(json!({"sync": {}, "initiatedBy": {"automated": true}})));
    assert!(world.settle().is_empty());
    assert_eq!(world.calls, 1);
}

#[test]
fn what_was_being_evaluated_is_no_answer() {
    for asked in [refreshed(), operated(json!({"sync": {}}))] {
        let mut world = World::new().with(&["a"]);
        world.settle();
        world.commit("c2", &["a"]);
        world.now += SECOND;
        world.push();
        world.look();
        let jobs = world.evaluations().expect("an evaluation");
        let outcome = world.outcome(&jobs[0]);
        world.commit("c3", &["a"]);
        world.now += SECOND;
        world.apply(asked);
        world.observer.evaluated(world.now, &jobs[0].key, jobs[0].epoch, outcome);
        assert_eq!(texts(&world.settle()), ["a c3"]);
    }
}

#[test]
fn what_waited_for_quiet_is_no_answer() {
    let mut world = World::new().with(&["a"]);
    world.settle();
    world.commit("c2", &[]);
    world.push();
    assert!(world.settle().is_empty());
    world.commit("c3", &[]);
    world.now += SECOND;
    world.apply(refreshed());
    let call = world.call();
    world.now += QUIET;
    assert!(world.observer.effects(world.now).is_empty());
    world.reply(call);
    assert_eq!(texts(&world.settle()), ["a c3"]);
}

#[test]
fn what_the_destination_offers_is_no_answer() {
    let offer = Capabilities { kube_version: "v1.37.2".into(), api_versions: Vec::new() };
    let mut world = World::new();
    world.has_chart = true;
    world = world.with(&["a"]);
    world.settle();
    world.commit("c2", &["a"]);
    world.now += SECOND;
    world.apply(refreshed());
    world.observer.capabilities(world.now, offer);
    assert_eq!(texts(&world.settle()), ["a c2"]);
}

#[test]
fn a_hard_refresh_reads_anew_where_the_application_says_what_concerns_it() {
    let with = |annotations: Value| {
        let metadata = json!({"uid": "a", "name": "a", "namespace": "argocd", "annotations": annotations});
        application("a", json!({"metadata": metadata}))
    };
    let (refresh, paths) = ("argocd.argoproj.io/refresh", "argocd.argoproj.io/manifest-generate-paths");
    for (says, kind, reads_anew) in [(true, "hard", true), (true, "normal", false), (false, "hard", false)] {
        let annotations = if says { json!({paths: "/shared"}) } else { json!({}) };
        let mut world = World::new().with(&["a"]);
        world.apply(with(annotations.clone()));
        world.settle();
        world.now += SECOND;
        let mut asked = annotations;
        asked[refresh] = json!(kind);
        world.apply(with(asked));
        world.look();
        let jobs = world.evaluations();
        assert_eq!(jobs.as_ref().is_some_and(|jobs| jobs[0].previous.is_none()), reads_anew, "{says} {kind}");
        assert_eq!(jobs.is_none(), !reads_anew, "{says} {kind}");
    }
}

//! The renderer between the real NATS and a watcher's gRPC service: revisions are said, bundles are waited for.

#[path = "../tools/mod.rs"]
mod tools;

mod plugin;
mod plugins;
mod stage;

use std::time::Duration;

use futures::StreamExt;
use ithaca_proto::v1::{Failure, Purpose, Refresh, failure::Reason};
use serde_json::json;
use stage::{Stage, revision};
use tonic::Code;

const POD: &str = "{apiVersion: v1, kind: Pod, metadata: {name: a}}\n";

#[tokio::test(flavor = "multi_thread")]
async fn a_revision_becomes_a_bundle_and_the_same_content_is_not_rendered_again() {
    let stage = Stage::start().await;
    stage.watcher.put("r1", &[("x/a.yaml", POD)]);
    let first = stage.render(revision("u1", 10, "r1", "tree1", json!({"path": "x"}))).await;
    let content = first.content.clone().expect("content");
    assert_eq!(
        stage.objects(&first).await,
        [json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a"}})]
    );
    assert_eq!((content.objects, first.observed_at, first.purpose()), (1, 10, Purpose::Tracked));
    assert_eq!(
        (content.sources[0].revision.as_str(), content.sources[0].source_type.as_str()),
        ("r1", "Directory")
    );
    assert!(first.failure.is_none() && first.render_started_at <= first.rendered_at);

    // Another commit that leaves the folder as it is: nobody is asked for anything.
    let second = stage.render(revision("u1", 20, "r2", "tree1", json!({"path": "x"}))).await;
    let moved = second.content.expect("content");
    assert_eq!((moved.digest.as_str(), moved.sources[0].revision.as_str()), (content.digest.as_str(), "r2"));
    assert_eq!(second.render_started_at, second.rendered_at);
    assert_eq!(stage.watcher.calls(), 1);

    // A hard refresh renders all the same.
    let mut hard = revision("u1", 30, "r1", "tree1", json!({"path": "x"}));
    hard.refresh = Refresh::Hard.into();
    stage.render(hard).await;
    assert_eq!(stage.watcher.calls(), 2);
    stage.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failure_is_a_fact_and_the_last_good_content_stays() {
    let stage = Stage::start().await;
    stage.watcher.put("good", &[("x/a.yaml", POD)]);
    stage.watcher.put("bad", &[("x/a.yaml", "apiVersion: v1\nkind: Pod\n")]);
    let good = stage.render(revision("u1", 10, "good", "t1", json!({"path": "x"}))).await;
    let bad = stage.render(revision("u1", 20, "bad", "t2", json!({"path": "x"}))).await;
    let failure = bad.failure.clone().expect("a failure");
    assert_eq!(failure.message, "failed to read document 1 of x/a.yaml: the Pod has no metadata.name");
    assert_eq!(failure.reason(), Reason::Source);
    assert_eq!(bad.content, good.content);

    // What the watcher could not do goes through.
    let mut lost = revision("u1", 30, "lost", "t3", json!({"path": "x"}));
    lost.sources.clear();
    lost.failure = Some(Failure { reason: Reason::Source.into(), message: "unknown revision".into() });
    let lost = stage.render(lost).await;
    assert_eq!(lost.failure.map(|failure| failure.message).as_deref(), Some("unknown revision"));
    assert_eq!(lost.content, good.content);

    let calls = stage.watcher.calls();
    let reverted = stage.render(revision("u1", 40, "good", "t1", json!({"path": "x"}))).await;
    assert!(reverted.failure.is_none());
    assert_eq!(reverted.content, good.content);
    assert_eq!(stage.watcher.calls(), calls);
    stage.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_older_revision_never_replaces_a_newer_one() {
    let stage = Stage::start().await;
    stage.watcher.put("r1", &[("x/a.yaml", POD)]);
    stage.render(revision("u1", 20, "r1", "t1", json!({"path": "x"}))).await;
    stage.say(revision("u1", 10, "r0", "t0", json!({"path": "x"}))).await;
    // The next application shows that the older revision was passed over.
    stage.render(revision("u2", 10, "r1", "t1", json!({"path": "x"}))).await;
    let last = stage.last("u1", Purpose::Tracked).await.expect("a bundle");
    assert_eq!(last.observed_at, 20);
    stage.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operation_has_a_bundle_of_its_own() {
    let stage = Stage::start().await;
    stage.watcher.put("r1", &[("x/a.yaml", POD)]);
    stage.render(revision("u1", 10, "r1", "t1", json!({"path": "x"}))).await;
    let mut operation = revision("u1", 20, "r1", "t2", json!({"path": "x"}));
    operation.purpose = Purpose::Operation.into();
    operation.request_key = "key".into();
    assert_eq!(stage.render(operation).await.request_key, "key");
    assert_eq!(stage.last("u1", Purpose::Tracked).await.map(|bundle| bundle.observed_at), Some(10));
    stage.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watcher_that_is_away_is_waited_for_and_nobody_is_blamed() {
    let stage = Stage::start().await;
    stage.watcher.put("r1", &[("x/a.yaml", POD)]);
    stage.watcher.set_available(false);
    stage.say(revision("u1", 10, "r1", "t1", json!({"path": "x"}))).await;
    stage.watcher.is_called_times(2).await;
    assert!(stage.last("u1", Purpose::Tracked).await.is_none());
    stage.watcher.set_available(true);
    let bundle = stage.wait("u1", Purpose::Tracked, 10).await;
    assert!(bundle.failure.is_none());
    stage.stop().await;
}

/// It was told after a few tries and never asked for again, though the remote answered a moment later.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_remote_does_not_give_is_told_and_asked_for_until_it_does() {
    let stage = Stage::start().await;
    stage.watcher.put("r1", &[("x/a.yaml", POD)]);
    stage.watcher.refuse(Some((Code::Aborted, "no answer from Git LFS")));
    stage.say(revision("u1", 10, "r1", "t1", json!({"path": "x"}))).await;
    let told = stage.wait_for("u1", |bundle| bundle.failure.is_some()).await;
    assert!(told.failure.is_some_and(|failure| failure.message.ends_with("no answer from Git LFS")));
    assert_eq!((told.observed_at, told.retries), (10, 10));
    let mut operation = revision("u1", 20, "r1", "t1", json!({"path": "x"}));
    operation.purpose = Purpose::Operation.into();
    stage.say(operation).await;
    let ended = stage.wait("u1", Purpose::Operation, 20).await;
    assert!(ended.failure.is_some() && ended.retries == 0, "{ended:?}");
    stage.watcher.refuse(None);
    let healed = stage.wait_for("u1", |bundle| bundle.failure.is_none()).await;
    assert!(healed.observed_at > 10 && healed.content.is_some());
    stage.stop().await;
}

/// How long a program takes and how much it may have depend on what else runs.
#[tokio::test(flavor = "multi_thread")]
async fn a_program_that_met_a_bound_is_told_at_once_and_tried_again() {
    let stage = Stage::start_with(&["--render-time-limit=1s"]).await;
    let template = "{{ range until 100000 }}{{ range until 100000 }}{{ end }}{{ end }}";
    let chart = "apiVersion: v2\nname: web\nversion: 1.0.0\n";
    stage.watcher.put("r1", &[("x/Chart.yaml", chart), ("x/templates/a.yaml", template)]);
    stage.say(revision("u1", 10, "r1", "t1", json!({"path": "x"}))).await;
    let told = stage.wait_for("u1", |bundle| bundle.failure.is_some()).await;
    assert!(told.failure.is_some_and(|failure| failure.message.contains("did not end within 1 seconds")));
    assert_eq!((told.observed_at, told.retries), (10, 10));
    stage.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn large_content_goes_to_the_store_and_replaced_content_goes_away() {
    let stage = Stage::start().await;
    let noise = |seed: u64| {
        let digits = |n: u64| {
            format!("{:016x}", n.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29) ^ seed.wrapping_mul(n))
        };
        let data: String = (1..20_000).map(digits).collect();
        format!("{{apiVersion: v1, kind: ConfigMap, metadata: {{name: a}}, data: {{noise: \"{data}\"}}}}\n")
    };
    stage.watcher.put("r1", &[("x/a.yaml", &noise(1))]);
    stage.watcher.put("r2", &[("x/a.yaml", &noise(2))]);
    let first = stage.render(revision("u1", 10, "r1", "t1", json!({"path": "x"}))).await;
    assert!(first.content.as_ref().is_some_and(|content| content.inline.is_empty()));
    assert_eq!(stage.objects(&first).await.len(), 1);
    let second = stage.render(revision("u1", 20, "r2", "t2", json!({"path": "x"}))).await;
    assert_eq!(stage.objects(&second).await.len(), 1);
    stage.is_gone(&first).await;

    stage.lose(&second).await;
    let mut hard = revision("u1", 30, "r2", "t2", json!({"path": "x"}));
    hard.refresh = Refresh::Hard.into();
    let third = stage.render(hard).await;
    assert_eq!(stage.objects(&third).await.len(), 1, "a hard refresh brings back what was lost");
    stage.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn three_sources_of_one_repository_are_asked_for_once() {
    let stage = Stage::start().await;
    let other = POD.replace("name: a", "name: b");
    stage.watcher.put("r1", &[("x/a.yaml", POD), ("y/b.yaml", &other), ("z/c.yaml", "a: 1\n")]);
    let mut all = revision("u1", 10, "r1", "t1", json!({"path": "x"}));
    for path in ["y", "z"] {
        let mut more = revision("u1", 10, "r1", "t1", json!({"path": path}));
        all.sources.append(&mut more.sources);
    }
    let bundle = stage.render(all).await;
    assert_eq!(stage.objects(&bundle).await.len(), 2);
    assert_eq!(stage.watcher.calls(), 1);
    stage.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_in_hand_is_finished_when_the_process_stops() {
    let stage = Stage::start().await;
    let chart = [
        ("x/Chart.yaml", "apiVersion: v2\nname: x\nversion: 1.0.0\n"),
        ("x/templates/a.yaml", "apiVersion: v1\nkind: Pod\nmetadata: {name: {{ .Release.Name }}}\n"),
    ];
    stage.watcher.put("r1", &chart);
    stage.watcher.set_delay(Duration::from_millis(500));
    stage.say(revision("u1", 10, "r1", "t1", json!({"path": "x"}))).await;
    stage.watcher.is_called_times(1).await;
    let bus = stage.bus.clone();
    let _nats = stage.stop().await;
    let stored = bus.last_bundle("u1", Purpose::Tracked).await.expect("the bus answers").expect("a bundle");
    assert_eq!(stored.bundle.content.map(|content| content.objects), Some(1));
}

/// It was sent to who stops and answers for nothing more, and others had it ten seconds later.
#[tokio::test(flavor = "multi_thread")]
async fn who_stops_is_sent_nothing_more() {
    let stage = Stage::start().await;
    stage.watcher.put("r1", &[("x/a.yaml", POD)]);
    stage.watcher.set_delay(Duration::from_secs(8));
    stage.say(revision("u1", 10, "r1", "t1", json!({"path": "x"}))).await;
    stage.watcher.is_called_times(1).await;
    stage.begin_to_stop();
    let mut others = stage.bus.revisions(1);
    for uid in ["u2", "u3"] {
        stage.say(revision(uid, 10, "r1", "t1", json!({"path": "x"}))).await;
        let delivery = others.next().await.expect("a stream without an end");
        assert!(!stage.has_stopped(), "it waited for who stops");
        delivery.ack().await;
    }
    stage.stop().await;
}

//! The renderer and plugins beside it: they render, and whatever they do badly is told of their own applications alone.

use ithaca_proto::v1::{
    BundleRendered, DescribeResponse, ParameterAnnouncement, Purpose, RevisionObserved, failure::Reason,
};
use ithaca_renderer::plugin::SOCKET;
use serde_json::{Value, json};

use crate::plugin::{Manner, Plugin};
use crate::stage::{Stage, revision};

const POD: &str = "{apiVersion: v1, kind: Pod, metadata: {name: a}}\n";

/// A revision whose folder `x` is rendered by the plugin of this name.
fn by(name: &str, uid: &str, observed_at: i64, commit: &str, tree: &str) -> RevisionObserved {
    revision(uid, observed_at, commit, tree, json!({"path": "x", "plugin": {"name": name}}))
}

fn failure(bundle: &BundleRendered) -> &str {
    bundle.failure.as_ref().map_or("", |failure| &failure.message)
}

async fn told(stage: &Stage, bundle: &BundleRendered) -> Value {
    stage.objects(bundle).await[0]["data"].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plugin_is_given_the_files_and_its_environment_and_gives_manifests() {
    let stage = Stage::start().await;
    let plugin = Plugin::default();
    let _running = plugin.start(&stage.plugins(), "stars");
    let large = "x".repeat(200_000);
    stage.watcher.put("r1", &[("x/deep/large", &large), ("x/empty", ""), ("x/main.star", "1")]);
    let mut message = by("stars", "u1", 10, "r1", "t1");
    message.project = "retail".into();
    message.instance = "shop".into();
    let spec = json!({"repoURL": "r", "path": "x", "plugin": {"name": "stars",
        "env": [{"name": "WHO", "value": "$ARGOCD_APP_NAME!"}],
        "parameters": [{"name": "in-region", "string": "eu"}]}});
    message.sources[0].source = spec.to_string();
    let bundle = stage.render(message).await;
    let told = told(&stage, &bundle).await;
    assert_eq!(told["path"], "x");
    assert_eq!(
        told["files"],
        json!([["x/deep/large", 1, 200_000], ["x/empty", 1, 0], ["x/main.star", 1, 1]])
    );
    for (name, value) in [
        ("ARGOCD_APP_NAME", "shop"),
        ("ARGOCD_APP_PROJECT_NAME", "retail"),
        ("ARGOCD_ENV_WHO", "shop!"),
        ("ARGOCD_APP_PARAMETERS", r#"[{"name":"in-region","string":"eu"}]"#),
        ("PARAM_IN_REGION", "eu"),
    ] {
        assert_eq!(told["environment"][name], value, "{name}");
    }
    assert_eq!(bundle.content.expect("content").sources[0].source_type, "Plugin");
    stage.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_unchanged_is_not_asked_for_again_and_another_version_is_asked() {
    let stage = Stage::start().await;
    let plugin = Plugin::default();
    let mut running = plugin.start(&stage.plugins(), "stars");
    for commit in ["r1", "r2", "r3", "r4"] {
        stage.watcher.put(commit, &[("x/main.star", "1")]);
    }
    stage.render(by("stars", "u1", 10, "r1", "t1")).await;
    stage.render(by("stars", "u1", 20, "r2", "t1")).await;
    assert_eq!(plugin.generated(), 1);
    let version =
        |uses_revision| DescribeResponse { version: "2".into(), uses_revision, ..Default::default() };
    drop(running);
    running = Plugin { description: version(false), ..plugin.clone() }.start(&stage.plugins(), "stars");
    let bundle = stage.render(by("stars-2", "u1", 30, "r3", "t1")).await;
    assert_eq!(failure(&bundle), "");
    assert_eq!(told(&stage, &bundle).await["environment"]["ARGOCD_APP_REVISION"], Value::Null);
    assert_eq!(plugin.generated(), 2);
    drop(running);
    running = Plugin { description: version(true), ..plugin.clone() }.start(&stage.plugins(), "stars");
    for (observed_at, commit) in [(40, "r3"), (50, "r4")] {
        let bundle = stage.render(by("stars-2", "u1", observed_at, commit, "t1")).await;
        assert_eq!(told(&stage, &bundle).await["environment"]["ARGOCD_APP_REVISION"], commit);
    }
    assert_eq!(plugin.generated(), 4);
    drop(running);
    stage.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plugin_that_is_not_there_is_told_and_looked_for_until_it_is() {
    let stage = Stage::start().await;
    let plugins = stage.plugins();
    let _other = Plugin::default().start(&plugins, "other");
    // Its folder comes first, as with a container that starts; a container that died leaves its socket.
    std::fs::create_dir_all(plugins.join("starting")).expect("a folder");
    std::fs::create_dir_all(plugins.join("died")).expect("a folder");
    drop(std::os::unix::net::UnixListener::bind(plugins.join("died").join(SOCKET)));
    stage.watcher.put("r1", &[("x/main.star", "1")]);
    let cases = [
        (
            "missing",
            "failed to find plugin \"missing\", and it is looked for again; the renderer has died, other, starting",
        ),
        ("starting", "failed to ask plugin \"starting\", and it is asked again: it has made no socket"),
        ("died", "failed to ask plugin \"died\", and it is asked again: it does not listen on its socket"),
    ];
    for (name, _) in cases {
        stage.say(by(name, name, 10, "r1", "t1")).await;
    }
    for (name, words) in cases {
        let bundle = stage.wait_for(name, |bundle| bundle.failure.is_some()).await;
        assert!(failure(&bundle).starts_with(words), "{bundle:?}");
        assert_eq!(bundle.failure.as_ref().map(|failure| failure.reason()), Some(Reason::Source));
        assert_eq!((bundle.observed_at, bundle.retries), (10, 10));
    }
    let _running = cases.map(|(name, _)| Plugin::default().start(&plugins, name));
    for (name, _) in cases {
        let healed = stage.wait_for(name, |bundle| bundle.failure.is_none()).await;
        assert!(healed.observed_at > 10 && healed.content.is_some());
    }
    stage.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plugin_that_hangs_is_told() {
    let stage = Stage::start_with(&["--render-time-limit=1s"]).await;
    let _running = Plugin { manner: Manner::Hangs, ..Plugin::default() }.start(&stage.plugins(), "hangs");
    stage.watcher.put("r1", &[("x/main.star", "1")]);
    stage.say(by("hangs", "u1", 10, "r1", "t1")).await;
    let bundle = stage.wait_for("u1", |bundle| bundle.failure.is_some()).await;
    assert!(failure(&bundle).contains("plugin \"hangs\" did not end within 1 seconds"), "{bundle:?}");
    stage.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_waits_for_a_plugin_holds_up_nobody_else() {
    let stage = Stage::start_with(&["--render-time-limit=10m", "--renders=1"]).await;
    let waits = Plugin { manner: Manner::Waits, ..Plugin::default() };
    let _waits = waits.start(&stage.plugins(), "waits");
    let _well = Plugin::default().start(&stage.plugins(), "well");
    stage.watcher.put("r1", &[("x/main.star", "1"), ("x/a.yaml", POD)]);
    // More than may be rendered, or held, at once.
    let waiting: Vec<_> = (0..12).map(|number| format!("w{number}")).collect();
    for uid in &waiting {
        stage.say(by("waits", uid, 10, "r1", "t1")).await;
    }
    stage.render(by("well", "u1", 10, "r1", "t1")).await;
    stage.render(revision("u2", 10, "r1", "t1", json!({"path": "x"}))).await;
    for uid in &waiting {
        assert!(stage.last(uid, Purpose::Tracked).await.is_none(), "{uid} did not wait");
    }
    waits.gate.open_for(waiting.len());
    for uid in &waiting {
        stage.wait(uid, Purpose::Tracked, 10).await;
    }
    stage.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_plugin_does_badly_is_told_of_its_own_application() {
    let stage = Stage::start_with(&["--render-output-max-mib=1"]).await;
    // Some do not wait for the end of it.
    let large = "x".repeat(3 << 20);
    stage.watcher.put("r1", &[("x/large", &large), ("x/main.star", "1")]);
    // Each has a name of its own, for who is asked again meets it at any time.
    for (manner, words, retried) in [
        (Manner::Dies, "failed to ask plugin \"Dies\", and it is asked again: out of luck", true),
        (Manner::Refuses, "plugin \"Refuses\" refuses the source: main.star:3: no such name", false),
        (Manner::Lies, "plugin \"Lies\" gave what is no manifest: failed to read document 1", false),
        (Manner::Floods, "plugin \"Floods\" gave more than the limit of 1048576 bytes", false),
    ] {
        let plugin = Plugin { manner, ..Plugin::default() };
        let uid = format!("{manner:?}");
        let running = plugin.start(&stage.plugins(), &uid);
        stage.say(by(&uid, &uid, 10, "r1", &uid)).await;
        let bundle = stage.wait_for(&uid, |bundle| bundle.failure.is_some()).await;
        assert!(failure(&bundle).contains(words), "{bundle:?}");
        assert_eq!(bundle.retries != 0, retried, "{bundle:?}");
        drop(running);
    }
    // One that recovers renders what it owed.
    let _running = Plugin::default().start(&stage.plugins(), "Dies");
    stage.wait_for("Dies", |bundle| bundle.failure.is_none()).await;
    stage.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_names_no_plugin_goes_to_the_first_that_takes_it() {
    let stage = Stage::start().await;
    let discovers = DescribeResponse { discovers: true, ..Default::default() };
    let plugin = |file| Plugin { file, description: discovers.clone(), ..Plugin::default() };
    let (moons, stars) = (plugin("main.moon"), plugin("main.star"));
    let _moons = moons.start(&stage.plugins(), "moons");
    let _stars = stars.start(&stage.plugins(), "stars");
    let named = Plugin::default();
    let _named = named.start(&stage.plugins(), "a");
    stage.watcher.put("star", &[("x/main.star", "1"), ("x/a.yaml", POD)]);
    stage.watcher.put("plain", &[("x/a.yaml", POD)]);
    let source = |uid: &str, commit: &str, spec: Value, discover: bool| {
        let mut message = revision(uid, 10, commit, commit, spec);
        message.sources[0].discover = discover;
        message
    };
    let kind = |bundle: BundleRendered| bundle.content.expect("content").sources[0].source_type.clone();
    let of =
        |spec: Value, commit: &'static str, discover: bool, uid: &str| source(uid, commit, spec, discover);
    let any = json!({"path": "x", "plugin": {}});
    let plain = json!({"path": "x"});
    assert_eq!(kind(stage.render(of(any.clone(), "star", false, "u1")).await), "Plugin");
    assert_eq!(kind(stage.render(of(plain.clone(), "star", true, "u2")).await), "Plugin");
    assert_eq!(kind(stage.render(of(plain.clone(), "star", false, "u3")).await), "Directory");
    assert_eq!(kind(stage.render(of(plain, "plain", true, "u4")).await), "Directory");
    assert_eq!((moons.generated(), stars.generated(), named.generated()), (0, 2, 0));
    let bundle = stage.render(of(any, "plain", false, "u5")).await;
    assert!(failure(&bundle).ends_with("asked were moons, stars"), "{bundle:?}");
    let bundle = stage.render(by("moons", "u6", 10, "star", "star")).await;
    assert!(failure(&bundle).starts_with("plugin \"moons\" says that it does not render"), "{bundle:?}");
    stage.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_required_parameter_that_is_not_given_is_named() {
    let stage = Stage::start().await;
    let announcement = ParameterAnnouncement { name: "region".into(), required: true, ..Default::default() };
    let plugin = Plugin {
        description: DescribeResponse { announces: true, ..Default::default() },
        announcements: vec![announcement],
        ..Plugin::default()
    };
    let _running = plugin.start(&stage.plugins(), "stars");
    stage.watcher.put("r1", &[("x/main.star", "1")]);
    let bundle = stage.render(by("stars", "u1", 10, "r1", "t1")).await;
    assert!(failure(&bundle).starts_with("plugin \"stars\": parameter \"region\" is required"), "{bundle:?}");
    assert_eq!(plugin.generated(), 0);
    stage.stop().await;
}

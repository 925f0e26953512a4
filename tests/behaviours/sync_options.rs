//! Sync options: how objects are written, and what is said of options that have no effect.

use anyhow::{Context, ensure};
use ithaca_tests::wait_until;
use serde_json::{Value, json};

use crate::scene::{
    DEADLINE, Scene, annotated, application, automated, config_map, deployment, manifest, state,
};

/// A manifest with sync options of its own.
fn with_options(manifest: &str, options: &str) -> String {
    annotated(manifest, &[("argocd.argoproj.io/sync-options", options)])
}

fn conditions(app: &Value) -> String {
    app["status"]["conditions"].to_string()
}

fn messages(app: &Value) -> String {
    app["status"]["operationState"]["syncResult"]["resources"].to_string()
}

#[tokio::test]
async fn replace_puts_the_whole_object_in_place_of_the_live_one() -> anyhow::Result<()> {
    let scene = Scene::new("options-replace").await?;
    scene.repository.write("app/settings.yaml", &with_options(&manifest("settings", "1"), "Replace=true"))?;
    let first = scene.repository.publish("Add settings").await?;
    scene.create("options-replace", "app", automated()).await?;
    scene.synced("options-replace", &first).await?;
    let settings = config_map("options-replace", "settings");
    let before = scene.expect(&settings).await?;
    scene.patch(&settings, json!({"data": {"foreign": "1"}})).await?;
    scene.repository.write("app/settings.yaml", &with_options(&manifest("settings", "2"), "Replace=true"))?;
    let second = scene.repository.publish("Change settings").await?;
    let app = scene.synced("options-replace", &second).await?;
    let after = scene.expect(&settings).await?;
    ensure!(after["data"] == json!({"value": "2"}), "a merge left {}", after["data"]);
    ensure!(before["metadata"]["uid"] == after["metadata"]["uid"], "it was deleted");
    ensure!(messages(&app).contains("configmap/settings replaced"), "{}", messages(&app));
    Ok(())
}

#[tokio::test]
async fn force_makes_anew_what_cannot_be_changed() -> anyhow::Result<()> {
    let scene = Scene::new("options-force").await?;
    let fixed = |value: &str| format!("{}immutable: true\n", manifest("settings", value));
    scene.repository.write("app/settings.yaml", &fixed("1"))?;
    let first = scene.repository.publish("Add settings").await?;
    let mut spec = automated();
    spec["syncPolicy"]["retry"] = json!({"limit": 0});
    scene.create("options-force", "app", spec).await?;
    scene.synced("options-force", &first).await?;
    let settings = config_map("options-force", "settings");
    let before = scene.expect(&settings).await?;
    scene.repository.write("app/settings.yaml", &fixed("2"))?;
    scene.repository.publish("Change what cannot be changed").await?;
    let name = application("options-force");
    scene.wait(&name, "tells of the refusal", |app| conditions(app).contains("field is immutable")).await?;
    scene.repository.write("app/settings.yaml", &with_options(&fixed("2"), "Force=true"))?;
    let third = scene.repository.publish("Change it by force").await?;
    scene.synced("options-force", &third).await?;
    let after = scene.expect(&settings).await?;
    ensure!(
        after["data"]["value"] == "2" && before["metadata"]["uid"] != after["metadata"]["uid"],
        "{after}"
    );
    Ok(())
}

#[tokio::test]
async fn what_belongs_to_another_application_can_be_left_alone() -> anyhow::Result<()> {
    let scene = Scene::new("options-shared").await?;
    scene.repository.write("first/settings.yaml", &manifest("settings", "first"))?;
    scene.repository.write("second/settings.yaml", &manifest("settings", "second"))?;
    let commit = scene.repository.publish("Add settings twice").await?;
    scene.create("options-shared", "first", automated()).await?;
    scene.synced("options-shared", &commit).await?;
    let mut spec = automated();
    spec["destination"] = json!({"namespace": "options-shared"});
    spec["syncPolicy"]["syncOptions"] = json!(["FailOnSharedResource=true"]);
    spec["syncPolicy"]["retry"] = json!({"limit": 0});
    scene.create("options-shared-second", "second", spec).await?;
    let refused = |app: &Value| {
        let state = &app["status"]["operationState"];
        state["phase"] == "Failed" && state["message"].to_string().contains("Shared resource found")
    };
    scene.wait(&application("options-shared-second"), "is refused", refused).await?;
    let settings = scene.expect(&config_map("options-shared", "settings")).await?;
    ensure!(settings["data"]["value"] == "first", "{settings}");
    Ok(())
}

#[tokio::test]
async fn options_without_effect_are_named() -> anyhow::Result<()> {
    let scene = Scene::new("options-unknown").await?;
    scene
        .repository
        .write("app/settings.yaml", &with_options(&manifest("settings", "1"), "Prune=perhaps"))?;
    let odd = manifest("odd", "1").replacen(
        "metadata:\n",
        "metadata:\n  annotations:\n    argocd.argoproj.io/hook: Later\n    argocd.argoproj.io/hook-delete-policy: Sometimes\n    argocd.argoproj.io/compare-options: Loosely\n",
        1,
    );
    scene.repository.write("app/odd.yaml", &odd)?;
    let commit = scene.repository.publish("Add settings").await?;
    let mut spec = automated();
    spec["syncPolicy"]["syncOptions"] = json!(["CreateNamespace=true", "Prunelast=true"]);
    spec["syncPolicy"]["retry"] = json!({"limit": 2, "backoff": {"duration": "soon"}});
    scene.create("options-unknown", "app", spec).await?;
    scene.synced("options-unknown", &commit).await?;
    let annotations = json!({"argocd.argoproj.io/deletion-approved": "yes"});
    scene.patch(&application("options-unknown"), json!({"metadata": {"annotations": annotations}})).await?;
    let operation = json!({"sync": {"syncOptions": ["Validated=false"]}});
    scene.patch(&application("options-unknown"), json!({"operation": operation})).await?;
    let words = [
        "UnsupportedWarning",
        "no sync option Prunelast",
        "Prune=perhaps has no effect",
        "argocd.argoproj.io/hook has no effect where it says Later",
        "argocd.argoproj.io/hook-delete-policy has no effect where it says Sometimes",
        "argocd.argoproj.io/compare-options: Loosely has no effect",
        "spec.syncPolicy.retry.backoff.duration",
        "argocd.argoproj.io/deletion-approved",
        "operation.sync.syncOptions: there is no sync option Validated",
    ];
    let all_are_told = |app: &Value| words.iter().all(|words| conditions(app).contains(words));
    scene.wait(&application("options-unknown"), "tells of all of them", all_are_told).await?;
    Ok(())
}

#[tokio::test]
async fn an_object_of_a_kind_that_comes_later_holds_up_nothing_before_it() -> anyhow::Result<()> {
    let scene = Scene::new("options-missing").await?;
    let late = "apiVersion: missing.example.com/v1\nkind: Late\nmetadata:\n  name: late\n";
    scene.repository.write("app/late.yaml", &with_options(late, "SkipDryRunOnMissingResource=true"))?;
    scene.repository.write("app/settings.yaml", &manifest("settings", "1"))?;
    let commit = scene.repository.publish("Add settings and what cannot be there yet").await?;
    scene.create("options-missing", "app", automated()).await?;
    scene.wait(&config_map("options-missing", "settings"), "is there", |_| true).await?;
    // What an operator brings.
    let definition = json!({
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "lates.missing.example.com"},
        "spec": {
            "group": "missing.example.com",
            "names": {"kind": "Late", "plural": "lates"},
            "scope": "Namespaced",
            "versions": [{
                "name": "v1", "served": true, "storage": true,
                "schema": {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": true}},
            }],
        },
    });
    scene.post("/apis/apiextensions.k8s.io/v1/customresourcedefinitions", &definition).await?;
    scene.synced("options-missing", &commit).await?;
    scene.expect("/apis/missing.example.com/v1/namespaces/options-missing/lates/late").await?;
    Ok(())
}

const DEFINITIONS: &str = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";

/// What `Replace` and `Force` do to each kind, asked for by an object and by an operation.
#[tokio::test]
async fn what_is_replaced_by_force_is_made_anew_unless_others_live_by_it() -> anyhow::Result<()> {
    let scene = Scene::new("options-anew").await?;
    let write = |value: &str| -> anyhow::Result<()> {
        let both = "Replace=true,Force=true";
        let definition = format!(
            "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata:\n  name: rafts.anew.example.com\n\
             spec:\n  group: anew.example.com\n  names: {{kind: Raft, plural: rafts, shortNames: [raft{value}]}}\n  scope: Namespaced\n  \
             versions:\n  - {{name: v1, served: true, storage: true, schema: {{openAPIV3Schema: {{type: object}}}}}}\n"
        );
        let space = format!(
            "apiVersion: v1\nkind: Namespace\nmetadata:\n  name: options-anew-space\n  labels: {{value: v{value}}}\n"
        );
        let fixed = format!("{}immutable: true\n", manifest("fixed", value));
        scene.repository.write("app/definition.yaml", &with_options(&definition, both))?;
        scene.repository.write("app/space.yaml", &with_options(&space, both))?;
        scene.repository.write("app/loose.yaml", &with_options(&manifest("loose", value), both))?;
        scene.repository.write("app/fixed.yaml", &fixed)
    };
    let places = [
        format!("{DEFINITIONS}/rafts.anew.example.com"),
        "/api/v1/namespaces/options-anew-space".to_owned(),
        config_map("options-anew", "loose"),
        config_map("options-anew", "fixed"),
    ];
    let uids = async || {
        let mut uids = Vec::new();
        for place in &places {
            uids.push(scene.expect(place).await?["metadata"]["uid"].to_string());
        }
        anyhow::Ok(uids)
    };
    let changed = |before: &[String], after: &[String]| -> Vec<bool> {
        before.iter().zip(after).map(|(before, after)| before != after).collect()
    };
    write("1")?;
    scene.repository.publish("Add four").await?;
    scene.create("options-anew", "app", json!({})).await?;
    scene.operate("options-anew", json!({"sync": {"syncOptions": ["CreateNamespace=true"]}})).await?;
    let first = uids().await?;

    // By the strategy: what cannot be changed is made anew as well.
    write("2")?;
    let commit = scene.repository.publish("Change all").await?;
    scene.refresh("options-anew", "normal").await?;
    let app =
        scene.operate("options-anew", json!({"sync": {"syncStrategy": {"hook": {"force": true}}}})).await?;
    ensure!(state(&app)["phase"] == "Succeeded", "{}", state(&app));
    let second = uids().await?;
    ensure!(changed(&first, &second) == [false, false, true, true], "{first:?} and then {second:?}");
    let definition = scene.expect(&places[0]).await?;
    ensure!(definition["spec"]["names"]["shortNames"] == json!(["raft2"]), "{definition}");
    ensure!(scene.expect(&places[1]).await?["metadata"]["labels"]["value"] == "v2");
    let space = "namespace/options-anew-space replaced";
    ensure!(messages(&app).contains(space), "{}", messages(&app));
    scene.synced("options-anew", &commit).await?;

    // Without it, only what the objects say.
    write("3")?;
    scene.repository.publish("Change all again").await?;
    scene.refresh("options-anew", "normal").await?;
    let app = scene.operate("options-anew", json!({"sync": {}})).await?;
    ensure!(state(&app)["phase"] == "Failed", "{}", state(&app));
    ensure!(state(&app)["message"].to_string().contains("field is immutable"), "{}", state(&app));

    // One that fails does not lose another that was to be made anew.
    ensure!(scene.expect(&places[2]).await?["data"]["value"] == "3", "it is the old one");
    // By the operation's options, and by the other strategy.
    let only = |name: &str| json!([{"kind": "ConfigMap", "name": name}]);
    let third = uids().await?;
    let sync = json!({"resources": only("fixed"), "syncStrategy": {"apply": {"force": true}}});
    scene.operate("options-anew", json!({"sync": sync})).await?;
    ensure!(changed(&third, &uids().await?) == [false, false, false, true], "by force: {third:?}");
    let loose = &places[2];
    scene.repository.write("app/loose.yaml", &manifest("loose", "4"))?;
    let commit = scene.repository.publish("Change one without options").await?;
    scene.patch(loose, json!({"data": {"foreign": "1"}})).await?;
    let before = scene.expect(loose).await?;
    let sync = json!({"revision": commit, "resources": only("loose"), "syncOptions": ["Replace=true"]});
    scene.operate("options-anew", json!({"sync": sync})).await?;
    let after = scene.expect(loose).await?;
    ensure!(after["data"] == json!({"value": "4"}), "a merge left {}", after["data"]);
    ensure!(before["metadata"]["uid"] == after["metadata"]["uid"], "it was deleted");
    Ok(())
}

/// `orphan`, `background` and `foreground` are three things that may happen to what a Deployment made.
#[tokio::test]
async fn what_a_pruned_object_made_goes_as_the_policy_says() -> anyhow::Result<()> {
    let scene = Scene::new("options-propagation").await?;
    let names = ["orphaned", "background", "foreground", "last"];
    for name in names {
        scene.repository.write(&format!("app/{name}.yaml"), &deployment(name, None))?;
    }
    let first = scene.repository.publish("Add servers").await?;
    scene.create("options-propagation", "app", json!({})).await?;
    scene.operate("options-propagation", json!({"sync": {"syncOptions": ["CreateNamespace=true"]}})).await?;
    scene.synced("options-propagation", &first).await?;
    // Somebody holds what they made, so that the order shows.
    let hold = json!({"metadata": {"finalizers": ["tests.example.com/hold"]}});
    for name in names {
        scene.patch(&replica_set(&scene, name).await?, hold.clone()).await?;
    }
    for name in &names[..3] {
        scene.repository.remove(&format!("app/{name}.yaml"))?;
    }
    scene.repository.publish("Remove servers").await?;
    scene.refresh("options-propagation", "normal").await?;
    let prune = async |name: &str, policy: Option<&str>| {
        let some = json!([{"group": "apps", "kind": "Deployment", "name": name}]);
        let mut sync = json!({"resources": some, "prune": true});
        if let Some(policy) = policy {
            sync["syncOptions"] = json!([format!("PrunePropagationPolicy={policy}")]);
        }
        scene.operate("options-propagation", json!({"sync": sync})).await.map(drop)
    };
    let server = |name: &str| format!("/apis/apps/v1/namespaces/options-propagation/deployments/{name}");
    let goes = |object: &Value| !object["metadata"]["deletionTimestamp"].is_null();

    let orphaned = replica_set(&scene, "orphaned").await?;
    prune("orphaned", Some("orphan")).await?;
    scene.gone(&server("orphaned")).await?;
    let left = scene.expect(&orphaned).await?;
    ensure!(!goes(&left) && left["metadata"]["ownerReferences"].is_null(), "{}", left["metadata"]);

    prune("background", Some("background")).await?;
    scene.gone(&server("background")).await?;
    let background = replica_set(&scene, "background").await?;
    scene.wait(&background, "goes after it", goes).await?;

    prune("foreground", None).await?;
    let foreground = replica_set(&scene, "foreground").await?;
    scene.wait(&foreground, "goes before it", goes).await?;
    ensure!(goes(&scene.expect(&server("foreground")).await?), "it is not being deleted");

    // The same with an Application's own deletion.
    let name = application("options-propagation");
    let finalizers = json!(["resources-finalizer.argocd.argoproj.io/background"]);
    scene.patch(&name, json!({"metadata": {"finalizers": finalizers}})).await?;
    let last = replica_set(&scene, "last").await?;
    scene.delete(&name).await?;
    scene.gone(&server("last")).await?;
    scene.wait(&last, "goes after it", goes).await?;
    for held in [orphaned, background, foreground, last] {
        scene.patch(&held, json!({"metadata": {"finalizers": null}})).await?;
    }
    scene.gone(&server("foreground")).await?;
    scene.gone(&name).await
}

/// What a Deployment made.
async fn replica_set(scene: &Scene<'_>, app: &str) -> anyhow::Result<String> {
    let all = "/apis/apps/v1/namespaces/options-propagation/replicasets";
    wait_until("the Deployment has made something", DEADLINE, async || {
        let found = scene.expect(&format!("{all}?labelSelector=app={app}")).await?;
        let name = found["items"][0]["metadata"]["name"].as_str().context("nothing yet")?;
        Ok(format!("{all}/{name}"))
    })
    .await
}

//! Hooks: they run in their phases, once, and hold the operation up for as long as they run and no longer.

use anyhow::{Context, ensure};
use ithaca_tests::Stack;
use serde_json::{Value, json};

use crate::scene::{
    Scene, annotated, application, automated, config_map, hook, job, job_path, manifest, state, waits_for,
};

/// What the operation says of an object.
fn result<'a>(app: &'a Value, name: &str) -> anyhow::Result<&'a Value> {
    let all = state(app)["syncResult"]["resources"].as_array().context("no results")?;
    all.iter().find(|result| result["name"] == name).with_context(|| format!("nothing of {name}: {all:?}"))
}

#[tokio::test]
async fn each_phase_waits_for_the_hooks_of_the_one_before() -> anyhow::Result<()> {
    let scene = Scene::new("hooks").await?;
    scene.repository.write("app/before.yaml", &job("before", hook("PreSync"), Some("hangs")))?;
    scene.repository.write("app/settings.yaml", &manifest("settings", "1"))?;
    scene.repository.write("app/after.yaml", &job("after", hook("PostSync"), Some("hangs")))?;
    let commit = scene.repository.publish("Add hooks").await?;
    scene.create("hooks", "app", automated()).await?;
    let name = application("hooks");
    scene.wait(&name, "waits for the first hook", |app| waits_for(app, "before")).await?;
    ensure!(scene.get(&config_map("hooks", "settings")).await?.is_none(), "the sync did not wait");
    scene.let_play("hooks").await?;
    scene.wait(&name, "waits for the last hook", |app| waits_for(app, "after")).await?;
    scene.expect(&config_map("hooks", "settings")).await?;
    scene.let_play("hooks").await?;
    let app = scene.synced("hooks", &commit).await?;
    ensure!(state(&app)["message"] == "successfully synced (all tasks run)", "{}", state(&app));
    for (hook, phase) in [("before", "PreSync"), ("after", "PostSync")] {
        let told = result(&app, hook)?;
        ensure!(told["hookType"] == phase && told["hookPhase"] == "Succeeded", "{told}");
        let job = scene.expect(&job_path("hooks", hook)).await?;
        ensure!(job["metadata"]["finalizers"].is_null(), "{hook} is held: {}", job["metadata"]);
    }
    // Hooks are no part of the state that Git describes.
    let shown = app["status"]["resources"].as_array().context("no resources")?;
    let hooks: Vec<_> = shown.iter().filter(|resource| resource["hook"] == true).collect();
    ensure!(hooks.len() == 2 && hooks.iter().all(|hook| hook["status"].is_null()), "{hooks:?}");
    ensure!(app["status"]["conditions"].is_null(), "{}", app["status"]["conditions"]);
    Ok(())
}

#[tokio::test]
async fn a_hook_runs_anew_in_each_operation() -> anyhow::Result<()> {
    let scene = Scene::new("hooks-again").await?;
    scene.repository.write("app/before.yaml", &job("before", hook("PreSync"), None))?;
    let named =
        job("named", hook("PostSync"), None).replace(r#""name":"named""#, r#""generateName":"named-""#);
    scene.repository.write("app/named.yaml", &named)?;
    scene.repository.write("app/settings.yaml", &manifest("settings", "1"))?;
    let first = scene.repository.publish("Add hooks").await?;
    scene.create("hooks-again", "app", automated()).await?;
    scene.synced("hooks-again", &first).await?;
    let before = scene.expect(&job_path("hooks-again", "before")).await?;
    scene.repository.write("app/settings.yaml", &manifest("settings", "2"))?;
    let second = scene.repository.publish("Change settings").await?;
    scene.synced("hooks-again", &second).await?;
    let after = scene.expect(&job_path("hooks-again", "before")).await?;
    ensure!(before["metadata"]["uid"] != after["metadata"]["uid"], "the hook did not run again");
    let jobs = scene.expect("/apis/batch/v1/namespaces/hooks-again/jobs").await?;
    let names =
        jobs["items"].as_array().into_iter().flatten().filter_map(|job| job["metadata"]["name"].as_str());
    let mut generated: Vec<_> = names.filter(|name| name.starts_with("named-")).collect();
    generated.sort_unstable();
    let mut prefixes = [&first, &second].map(|commit| format!("named-{}-postsync-", &commit[..7]));
    prefixes.sort_unstable();
    let expected = generated.len() == 2
        && generated.iter().zip(&prefixes).all(|(name, prefix)| name.starts_with(prefix));
    ensure!(expected, "{generated:?}, not {prefixes:?}");
    Ok(())
}

/// That a namespace was there was remembered, and a hook that finds none was not believed.
#[tokio::test]
async fn a_hook_comes_first_in_a_namespace_that_was_deleted() -> anyhow::Result<()> {
    let scene = Scene::new("hooks-namespace").await?;
    scene.repository.write("app/before.yaml", &job("before", hook("PreSync"), None))?;
    scene.repository.write("app/settings.yaml", &manifest("settings", "1"))?;
    scene.repository.publish("Add a hook").await?;
    scene.create("hooks-namespace", "app", json!({})).await?;
    let sync = json!({"sync": {"syncOptions": ["CreateNamespace=true"]}});
    let app = scene.operate("hooks-namespace", sync.clone()).await?;
    ensure!(state(&app)["phase"] == "Succeeded", "{}", state(&app));
    let namespace = "/api/v1/namespaces/hooks-namespace";
    scene.delete(namespace).await?;
    scene.gone(namespace).await?;
    let app = scene.operate("hooks-namespace", sync).await?;
    ensure!(state(&app)["phase"] == "Succeeded", "{}", state(&app));
    scene.expect(&config_map("hooks-namespace", "settings")).await?;
    Ok(())
}

#[tokio::test]
async fn a_failed_hook_ends_the_operation_after_those_for_failures() -> anyhow::Result<()> {
    let scene = Scene::new("hooks-fail").await?;
    scene.repository.write("app/before.yaml", &job("before", hook("PreSync"), Some("fails")))?;
    scene.repository.write("app/alarm.yaml", &job("alarm", hook("SyncFail"), None))?;
    scene.repository.write("app/settings.yaml", &manifest("settings", "1"))?;
    scene.repository.publish("Add hooks").await?;
    let mut spec = automated();
    spec["syncPolicy"]["retry"] = json!({"limit": 0});
    scene.create("hooks-fail", "app", spec).await?;
    let app =
        scene.wait(&application("hooks-fail"), "has failed", |app| state(app)["phase"] == "Failed").await?;
    let message = state(&app)["message"].to_string();
    ensure!(message.contains("one or more synchronization tasks completed unsuccessfully"), "{message}");
    ensure!(result(&app, "before")?["hookPhase"] == "Failed", "{}", state(&app));
    ensure!(result(&app, "alarm")?["hookPhase"] == "Succeeded", "{}", state(&app));
    ensure!(scene.get(&config_map("hooks-fail", "settings")).await?.is_none(), "the sync went on");
    Ok(())
}

#[tokio::test]
async fn hooks_go_as_their_policies_say() -> anyhow::Result<()> {
    let scene = Scene::new("hooks-policies").await?;
    let policy = |policy: &str| json!({"argocd.argoproj.io/hook": "PreSync", "argocd.argoproj.io/hook-delete-policy": policy});
    scene.repository.write("app/goes.yaml", &job("goes", policy("HookSucceeded"), None))?;
    scene.repository.write("app/stays.yaml", &job("stays", policy("HookFailed"), None))?;
    // A Job that deletes itself in the moment in which it is done.
    let vanishes = job("vanishes", hook("PreSync"), None)
        .replace(r#""backoffLimit":0"#, r#""backoffLimit":0,"ttlSecondsAfterFinished":0"#);
    scene.repository.write("app/vanishes.yaml", &vanishes)?;
    let helm =
        json!({"helm.sh/hook": "pre-install,pre-upgrade", "helm.sh/hook-delete-policy": "hook-succeeded"});
    scene.repository.write("app/helm.yaml", &job("helm", helm, None))?;
    scene.repository.write("app/settings.yaml", &manifest("settings", "1"))?;
    let commit = scene.repository.publish("Add hooks").await?;
    scene.create("hooks-policies", "app", automated()).await?;
    let app = scene.synced("hooks-policies", &commit).await?;
    for name in ["goes", "vanishes", "helm"] {
        ensure!(result(&app, name)?["hookPhase"] == "Succeeded", "{}", state(&app));
        scene.gone(&job_path("hooks-policies", name)).await?;
    }
    scene.expect(&job_path("hooks-policies", "stays")).await?;
    Ok(())
}

#[tokio::test]
async fn a_hook_that_is_deleted_by_hand_fails_and_one_that_is_stopped_goes() -> anyhow::Result<()> {
    let scene = Scene::new("hooks-stop").await?;
    scene.repository.write("app/before.yaml", &job("before", hook("PreSync"), Some("hangs")))?;
    scene.repository.write("app/settings.yaml", &manifest("settings", "1"))?;
    scene.repository.publish("Add a hook that never ends").await?;
    scene.create("hooks-stop", "app", json!({})).await?;
    let (name, job) = (application("hooks-stop"), job_path("hooks-stop", "before"));
    let sync = json!({"operation": {"sync": {"syncOptions": ["CreateNamespace=true"]}}});
    scene.wait(&name, "is compared", |app| app["status"]["sync"]["status"] == "OutOfSync").await?;
    scene.patch(&name, sync.clone()).await?;
    scene.wait(&name, "waits", |app| waits_for(app, "before")).await?;
    scene.delete(&job).await?;
    let app = scene.wait(&name, "has failed", |app| state(app)["phase"] == "Failed").await?;
    ensure!(state(&app)["message"].to_string().contains("was deleted while it ran"), "{}", state(&app));
    scene.gone(&job).await?;

    scene.patch(&name, sync).await?;
    scene.wait(&name, "waits again", |app| waits_for(app, "before")).await?;
    scene.patch(&name, json!({"status": {"operationState": {"phase": "Terminating"}}})).await?;
    let app = scene.wait(&name, "is stopped", |app| state(app)["phase"] == "Failed").await?;
    ensure!(state(&app)["message"] == "Operation terminated", "{}", state(&app));
    scene.gone(&job).await
}

#[tokio::test]
async fn hooks_of_helm_run_by_their_weights_and_one_whose_name_is_taken_fails() -> anyhow::Result<()> {
    let scene = Scene::new("hooks-weights").await?;
    let helm = |weight: &str| json!({"helm.sh/hook": "pre-install", "helm.sh/hook-weight": weight});
    scene.repository.write("app/a.yaml", &job("a-later", helm("3"), None))?;
    scene.repository.write("app/b.yaml", &job("b-early", helm("-1"), Some("hangs")))?;
    scene.repository.write("app/settings.yaml", &manifest("settings", "1"))?;
    let first = scene.repository.publish("Add hooks").await?;
    let mut spec = automated();
    spec["syncPolicy"]["retry"] = json!({"limit": 0});
    scene.create("hooks-weights", "app", spec).await?;
    let name = application("hooks-weights");
    scene.wait(&name, "waits for the lighter one", |app| waits_for(app, "b-early")).await?;
    ensure!(scene.get(&job_path("hooks-weights", "a-later")).await?.is_none(), "both run at once");
    scene.let_play("hooks-weights").await?;
    scene.synced("hooks-weights", &first).await?;
    scene.expect(&job_path("hooks-weights", "a-later")).await?;

    let foreign = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "taken"}});
    scene.post("/api/v1/namespaces/hooks-weights/configmaps", &foreign).await?;
    let before = scene.expect(&config_map("hooks-weights", "taken")).await?;
    let taken = annotated(&manifest("taken", "1"), &[("argocd.argoproj.io/hook", "PreSync")]);
    scene.repository.write("app/a.yaml", &taken)?;
    scene.repository.remove("app/b.yaml")?;
    scene.repository.write("app/settings.yaml", &manifest("settings", "2"))?;
    scene.repository.publish("Add a hook by the name of something else").await?;
    let app = scene.wait(&name, "has failed", |app| state(app)["phase"] == "Failed").await?;
    let message = state(&app)["message"].to_string();
    ensure!(message.contains("taken is there already and is no hook: rename one of the two"), "{message}");
    ensure!(before == scene.expect(&config_map("hooks-weights", "taken")).await?, "it was touched");
    Ok(())
}

#[tokio::test]
async fn a_restart_in_the_middle_of_a_hook_runs_it_once() -> anyhow::Result<()> {
    let stack = Stack::fresh().await?;
    let scene = Scene::on(&stack, "hooks-restart").await?;
    scene.repository.write("app/before.yaml", &job("before", hook("PreSync"), Some("hangs")))?;
    let vanishes = job("vanishes", hook("PostSync"), Some("hangs"))
        .replace(r#""backoffLimit":0"#, r#""backoffLimit":0,"ttlSecondsAfterFinished":0"#);
    scene.repository.write("app/vanishes.yaml", &vanishes)?;
    scene.repository.write("app/settings.yaml", &manifest("settings", "1"))?;
    let commit = scene.repository.publish("Add hooks").await?;
    scene.create("hooks-restart", "app", automated()).await?;
    let name = application("hooks-restart");
    scene.wait(&name, "waits for the first", |app| waits_for(app, "before")).await?;
    let first = scene.expect(&job_path("hooks-restart", "before")).await?;
    stack.process("applier")?.restart().await?;
    scene.let_play("hooks-restart").await?;
    scene.wait(&name, "waits for the second", |app| waits_for(app, "vanishes")).await?;
    let again = scene.expect(&job_path("hooks-restart", "before")).await?;
    ensure!(first["metadata"]["uid"] == again["metadata"]["uid"], "the hook ran twice");

    // It ends, and would be gone, while nobody looks.
    let applier = stack.process("applier")?;
    applier.freeze()?;
    scene.let_play("hooks-restart").await?;
    let done = |job: &Value| !job["metadata"]["deletionTimestamp"].is_null();
    scene.wait(&job_path("hooks-restart", "vanishes"), "is on its way out", done).await?;
    applier.restart().await?;
    let app = scene.synced("hooks-restart", &commit).await?;
    ensure!(state(&app)["phase"] == "Succeeded" && state(&app)["retryCount"].is_null(), "{}", state(&app));
    scene.gone(&job_path("hooks-restart", "vanishes")).await?;
    stack.stop().await
}

//! Several appliers: they divide the Applications between them, and whoever is stopped, killed or stands still is
//! replaced in the middle of an operation, which goes on and does nothing twice.

use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use ithaca_tests::{Process, Stack, wait_until};
use serde_json::{Value, json};

use crate::scene::{
    DEADLINE, Scene, application, automated, config_map, deployment, hook, job, job_path, manifest, state,
    waits_for,
};

const APPLIERS: [&str; 2] = ["applier", "applier-2"];

/// So many that neither applier has none of them.
const MANY: usize = 12;

async fn metrics(applier: &Process) -> anyhow::Result<String> {
    let page = applier.program().metrics.as_deref().context("an applier has metrics")?;
    let request = reqwest::Client::new().get(page).timeout(Duration::from_secs(1));
    Ok(request.send().await?.error_for_status()?.text().await?)
}

/// An applier's own Applications, as its metrics tell.
async fn owned(applier: &Process) -> anyhow::Result<Vec<String>> {
    let text = metrics(applier).await?;
    let series = text.lines().filter_map(|line| line.strip_prefix("argocd_app_info{"));
    let name = |labels: &str| Some(labels.split_once(",name=\"")?.1.split_once('"')?.0.to_owned());
    Ok(series.filter_map(name).collect())
}

/// Whose each of these Applications is, where each is one applier's, and that one of `appliers`.
async fn owners<'a>(stack: &Stack, names: &[String], appliers: &[&'a str]) -> anyhow::Result<Vec<&'a str>> {
    let mut owners = Vec::new();
    for applier in appliers {
        owners.push((*applier, owned(stack.process(applier)?).await?));
    }
    let of = |name: &String| -> anyhow::Result<&'a str> {
        let mut own = owners.iter().filter(|(_, owned)| owned.contains(name));
        let (first, second) = (own.next(), own.next());
        ensure!(second.is_none(), "{name} has two");
        first.map(|(applier, _)| *applier).with_context(|| format!("{name} has none"))
    };
    names.iter().map(of).collect()
}

/// Waits until that is so. Returns whose each is.
async fn divided<'a>(stack: &Stack, names: &[String], appliers: &[&'a str]) -> anyhow::Result<Vec<&'a str>> {
    let what = "each Application has one applier";
    wait_until(what, DEADLINE, async || owners(stack, names, appliers).await).await
}

/// How often an Application was deployed.
fn history(app: &Value) -> usize {
    app["status"]["history"].as_array().map_or(0, Vec::len)
}

#[tokio::test]
async fn appliers_divide_the_applications_and_hand_them_over_in_the_middle_of_an_operation()
-> anyhow::Result<()> {
    let stack = Stack::of_appliers(2).await?;
    let scene = Scene::on(&stack, "sharding").await?;
    scene.repository.write("app/before.yaml", &job("before", hook("PreSync"), Some("hangs")))?;
    scene.repository.write("app/settings.yaml", &manifest("settings", "1"))?;
    let commit = scene.repository.publish("Add settings and a hook").await?;
    let second = stack.process("applier-2")?;
    second.stop().await?;
    let names: Vec<_> = (0..MANY).map(|number| format!("sharding-{number}")).collect();
    for name in &names {
        scene.create(name, "app", automated()).await?;
    }
    let mut begun = Vec::new();
    for name in &names {
        let app =
            scene.wait(&application(name), "waits for its hook", |app| waits_for(app, "before")).await?;
        let hook = scene.expect(&job_path(name, "before")).await?;
        begun.push((state(&app)["startedAt"].clone(), hook["metadata"]["uid"].clone()));
    }

    // One comes: some of the Applications move with their operations.
    second.launch()?;
    second.wait_ready().await?;
    wait_until("both have some, and their metrics say so", DEADLINE, async || {
        let owners = owners(&stack, &names, &APPLIERS).await?;
        for applier in APPLIERS {
            let count = owners.iter().filter(|owner| **owner == applier).count();
            ensure!(count > 0, "{applier} has none of {owners:?}");
            let page = metrics(stack.process(applier)?).await?;
            for series in ["ithaca_apply_members 2".to_owned(), format!("ithaca_apply_applications {count}")]
            {
                ensure!(page.lines().any(|line| line == series), "{series} is not among {applier}'s metrics");
            }
        }
        Ok(())
    })
    .await?;
    for name in &names {
        scene.let_play(name).await?;
    }
    for (name, (started, uid)) in names.iter().zip(&begun) {
        let app = scene.synced(name, &commit).await?;
        ensure!(state(&app)["startedAt"] == *started, "{name} began anew: {}", state(&app));
        let hook = scene.expect(&job_path(name, "before")).await?;
        ensure!(hook["metadata"]["uid"] == *uid, "the hook of {name} ran twice");
        ensure!(history(&app) == 1, "{name} was deployed {} times", history(&app));
    }

    // Whoever is asked answers.
    scene.patch(&config_map(&names[0], "settings"), json!({"metadata": {"labels": {"a": "b"}}})).await?;
    for applier in APPLIERS {
        let shown = diff(&stack, applier, &names[0]).await?;
        ensure!(shown.contains("Nothing differs from"), "{applier} says {shown}");
    }

    // One leaves: nothing is written for that, and the other is at work at once.
    let before = versions(&scene, &names).await?;
    second.stop().await?;
    let left = Instant::now();
    divided(&stack, &names, &APPLIERS[..1]).await?;
    eprintln!("handed over {:.1} s after it was stopped", left.elapsed().as_secs_f64());
    let after = versions(&scene, &names).await?;
    ensure!(before == after, "the Applications were written: {before:?} became {after:?}");
    for name in &names {
        let value = json!({"data": {"value": "edited"}});
        scene.patch(&config_map(name, "settings"), value).await?;
        let is_healed = |settings: &Value| settings["data"]["value"] == "1";
        scene.wait(&config_map(name, "settings"), "is healed", is_healed).await?;
    }
    stack.stop().await
}

#[tokio::test]
async fn an_applier_that_is_killed_or_stands_still_is_replaced_and_nothing_is_done_twice()
-> anyhow::Result<()> {
    let stack = Stack::of_appliers(2).await?;
    let scene = Scene::on(&stack, "replaced").await?;
    let name = "replaced".to_owned();
    let alone = std::slice::from_ref(&name);
    scene.repository.write("app/before.yaml", &job("before", hook("PreSync"), Some("hangs")))?;
    scene.repository.write("app/settings.yaml", &manifest("settings", "1"))?;
    let first = scene.repository.publish("Add settings and a hook").await?;
    scene.create(&name, "app", automated()).await?;
    let (started, uid) = hook_runs(&scene, &name).await?;

    // Killed while the hook runs, which ends while nobody looks, and so does another Application.
    let (owner, other) = owner(&stack, &name).await?;
    let gone = another_of(&scene, owner).await?;
    stack.process(owner)?.kill()?;
    let killed = Instant::now();
    scene.let_play(&name).await?;
    scene.delete(&application(&gone)).await?;
    let app = scene.synced(&name, &first).await?;
    eprintln!("an operation went on {:.1} s after its applier was killed", killed.elapsed().as_secs_f64());
    done_once(&scene, &app, (&started, &uid), 1).await?;
    scene.event(&gone, "ResourceDeleted", "left in place").await?;
    ensure!(divided(&stack, alone, &[other]).await? == [other]);
    stack.process(owner)?.launch()?;
    stack.process(owner)?.wait_ready().await?;
    divided(&stack, alone, &[owner]).await?;

    // Stands still for so long that another takes its place, and then goes on.
    scene.repository.write("app/settings.yaml", &manifest("settings", "2"))?;
    let second = scene.repository.publish("Change the settings").await?;
    let (started, uid) = hook_runs(&scene, &name).await?;
    let frozen = stack.process(owner)?;
    frozen.freeze()?;
    scene.let_play(&name).await?;
    let app = scene.synced(&name, &second).await?;
    done_once(&scene, &app, (&started, &uid), 2).await?;
    let before =
        (version(&scene, &application(&name)).await?, version(&scene, &job_path(&name, "before")).await?);
    frozen.thaw()?;
    divided(&stack, alone, &[owner]).await?;
    let after =
        (version(&scene, &application(&name)).await?, version(&scene, &job_path(&name, "before")).await?);
    ensure!(before == after, "who came back wrote something: {before:?} became {after:?}");
    scene.repository.write("app/settings.yaml", &manifest("settings", "3"))?;
    let third = scene.repository.publish("Change the settings again").await?;
    let (started, uid) = hook_runs(&scene, &name).await?;
    scene.let_play(&name).await?;
    let app = scene.synced(&name, &third).await?;
    done_once(&scene, &app, (&started, &uid), 3).await?;
    stack.stop().await
}

#[tokio::test]
async fn a_dependency_may_be_another_appliers() -> anyhow::Result<()> {
    let stack = Stack::of_appliers(2).await?;
    let scene = Scene::on(&stack, "across").await?;
    scene.repository.write("base/base.yaml", &deployment("base", Some("hangs")))?;
    scene.repository.write("app/settings.yaml", &manifest("settings", "1"))?;
    let first = scene.repository.publish("Add a base and what stands on it").await?;
    let (base, app) = pair(&scene).await?;
    scene.let_play(&base).await?;
    scene.synced(&app, &first).await?;

    // One commit changes both: the base comes first.
    scene.repository.write("base/base.yaml", &deployment("base-2", Some("hangs")))?;
    scene.repository.write("app/settings.yaml", &manifest("settings", "2"))?;
    let second = scene.repository.publish("Change both").await?;
    let waits =
        |app: &Value| app["status"]["conditions"].to_string().contains("waiting for other Applications");
    scene.wait(&application(&app), "waits for the base", waits).await?;
    scene.let_play(&base).await?;
    scene.synced(&app, &second).await?;
    stack.stop().await
}

/// A base and an Application that depends on it, of two different appliers.
async fn pair(scene: &Scene<'_>) -> anyhow::Result<(String, String)> {
    for number in 0..20 {
        let (base, app) = (format!("across-base-{number}"), format!("across-app-{number}"));
        scene.create(&base, "base", automated()).await?;
        let mut dependent = scene.application(&app, "app", &automated());
        dependent["metadata"]["annotations"] = json!({"ithaca.dev/depends-on": base});
        scene.post("/apis/argoproj.io/v1alpha1/namespaces/argocd/applications", &dependent).await?;
        let owners = divided(scene.stack, &[base.clone(), app.clone()], &APPLIERS).await?;
        if owners[0] != owners[1] {
            return Ok((base, app));
        }
        for name in [&base, &app] {
            scene.delete(&application(name)).await?;
        }
    }
    anyhow::bail!("one applier has both of every pair")
}

/// One more Application of this applier.
async fn another_of(scene: &Scene<'_>, applier: &str) -> anyhow::Result<String> {
    for number in 0..20 {
        let name = format!("replaced-{number}");
        scene.create(&name, "nowhere", json!({})).await?;
        if owner(scene.stack, &name).await?.0 == applier {
            return Ok(name);
        }
    }
    anyhow::bail!("{applier} gets none")
}

/// Waits until the hook of the Application's operation runs, and returns when that began and which Job it is.
async fn hook_runs(scene: &Scene<'_>, name: &str) -> anyhow::Result<(Value, Value)> {
    let app = scene.wait(&application(name), "waits for its hook", |app| waits_for(app, "before")).await?;
    let hook = scene.expect(&job_path(name, "before")).await?;
    Ok((state(&app)["startedAt"].clone(), hook["metadata"]["uid"].clone()))
}

/// The operation that began then is the last, with this very Job, and there were so many in all.
async fn done_once(
    scene: &Scene<'_>,
    app: &Value,
    (started, uid): (&Value, &Value),
    deployments: usize,
) -> anyhow::Result<()> {
    ensure!(state(app)["startedAt"] == *started && state(app)["phase"] == "Succeeded", "{}", state(app));
    ensure!(state(app)["retryCount"].is_null(), "{}", state(app));
    let name = app["metadata"]["name"].as_str().unwrap_or_default();
    let hook = scene.expect(&job_path(name, "before")).await?;
    ensure!(hook["metadata"]["uid"] == *uid, "the hook ran twice");
    ensure!(
        history(app) == deployments,
        "it was deployed {} times: {}",
        history(app),
        app["status"]["history"]
    );
    Ok(())
}

/// Whose an Application is, and who the other is.
async fn owner(stack: &Stack, name: &str) -> anyhow::Result<(&'static str, &'static str)> {
    let owner = *divided(stack, &[name.to_owned()], &APPLIERS).await?.first().context("it has one")?;
    let other = APPLIERS.into_iter().find(|applier| *applier != owner).context("there are two")?;
    Ok((owner, other))
}

/// What `ithaca app diff` says when it asks an applier.
async fn diff(stack: &Stack, applier: &str, name: &str) -> anyhow::Result<String> {
    let program = stack.process(applier)?.program();
    let listens = program.arguments.iter().find_map(|argument| argument.strip_prefix("--live-listen="));
    let applier = format!("http://{}", listens.context("it listens")?);
    let output = tokio::process::Command::new(&program.path)
        .args(["app", "diff", name, "--applier", &applier])
        .env("KUBECONFIG", stack.cluster.kubeconfig())
        .output()
        .await?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(String::from_utf8(output.stdout)?)
}

async fn version(scene: &Scene<'_>, path: &str) -> anyhow::Result<Value> {
    Ok(scene.expect(path).await?["metadata"]["resourceVersion"].clone())
}

async fn versions(scene: &Scene<'_>, names: &[String]) -> anyhow::Result<Vec<Value>> {
    let mut versions = Vec::new();
    for name in names {
        versions.push(version(scene, &application(name)).await?);
    }
    Ok(versions)
}

/// Whoever gained an Application waited for the list of a kind that nobody followed any more.
#[tokio::test]
async fn a_kind_that_was_excluded_holds_up_nobody_who_takes_over() -> anyhow::Result<()> {
    let stack = Stack::of_appliers(2).await?;
    let scene = Scene::on(&stack, "sharding-excluded").await?;
    scene.repository.write("app/settings.yaml", &manifest("settings", "1"))?;
    scene.repository.write(
        "app/secret.yaml",
        "apiVersion: v1\nkind: Secret\nmetadata:\n  name: secret\nstringData:\n  key: value\n",
    )?;
    let first = scene.repository.publish("Add settings and a Secret").await?;
    let names: Vec<_> = (0..MANY).map(|number| format!("sharding-excluded-{number}")).collect();
    for name in &names {
        scene.create(name, "app", automated()).await?;
    }
    for name in &names {
        scene.synced(name, &first).await?;
    }
    let owners = divided(&stack, &names, &APPLIERS).await?;
    ensure!(owners.contains(&"applier-2"), "applier-2 has none of {owners:?}");
    scene.settings(&[("resource.exclusions", "- kinds: [Secret]\n")]).await?;
    for name in &names {
        let told = |app: &Value| app["status"]["conditions"].to_string().contains("is excluded");
        scene.wait(&application(name), "tells of the excluded Secret", told).await?;
    }
    stack.process("applier-2")?.stop().await?;
    divided(&stack, &names, &["applier"]).await?;
    scene.repository.write("app/settings.yaml", &manifest("settings", "2"))?;
    let second = scene.repository.publish("Change settings").await?;
    for name in &names {
        scene.synced(name, &second).await?;
    }
    stack.stop().await
}

//! Bad input: it leaves a condition on its own Application that names what is wrong. What was good before stays
//! applied, everybody else goes on, and the condition goes with its reason.

use anyhow::ensure;
use ithaca_tests::Repository;
use serde_json::{Value, json};

use crate::scene::{Scene, application, automated, config_map, hook, job, manifest};

#[tokio::test]
async fn an_unknown_repository() -> anyhow::Result<()> {
    let scene = Scene::new("bad-repository").await?;
    let url = scene.stack.git.repository_url("bad-repository-nowhere");
    let spec = json!({"source": {"repoURL": url}});
    never_comes_right(&scene, spec, "ComparisonError", &["bad-repository-nowhere"]).await
}

#[tokio::test]
async fn an_unknown_revision() -> anyhow::Result<()> {
    let scene = Scene::new("bad-revision").await?;
    let spec = json!({"source": {"targetRevision": "no-such-branch"}});
    never_comes_right(&scene, spec, "ComparisonError", &["no-such-branch", "bad-revision"]).await
}

#[tokio::test]
async fn a_path_that_is_not_there() -> anyhow::Result<()> {
    let scene = Scene::new("bad-path").await?;
    let spec = json!({"source": {"path": "no/such/folder"}});
    never_comes_right(&scene, spec, "ComparisonError", &["no/such/folder"]).await
}

#[tokio::test]
async fn a_path_out_of_the_repository() -> anyhow::Result<()> {
    let scene = Scene::new("bad-way-out").await?;
    let spec = json!({"source": {"path": "../../etc"}});
    never_comes_right(&scene, spec, "ComparisonError", &["../../etc"]).await
}

#[tokio::test]
async fn a_destination_that_is_not_known() -> anyhow::Result<()> {
    let scene = Scene::new("bad-destination").await?;
    let spec = json!({"destination": {"server": "https://elsewhere.example.com"}});
    never_comes_right(&scene, spec, "InvalidSpecError", &["https://elsewhere.example.com"]).await
}

#[tokio::test]
async fn a_namespace_that_does_not_exist() -> anyhow::Result<()> {
    let scene = Scene::new("bad-namespace").await?;
    let spec = json!({
        "destination": {"namespace": "no-such-namespace"},
        "syncPolicy": {"syncOptions": [], "retry": {"limit": 0}},
    });
    never_comes_right(&scene, spec, "SyncError", &["no-such-namespace", "settings"]).await
}

#[tokio::test]
async fn a_spec_that_is_too_long_to_be_told_of() -> anyhow::Result<()> {
    let scene = Scene::new("bad-length").await?;
    // It is told as it was written, and as a file in its folder has it.
    let values = format!("text: {}", "x".repeat(600_000));
    let spec = json!({"source": {"helm": {"values": values}}});
    scene.repository.write("app/.argocd-source-bad-length.yaml", "helm: {releaseName: other}\n")?;
    never_comes_right(&scene, spec, "ComparisonError", &["too long", "value file"]).await
}

#[tokio::test]
async fn yaml_that_does_not_parse() -> anyhow::Result<()> {
    let scene = Scene::new("bad-yaml").await?;
    let broken = |repository: &Repository| {
        repository.write("app/broken.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: [}\n")
    };
    breaks(&scene, automated(), broken, "ComparisonError", &["app/broken.yaml", "line 3"]).await
}

#[tokio::test]
async fn an_object_without_a_kind() -> anyhow::Result<()> {
    let scene = Scene::new("bad-kind").await?;
    let broken = |repository: &Repository| {
        repository.write("app/broken.yaml", "apiVersion: v1\nmetadata:\n  name: broken\n")
    };
    breaks(&scene, automated(), broken, "ComparisonError", &["app/broken.yaml", "kind"]).await
}

#[tokio::test]
async fn a_chart_that_fails() -> anyhow::Result<()> {
    let scene = Scene::new("bad-chart").await?;
    chart(&scene.repository)?;
    let broken = |repository: &Repository| {
        repository.write("app/templates/broken.yaml", "{{ required \"a house is needed\" .Values.house }}\n")
    };
    let words = ["\"app\"", "broken.yaml", "a house is needed"];
    breaks(&scene, automated(), broken, "ComparisonError", &words).await
}

#[tokio::test]
async fn a_chart_that_never_ends() -> anyhow::Result<()> {
    let scene = Scene::new("bad-end").await?;
    chart(&scene.repository)?;
    let broken = |repository: &Repository| {
        let turns = "{{- range $i := until 100000 }}{{- range $j := until 100000 }}";
        let endless =
            format!("{turns}{{{{- $x := printf \"%d\" $j | sha256sum }}}}{{{{- end }}}}{{{{- end }}}}\n");
        repository.write("app/templates/endless.yaml", &endless)
    };
    let words = ["\"app\"", "helm did not end within 10 seconds"];
    breaks(&scene, automated(), broken, "ComparisonError", &words).await
}

#[tokio::test]
async fn a_chart_that_gives_more_than_the_limit() -> anyhow::Result<()> {
    let scene = Scene::new("bad-flood").await?;
    chart(&scene.repository)?;
    let broken = |repository: &Repository| {
        repository.write("app/templates/flood.yaml", "data: {{ repeat 5000000 \"x\" }}\n")
    };
    let words = ["\"app\"", "helm gave more than the limit of 4194304 bytes"];
    breaks(&scene, automated(), broken, "ComparisonError", &words).await
}

#[tokio::test]
async fn an_overlay_that_reads_outside_the_repository() -> anyhow::Result<()> {
    let scene = Scene::new("bad-overlay").await?;
    scene.repository.write("app/kustomization.yaml", "resources:\n- settings.yaml\n")?;
    let broken = |repository: &Repository| {
        let outside = "resources:\n- settings.yaml\n- ../../../../etc/hostname\n";
        repository.write("app/kustomization.yaml", outside)
    };
    breaks(&scene, automated(), broken, "ComparisonError", &["etc/hostname", "leads out of the repository"])
        .await
}

#[tokio::test]
async fn a_symbolic_link_out_of_the_repository() -> anyhow::Result<()> {
    let scene = Scene::new("bad-link").await?;
    let broken = |repository: &Repository| {
        std::os::unix::fs::symlink("/etc/hostname", repository.folder.join("app/link.yaml"))?;
        Ok(())
    };
    breaks(&scene, automated(), broken, "ComparisonError", &["app/link.yaml"]).await
}

#[tokio::test]
async fn an_object_that_the_api_server_rejects() -> anyhow::Result<()> {
    let scene = Scene::new("bad-object").await?;
    let broken = |repository: &Repository| {
        let service =
            "apiVersion: v1\nkind: Service\nmetadata:\n  name: rejected\nspec:\n  ports:\n  - port: 99999\n";
        repository.write("app/broken.yaml", service)
    };
    // The condition is there while it is tried again and again.
    breaks(&scene, automated(), broken, "SyncError", &["rejected", "99999"]).await
}

#[tokio::test]
async fn a_kind_that_the_cluster_does_not_serve() -> anyhow::Result<()> {
    let scene = Scene::new("bad-api").await?;
    let broken = |repository: &Repository| {
        let robot = "apiVersion: example.com/v1\nkind: Robot\nmetadata:\n  name: marvin\n";
        repository.write("app/broken.yaml", robot)
    };
    breaks(&scene, without_retry(), broken, "SyncError", &["example.com", "Robot", "marvin"]).await
}

#[tokio::test]
async fn a_wave_that_is_not_a_number() -> anyhow::Result<()> {
    let scene = Scene::new("bad-wave").await?;
    let broken = |repository: &Repository| {
        let wave = "metadata:\n  annotations:\n    argocd.argoproj.io/sync-wave: first\n";
        repository.write("app/broken.yaml", &manifest("broken", "1").replacen("metadata:\n", wave, 1))
    };
    let words = ["broken", "sync-wave is not a whole number", "first"];
    breaks(&scene, without_retry(), broken, "InvalidSpecError", &words).await
}

#[tokio::test]
async fn a_hook_that_never_ends() -> anyhow::Result<()> {
    let scene = Scene::new("bad-hook").await?;
    scene.repository.write("app/settings.yaml", &manifest("settings", "1"))?;
    scene.repository.write("app/endless.yaml", &job("endless", hook("PreSync"), Some("hangs")))?;
    scene.repository.write("neighbour/settings.yaml", &manifest("settings", "1"))?;
    let bad = scene.repository.publish("Add a hook that never ends").await?;
    scene.create("bad-hook", "app", automated()).await?;
    scene.create("bad-hook-neighbour", "neighbour", automated()).await?;
    let path = application("bad-hook");
    let waits = |app: &Value| {
        app["status"]["operationState"]["message"] == "waiting for completion of hook batch/Job/endless"
    };
    scene.wait(&path, "waits for its hook", waits).await?;
    scene.synced("bad-hook-neighbour", &bad).await?;
    scene.repository.remove("app/endless.yaml")?;
    let mended = scene.repository.publish("Remove the hook").await?;
    scene.synced("bad-hook-neighbour", &mended).await?;
    // What runs is not cut off by a commit: it has to be stopped.
    ensure!(waits(&scene.expect(&path).await?), "the hook was cut off");
    scene.patch(&path, json!({"status": {"operationState": {"phase": "Terminating"}}})).await?;
    scene.synced("bad-hook", &mended).await?;
    scene.gone("/apis/batch/v1/namespaces/bad-hook/jobs/endless").await
}

/// A chart that is right.
fn chart(repository: &Repository) -> anyhow::Result<()> {
    repository.write("app/Chart.yaml", "apiVersion: v2\nname: demo\nversion: 1.0.0\n")?;
    repository.write("app/templates/settings.yaml", &manifest("settings", "good"))
}

fn without_retry() -> Value {
    let mut spec = automated();
    spec["syncPolicy"]["retry"] = json!({"limit": 0});
    spec
}

/// An Application that is wrong from the beginning, beside one that is right.
async fn never_comes_right(
    scene: &Scene<'_>,
    spec: Value,
    type_: &str,
    words: &[&str],
) -> anyhow::Result<()> {
    let bare = scene.repository.bare.file_stem().unwrap_or_default().display().to_string();
    let (name, neighbour) = (bare.as_str(), format!("{bare}-neighbour"));
    scene.repository.write("app/settings.yaml", &manifest("settings", "good"))?;
    let commit = scene.repository.publish("Add settings").await?;
    let mut spec = spec;
    spec["syncPolicy"]["automated"] = json!({"prune": true, "selfHeal": true});
    scene.create(name, "app", spec).await?;
    scene.create(&neighbour, "app", automated()).await?;
    let app = named(scene, name, type_, words).await?;
    let status = &app["status"];
    match type_ {
        "ComparisonError" => {
            ensure!(status["sync"]["status"] == "Unknown", "{status}");
            ensure!(status["health"]["status"] == "Healthy", "{status}");
        }
        "InvalidSpecError" => {
            ensure!(status["sync"]["status"] == "Unknown", "{status}");
            ensure!(status["health"]["status"] == "Unknown", "{status}");
        }
        _ => ensure!(status["sync"]["status"] == "OutOfSync", "{status}"),
    }
    scene.synced(&neighbour, &commit).await?;
    Ok(())
}

/// An Application that is right until a commit breaks it, beside one that the same commit changes.
async fn breaks(
    scene: &Scene<'_>,
    spec: Value,
    broken: impl Fn(&Repository) -> anyhow::Result<()>,
    type_: &str,
    words: &[&str],
) -> anyhow::Result<()> {
    let repository = &scene.repository;
    let bare = repository.bare.file_stem().unwrap_or_default().display().to_string();
    let (name, neighbour) = (bare.as_str(), format!("{bare}-neighbour"));
    let is_chart = repository.read("app/Chart.yaml").is_ok();
    if !is_chart {
        repository.write("app/settings.yaml", &manifest("settings", "good"))?;
    }
    repository.write("neighbour/settings.yaml", &manifest("settings", "1"))?;
    let good = repository.publish("Add settings").await?;
    scene.create(name, "app", spec).await?;
    scene.create(&neighbour, "neighbour", automated()).await?;
    scene.synced(name, &good).await?;
    scene.synced(&neighbour, &good).await?;

    broken(repository)?;
    repository.write("neighbour/settings.yaml", &manifest("settings", "2"))?;
    let bad = repository.publish("Break it").await?;
    let app = named(scene, name, type_, words).await?;
    let wanted = if type_ == "ComparisonError" { "Unknown" } else { "OutOfSync" };
    ensure!(app["status"]["sync"]["status"] == wanted, "{}", app["status"]["sync"]);
    scene.synced(&neighbour, &bad).await?;
    let settings = config_map(name, "settings");
    ensure!(scene.expect(&settings).await?["data"]["value"] == "good", "the last good state is gone");
    if type_ == "ComparisonError" {
        // It is kept, too: drift from it is put right.
        scene.patch(&settings, json!({"data": {"value": "edited"}})).await?;
        scene.wait(&settings, "is as it was", |object| object["data"]["value"] == "good").await?;
    }

    let repaired = repository.revert().await?;
    repository.push().await?;
    let app = scene.synced(name, &repaired).await?;
    ensure!(app["status"]["conditions"].is_null(), "{}", app["status"]["conditions"]);
    Ok(())
}

/// Waits for a condition, and checks that it names what is wrong.
async fn named(scene: &Scene<'_>, name: &str, type_: &str, words: &[&str]) -> anyhow::Result<Value> {
    let find = |app: &Value| {
        let conditions = app["status"]["conditions"].as_array().cloned().unwrap_or_default();
        conditions.into_iter().find(|condition| condition["type"] == type_)
    };
    let what = format!("has the condition {type_}");
    let app = scene.wait(&application(name), &what, |app| find(app).is_some()).await?;
    let message = find(&app).unwrap_or_default()["message"].as_str().unwrap_or_default().to_owned();
    let silent: Vec<_> = words.iter().filter(|word| !message.contains(**word)).collect();
    ensure!(silent.is_empty(), "{silent:?} is not in: {message}");
    Ok(app)
}

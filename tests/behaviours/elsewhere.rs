//! Elsewhere: Applications live in other namespaces where the installation and their project let them
//! (`application.namespaces`, `sourceNamespaces`), and are nobody's business where one of them does not.

use anyhow::ensure;
use ithaca_tests::wait_until;
use serde_json::{Value, json};

use crate::scene::{
    DEADLINE, PROJECTS, Scene, application, applications, automated, config_map, manifest, of_project,
    project,
};

const FINALIZER: &str = "resources-finalizer.argocd.argoproj.io";

/// A scene with a project that may be used from `apps-<name>`, which is made.
async fn scene(name: &str) -> anyhow::Result<Scene<'static>> {
    let scene = Scene::new(name).await?;
    let home = format!("apps-{name}");
    let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": home}});
    scene.post("/api/v1/namespaces", &namespace).await?;
    scene.post(PROJECTS, &project(name, &json!({"sourceNamespaces": [home]}))).await?;
    Ok(scene)
}

/// An Application in a namespace of its own, as a team writes it; its objects go to namespace `goes_to`.
fn of_team(scene: &Scene<'_>, (home, name): (&str, &str), path: &str, goes_to: &str, project: &str) -> Value {
    let mut app = scene.application(name, path, &of_project(project));
    app["metadata"] = json!({"name": name, "namespace": home, "finalizers": [FINALIZER]});
    app["spec"]["destination"]["namespace"] = json!(goes_to);
    app
}

#[tokio::test]
async fn an_application_in_a_namespace_of_its_team_is_worked_on_like_any_other() -> anyhow::Result<()> {
    let scene = scene("elsewhere").await?;
    scene.repository.write("app/settings.yaml", &manifest("settings", "1"))?;
    let commit = scene.repository.publish("Add settings").await?;
    let (home, name) = ("apps-elsewhere", "apps-elsewhere/web");
    scene.post(&applications(home), &of_team(&scene, (home, "web"), "app", "elsewhere", "elsewhere")).await?;
    let app = scene.synced(name, &commit).await?;
    ensure!(app["status"]["controllerNamespace"] == "argocd", "{}", app["status"]);
    let settings = scene.expect(&config_map("elsewhere", "settings")).await?;
    let tracking = &settings["metadata"]["annotations"]["argocd.argoproj.io/tracking-id"];
    ensure!(tracking == "apps-elsewhere_web:/ConfigMap:elsewhere/settings", "{tracking}");
    scene.event(name, "OperationCompleted", "").await?;

    let described = scene.ithaca(&["app", "get", "web", "-n", home]).await?;
    ensure!(described.status.success(), "{}", String::from_utf8_lossy(&described.stderr));
    let page = format!("{}/api/v1/applications/{home}/web", scene.stack.services()?.console);
    wait_until("the console has it", DEADLINE, async || {
        let status = reqwest::get(&page).await?.status();
        ensure!(status == 200, "{status}");
        Ok(())
    })
    .await?;

    scene.repository.write("app/settings.yaml", &manifest("settings", "2"))?;
    let commit = scene.repository.publish("Change settings").await?;
    scene.synced(name, &commit).await?;
    scene.patch(&config_map("elsewhere", "settings"), json!({"data": {"value": "3"}})).await?;
    scene.wait(&config_map("elsewhere", "settings"), "is healed", |it| it["data"]["value"] == "2").await?;
    scene.delete(&application(name)).await?;
    scene.gone(&application(name)).await?;
    scene.gone(&config_map("elsewhere", "settings")).await
}

#[tokio::test]
async fn applications_of_one_name_in_two_namespaces_leave_each_other_alone() -> anyhow::Result<()> {
    let scene = scene("namesake").await?;
    scene.repository.write("one/settings.yaml", &manifest("one", "1"))?;
    scene.repository.write("two/settings.yaml", &manifest("two", "1"))?;
    let commit = scene.repository.publish("Add settings of both").await?;
    scene.create("namesake", "one", automated()).await?;
    let home = "apps-namesake";
    scene
        .post(&applications(home), &of_team(&scene, (home, "namesake"), "two", "namesake", "namesake"))
        .await?;
    scene.synced("namesake", &commit).await?;
    scene.synced("apps-namesake/namesake", &commit).await?;
    scene.delete(&application("apps-namesake/namesake")).await?;
    scene.gone(&application("apps-namesake/namesake")).await?;
    scene.gone(&config_map("namesake", "two")).await?;
    let app = scene.refresh("namesake", "normal").await?;
    ensure!(app["status"]["sync"]["status"] == "Synced", "{}", app["status"]);
    scene.expect(&config_map("namesake", "one")).await.map(drop)
}

#[tokio::test]
async fn a_project_that_does_not_name_the_namespace_is_not_used_from_it() -> anyhow::Result<()> {
    let scene = scene("uninvited").await?;
    scene.repository.write("app/settings.yaml", &manifest("settings", "1"))?;
    let commit = scene.repository.publish("Add settings").await?;
    let (home, name) = ("apps-uninvited", "apps-uninvited/web");
    scene.post(&applications(home), &of_team(&scene, (home, "web"), "app", "uninvited", "default")).await?;
    let refused = "application 'web' in namespace 'apps-uninvited' is not allowed to use project 'default'";
    let tells = |app: &Value| {
        let condition = &app["status"]["conditions"][0];
        condition["type"] == "InvalidSpecError" && condition["message"].to_string().contains(refused)
    };
    scene.wait(&application(name), "is told so", tells).await?;
    ensure!(scene.get("/api/v1/namespaces/uninvited").await?.is_none(), "it was synced");
    scene.patch(&application(name), json!({"spec": {"project": "uninvited"}})).await?;
    let app = scene.synced(name, &commit).await?;
    ensure!(app["status"]["conditions"].is_null(), "{}", app["status"]["conditions"]);
    // What it has stays when it is let in no more: nothing is taken away without permission either.
    scene.patch(&format!("{PROJECTS}/uninvited"), json!({"spec": {"sourceNamespaces": []}})).await?;
    scene
        .wait(&application(name), "is told so", |app| {
            tells_of(app, "is not allowed to use project 'uninvited'")
        })
        .await?;
    scene.expect(&config_map("uninvited", "settings")).await.map(drop)
}

#[tokio::test]
async fn a_namespace_that_the_installation_does_not_name_is_somebody_elses() -> anyhow::Result<()> {
    let scene = Scene::new("nobodys").await?;
    scene.repository.write("app/settings.yaml", &manifest("settings", "1"))?;
    let commit = scene.repository.publish("Add settings").await?;
    scene.post(PROJECTS, &project("nobodys", &json!({"sourceNamespaces": ["*"]}))).await?;
    let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "nobodys"}});
    scene.post("/api/v1/namespaces", &namespace).await?;
    let mut other = of_team(&scene, ("nobodys", "web"), "app", "nobodys", "nobodys");
    // What makes an Application of one's own fail at once.
    other["spec"]["destination"] = json!({"server": "https://elsewhere.example.com"});
    scene.post(&applications("nobodys"), &other).await?;
    scene.delete(&application("nobodys/web")).await?;
    // What comes after is the proof that nothing was still to come.
    scene.create("nobodys-own", "app", automated()).await?;
    scene.synced("nobodys-own", &commit).await?;
    let other = scene.expect(&application("nobodys/web")).await?;
    ensure!(other["status"].is_null(), "{}", other["status"]);
    ensure!(other["metadata"]["finalizers"][0].is_string(), "its finalizer was taken away");
    Ok(())
}

#[tokio::test]
async fn an_application_waits_for_one_of_another_namespace() -> anyhow::Result<()> {
    let scene = scene("across").await?;
    scene.repository.write("base/settings.yaml", &manifest("base", "1"))?;
    scene.repository.write("app/settings.yaml", &manifest("settings", "1"))?;
    let commit = scene.repository.publish("Add a base and what stands on it").await?;
    let home = "apps-across";
    let mut web = of_team(&scene, (home, "web"), "app", "across", "across");
    web["metadata"]["annotations"] = json!({"ithaca.dev/depends-on": "argocd/across-base"});
    scene.post(&applications(home), &web).await?;
    let waits = |app: &Value| tells_of(app, "there is no Application across-base in namespace argocd");
    scene.wait(&application("apps-across/web"), "waits for one that is not there", waits).await?;
    ensure!(scene.get(&config_map("across", "settings")).await?.is_none(), "it did not wait");
    scene.create("across-base", "base", automated()).await?;
    scene.synced("across-base", &commit).await?;
    scene.synced("apps-across/web", &commit).await.map(drop)
}

#[tokio::test]
async fn a_root_brings_applications_into_namespaces_of_teams() -> anyhow::Result<()> {
    let scene = scene("offspring").await?;
    let child = of_team(&scene, ("apps-offspring", "web"), "app", "offspring", "offspring");
    scene.repository.write("root/web.yaml", &child.to_string())?;
    scene.repository.write("app/settings.yaml", &manifest("settings", "1"))?;
    let commit = scene.repository.publish("Add a root and its child").await?;
    scene.create("offspring-root", "root", automated()).await?;
    scene.synced("offspring-root", &commit).await?;
    scene.synced("apps-offspring/web", &commit).await?;
    scene.repository.remove("root/web.yaml")?;
    scene.repository.write("root/other.yaml", &manifest("other", "1"))?;
    let commit = scene.repository.publish("Remove the child").await?;
    scene.synced("offspring-root", &commit).await?;
    scene.gone(&application("apps-offspring/web")).await?;
    scene.gone(&config_map("offspring", "settings")).await
}

fn tells_of(app: &Value, words: &str) -> bool {
    app["status"]["conditions"].to_string().contains(words)
}

//! Where a project asks for signatures, a commit or tag that is not signed so is not applied: what was good before
//! stays, and the condition says which commit, why, and what to do. One that is signed goes through at once.

use anyhow::ensure;
use ithaca_tests::wait_until;
use serde_json::json;

use crate::integrity::{KEYS, SIGNERS, openpgp_key, run};
use crate::scene::{DEADLINE, PROJECTS, Scene, application, manifest, of_project, project};

impl Scene<'_> {
    async fn set(&self, settings: &[(&str, &str)]) -> anyhow::Result<()> {
        for (name, value) in settings {
            self.repository.git(&["config", name, value]).await?;
        }
        Ok(())
    }
}

#[tokio::test]
async fn a_commit_without_the_signature_that_its_project_asks_for_is_not_applied() -> anyhow::Result<()> {
    let scene = Scene::new("signed").await?;
    let folder = tempfile::tempdir()?;
    let (id, public) = openpgp_key(folder.path())?;
    let program = folder.path().join("sign").display().to_string();
    scene.set(&[("gpg.program", &program), ("user.signingkey", &id), ("commit.gpgsign", "true")]).await?;
    scene.post(PROJECTS, &project("signed", &json!({"signatureKeys": [{"keyID": &id[24..]}]}))).await?;

    // The key is missing at first; as soon as it is there, what it signed is applied.
    scene.repository.write("app/settings.yaml", &manifest("settings", "first"))?;
    let first = scene.repository.publish("Begin").await?;
    scene.create("signed", "app", of_project("signed")).await?;
    scene.refused("signed", &[&first, &id[24..], KEYS]).await?;
    scene.add_entry(KEYS, &id[24..], &public).await?;
    scene.synced("signed", &first).await?;
    scene.is_applied("signed", "first").await?;

    scene.set(&[("commit.gpgsign", "false")]).await?;
    scene.repository.write("app/settings.yaml", &manifest("settings", "second"))?;
    let second = scene.repository.publish("Change it").await?;
    scene.refused("signed", &[&second, "is not signed", &id[24..]]).await?;
    scene.refresh("signed", "hard").await?;
    scene.refused("signed", &[&second, "is not signed"]).await?;
    scene.is_applied("signed", "first").await?;

    // Nor is it by asking for that very revision.
    let sync = json!({"operation": {"sync": {"revision": second}}});
    scene.patch(&application("signed"), sync).await?;
    scene
        .wait(&application("signed"), "has its operation refused", |app| {
            let phase = &app["status"]["operationState"]["phase"];
            app["operation"].is_null() && (phase == "Error" || phase == "Failed")
        })
        .await?;
    scene.is_applied("signed", "first").await?;

    scene.set(&[("commit.gpgsign", "true")]).await?;
    scene.repository.git(&["commit", "--quiet", "--allow-empty", "-m", "Stand by it"]).await?;
    scene.repository.push().await?;
    let third = scene.repository.head().await?;
    let app = scene.synced("signed", &third).await?;
    ensure!(app["status"]["conditions"].is_null(), "{}", app["status"]["conditions"]);
    scene.is_applied("signed", "second").await
}

#[tokio::test]
async fn signers_with_ssh_keys_are_allowed_by_name_and_tags_by_their_own_signature() -> anyhow::Result<()> {
    let scene = Scene::new("signers").await?;
    let folder = tempfile::tempdir()?;
    let key = folder.path().join("key").display().to_string();
    run("ssh-keygen", &["-q", "-t", "ed25519", "-N", "", "-C", "", "-f", &key])?;
    let public = std::fs::read_to_string(folder.path().join("key.pub"))?;
    scene.add_entry(SIGNERS, "signers", &format!("signers@example.com {public}")).await?;
    let policy = |signer: &str| {
        let ssh = json!({"mode": "head", "signers": [signer]});
        json!({"sourceIntegrity": {"git": {"policies": [{"repos": [{"url": scene.repository.url}], "ssh": ssh}]}}})
    };
    scene.post(PROJECTS, &project("signers", &policy("bob@example.com"))).await?;

    // The commit is not signed; the tag is, by somebody whom the project does not name at first.
    scene.repository.write("app/settings.yaml", &manifest("settings", "tagged"))?;
    let commit = scene.repository.publish("Begin").await?;
    scene.set(&[("gpg.format", "ssh"), ("user.signingkey", &key)]).await?;
    scene.repository.git(&["tag", "-s", "-m", "One", "v1"]).await?;
    scene.repository.git(&["push", "--quiet", "origin", "v1"]).await?;
    let mut spec = of_project("signers");
    spec["source"] = json!({"targetRevision": "v1"});
    scene.create("signers", "app", spec).await?;
    scene.refused("signers", &["tag v1", "signers@example.com", "does not permit"]).await?;
    let project = format!("{PROJECTS}/signers");
    scene.patch(&project, json!({"spec": policy("signers@example.com")})).await?;
    scene.synced("signers", &commit).await?;
    scene.is_applied("signers", "tagged").await?;

    // The branch is judged by its commit.
    scene.patch(&application("signers"), json!({"spec": {"source": {"targetRevision": "main"}}})).await?;
    scene.refused("signers", &[&commit, "is not signed"]).await?;

    // A setting that cannot be read lets nothing in.
    scene.patch(&application("signers"), json!({"spec": {"source": {"targetRevision": "v1"}}})).await?;
    scene.synced("signers", &commit).await?;
    scene.patch(&project, json!({"spec": {"sourceIntegrity": {"gti": {}}}})).await?;
    scene.refused("signers", &["cannot be read", "gti"]).await?;
    scene.patch(&project, json!({"spec": {"sourceIntegrity": null}})).await?;
    wait_until("nothing is held against it", DEADLINE, async || {
        let app = scene.expect(&application("signers")).await?;
        ensure!(app["status"]["conditions"].is_null(), "{}", app["status"]["conditions"]);
        Ok(())
    })
    .await
}

#[tokio::test]
async fn in_strict_mode_all_history_is_signed_or_vouched_for() -> anyhow::Result<()> {
    let scene = Scene::new("strict").await?;
    let folder = tempfile::tempdir()?;
    let (id, public) = openpgp_key(folder.path())?;
    let program = folder.path().join("sign").display().to_string();
    scene.set(&[("gpg.program", &program), ("user.signingkey", &id)]).await?;
    scene.add_entry(KEYS, &id[24..], &public).await?;
    let policy = |mode: &str| {
        let gpg = json!({"mode": mode, "keys": [id[24..]]});
        json!({"sourceIntegrity": {"git": {"policies": [{"repos": [scene.repository.url], "gpg": gpg}]}}})
    };
    scene.post(PROJECTS, &project("strict", &policy("head"))).await?;
    let commit = async |value: &str, signed: bool, message: &str| {
        scene.set(&[("commit.gpgsign", if signed { "true" } else { "false" })]).await?;
        scene.repository.write("app/settings.yaml", &manifest("settings", value))?;
        scene.repository.publish(message).await
    };

    // The head alone is signed: enough in the one mode, and not in the other.
    let unsigned = commit("first", false, "Begin").await?;
    let second = commit("second", true, "Change it").await?;
    scene.create("strict", "app", of_project("strict")).await?;
    scene.synced("strict", &second).await?;
    scene.patch(&format!("{PROJECTS}/strict"), json!({"spec": policy("strict")})).await?;
    scene.refused("strict", &[&unsigned, &second, "is not signed", "Argocd-gpg-seal"]).await?;

    // Who vouches for what was before has to be somebody who may.
    let sealed = "Vouch for all\n\nArgocd-gpg-seal: reviewed";
    let false_seal = commit("third", false, sealed).await?;
    scene.refused("strict", &[&false_seal, "is not signed"]).await?;
    scene.is_applied("strict", "second").await?;
    let seal = commit("fourth", true, sealed).await?;
    scene.synced("strict", &seal).await?;
    scene.is_applied("strict", "fourth").await?;

    // From then on every commit counts.
    let good = commit("fifth", true, "Change it again").await?;
    scene.synced("strict", &good).await?;
    let between = commit("sixth", false, "Slip in").await?;
    commit("seventh", true, "Cover it").await?;
    scene.refused("strict", &[&between, "is not signed"]).await?;
    scene.is_applied("strict", "fifth").await
}

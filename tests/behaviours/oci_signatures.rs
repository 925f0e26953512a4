//! Where a project asks for signatures of cosign, what is in a registry and not signed so is not applied: what was good
//! before stays, and the condition says why. A signature that comes later makes it good at the next look.

use ithaca_tests::{ChartRepository, Cosign, OciRegistry, SignatureForm};
use serde_json::{Value, json};

use crate::oci_sources::{packed, reach};
use crate::scene::{PROJECTS, Scene, config_map, of_project, project};

const COSIGN_KEYS: &str = "ithaca-cosign-keys";

const TEMPLATE: &str = "\
apiVersion: v1
kind: ConfigMap
metadata:
  name: settings
data:
  value: {{ .Chart.Version | quote }}
";

/// A project that asks for a signature of one of these keys of what is in a registry.
fn asks(host: &str, keys: &[&str]) -> Value {
    let policy = json!({"repos": [{"url": format!("{host}/*")}], "cosign": {"keys": keys}});
    json!({"sourceIntegrity": {"oci": {"policies": [policy]}}})
}

fn of(name: &str, source: Value) -> Value {
    let mut spec = of_project(name);
    spec["source"] = source;
    spec
}

#[tokio::test]
async fn an_artifact_without_a_signature_of_a_permitted_key_is_not_applied() -> anyhow::Result<()> {
    let scene = Scene::new("cosigned").await?;
    let (registry, team, other) = (OciRegistry::start().await?, Cosign::new()?, Cosign::new()?);
    reach(&scene, "cosigned", &registry.host).await?;
    scene.add_entry(COSIGN_KEYS, "cosigned-other", &other.public).await?;
    scene.post(PROJECTS, &project("cosigned", &asks(&registry.host, &["cosigned-team"]))).await?;
    let stable = format!("{}/team/app:stable", registry.host);
    let source = json!({"repoURL": format!("oci://{}/team/app", registry.host), "path": "app",
                        "targetRevision": "stable"});

    // The key is missing, then the signature; when it comes, a look is enough.
    let first = registry.push_layer("team/app", "stable", &packed("first")?).await?;
    scene.create("cosigned", "", of("cosigned", source)).await?;
    scene.refused("cosigned", &[&first, "cosigned-team", COSIGN_KEYS]).await?;
    scene.add_entry(COSIGN_KEYS, "cosigned-team", &team.public).await?;
    scene.refused("cosigned", &[&first, "is not signed", "cosigned-team"]).await?;
    team.sign(&stable, SignatureForm::Bundle)?;
    scene.refresh("cosigned", "normal").await?;
    scene.synced("cosigned", &first).await?;
    scene.is_applied("cosigned", "first").await?;

    // What somebody else signed, and what the team only told something of, does not take its place.
    let second = registry.push_layer("team/app", "stable", &packed("second")?).await?;
    scene.refresh("cosigned", "normal").await?;
    scene.refused("cosigned", &[&second, "is not signed"]).await?;
    other.sign(&stable, SignatureForm::Bundle)?;
    scene.refresh("cosigned", "normal").await?;
    scene.refused("cosigned", &[&second, "none of the keys that the project permits"]).await?;
    team.attest(&stable)?;
    scene.refresh("cosigned", "normal").await?;
    scene.refused("cosigned", &[&second, "none of the keys"]).await?;
    scene.is_applied("cosigned", "first").await?;
    team.sign(&stable, SignatureForm::Tag)?;
    scene.refresh("cosigned", "normal").await?;
    scene.synced("cosigned", &second).await?;
    scene.is_applied("cosigned", "second").await?;

    // A key that is taken back counts no more, and the project may permit another.
    let keys = config_map("argocd", COSIGN_KEYS);
    scene.patch(&keys, json!({"data": {"cosigned-team": null}})).await?;
    scene.refused("cosigned", &[&second, "cosigned-team", COSIGN_KEYS]).await?;
    scene.is_applied("cosigned", "second").await?;
    let either = asks(&registry.host, &["cosigned-team", "cosigned-other"]);
    scene.patch(&format!("{PROJECTS}/cosigned"), json!({"spec": either})).await?;
    scene.synced("cosigned", &second).await.map(drop)
}

#[tokio::test]
async fn charts_in_a_registry_are_signed_as_well_and_so_is_what_they_depend_on() -> anyhow::Result<()> {
    let scene = Scene::new("cosigned-chart").await?;
    let (registry, charts, team) =
        (OciRegistry::start().await?, ChartRepository::start(None)?, Cosign::new()?);
    reach(&scene, "cosigned-chart", &registry.host).await?;
    scene.add_entry(COSIGN_KEYS, "cosigned-chart", &team.public).await?;
    scene.post(PROJECTS, &project("cosigned-chart", &asks(&registry.host, &["cosigned-chart"]))).await?;
    let push = |version: &str| {
        let archive = charts.pack("web", version, "", &[("templates/a.yaml", TEMPLATE)])?;
        registry.push_chart(&archive, "charts")
    };
    push("1.0.0")?;
    team.sign(&format!("{}/charts/web:1.0.0", registry.host), SignatureForm::Bundle)?;
    // Argo CD's way to name a registry.
    let source = json!({"repoURL": format!("{}/charts", registry.host), "path": null, "chart": "web",
                        "targetRevision": "^1"});
    scene.create("cosigned-chart", "", of("cosigned-chart", source)).await?;
    scene.synced("cosigned-chart", "1.0.0").await?;
    scene.is_applied("cosigned-chart", "1.0.0").await?;
    push("1.1.0")?;
    scene.refresh("cosigned-chart", "normal").await?;
    scene.refused("cosigned-chart", &["is not signed", "cosigned-chart"]).await?;
    scene.is_applied("cosigned-chart", "1.0.0").await?;

    // A chart in Git that depends on it.
    let parent = format!(
        "apiVersion: v2\nname: parent\nversion: 1.0.0\ndependencies:\n\
         - {{name: web, version: 1.1.0, repository: \"oci://{}/charts\"}}\n",
        registry.host
    );
    scene.repository.write("parent/Chart.yaml", &parent)?;
    let commit = scene.repository.publish("Add a chart with a dependency").await?;
    scene.create("cosigned-parent", "parent", of_project("cosigned-chart")).await?;
    scene.refused("cosigned-parent", &["failed to have chart web", "is not signed"]).await?;
    team.sign(&format!("{}/charts/web:1.1.0", registry.host), SignatureForm::Tag)?;
    scene.refresh("cosigned-parent", "normal").await?;
    scene.synced("cosigned-parent", &commit).await?;
    scene.is_applied("cosigned-parent", "1.1.0").await?;
    scene.synced("cosigned-chart", "1.1.0").await.map(drop)
}

#[tokio::test]
async fn every_kind_of_key_signs_in_both_forms() -> anyhow::Result<()> {
    let scene = Scene::new("cosigned-kinds").await?;
    let registry = OciRegistry::start().await?;
    reach(&scene, "cosigned-kinds", &registry.host).await?;
    let kinds: [(&str, &[&str]); 3] = [
        ("rsa", &["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:3072"]),
        ("ed25519", &["-algorithm", "ED25519"]),
        ("p384", &["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-384"]),
    ];
    for (kind, arguments) in kinds {
        let (key, signer) = (format!("cosigned-{kind}"), Cosign::with_key(arguments)?);
        scene.add_entry(COSIGN_KEYS, &key, &signer.public).await?;
        scene.post(PROJECTS, &project(&key, &asks(&registry.host, &[&key]))).await?;
        for form in [SignatureForm::Bundle, SignatureForm::Tag] {
            let name = format!("{key}-{form:?}").to_lowercase();
            let repository = format!("kinds/{name}");
            let digest = registry.push_layer(&repository, "1.0.0", &packed(&name)?).await?;
            signer.sign(&format!("{}/{repository}:1.0.0", registry.host), form)?;
            let url = format!("oci://{}/{repository}", registry.host);
            let source = json!({"repoURL": url, "path": "app", "targetRevision": "1.0.0"});
            scene.create(&name, "", of(&key, source)).await?;
            scene.synced(&name, &digest).await?;
            scene.is_applied(&name, &name).await?;
        }
    }
    Ok(())
}

//! What SOPS encrypted in Git is applied as it was written, whatever renders it; without the key nothing is, and it is
//! said which key is wanted.

use anyhow::ensure;
use ithaca_tests::Sops;
use serde_json::{Value, json};

use crate::scene::{Scene, application, automated, manifest};

const KEYS: &str = "/api/v1/namespaces/argocd/secrets";
const SECRET: &str =
    "apiVersion: v1\nkind: Secret\nmetadata:\n  name: db\nstringData:\n  password: 'p: s #1'\n";
const KUSTOMIZATION: &str = "\
secretGenerator:
- name: db
  envs: [db.env]
  files: [token]
  options: {disableNameSuffixHash: true}
";
const TEMPLATE: &str = "\
apiVersion: v1
kind: Secret
metadata:
  name: db
stringData:
  password: {{ .Values.password | quote }}
";

#[tokio::test]
async fn files_for_every_renderer_are_decrypted_as_soon_as_there_is_the_key() -> anyhow::Result<()> {
    let scene = Scene::new("encrypted").await?;
    let sops = Sops::new()?;
    let repository = &scene.repository;
    repository.write("plain/secret.yaml", &sops.encrypt("secret.yaml", SECRET)?)?;
    repository.write("plain/settings.yaml", &manifest("settings", "open"))?;
    repository.write("overlay/kustomization.yaml", KUSTOMIZATION)?;
    repository.write("overlay/db.env", &sops.encrypt("db.env", "PASSWORD=p: s #1\n")?)?;
    repository.write("overlay/token", &sops.encrypt("token", "{\"any\": bytes\n")?)?;
    repository.write("chart/Chart.yaml", "apiVersion: v2\nname: db\nversion: 1.0.0\n")?;
    repository.write("chart/templates/secret.yaml", TEMPLATE)?;
    repository.write("chart/secrets.yaml", &sops.encrypt("values.yaml", "password: 'p: s #1'\n")?)?;
    let commit = repository.publish("Add secrets").await?;
    let folders = ["plain", "overlay", "chart"];
    for folder in folders {
        let mut spec = automated();
        if folder == "chart" {
            spec["source"] = json!({"helm": {"valueFiles": ["secrets.yaml"]}});
        }
        scene.create(&format!("encrypted-{folder}"), folder, spec).await?;
    }

    // Nothing of what is wanted is applied, and it is said which key is missing.
    for folder in folders {
        let name = format!("encrypted-{folder}");
        let told = |app: &Value| {
            let conditions = app["status"]["conditions"].to_string();
            conditions.contains("ComparisonError") && conditions.contains(&sops.recipient)
        };
        scene.wait(&application(&name), "says which key is missing", told).await?;
        let settings = scene.get(&format!("/api/v1/namespaces/{name}/configmaps/settings")).await?;
        ensure!(settings.is_none(), "a part was applied: {settings:?}");
    }

    let key = json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "sops-age"},
        "stringData": {"keys.txt": sops.key},
    });
    scene.post(KEYS, &key).await?;
    for folder in folders {
        let name = format!("encrypted-{folder}");
        scene.synced(&name, &commit).await?;
        let secret = scene.expect(&format!("/api/v1/namespaces/{name}/secrets/db")).await?;
        let field = if folder == "overlay" { "PASSWORD" } else { "password" };
        // `p: s #1` in base64, as the API server shows it.
        ensure!(secret["data"][field] == "cDogcyAjMQ==", "{}", secret["data"]);
    }
    Ok(())
}

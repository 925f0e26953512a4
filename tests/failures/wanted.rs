//! What Git says: every object of every Application, made by Helm and Kustomize themselves and not by Ithaca.
//!
//! In: the working tree at its last commit. Out: manifests by name, and the Applications.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anyhow::{Context, ensure};
use ithaca_tests::{Repository, Stack};
use serde_json::Value;
use tokio::process::Command;

use crate::hooks::is_hook;
use crate::live::Name;
use crate::world::ROOT;

/// All that Git says.
#[derive(Default)]
pub struct Wanted {
    /// Every object but the root Application.
    pub objects: BTreeMap<Name, Manifest>,
    /// The root among them.
    pub applications: BTreeSet<String>,
}

/// One object.
pub struct Manifest {
    /// Whose it is.
    pub application: String,
    /// As it was written.
    pub manifest: Value,
}

/// Reads the folder `apps`, and all that its Applications name.
pub async fn of_apps(stack: &Stack, repository: &Repository) -> anyhow::Result<Wanted> {
    let mut wanted = Wanted::default();
    wanted.applications.insert(ROOT.to_owned());
    for application in json_files(&repository.folder.join("apps"))? {
        let name = text(&application, "/metadata/name")?;
        let namespace = text(&application, "/spec/destination/namespace")?;
        let folder = repository.folder.join(text(&application, "/spec/source/path")?);
        let manifests = render(stack, &name, &namespace, &folder).await?;
        for manifest in manifests.into_iter().filter(|manifest| !is_hook(manifest)) {
            wanted.put(&name, &namespace, manifest)?;
        }
        wanted.applications.insert(name);
        wanted.put(ROOT, "argocd", application)?;
    }
    Ok(wanted)
}

impl Wanted {
    fn put(&mut self, application: &str, namespace: &str, manifest: Value) -> anyhow::Result<()> {
        let name = Name {
            kind: text(&manifest, "/kind")?,
            namespace: namespace.to_owned(),
            name: text(&manifest, "/metadata/name")?,
        };
        self.objects.insert(name, Manifest { application: application.to_owned(), manifest });
        Ok(())
    }
}

async fn render(stack: &Stack, name: &str, namespace: &str, folder: &Path) -> anyhow::Result<Vec<Value>> {
    let path = folder.display().to_string();
    if folder.join("Chart.yaml").exists() {
        let arguments = ["template", name, &path, "--namespace", namespace];
        return documents(&stack.tools.path("helm"), &arguments).await;
    }
    if folder.join("kustomization.yaml").exists() {
        return documents(&stack.tools.path("kustomize"), &["build", &path]).await;
    }
    json_files(folder)
}

async fn documents(program: &Path, arguments: &[&str]) -> anyhow::Result<Vec<Value>> {
    let output = Command::new(program).args(arguments).output().await?;
    let errors = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "failed to run {}: {errors}", program.display());
    let text = String::from_utf8(output.stdout)?;
    let documents = serde_saphyr::from_multiple::<Value>(&text)?;
    Ok(documents.into_iter().filter(|document| !document.is_null()).collect())
}

fn json_files(folder: &Path) -> anyhow::Result<Vec<Value>> {
    let entries =
        std::fs::read_dir(folder).with_context(|| format!("failed to list {}", folder.display()))?;
    entries.map(|entry| Ok(serde_json::from_str(&std::fs::read_to_string(entry?.path())?)?)).collect()
}

fn text(value: &Value, pointer: &str) -> anyhow::Result<String> {
    let text = value.pointer(pointer).and_then(Value::as_str);
    text.map(str::to_owned).with_context(|| format!("{value} has no {pointer}"))
}

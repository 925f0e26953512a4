//! The sample repository, and root Applications for it and for any other.
//!
//! In: `tests/sample` and the address of a repository. Out: its first commit; YAML to apply.

use anyhow::Context;
use walkdir::WalkDir;

use crate::{Repository, repository_root};

/// Stands in `tests/sample` where the address of the repository belongs.
const PLACEHOLDER: &str = "https://git.example.com/home/sample.git";
const ROOT: &str = "bootstrap/root.yaml";

/// Writes the sample into an empty repository and pushes it.
///
/// # Errors
/// When a file cannot be copied or Git fails.
pub async fn publish(repository: &Repository) -> anyhow::Result<()> {
    let sample = repository_root().join("tests/sample");
    for entry in WalkDir::new(&sample) {
        let entry = entry?;
        if !entry.file_type().is_file() {
            continue;
        }
        let path = entry.path().strip_prefix(&sample)?.display().to_string();
        let text = std::fs::read_to_string(entry.path())
            .with_context(|| format!("failed to read {}", entry.path().display()))?;
        repository.write(&path, &text.replace(PLACEHOLDER, &repository.url))?;
    }
    repository.publish("Start at home").await?;
    Ok(())
}

/// The sample's root Application, as its owner would apply it.
///
/// # Errors
/// When the repository does not hold it.
pub fn root_application(repository: &Repository) -> anyhow::Result<String> {
    repository.read(ROOT)
}

/// A root Application for somebody's own repository.
#[must_use]
pub fn root_application_of(url: &str, path: &str) -> String {
    // Text in JSON is text in YAML, whatever it holds.
    let (url, path) = (serde_json::json!(url), serde_json::json!(path));
    format!(
        "apiVersion: argoproj.io/v1alpha1
kind: Application
metadata:
  name: root
  namespace: argocd
spec:
  project: default
  source:
    repoURL: {url}
    path: {path}
    targetRevision: HEAD
  destination:
    server: https://kubernetes.default.svc
    namespace: argocd
  syncPolicy:
    automated:
      prune: true
      selfHeal: true
"
    )
}

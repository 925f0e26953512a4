//! An overlay: a source and its files come in, the real `kustomize build` is run in a sandbox, and objects come back.
//!
//! What the Application says over the overlay is written into the private copy of its kustomization, so that it means
//! what it means to the tool's own `edit` commands. Bases elsewhere than in the repository are not fetched.

mod overrides;

use std::path::Path;

use ithaca_api::yaml::{self, YamlError};
use serde_json::Value;

use crate::environment::Environment;
use crate::manifest::{self, ManifestError};
use crate::sandbox::{Sandbox, SandboxError, arguments};
use crate::source::Source;

pub use overrides::OverrideError;

/// Why an overlay gives no manifests.
#[derive(Debug, thiserror::Error)]
pub enum KustomizeError {
    /// The kustomization does not parse.
    #[error("failed to read {file}: {cause}")]
    Yaml {
        /// The kustomization.
        file: String,
        /// Where and why.
        cause: YamlError,
    },
    /// What the Application says does not fit the kustomization.
    #[error("failed to change {file}: {cause}")]
    Override {
        /// The kustomization.
        file: String,
        /// Why.
        cause: OverrideError,
    },
    /// The folder that the program runs in.
    #[error(transparent)]
    Sandbox(#[from] SandboxError),
    /// The program's own error, or what ended it.
    #[error("failed to build the kustomization in \"{path}\": {cause}")]
    Build {
        /// The overlay's folder.
        path: String,
        /// What kustomize says, or which limit it met.
        cause: SandboxError,
    },
    /// Output that is no manifests.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    /// Output in another encoding.
    #[error("failed to read what the kustomization in \"{0}\" builds: it is not UTF-8")]
    Encoding(String),
}

/// Builds the overlay that `source` is; its tree is in the sandbox already.
///
/// # Errors
/// When the overlay cannot be built, passes a limit, or builds no manifests.
pub async fn render(
    kustomize: &Path,
    sandbox: &Sandbox,
    source: &Source,
    environment: &Environment,
) -> Result<Vec<Value>, KustomizeError> {
    override_copy(sandbox, source, environment)?;
    let command = arguments([&"build", &sandbox.path(&source.in_sandbox())]);
    let output = sandbox.run(kustomize, &command).await.map_err(|error| explain(error, source))?;
    let text = String::from_utf8(output).map_err(|_| KustomizeError::Encoding(source.folder.clone()))?;
    let origin = format!("the build of \"{}\"", source.folder);
    let read = manifest::from_yaml(&text, |_| &origin);
    read.error.map_or(Ok(read.objects), |error| Err(error.into()))
}

/// Writes what the Application says into the copy of the kustomization, if it says anything.
fn override_copy(
    sandbox: &Sandbox,
    source: &Source,
    environment: &Environment,
) -> Result<(), KustomizeError> {
    let Some(options) = source.request.spec.kustomize.as_ref() else { return Ok(()) };
    // Without a kustomization the tool has the best words for what it looked for.
    let Some((file, text)) = source.kustomization() else { return Ok(()) };
    let kustomization = match yaml::documents(&text).next() {
        None => Value::Null,
        Some(Ok(kustomization)) => kustomization,
        Some(Err(error)) => return Err(KustomizeError::Yaml { file, cause: error }),
    };
    let exists = |component: &str| source.has_folder(component);
    let changed = overrides::apply(kustomization, options, environment, exists)
        .map_err(|error| KustomizeError::Override { file: file.clone(), cause: error })?;
    if let Some(changed) = changed {
        let path = format!("{}/{file}", Source::root(source.index));
        sandbox.write(&path, changed.to_string().as_bytes())?;
    }
    Ok(())
}

fn explain(error: SandboxError, source: &Source) -> KustomizeError {
    let cause = error.reworded(|message| {
        let telling = message.lines().filter(|line| !line.starts_with("# Warning"));
        let lines: Vec<_> = telling.map(|line| line.strip_prefix("Error: ").unwrap_or(line)).collect();
        let mut message = lines.join("\n").replace(&format!("{}/", Source::root(source.index)), "");
        if message.contains("no 'git' program on path") || message.contains("proxyconnect") {
            message.push_str("\nbases outside of the repository are not fetched: put them into it");
        }
        message
    });
    KustomizeError::Build { path: source.folder.clone(), cause }
}

impl KustomizeError {
    /// What the program or its folder is to blame for.
    pub fn sandbox(&self) -> Option<&SandboxError> {
        match self {
            Self::Sandbox(cause) | Self::Build { cause, .. } => Some(cause),
            Self::Yaml { .. } | Self::Override { .. } | Self::Manifest(_) | Self::Encoding(_) => None,
        }
    }
}

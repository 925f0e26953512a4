//! An overlay: a source and its files come in, the real `kustomize build` is run in a sandbox, and objects come back.
//!
//! What the Application says over the overlay is written into the private copy of its kustomization, so that it means
//! what it means to the tool's own `edit` commands. Bases and charts of other repositories came with the files: nothing is
//! fetched here, so what a kustomization names by URL is called by where it lies.

mod image;
mod options;
mod overrides;
mod references;

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use ithaca_api::yaml::{self, YamlError};
use ithaca_proto::v1::{Capabilities, Reference};
use serde_json::Value;

use crate::environment::Environment;
use crate::manifest::{self, ManifestError};
use crate::sandbox::{Sandbox, SandboxError, arguments};
use crate::source::Source;

use options::BuildOptions;
pub use options::OptionError;
pub use overrides::OverrideError;

/// What programs of others would do to an overlay is not done here.
const NO_PROGRAMS: &str = "plugins and functions of kustomize are programs of their own and are not run";
/// What would be fetched and is not.
const NOT_FETCHED: &str =
    "what a kustomization names by URL is fetched under resources, bases, components and helmCharts alone";
/// How the names of folders begin in which the tool inflates charts.
const INFLATED: &str = "kustomize-helm-";
/// How charts come to be inflated.
const NO_HELM: &str =
    "overlays inflate charts where kustomize.buildOptions of the ConfigMap argocd-cm has --enable-helm";

/// Why an overlay gives no manifests.
#[derive(Debug, thiserror::Error)]
pub enum KustomizeError {
    /// Another version of the program is wanted.
    #[error("failed to find kustomize {version}, for which the source asks: this renderer has {}", known.join(", "))]
    Version {
        /// spec.source.kustomize.version.
        version: String,
        /// The versions that are here.
        known: Vec<String>,
    },
    /// The installation's options.
    #[error("failed to read the kustomize.buildOptions \"{options}\" of the ConfigMap argocd-cm: {cause}")]
    Options {
        /// As written.
        options: String,
        /// Which option, and why.
        cause: OptionError,
    },
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

/// The programs, and what they are told of the destination.
#[derive(Clone, Copy, Debug)]
pub struct Tools<'a> {
    /// The real kustomize.
    pub kustomize: &'a Path,
    /// Its versions that an Application may ask for.
    pub versions: &'a BTreeMap<String, PathBuf>,
    /// The real helm, for charts that an overlay inflates.
    pub helm: &'a Path,
    /// What such charts may ask for.
    pub capabilities: &'a Capabilities,
}

/// Builds the overlay that `source` is; its tree is in the sandbox already.
///
/// # Errors
/// When the overlay cannot be built, passes a limit, or builds no manifests.
pub async fn render(
    tools: Tools<'_>,
    sandbox: &Sandbox,
    source: &Source,
    environment: &Environment,
) -> Result<Vec<Value>, KustomizeError> {
    let kustomize = program(tools, source)?;
    let command = command(tools, sandbox, source)?;
    change_copies(sandbox, source, environment)?;
    let output =
        sandbox.run_with(kustomize, &[tools.helm], &command).await.map_err(|error| explain(error, source))?;
    let text = String::from_utf8(output).map_err(|_| KustomizeError::Encoding(source.folder.clone()))?;
    let origin = format!("the build of \"{}\"", source.folder);
    let read = manifest::from_yaml(&text, |_| &origin);
    read.error.map_or(Ok(read.objects), |error| Err(error.into()))
}

/// The program in the version that the source asks for.
fn program<'a>(tools: Tools<'a>, source: &Source) -> Result<&'a Path, KustomizeError> {
    let version = source.request.spec.kustomize.as_ref().map_or("", |options| options.version.as_str());
    if version.is_empty() {
        return Ok(tools.kustomize);
    }
    let found = tools.versions.get(version).map(PathBuf::as_path);
    found.ok_or_else(|| KustomizeError::Version {
        version: version.to_owned(),
        known: tools.versions.keys().cloned().collect(),
    })
}

/// The command line: what the installation says, and what charts may ask for.
fn command(tools: Tools<'_>, sandbox: &Sandbox, source: &Source) -> Result<Vec<OsString>, KustomizeError> {
    let text = &source.request.build_options;
    let options = BuildOptions::parse(text)
        .map_err(|cause| KustomizeError::Options { options: text.clone(), cause })?;
    let mut command = arguments([&"build", &sandbox.path(&source.in_sandbox())]);
    command.extend(options.arguments());
    if !options.inflates() {
        return Ok(command);
    }
    command.extend(arguments([&"--helm-command", &tools.helm]));
    let spec = source.request.spec.kustomize.clone().unwrap_or_default();
    let kube_version = Some(spec.kube_version).filter(|own| !own.is_empty());
    let kube_version = kube_version.unwrap_or_else(|| tools.capabilities.kube_version.clone());
    if !kube_version.is_empty() && !options.has(options::KUBE_VERSION) {
        command.extend(arguments([&options::KUBE_VERSION, &kube_version]));
    }
    let api_versions =
        if spec.api_versions.is_empty() { &tools.capabilities.api_versions } else { &spec.api_versions };
    for version in api_versions {
        command.extend(arguments([&options::API_VERSIONS, version]));
    }
    Ok(command)
}

/// Writes what the Application says into the copy of its kustomization, and into all copies where that lies now what they
/// name by URL.
fn change_copies(
    sandbox: &Sandbox,
    source: &Source,
    environment: &Environment,
) -> Result<(), KustomizeError> {
    let own = source.tree.resolve(&source.folder).unwrap_or_else(|_| source.folder.clone());
    let references = &source.request.references;
    let folders: BTreeSet<&str> =
        references.iter().map(|reference| reference.folder.as_str()).chain([own.as_str()]).collect();
    for folder in folders {
        // Without a kustomization the tool has the best words for what it looked for.
        let Some((file, text)) = source.kustomization(folder) else { continue };
        let options = source.request.spec.kustomize.as_ref().filter(|_| folder == own);
        let mut here = references.iter().filter(|reference| reference.folder == folder).peekable();
        if options.is_none() && here.peek().is_none() {
            continue;
        }
        let mut kustomization = match yaml::documents(&text).next() {
            None => Value::Null,
            Some(Ok(kustomization)) => kustomization,
            Some(Err(error)) => return Err(KustomizeError::Yaml { file, cause: error }),
        };
        let exists = |component: &str| {
            source.has_folder(component)
                || here.clone().any(|Reference { written, .. }| written.as_str() == component)
        };
        let overridden =
            options.map(|options| overrides::apply(&kustomization, options, environment, exists));
        let overridden = overridden
            .transpose()
            .map_err(|error| KustomizeError::Override { file: file.clone(), cause: error })?
            .flatten();
        let mut is_changed = overridden.is_some();
        kustomization = overridden.unwrap_or(kustomization);
        is_changed |= references::localise(&mut kustomization, here);
        if is_changed {
            let path = format!("{}/{file}", Source::root(source.index));
            sandbox.replace(&path, kustomization.to_string().as_bytes())?;
        }
    }
    Ok(())
}

fn explain(error: SandboxError, source: &Source) -> KustomizeError {
    let cause = error.reworded(|message| {
        let telling = message.lines().filter(|line| !line.starts_with("# Warning"));
        let lines: Vec<_> = telling.map(|line| line.strip_prefix("Error: ").unwrap_or(line)).collect();
        let message = lines.join("\n").replace(&format!("{}/", Source::root(source.index)), "");
        let mut message = unnumbered(&message);
        let hints = [
            (&["no 'git' program on path", "proxyconnect"][..], NOT_FETCHED),
            (&["external plugins disabled", "function: exec"], NO_PROGRAMS),
            (&["must specify --enable-helm"], NO_HELM),
        ];
        for (signs, hint) in hints {
            if signs.iter().any(|sign| message.contains(sign)) {
                message.push('\n');
                message.push_str(hint);
            }
        }
        message
    });
    KustomizeError::Build { path: source.folder.clone(), cause }
}

/// A text without the number of the folder in which charts are inflated: it is another each time.
fn unnumbered(text: &str) -> String {
    let is_digit = |character: char| character.is_ascii_digit();
    let mut parts = text.split(INFLATED);
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |told, part| told + INFLATED + part.trim_start_matches(is_digit))
}

impl KustomizeError {
    /// What the program or its folder is to blame for.
    pub fn sandbox(&self) -> Option<&SandboxError> {
        match self {
            Self::Sandbox(cause) | Self::Build { cause, .. } => Some(cause),
            Self::Version { .. }
            | Self::Options { .. }
            | Self::Yaml { .. }
            | Self::Override { .. }
            | Self::Manifest(_)
            | Self::Encoding(_) => None,
        }
    }
}

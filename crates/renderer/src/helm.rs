//! A chart: a source, its siblings and the destination's capabilities come in, the command line for the real `helm` goes out,
//! is run in a sandbox, and objects come back. Charts in repositories of charts are the watcher's to fetch.

mod values;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use ithaca_api::build_environment::plain_version;
use ithaca_api::source::{Helm, HelmParameter};
use ithaca_proto::v1::Capabilities;
use serde_json::Value;

use crate::environment::Environment;
use crate::manifest::{self, ManifestError};
use crate::sandbox::{Sandbox, SandboxError, arguments};
use crate::source::Source;
use values::ValuesError;

/// What a chart's dependencies that are not there are called by helm.
const MISSING_DEPENDENCIES: &str = "missing in charts/ directory";

/// What is to be done about them.
const NOT_FETCHED: &str =
    "a dependency without a repository is not fetched: put it into the chart's charts folder";

/// Why a chart gives no manifests.
#[derive(Debug, thiserror::Error)]
pub enum HelmError {
    /// A value file.
    #[error(transparent)]
    Values(#[from] ValuesError),
    /// A version of Kubernetes that is none.
    #[error("failed to read the Kubernetes version \"{0}\" for the chart: write it as 1.37 or 1.37.2")]
    KubeVersion(String),
    /// The folder that the program runs in.
    #[error(transparent)]
    Sandbox(#[from] SandboxError),
    /// The program's own error, or what ended it.
    #[error("failed to render the chart in \"{path}\": {cause}")]
    Chart {
        /// The chart's folder.
        path: String,
        /// What helm says, or which limit it met.
        cause: SandboxError,
    },
    /// Output that is no manifests.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    /// Output in another encoding.
    #[error("failed to read what the chart in \"{0}\" renders: it is not UTF-8")]
    Encoding(String),
}

/// What a chart is rendered for.
#[derive(Clone, Copy, Debug)]
pub struct Release<'a> {
    /// Its name where the source gives none: the Application's.
    pub name: &'a str,
    /// spec.destination.namespace.
    pub namespace: &'a str,
    /// Of the destination.
    pub capabilities: &'a Capabilities,
}

/// Renders the chart that source `index` of `sources` is.
///
/// # Errors
/// When a value file is missing, the chart fails or passes a limit, or what it renders is no manifest.
pub async fn render(
    helm: &Path,
    sandbox: &Sandbox,
    sources: &[Source],
    index: usize,
    release: Release<'_>,
    environment: &Environment,
) -> Result<Vec<Value>, HelmError> {
    let source = &sources[index];
    let options = source.request.spec.helm.clone().unwrap_or_default();
    let files = values::locate(&options, sources, index, environment)?;
    let placed = files.values.iter().map(|file| file.place(sandbox, sources));
    let mut value_files: Vec<PathBuf> = placed.collect::<Result<_, _>>()?;
    if let Some(inline) = inline_values(&options) {
        value_files.push(sandbox.write("values/inline.yaml", inline.as_bytes())?);
    }
    let chart = sandbox.path(&source.in_sandbox());
    let mut command = arguments([&"template", &chart]);
    command.extend(flags(&options, release, environment)?);
    for (name, file) in &files.parameters {
        let path = file.place(sandbox, sources)?;
        let assignment = format!("{name}={}", escaped(&path.to_string_lossy()));
        command.extend(arguments([&"--set-file", &assignment]));
    }
    for path in &value_files {
        command.extend(arguments([&"--values", path]));
    }
    let output = sandbox.run(helm, &command).await.map_err(|error| explain(error, &source.folder))?;
    let text = String::from_utf8(output).map_err(|_| HelmError::Encoding(source.folder.clone()))?;
    let names: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("# Source: ")).collect();
    let name = |document: usize| *names.get(document - 1).unwrap_or(&"the chart's output");
    let read = manifest::from_yaml(&text, name);
    read.error.map_or(Ok(read.objects), |error| Err(error.into()))
}

/// All of the command line that needs no file.
fn flags(
    options: &Helm,
    release: Release<'_>,
    environment: &Environment,
) -> Result<Vec<OsString>, HelmError> {
    let or = |own: &str, other: &str| if own.is_empty() { other.to_owned() } else { own.to_owned() };
    let mut flags = vec!["--name-template".to_owned(), or(&options.release_name, release.name)];
    let mut add = |flag: &str, value: String| {
        if !value.is_empty() {
            flags.extend([flag.to_owned(), value]);
        }
    };
    add("--namespace", or(&options.namespace, release.namespace));
    add("--kube-version", kube_version(or(&options.kube_version, &release.capabilities.kube_version))?);
    for (name, value) in parameters(&options.parameters, false) {
        add("--set", format!("{name}={}", escaped(&environment.expand(value))));
    }
    for (name, value) in parameters(&options.parameters, true) {
        add("--set-string", format!("{name}={}", escaped(&environment.expand(value))));
    }
    let api_versions = match options.api_versions.as_slice() {
        [] => &release.capabilities.api_versions,
        _ => &options.api_versions,
    };
    for version in api_versions {
        add("--api-versions", version.clone());
    }
    flags.push(if options.skip_crds { "--skip-crds" } else { "--include-crds" }.to_owned());
    let switches =
        [(options.skip_tests, "--skip-tests"), (options.skip_schema_validation, "--skip-schema-validation")];
    flags.extend(switches.into_iter().filter(|(on, _)| *on).map(|(_, flag)| flag.to_owned()));
    Ok(flags.into_iter().map(OsString::from).collect())
}

/// The version as charts see it: without what a distribution adds.
fn kube_version(version: String) -> Result<String, HelmError> {
    if version.is_empty() {
        return Ok(version);
    }
    plain_version(&version).ok_or(HelmError::KubeVersion(version))
}

/// The last value of each name, in a stable order.
fn parameters(parameters: &[HelmParameter], as_text: bool) -> BTreeMap<&str, &str> {
    parameters
        .iter()
        .filter(|parameter| parameter.force_string == as_text)
        .map(|parameter| (parameter.name.as_str(), parameter.value.as_str()))
        .collect()
}

/// Commas belong to the value and do not begin another one, unless the value is a list.
fn escaped(value: &str) -> String {
    if value.starts_with('{') && value.ends_with('}') {
        return value.to_owned();
    }
    let mut escaped = String::with_capacity(value.len());
    let mut before = ' ';
    for character in value.chars() {
        if character == ',' && before != '\\' {
            escaped.push('\\');
        }
        escaped.push(character);
        before = character;
    }
    escaped
}

/// The values in the spec itself: the object wins over the text.
fn inline_values(options: &Helm) -> Option<String> {
    match &options.values_object {
        Some(values) if !values.is_null() => Some(values.to_string()),
        _ => Some(options.values.clone()).filter(|values| !values.is_empty()),
    }
}

fn explain(error: SandboxError, path: &str) -> HelmError {
    let cause = error.reworded(|message| {
        let lines = message.lines();
        let telling =
            lines.filter(|line| !line.starts_with("Use --debug flag") && !line.starts_with("level="));
        let mut told: Vec<_> = telling.map(|line| line.strip_prefix("Error: ").unwrap_or(line)).collect();
        // All others are there: the watcher fetched them, or found them in the chart's own repository.
        if message.contains(MISSING_DEPENDENCIES) {
            told.push(NOT_FETCHED);
        }
        told.join("\n")
    });
    HelmError::Chart { path: path.to_owned(), cause }
}

impl HelmError {
    /// What the program or its folder is to blame for.
    pub fn sandbox(&self) -> Option<&SandboxError> {
        match self {
            Self::Sandbox(cause) | Self::Chart { cause, .. } => Some(cause),
            Self::Values(_) | Self::KubeVersion(_) | Self::Manifest(_) | Self::Encoding(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("a,b", r"a\,b")]
    #[case(r"a\,b", r"a\,b")]
    #[case("{a,b}", "{a,b}")]
    #[case("plain", "plain")]
    fn commas_belong_to_the_value(#[case] value: &str, #[case] expected: &str) {
        assert_eq!(escaped(value), expected);
    }
}

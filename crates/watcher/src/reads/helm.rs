//! A chart reads its folder, the value files that its source names, and the charts beside it that it
//! depends on.

use ithaca_api::build_environment::{self, Environment};
use serde_json::Value;

use super::error::ReadError;
use super::path::{self, fixed_part, is_remote};
use super::reader::Reader;
use super::tree::Kind;

pub(super) fn read(
    reader: &mut Reader<'_>,
    index: usize,
    folder: &str,
    environment: &Environment,
) -> Result<(), ReadError> {
    chart(reader, index, folder)?;
    let Some(helm) = &reader.source(index).helm else { return Ok(()) };
    let parameters = helm.file_parameters.iter().map(|parameter| &parameter.path);
    for file in helm.value_files.iter().chain(parameters) {
        value_file(reader, index, folder, environment, file)?;
    }
    Ok(())
}

/// A value file: from the chart, with a leading slash from the root, or from another source.
fn value_file(
    reader: &mut Reader<'_>,
    index: usize,
    folder: &str,
    environment: &Environment,
    file: &str,
) -> Result<(), ReadError> {
    let reference = file.strip_prefix('$').map(|rest| rest.split_once('/').unwrap_or((rest, "")));
    let referenced = reference.and_then(|(name, within)| Some((reader.referenced(name)?, within)));
    let (source, base, within) = match referenced {
        Some((source, within)) => (source, "", within),
        None if build_environment::begins_with_unknown(file) => {
            return Err(ReadError::UnknownReference { file: file.to_owned() });
        }
        None => (index, folder, file),
    };
    // What is not known before a commit or a destination is: whatever lies in the folder where it is asked for.
    let expanded = environment.expand_known(within);
    let within = expanded.as_deref().unwrap_or(within);
    if is_remote(within) {
        return Ok(());
    }
    let base = if within.starts_with('/') { "" } else { base };
    let at =
        path::join(base, fixed_part(within)).ok_or_else(|| ReadError::Escape { path: file.to_owned() })?;
    if source != index || !reader.covers(source, &at) {
        reader.read(source, &at)?;
    }
    Ok(())
}

/// A chart's folder, and those of `file://` dependencies.
fn chart(reader: &mut Reader<'_>, index: usize, folder: &str) -> Result<(), ReadError> {
    let mut charts = vec![folder.to_owned()];
    let mut seen = Vec::new();
    while let Some(folder) = charts.pop() {
        if seen.contains(&folder) {
            continue;
        }
        let (folder, kind) = reader.read(index, &folder)?;
        seen.push(folder.clone());
        if kind != Some(Kind::Folder) {
            continue;
        }
        for name in ["Chart.yaml", "requirements.yaml"] {
            let text = (reader.files(index).text)(&path::join(&folder, name).unwrap_or_default());
            for dependency in text.iter().flat_map(|text| local_dependencies(text)) {
                let at = path::join(&folder, &dependency).ok_or(ReadError::Escape { path: dependency })?;
                charts.push(at);
            }
        }
    }
    Ok(())
}

/// The paths of dependencies that lie in the repository. What does not parse has none: it is the
/// renderer that reports it.
fn local_dependencies(text: &[u8]) -> Vec<String> {
    let parsed: Option<Value> =
        std::str::from_utf8(text).ok().and_then(|text| serde_saphyr::from_str(text).ok());
    let dependencies = parsed.as_ref().and_then(|chart| chart["dependencies"].as_array());
    dependencies
        .into_iter()
        .flatten()
        .filter_map(|dependency| dependency["repository"].as_str()?.strip_prefix("file://"))
        .map(str::to_owned)
        .collect()
}

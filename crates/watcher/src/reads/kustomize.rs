//! An overlay reads its folder and every folder and file outside of it that a kustomization refers to,
//! and what those refer to in turn.

use ithaca_api::source_type::KUSTOMIZATION_FILES;
use serde_json::Value;

use super::error::ReadError;
use super::path::{self, is_remote};
use super::reader::Reader;
use super::tree::Kind;

/// Fields that hold a list of paths, or of inline texts that no path looks like.
const PATHS: [&str; 11] = [
    "resources",
    "bases",
    "components",
    "crds",
    "configurations",
    "generators",
    "transformers",
    "validators",
    "patchesStrategicMerge",
    "patches",
    "replacements",
];
/// Fields of list entries that hold a path or a list of them.
const ENTRY_PATHS: [&str; 6] = ["path", "files", "envs", "env", "valuesFile", "additionalValuesFiles"];
/// Fields that hold such entries.
const ENTRIES: [&str; 7] = [
    "patches",
    "patchesJson6902",
    "replacements",
    "configMapGenerator",
    "secretGenerator",
    "helmCharts",
    "helmChartInflationGenerator",
];

pub(super) fn read(reader: &mut Reader<'_>, index: usize, folder: &str) -> Result<(), ReadError> {
    reader.read(index, folder)?;
    let mut folders = vec![folder.to_owned()];
    if let Some(kustomize) = &reader.source(index).kustomize {
        let patches = kustomize.patches.iter().map(|patch| &patch.path);
        for reference in kustomize.components.iter().chain(patches) {
            refer(reader, index, folder, reference, &mut folders)?;
        }
    }
    let mut seen = Vec::new();
    while let Some(folder) = folders.pop() {
        if seen.contains(&folder) {
            continue;
        }
        for reference in kustomization(reader, index, &folder).iter().flat_map(references) {
            refer(reader, index, &folder, &reference, &mut folders)?;
        }
        seen.push(folder);
    }
    Ok(())
}

/// Reads what a kustomization in `folder` refers to; folders are to be looked into as well.
fn refer(
    reader: &mut Reader<'_>,
    index: usize,
    folder: &str,
    reference: &str,
    folders: &mut Vec<String>,
) -> Result<(), ReadError> {
    let is_inline = reference.contains('\n') || reference.trim_start().starts_with(['{', '[']);
    if reference.is_empty() || is_inline || reference.starts_with('/') {
        return Ok(());
    }
    // The program would fetch it from wherever it can reach.
    if is_remote(reference) {
        return Err(ReadError::Elsewhere { path: reference.to_owned() });
    }
    let at = path::join(folder, reference).ok_or_else(|| ReadError::Escape { path: reference.to_owned() })?;
    let kind = match (reader.files(index).entry)(&at) {
        Some(entry) if reader.covers(index, &at) && entry.kind != Kind::Link => Some(entry.kind),
        // Shorthands such as `example.org/group/repository` name no path here.
        None if reference
            .split('/')
            .next()
            .is_some_and(|host| host.contains('.') && !host.starts_with('.')) =>
        {
            None
        }
        _ => reader.read(index, &at)?.1,
    };
    if kind == Some(Kind::Folder) {
        folders.push(at);
    }
    Ok(())
}

fn kustomization(reader: &Reader<'_>, index: usize, folder: &str) -> Option<Value> {
    let files = reader.files(index);
    let text = KUSTOMIZATION_FILES.iter().find_map(|name| (files.text)(&path::join(folder, name)?))?;
    serde_saphyr::from_str(std::str::from_utf8(&text).ok()?).ok()
}

/// Every path that a kustomization names.
fn references(kustomization: &Value) -> Vec<String> {
    let mut found = Vec::new();
    for field in PATHS {
        let entries = kustomization[field].as_array().into_iter().flatten();
        found.extend(entries.filter_map(Value::as_str).map(str::to_owned));
    }
    for entry in ENTRIES.iter().flat_map(|field| kustomization[field].as_array().into_iter().flatten()) {
        for value in ENTRY_PATHS.iter().map(|field| &entry[field]) {
            found.extend(value.as_str().map(file_of));
            found.extend(value.as_array().into_iter().flatten().filter_map(Value::as_str).map(file_of));
        }
    }
    found.extend(kustomization["openapi"]["path"].as_str().map(str::to_owned));
    found.extend(kustomization["helmGlobals"]["chartHome"].as_str().map(str::to_owned));
    found
}

/// Generators may write `key=file`.
fn file_of(entry: &str) -> String {
    entry.split_once('=').map_or(entry, |(_, file)| file).to_owned()
}

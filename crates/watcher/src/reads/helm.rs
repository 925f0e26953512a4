//! A chart reads its folder, the value files that its source names, and the charts beside it that it
//! depends on.

use ithaca_api::build_environment::{self, Environment};
use ithaca_api::source::remote_value_folder;
use ithaca_api::without_credentials;

use super::dependencies::{self, Dependency};
use super::error::ReadError;
use super::path::{self, fixed_part};
use super::reader::Reader;
use super::tree::Kind;
use super::{Want, What};
use crate::repository::wanted;
use crate::tools::Tools;
use crate::value_file::NEWEST;

pub(super) fn read(
    reader: &mut Reader<'_>,
    index: usize,
    folder: &str,
    environment: &Environment,
    tools: &Tools,
) -> Result<(), ReadError> {
    chart(reader, index, folder)?;
    let Some(helm) = &reader.source(index).helm else { return Ok(()) };
    let parameters = helm.file_parameters.iter().map(|parameter| &parameter.path);
    for file in helm.value_files.iter().chain(parameters) {
        match url(environment, file)? {
            Some(url) => remote_value_file(reader, index, &url, tools)?,
            None => value_file(reader, index, folder, environment, file)?,
        }
    }
    Ok(())
}

/// The URL that a value file is named by, if it is one. It must be known whatever the commit is.
fn url(environment: &Environment, file: &str) -> Result<Option<String>, ReadError> {
    match environment.expand_known(file) {
        Some(url) if url.contains("://") => Ok(Some(url)),
        None if file.contains("://") => Err(ReadError::LateUrl { file: without_credentials(file) }),
        _ => Ok(None),
    }
}

/// A value file at a URL is had as a chart of another repository is.
fn remote_value_file(
    reader: &mut Reader<'_>,
    index: usize,
    url: &str,
    tools: &Tools,
) -> Result<(), ReadError> {
    let scheme = url.split("://").next().unwrap_or_default().to_ascii_lowercase();
    if !tools.value_file_schemes.contains(&scheme) {
        return Err(ReadError::Scheme { file: without_credentials(url), scheme });
    }
    let (path, repository) = (remote_value_folder(url), url.to_owned());
    let (chart, revision) = (String::new(), NEWEST.to_owned());
    reader.want(Want { what: What::ValueFile, source: index, path, repository, chart, revision })
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
    let base = if within.starts_with('/') { "" } else { base };
    let at =
        path::join(base, fixed_part(within)).ok_or_else(|| ReadError::Escape { path: file.to_owned() })?;
    if source != index || !reader.covers(source, &at) {
        reader.read(source, &at)?;
    }
    Ok(())
}

/// A chart's folder, and what it depends on that is not in it: folders beside it, and charts of other repositories.
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
        let files = reader.files(index);
        let text = |name: &str| (files.text)(&path::join(&folder, name).unwrap_or_default());
        for (name, lock) in dependencies::FILES {
            let Some(chart) = text(name) else { continue };
            for dependency in dependencies::read(&chart, text(lock).as_deref()) {
                charts.extend(depend(reader, index, &folder, dependency)?);
            }
        }
    }
    Ok(())
}

/// Reads what a chart in a folder depends on, and lays it into the chart unless its author did. Gives the folder of a
/// dependency that lies in the repository.
fn depend(
    reader: &mut Reader<'_>,
    index: usize,
    folder: &str,
    Dependency { name, version, repository }: Dependency,
) -> Result<Option<String>, ReadError> {
    let charts = path::join(folder, "charts").unwrap_or_default();
    let inside = (reader.files(index).list)(&charts);
    let is_packed = dependencies::is_packed(&name, inside.iter().map(|(name, _)| name.as_str()));
    let at = format!("{charts}/{name}");
    if let Some(local) = repository.strip_prefix("file://") {
        let from = path::join(folder, local).ok_or_else(|| ReadError::Escape { path: local.to_owned() })?;
        let (from, kind) = reader.read(index, &from)?;
        if kind == Some(Kind::Folder) && !is_packed {
            reader.lay(index, at, from.clone())?;
        }
        return Ok(Some(from));
    }
    if !repository.is_empty() && !is_packed {
        let helm = reader.source(index).helm.as_ref();
        let revision = wanted::of_chart(&version, helm.is_some_and(|helm| helm.pass_credentials));
        reader.want(Want {
            what: What::Dependency,
            source: index,
            path: at,
            repository,
            chart: name,
            revision,
        })?;
    }
    Ok(None)
}

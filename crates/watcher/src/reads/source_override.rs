//! Where a source begins, and what files there say over it: a source as its spec has it comes in, its folder and the
//! source that is to be rendered go out.

use ithaca_api::{ApplicationSource, source_override};

use super::Application;
use super::error::ReadError;
use super::path;
use super::reader::Reader;
use super::tree::Kind;

/// A source's folder, and the source that is to be rendered from it.
pub(super) struct Place {
    /// Links followed.
    pub folder: String,
    /// Where files in the folder say anything.
    pub overridden: Option<ApplicationSource>,
}

/// Finds the place of a source; None where it only lends its files.
pub(super) fn place(
    reader: &mut Reader<'_>,
    index: usize,
    application: &Application,
) -> Result<Option<Place>, ReadError> {
    let source = reader.source(index);
    if source.is_reference_only() {
        return Ok(None);
    }
    let written =
        path::join("", &source.path).ok_or_else(|| ReadError::Escape { path: source.path.clone() })?;
    let folder = reader.folder(index, &written)?;
    let mut overridden = None;
    for name in source_override::file_names(&application.instance) {
        let at = path::join(&folder, &name).ok_or(ReadError::Escape { path: name })?;
        if (reader.files(index).entry)(&at).is_none() {
            continue;
        }
        let (real, kind) = reader.read(index, &at)?;
        if !matches!(kind, Some(Kind::File | Kind::Executable)) {
            continue;
        }
        let text = (reader.files(index).text)(&real).ok_or(ReadError::TooLong { path: at.clone() })?;
        let merged = source_override::merge(overridden.as_ref().unwrap_or(source), &at, &text)?;
        overridden = Some(merged);
    }
    Ok(Some(Place { folder, overridden }))
}

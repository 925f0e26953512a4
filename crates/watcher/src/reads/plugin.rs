//! What a plugin renders is read as a whole, since only the plugin knows what it looks at: the source's folder, what its
//! links lead to, what a chart or an overlay in it needs, and what the Application names in `manifest-generate-paths`.
//! Whether plugins are asked about a source that names no tool is decided by the names of its files.

use globset::{GlobBuilder, GlobSet, GlobSetBuilder};
use ithaca_api::build_environment::Environment;
use ithaca_api::source_type::EnabledTools;
use ithaca_api::{GeneratePaths, SourceType};

use super::error::ReadError;
use super::path::fixed_part;
use super::reader::Reader;
use super::tree::Kind;
use super::{helm, kustomize};
use crate::tools::Tools;

/// Files by whose names plugins are asked about a source, as patterns from the source's folder.
#[derive(Clone, Debug, Default)]
pub struct PluginFiles {
    patterns: GlobSet,
    reach_below: bool,
}

impl PluginFiles {
    /// From patterns in which `*` ends at a slash, and `**` does not.
    ///
    /// # Errors
    /// When one of them is no pattern.
    pub fn new<'a>(patterns: impl IntoIterator<Item = &'a str>) -> Result<Self, globset::Error> {
        let (mut set, mut reach_below) = (GlobSetBuilder::new(), false);
        for pattern in patterns.into_iter().map(str::trim).filter(|pattern| !pattern.is_empty()) {
            let pattern = pattern.strip_prefix("./").unwrap_or(pattern);
            set.add(GlobBuilder::new(pattern).literal_separator(true).backslash_escape(true).build()?);
            reach_below |= pattern.contains('/') || pattern.contains("**");
        }
        Ok(Self { patterns: set.build()?, reach_below })
    }

    /// Whether a folder holds such a file.
    fn are_in(&self, reader: &mut Reader<'_>, index: usize, folder: &str) -> Result<bool, ReadError> {
        let files = reader.files(index);
        let mut folders = vec![String::new()];
        while let Some(inside) = folders.pop() {
            for (name, entry) in (files.list)(&joined(folder, &inside)) {
                let below = joined(&inside, &name);
                reader.look_at(&below, entry.kind)?;
                match entry.kind {
                    Kind::Folder if self.reach_below => folders.push(below),
                    Kind::Folder | Kind::Module => {}
                    Kind::File | Kind::Executable | Kind::Link if self.patterns.is_match(&below) => {
                        return Ok(true);
                    }
                    Kind::File | Kind::Executable | Kind::Link => {}
                }
            }
        }
        Ok(false)
    }
}

/// Whether plugins are asked about a source that names no tool.
pub(super) fn are_asked(
    reader: &mut Reader<'_>,
    index: usize,
    folder: &str,
    files: &PluginFiles,
) -> Result<bool, ReadError> {
    if files.patterns.is_empty() {
        return Ok(false);
    }
    // Another file may change the answer.
    reader.decide_by(index, folder);
    files.are_in(reader, index, folder)
}

/// Reads all that a plugin may look at.
pub(super) fn read(
    reader: &mut Reader<'_>,
    index: usize,
    folder: &str,
    named: Option<&GeneratePaths>,
) -> Result<(), ReadError> {
    reader.read(index, folder)?;
    let Some(named) = named else { return Ok(()) };
    let paths = named.of_source(&reader.source(index).path);
    paths.paths().try_for_each(|path| reader.read(index, fixed_part(path)).map(drop))
}

/// Reads what a chart or an overlay in the folder needs beyond it, for plugins that run helm or kustomize. What cannot be
/// had is left out: whether it is needed, only the plugin knows.
pub(super) fn read_as_others(
    reader: &mut Reader<'_>,
    index: usize,
    folder: &str,
    names: &[String],
    environment: &Environment,
    tools: &Tools,
) {
    let read = match SourceType::of_files(EnabledTools::default(), names.iter().map(String::as_str)) {
        SourceType::Helm => helm::read(reader, index, folder, environment, tools),
        SourceType::Kustomize => {
            let read = kustomize::read(reader, index, folder).map(drop);
            // Nobody would write into the plugin's copies where that lies.
            reader.leave_elsewhere(index);
            read
        }
        SourceType::Directory | SourceType::Plugin => Ok(()),
    };
    if let Err(error) = read {
        tracing::debug!(%error, folder, "failed to find all that a plugin may read");
    }
}

fn joined(folder: &str, name: &str) -> String {
    match (folder, name) {
        ("", name) => name.to_owned(),
        (folder, "") => folder.to_owned(),
        (folder, name) => format!("{folder}/{name}"),
    }
}

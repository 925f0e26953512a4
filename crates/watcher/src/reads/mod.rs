//! Which paths of its repositories an application reads, and which Git objects they hold.
//!
//! What comes in: the sources of an application and a view on the files of each one's commit. What goes
//! out: for every source the paths that its rendering may read with their object ids, so that a commit
//! which leaves them alone concerns nobody. Reading too much costs a rendering; reading too little would
//! miss a change, so in doubt a path is read. What it does not do: touch Git, a disk or a network.

mod directory;
mod error;
mod helm;
mod kustomization;
mod kustomize;
mod path;
mod reader;
mod tree;

use std::collections::BTreeMap;

pub use error::ReadError;
use ithaca_api::{ApplicationSource, SourceType};
pub use tree::{Entry, Files, Kind};

use reader::Reader;

/// What one source reads.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reads {
    /// All that rendering may read: the object id by path, empty where nothing is at the path.
    pub paths: BTreeMap<String, String>,
    /// All that decided on `paths`: while these are the same, so are those.
    pub decided_by: BTreeMap<String, String>,
    /// Whether the source is an overlay, which the installation's build options concern.
    pub is_overlay: bool,
}

/// What all sources of an application read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Derived {
    /// In the order of the sources.
    pub reads: Vec<Reads>,
    /// Whether one of the sources is a chart or inflates one.
    pub has_chart: bool,
}

/// One source and the files of its commit.
pub struct SourceFiles<'a> {
    /// The source as the spec has it.
    pub source: &'a ApplicationSource,
    /// The files.
    pub files: Files<'a>,
}

/// Finds what each source reads. A source may read from another by its `ref`.
pub fn derive(sources: &[SourceFiles<'_>]) -> Result<Derived, ReadError> {
    let mut reader = Reader::new(sources);
    let mut has_chart = false;
    for (index, SourceFiles { source, files }) in sources.iter().enumerate() {
        if source.is_reference_only() {
            continue;
        }
        let path =
            path::join("", &source.path).ok_or_else(|| ReadError::Escape { path: source.path.clone() })?;
        let path = reader.folder(index, &path)?;
        let names: Vec<String> = (files.list)(&path).into_iter().map(|(name, _)| name).collect();
        match SourceType::detect(source, names.iter().map(String::as_str))? {
            SourceType::Helm => {
                has_chart = true;
                helm::read(&mut reader, index, &path)?;
            }
            SourceType::Kustomize => has_chart |= kustomize::read(&mut reader, index, &path)?,
            SourceType::Directory => directory::read(&mut reader, index, &path)?,
            SourceType::Plugin => return Err(ReadError::Plugin),
        }
    }
    Ok(Derived { reads: reader.finish(), has_chart })
}

/// True where none of the paths that decided on the reads holds another object than it did.
pub fn still_holds(reads: &Reads, entry: impl Fn(&str) -> Option<Entry>) -> bool {
    reads.decided_by.iter().all(|(path, id)| match entry(path) {
        Some(entry) => entry.id == *id,
        None => id.is_empty(),
    })
}

#[cfg(test)]
mod tests;

//! Which paths of its repositories an application reads, and which Git objects they hold.
//!
//! What comes in: the sources of an application and a view on the files of each one's commit. What goes
//! out: for every source the paths that its rendering may read with their object ids, so that a commit
//! which leaves them alone concerns nobody. Reading too much costs a rendering; reading too little would
//! miss a change, so in doubt a path is read. What it does not do: touch Git, a disk or a network.

mod dependencies;
mod directory;
mod error;
mod helm;
mod jsonnet;
mod kustomization;
mod kustomize;
mod path;
mod plugin;
mod reader;
mod remote;
mod source_override;
mod tree;

use std::collections::{BTreeMap, BTreeSet};

pub use error::ReadError;
use ithaca_api::build_environment::{self, Build, Environment};
use ithaca_api::{ApplicationSource, GeneratePaths, SourceType};
pub use plugin::PluginFiles;
pub use tree::{Entry, Files, Kind};

use crate::tools::Tools;

use reader::Reader;

/// What one source reads.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reads {
    /// All that rendering may read: the object id by path, empty where nothing is at the path.
    pub paths: BTreeMap<String, String>,
    /// All that decided on `paths`: while these are the same, so are those.
    pub decided_by: BTreeMap<String, String>,
    /// Folders that are laid at other paths as well, each as the path and the folder, in the order in which that is
    /// to be done.
    pub laid: Vec<(String, String)>,
    /// Whether the source is an overlay, which the installation's build options concern.
    pub is_overlay: bool,
    /// Whether plugins are asked if the source is theirs: it names no tool, and holds files that are known to be of theirs.
    pub discover: bool,
    /// The source as JSON with what files in its folder say over it; empty where they say nothing.
    pub overridden: String,
    /// What its kustomizations name by URL.
    pub references: BTreeSet<Reference>,
}

/// A URL in a kustomization, and where what it means is laid.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Reference {
    /// The folder of the kustomization, in the files of its source.
    pub folder: String,
    /// As it is written there.
    pub written: String,
    /// Where that lies, as seen from the folder.
    pub path: String,
}

/// What is wanted of another repository.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// A chart that a chart depends on.
    Dependency,
    /// A chart that an overlay inflates.
    Chart,
    /// Bases and components of an overlay, in a Git repository.
    Base,
    /// The file at a URL, which an overlay names as a resource.
    File,
    /// The value file of a chart at a URL.
    ValueFile,
}

/// What is had from elsewhere: something of another repository, or the file at a URL, which is laid into the files of a source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Want {
    /// What it is.
    pub what: What,
    /// Whose files, by its place among the sources.
    pub source: usize,
    /// Where in them.
    pub path: String,
    /// The repository's URL as written, or the value file's.
    pub repository: String,
    /// The chart's name; empty where it is none.
    pub chart: String,
    /// What is meant of the repository: of a chart a version, or a range of them.
    pub revision: String,
}

/// What all sources of an application read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Derived {
    /// In the order of the sources.
    pub reads: Vec<Reads>,
    /// What is to be had from other repositories for them.
    pub wants: Vec<Want>,
    /// What is read of each of those, as far as its files are known: the object id by path.
    pub attached: Vec<BTreeMap<String, String>>,
    /// Whether one of the sources may ask what the destination offers, as charts and plugins do.
    pub has_chart: bool,
}

/// What there is to know of plugins.
#[derive(Clone, Copy, Debug)]
pub struct Plugins<'a> {
    /// By which files they are asked about sources that name no tool.
    pub files: &'a PluginFiles,
    /// What the application reads beside its folders, where it says so.
    pub paths: Option<&'a GeneratePaths>,
}

/// One source and the files of its commit.
pub struct SourceFiles<'a> {
    /// The source as the spec has it.
    pub source: &'a ApplicationSource,
    /// The files.
    pub files: Files<'a>,
}

/// What was wanted, and the files that were found for it.
pub struct AttachedFiles<'a> {
    /// What was wanted.
    pub want: &'a Want,
    /// The files; none where they cannot be had.
    pub files: Option<Files<'a>>,
}

/// Whose sources they are, as far as the names of files may ask.
#[derive(Clone, Debug, Default)]
pub struct Application {
    /// Its name where its namespace counts.
    pub instance: String,
    /// Its project's name.
    pub project: String,
    /// Where its objects go.
    pub destination_namespace: String,
}

/// Finds what each source reads. A source may read from another by its `ref`, and files in its folder may say more of it.
/// What is wanted of other repositories may want more in turn: then that is found once their files are `attached`.
pub fn derive(
    written: &[SourceFiles<'_>],
    attached: &[AttachedFiles<'_>],
    application: &Application,
    tools: &Tools,
    plugins: Plugins<'_>,
) -> Result<Derived, ReadError> {
    let mut reader = Reader::new(written, attached, vec![Reads::default(); written.len() + attached.len()]);
    let places = (0..written.len())
        .map(|index| source_override::place(&mut reader, index, application))
        .collect::<Result<Vec<_>, _>>()?;
    let overridden = |index: usize| places[index].as_ref().and_then(|place| place.overridden.as_ref());
    let sources: Vec<SourceFiles<'_>> = written
        .iter()
        .enumerate()
        .map(|(index, SourceFiles { source, files })| SourceFiles {
            source: overridden(index).unwrap_or(source),
            files: *files,
        })
        .collect();
    let mut reader = Reader::new(&sources, attached, reader.reads);
    let mut has_chart = false;
    for (index, SourceFiles { source, files }) in sources.iter().enumerate() {
        let Some(place) = &places[index] else { continue };
        let folder = &place.folder;
        let names_no_tool = SourceType::explicit(source)?.is_none();
        if names_no_tool && plugin::are_asked(&mut reader, index, folder, plugins.files)? {
            reader.may_be_a_plugins(index);
            has_chart = true;
            plugin::read(&mut reader, index, folder, plugins.paths)?;
        }
        let names: Vec<String> = (files.list)(folder).into_iter().map(|(name, _)| name).collect();
        match SourceType::detect(source, tools.enabled, names.iter().map(String::as_str))? {
            SourceType::Helm => {
                has_chart = true;
                helm::read(&mut reader, index, folder, &environment(application, source), tools)?;
            }
            SourceType::Kustomize => has_chart |= kustomize::read(&mut reader, index, folder)?,
            SourceType::Directory => directory::read(&mut reader, index, folder, tools.enabled.jsonnet)?,
            SourceType::Plugin => {
                has_chart = true;
                plugin::read(&mut reader, index, folder, plugins.paths)?;
                plugin::read_as_others(
                    &mut reader,
                    index,
                    folder,
                    &names,
                    &environment(application, source),
                    tools,
                );
            }
        }
        has_chart |= build_environment::OFFER.iter().any(|name| json(source).contains(name));
    }
    let (mut reads, wants, attached) = reader.finish();
    for (index, reads) in reads.iter_mut().enumerate() {
        reads.overridden = overridden(index).map(json).unwrap_or_default();
    }
    Ok(Derived { reads, wants, attached, has_chart })
}

/// The variables whose values are the same at every revision.
fn environment(application: &Application, source: &ApplicationSource) -> Environment {
    Environment::new(Build {
        application: &application.instance,
        namespace: &application.destination_namespace,
        project: &application.project,
        repo_url: &source.repo_url,
        path: &source.path,
        target_revision: &source.target_revision,
    })
}

/// A source as JSON with sorted keys.
pub fn json(source: &ApplicationSource) -> String {
    serde_json::to_value(source).map(|json| json.to_string()).unwrap_or_default()
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

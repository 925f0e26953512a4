//! Where a chart's value files are: the names in the spec come in, files of the sources' trees go out, in order.

use std::path::PathBuf;

use globset::GlobBuilder;
use ithaca_api::source::{Helm, REMOTE_VALUE_FILE, REMOTE_VALUE_FILES, remote_value_folder};
use ithaca_api::{build_environment, without_credentials};
use sha2::{Digest, Sha256};

use crate::environment::Environment;
use crate::sandbox::{Sandbox, SandboxError};
use crate::source::Source;
use crate::tree::{self, Found, TreeError};

/// Characters that make a name a pattern.
const PATTERN: [char; 3] = ['*', '?', '['];

/// Why a value file cannot be used.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum ValuesError {
    /// Nothing is there.
    #[error("failed to find the value file \"{name}\": there is no \"{path}\" in the repository")]
    Missing {
        /// As written.
        name: String,
        /// From the repository's root.
        path: String,
    },
    /// A pattern that nothing matches.
    #[error("failed to find value files: nothing matches \"{name}\"")]
    NoMatch {
        /// As written.
        name: String,
    },
    /// A pattern that means nothing.
    #[error("failed to read the pattern of value files \"{name}\": {reason}")]
    Pattern {
        /// As written.
        name: String,
        /// What is wrong.
        reason: String,
    },
    /// A name that begins with a reference to nothing.
    #[error("failed to find the value file \"{name}\": no source has the ref \"{reference}\"")]
    Reference {
        /// As written.
        name: String,
        /// The unknown reference.
        reference: String,
    },
    /// A name that is a URL.
    #[error("failed to read the value file \"{name}\": it was not fetched")]
    Remote {
        /// As written, without credentials.
        name: String,
    },
    /// A path that leads out.
    #[error("failed to read the value file \"{name}\": {cause}")]
    Tree {
        /// As written.
        name: String,
        /// Why.
        cause: TreeError,
    },
}

/// A file of one of the sources.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ValueFile {
    source: usize,
    path: String,
}

impl ValueFile {
    /// Where the file is in the sandbox. What was fetched by its URL is written there: it is beside the files of its
    /// source, so that no chart sees it as one of its own.
    pub fn place(&self, sandbox: &Sandbox, sources: &[Source]) -> Result<PathBuf, SandboxError> {
        let path = format!("{}/{}", Source::root(self.source), self.path);
        match sources[self.source].tree.find(&self.path) {
            Ok(Found::File(content)) if self.path.starts_with(REMOTE_VALUE_FILES) => {
                let name = hex::encode(&Sha256::digest(&self.path)[..16]);
                sandbox.write(&format!("values/{name}.yaml"), content)
            }
            _ => Ok(sandbox.path(&path)),
        }
    }
}

/// The files that a chart is given.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Files {
    /// Later ones win.
    pub values: Vec<ValueFile>,
    /// By the name of the value that takes the content.
    pub parameters: Vec<(String, ValueFile)>,
}

/// Finds all files that the options of source `index` name. Each value file counts once: where it is named outright, else
/// where a pattern finds it first.
///
/// # Errors
/// When one is not there or may not be read.
pub fn locate(
    options: &Helm,
    sources: &[Source],
    index: usize,
    environment: &Environment,
) -> Result<Files, ValuesError> {
    let named = |name: &String| {
        let place = place(name, sources, index, environment)?;
        Ok((name.clone(), place))
    };
    let places = options.value_files.iter().map(named).collect::<Result<Vec<_>, ValuesError>>()?;
    let is_named = |file: &ValueFile| {
        places.iter().any(|(_, place)| matches!(place, Place::File(named) if named == file))
    };
    let mut files = Files::default();
    for (name, place) in &places {
        let found = match place {
            Place::File(file) if exists(name, file, sources)? => vec![file.clone()],
            Place::File(_) if options.ignore_missing_value_files => Vec::new(),
            Place::File(file) => {
                return Err(ValuesError::Missing { name: name.clone(), path: file.path.clone() });
            }
            Place::Pattern(pattern) => {
                let found = matches(name, pattern, sources)?;
                if found.is_empty() && !options.ignore_missing_value_files {
                    return Err(ValuesError::NoMatch { name: name.clone() });
                }
                found.into_iter().filter(|file| !is_named(file)).collect()
            }
        };
        for file in found {
            if !files.values.contains(&file) {
                files.values.push(file);
            }
        }
    }
    for parameter in &options.file_parameters {
        let (Place::File(file) | Place::Pattern(file)) = place(&parameter.path, sources, index, environment)?;
        if !exists(&parameter.path, &file, sources)? {
            return Err(ValuesError::Missing { name: parameter.path.clone(), path: file.path });
        }
        files.parameters.push((parameter.name.clone(), file));
    }
    Ok(files)
}

/// What a name means, whether or not something is there.
enum Place {
    /// One file.
    File(ValueFile),
    /// All files that the path as a pattern matches.
    Pattern(ValueFile),
}

fn place(
    name: &str,
    sources: &[Source],
    index: usize,
    environment: &Environment,
) -> Result<Place, ValuesError> {
    let reference = name.strip_prefix('$').map(|rest| rest.split_once('/').unwrap_or((rest, "")));
    let referenced = reference.and_then(|(reference, path)| {
        let source = sources.iter().position(|source| source.request.spec.reference == reference)?;
        Some((source, path))
    });
    let (source, folder, written) = match (referenced, reference) {
        // The name of a source comes before a variable of the same name.
        (Some((source, path)), _) => (source, "", path),
        (None, Some((reference, _))) if build_environment::begins_with_unknown(name) => {
            return Err(ValuesError::Reference { name: name.to_owned(), reference: reference.to_owned() });
        }
        (None, _) => (index, sources[index].folder.as_str(), name),
    };
    let written = environment.expand(written);
    if written.contains("://") {
        let path = format!("{}/{REMOTE_VALUE_FILE}", remote_value_folder(&written));
        let file = ValueFile { source: index, path };
        let is_here = exists(name, &file, sources)?;
        return if is_here {
            Ok(Place::File(file))
        } else {
            Err(ValuesError::Remote { name: without_credentials(name) })
        };
    }
    let folder = if written.starts_with('/') { "" } else { folder };
    let plain = |folder: &str| {
        tree::plain(&format!("{folder}/{written}"))
            .map_err(|cause| ValuesError::Tree { name: name.to_owned(), cause })
    };
    if written.contains(PATTERN) {
        // Only what the user wrote is a pattern.
        return Ok(Place::Pattern(ValueFile { source, path: plain(&globset::escape(folder))? }));
    }
    Ok(Place::File(ValueFile { source, path: plain(folder)? }))
}

fn exists(name: &str, file: &ValueFile, sources: &[Source]) -> Result<bool, ValuesError> {
    let found = sources[file.source].tree.find(&file.path);
    let found = found.map_err(|cause| ValuesError::Tree { name: name.to_owned(), cause })?;
    Ok(matches!(found, Found::File(_)))
}

/// The files that a pattern finds: in each folder its files first, then its folders.
fn matches(name: &str, pattern: &ValueFile, sources: &[Source]) -> Result<Vec<ValueFile>, ValuesError> {
    let glob =
        GlobBuilder::new(&pattern.path).literal_separator(true).empty_alternates(true).build().map_err(
            |error| ValuesError::Pattern { name: name.to_owned(), reason: error.kind().to_string() },
        )?;
    let glob = glob.compile_matcher();
    let paths = sources[pattern.source].tree.walk();
    let paths = paths.map_err(|cause| ValuesError::Tree { name: name.to_owned(), cause })?;
    let mut found = Vec::new();
    for path in paths.into_iter().filter(|path| glob.is_match(path)) {
        let file = ValueFile { source: pattern.source, path };
        if exists(name, &file, sources)? {
            found.push(file);
        }
    }
    found.sort_by_cached_key(|file| walk_order(&file.path));
    Ok(found)
}

fn walk_order(path: &str) -> Vec<(bool, String)> {
    let last = path.split('/').count() - 1;
    path.split('/').enumerate().map(|(depth, part)| (depth < last, part.to_owned())).collect()
}

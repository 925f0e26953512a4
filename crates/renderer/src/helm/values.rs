//! Where a chart's value files are: the names in the spec come in, files of the sources' trees go out, in order.

use globset::GlobBuilder;
use ithaca_api::source::Helm;

use crate::environment::Environment;
use crate::source::Source;
use crate::tree::{self, Found, TreeError};

/// Characters that make a name a pattern.
const PATTERN: [char; 4] = ['*', '?', '[', '{'];

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
    #[error(
        "failed to read the value file \"{name}\": remote value files are not fetched, put it into the repository"
    )]
    Remote {
        /// As written.
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
    /// Where the file is in the sandbox.
    pub fn in_sandbox(&self) -> String {
        format!("{}/{}", Source::root(self.source), self.path)
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

/// Finds all files that the options of source `index` name.
///
/// # Errors
/// When one is not there or may not be read.
pub fn locate(
    options: &Helm,
    sources: &[Source],
    index: usize,
    environment: &Environment,
) -> Result<Files, ValuesError> {
    let place = |name: &str| place(name, sources, index, environment);
    let mut files = Files::default();
    let (patterns, explicit): (Vec<_>, Vec<_>) =
        options.value_files.iter().partition(|name| name.contains(PATTERN));
    // A file that is named outright stands where it is named, not where a pattern finds it.
    let explicit = explicit.into_iter().map(|name| place(name)).collect::<Result<Vec<_>, _>>()?;
    for name in &options.value_files {
        let file = place(name)?;
        if !patterns.contains(&name) {
            if exists(name, &file, sources)? {
                files.values.push(file);
            } else if !options.ignore_missing_value_files {
                return Err(ValuesError::Missing { name: name.clone(), path: file.path });
            }
            continue;
        }
        let found = matches(name, &file, sources)?;
        if found.is_empty() && !options.ignore_missing_value_files {
            return Err(ValuesError::NoMatch { name: name.clone() });
        }
        files.values.extend(found.into_iter().filter(|file| !explicit.contains(file)));
    }
    for parameter in &options.file_parameters {
        let file = place(&parameter.path)?;
        if !exists(&parameter.path, &file, sources)? {
            return Err(ValuesError::Missing { name: parameter.path.clone(), path: file.path });
        }
        files.parameters.push((parameter.name.clone(), file));
    }
    Ok(files)
}

/// The source and the path that a name means, whether or not something is there.
fn place(
    name: &str,
    sources: &[Source],
    index: usize,
    environment: &Environment,
) -> Result<ValueFile, ValuesError> {
    let (source, path) = match name.strip_prefix('$').and_then(|rest| rest.split_once('/')) {
        Some((reference, path)) if !reference.starts_with("ARGOCD_") && !reference.starts_with('{') => {
            let source = sources.iter().position(|source| source.request.spec.reference == reference);
            let unknown =
                || ValuesError::Reference { name: name.to_owned(), reference: reference.to_owned() };
            (source.ok_or_else(unknown)?, environment.expand(path))
        }
        _ => (index, from_root(&environment.expand(name), &sources[index].folder)),
    };
    if path.contains("://") {
        return Err(ValuesError::Remote { name: name.to_owned() });
    }
    let path = tree::plain(&path).map_err(|cause| ValuesError::Tree { name: name.to_owned(), cause })?;
    Ok(ValueFile { source, path })
}

fn from_root(path: &str, folder: &str) -> String {
    match path.strip_prefix('/') {
        Some(path) => path.to_owned(),
        None if path.contains("://") => path.to_owned(),
        None => format!("{folder}/{path}"),
    }
}

fn exists(name: &str, file: &ValueFile, sources: &[Source]) -> Result<bool, ValuesError> {
    let found = sources[file.source].tree.find(&file.path);
    let found = found.map_err(|cause| ValuesError::Tree { name: name.to_owned(), cause })?;
    Ok(matches!(found, Found::File(_)))
}

/// The files that a pattern finds: in each folder its files first, then its folders.
fn matches(name: &str, pattern: &ValueFile, sources: &[Source]) -> Result<Vec<ValueFile>, ValuesError> {
    let glob = GlobBuilder::new(&pattern.path)
        .literal_separator(true)
        .build()
        .map_err(|error| ValuesError::Pattern { name: name.to_owned(), reason: error.kind().to_string() })?;
    let glob = glob.compile_matcher();
    let mut found = Vec::new();
    for (path, _) in sources[pattern.source].tree.entries().filter(|(path, _)| glob.is_match(path)) {
        let file = ValueFile { source: pattern.source, path: path.to_owned() };
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

//! Why it cannot be said what a source reads, in the words of whoever wrote the source.

use ithaca_api::source_override::Unreadable;
use ithaca_api::source_type::AmbiguousSource;

/// A source that cannot be read. The repository and its revision are named by whoever reports it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// Nothing is at the source's path.
    #[error("path {path:?} does not exist")]
    Missing {
        /// The path.
        path: String,
    },
    /// The source's path is no folder.
    #[error("path {path:?} is not a folder")]
    NotAFolder {
        /// The path.
        path: String,
    },
    /// What a submodule holds is needed, and is not here.
    #[error(
        "submodule {path:?} could not be fetched, and the log of the watcher says why; only submodules on the host of \
         their repository are fetched"
    )]
    Module {
        /// Where it is.
        path: String,
    },
    /// A path leads out of the repository.
    #[error("path {path:?} leads out of the repository")]
    Escape {
        /// The path as written.
        path: String,
    },
    /// A kustomization refers to what is not in the repository where that may not be.
    #[error(
        "{url:?} is not in the repository, and a kustomization may name URLs under resources, bases and components \
         alone: put it into the repository"
    )]
    Elsewhere {
        /// The reference, without credentials.
        url: String,
    },
    /// What a kustomization names by URL is no folder.
    #[error("{url:?}, which the overlay names, {problem}")]
    Base {
        /// The reference, without credentials.
        url: String,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// Bases elsewhere that name bases elsewhere, too often.
    #[error("{url:?} is one base too many: those of other repositories may name others in turn {most} times")]
    TooDeep {
        /// The reference, without credentials.
        url: String,
        /// The limit.
        most: usize,
    },
    /// More other charts and bases than anything needs.
    #[error("its charts and bases need more than {most} others")]
    TooManyDependencies {
        /// The limit.
        most: usize,
    },
    /// More files than anything that is rendered has: trees that share folders can have any number.
    #[error(
        "path {path:?} is one of too many: {most} files and folders may lie in what a source reads, so let it begin \
         deeper in the repository"
    )]
    TooManyFiles {
        /// The path, or its beginning.
        path: String,
        /// The limit.
        most: usize,
    },
    /// A link leads out of the repository.
    #[error("link {link:?} leads out of the repository, to {target:?}")]
    LinkEscape {
        /// The link's path.
        link: String,
        /// What it holds.
        target: String,
    },
    /// Links lead to each other without end.
    #[error("link {link:?} leads to too many others")]
    LinkLoop {
        /// The link's path.
        link: String,
    },
    /// A value file names a source that there is not.
    #[error("value file {file:?} names a source that has no matching ref")]
    UnknownReference {
        /// The value file as written.
        file: String,
    },
    /// A value file by a URL that the installation does not allow.
    #[error(
        "value file {file:?} is named by a URL of the scheme {scheme}, which is not among those that \
         helm.valuesFileSchemes of ConfigMap argocd-cm allows"
    )]
    Scheme {
        /// The value file, without credentials.
        file: String,
        /// Its scheme.
        scheme: String,
    },
    /// A URL that is known only with a commit.
    #[error(
        "value file {file:?} is named by a URL with a variable whose value is known too late: name no revision and no \
         version of Kubernetes in it"
    )]
    LateUrl {
        /// The value file, without credentials.
        file: String,
    },
    /// A file that says more of the source cannot be followed.
    #[error(transparent)]
    Override(#[from] Unreadable),
    /// A file that says more of the source is too long for what it may say.
    #[error("failed to read {path}: it is too long")]
    TooLong {
        /// The file's path.
        path: String,
    },
    /// The spec names more than one tool.
    #[error(transparent)]
    Ambiguous(#[from] AmbiguousSource),
}

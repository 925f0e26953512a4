//! The annotation `argocd.argoproj.io/manifest-generate-paths`: which files of a repository concern an Application.
//!
//! In: paths separated by `;`, each from the source's path, or from the repository's root where it begins with `/`; a
//! path may be a pattern as in `filepath.Match`. Out: whether a file is among them. It names what else than the source
//! itself decides, but what it leaves out does not concern the Application: that is the user's word.

use crate::glob::{Glob, Separator};

/// The paths that an Application names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GeneratePaths {
    paths: Vec<Path>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Path {
    text: String,
    is_from_root: bool,
}

impl GeneratePaths {
    /// Reads the annotation; None where it names nothing.
    ///
    /// # Errors
    /// Where a path is no pattern: then the annotation as a whole is not followed, for it may name too little.
    pub fn parse(text: &str) -> Result<Option<Self>, String> {
        let path = |part: &str| {
            let probe = Glob::parse(part, Separator::Slash).ok_or_else(|| Glob::fault(part));
            probe.map(|_| Path { text: part.to_owned(), is_from_root: part.starts_with('/') })
        };
        let parts = text.split(';').map(str::trim).filter(|part| !part.is_empty());
        let paths: Vec<Path> = parts.map(path).collect::<Result<_, _>>()?;
        Ok((!paths.is_empty()).then_some(Self { paths }))
    }

    /// For a source at a path of its repository.
    pub fn of_source(&self, source_path: &str) -> SourcePaths {
        let absolute = |path: &Path| {
            let base = if path.is_from_root { "" } else { source_path };
            let text = clean(base, &path.text)?;
            let glob = Glob::parse(&text, Separator::Slash).unwrap_or(Glob::Any);
            Some((text, glob))
        };
        SourcePaths { paths: self.paths.iter().filter_map(absolute).collect() }
    }
}

/// The paths that concern one source, from the root of its repository.
#[derive(Clone, Debug)]
pub struct SourcePaths {
    paths: Vec<(String, Glob)>,
}

impl SourcePaths {
    /// The paths and patterns.
    pub fn paths(&self) -> impl Iterator<Item = &str> {
        self.paths.iter().map(|(path, _)| path.as_str())
    }

    /// Whether a file is one of them, or lies below one.
    pub fn concern(&self, file: &str) -> bool {
        self.paths.iter().any(|(path, glob)| {
            let below = file.strip_prefix(path.as_str());
            path.is_empty()
                || below.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
                || glob.matches(file)
        })
    }
}

/// A path without `.` and `..`, from the root; None where it leads out of the repository, where nothing is.
fn clean(base: &str, path: &str) -> Option<String> {
    let mut parts: Vec<&str> = Vec::new();
    for part in base.split('/').chain(path.split('/')) {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()?),
            part => parts.push(part),
        }
    }
    Some(parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn concerns(annotation: &str, file: &str) -> bool {
        let paths = GeneratePaths::parse(annotation).expect("paths").expect("some");
        paths.of_source("apps/web").concern(file)
    }

    #[test]
    fn files_are_named_from_the_source_or_the_root_by_folder_or_pattern() {
        for (annotation, file, expected) in [
            (".", "apps/web/templates/a.yaml", true),
            (".", "apps/website/a.yaml", false),
            (".;../shared", "apps/shared/a.yaml", true),
            ("/shared/;.", "shared/a.yaml", true),
            ("/shared", "apps/web/a.yaml", false),
            ("/", "anything", true),
            ("values-*.yaml", "apps/web/values-prod.yaml", true),
            ("values-*.yaml", "apps/web/deep/values-prod.yaml", false),
            ("/envs/*/web.yaml", "envs/prod/web.yaml", true),
            ("/envs/*/web.yaml", "envs/prod/eu/web.yaml", false),
            ("/envs/[a-c]?/*", "envs/b1/x", true),
            ("../../..", "apps/web/a.yaml", false),
            (" ; . ; ", "apps/web/a.yaml", true),
        ] {
            assert_eq!(concerns(annotation, file), expected, "{annotation} {file}");
        }
    }

    #[test]
    fn what_names_nothing_is_no_filter_and_what_is_no_pattern_is_told() {
        assert_eq!(GeneratePaths::parse(" ; "), Ok(None));
        let error = GeneratePaths::parse(".;/envs/[a").expect_err("no pattern");
        assert!(error.contains("/envs/[a"), "{error}");
    }
}

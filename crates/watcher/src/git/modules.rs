//! Submodules: which a commit has, and where each is to be had.
//!
//! In: the text of `.gitmodules`, the key of the repository that it is in. Out: paths and keys. A submodule is fetched
//! from the host of its repository alone: who may write into a repository must not have the watcher ask any address.

use crate::repository::{RepositoryError, RepositoryKey};

/// A submodule as `.gitmodules` names it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Module {
    pub(super) path: String,
    pub(super) url: String,
}

/// Reads `.gitmodules`. What it cannot read is passed over, as are sections without path or URL.
pub(super) fn parse(text: &str) -> Vec<Module> {
    let mut modules: Vec<Module> = Vec::new();
    for line in text.lines().map(str::trim) {
        if line.starts_with("[submodule") {
            modules.push(Module::default());
        }
        let (Some(module), Some((name, value))) = (modules.last_mut(), line.split_once('=')) else {
            continue;
        };
        let value = value.trim().trim_matches('"').to_owned();
        match name.trim() {
            "path" => module.path = value,
            "url" => module.url = value,
            _ => {}
        }
    }
    modules.retain(|module| !module.path.is_empty() && !module.url.is_empty());
    modules
}

/// Where a submodule of a repository is, by the credentials of the same project.
pub(super) fn key(parent: &RepositoryKey, url: &str) -> Result<RepositoryKey, RepositoryError> {
    let refuse = |reason| RepositoryError::Unsupported { repository: parent.to_string(), reason };
    let absolute = if url.starts_with("./") || url.starts_with("../") {
        beside(parent.url(), url).ok_or_else(|| refuse("the URL of a submodule leads out of its host"))?
    } else {
        url.to_owned()
    };
    let key = RepositoryKey::new(&absolute, "", parent.is_local())?.within(parent.scope());
    if !is_beside(parent.url(), key.url()) || key.is_local() != parent.is_local() {
        return Err(refuse("a submodule is on another host, or without encryption"));
    }
    Ok(key)
}

/// True where a URL leads to the host of another, and not out of an encrypted connection.
pub(super) fn is_beside(parent: &str, url: &str) -> bool {
    match (place(parent), place(url)) {
        (Place { scheme, authority, .. }, of) if scheme == of.scheme => authority == of.authority,
        // Another scheme has another port.
        (from, to) => from.host == to.host && !(from.scheme == "https" && to.scheme == "http"),
    }
}

/// A URL relative to another; None where it leads above that one's host.
fn beside(parent: &str, relative: &str) -> Option<String> {
    let (scheme, path) =
        parent.split_once("://").map_or((None, parent), |(scheme, path)| (Some(scheme), path));
    let mut parts: Vec<&str> = path.trim_end_matches('/').split('/').collect();
    for part in relative.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop()?;
            }
            part => parts.push(part),
        }
        if parts.is_empty() {
            return None;
        }
    }
    let path = parts.join("/");
    Some(scheme.map_or(path.clone(), |scheme| format!("{scheme}://{path}")))
}

/// Where a URL leads; all is empty for local paths.
struct Place {
    scheme: String,
    /// Host and port.
    authority: String,
    host: String,
}

fn place(url: &str) -> Place {
    let (scheme, authority) = match url.split_once("://") {
        Some((scheme, rest)) => (scheme, rest.split('/').next().unwrap_or_default()),
        None => ("ssh", url.split_once(':').map_or("", |(authority, _)| authority)),
    };
    let authority = authority.rsplit_once('@').map_or(authority, |(_, authority)| authority);
    let host = authority.split_once(':').map_or(authority, |(host, _)| host);
    Place {
        scheme: scheme.to_ascii_lowercase(),
        authority: authority.to_ascii_lowercase(),
        host: host.to_ascii_lowercase(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn submodules_are_read_from_their_file() {
        let text = "# ours\n[submodule \"lib\"]\n\tpath = vendor/lib\n\turl = ../lib.git\n\tbranch = main\n\
                    [submodule \"x\"]\n  url = \"https://example.org/x\"\n[submodule \"y\"]\npath=y\nurl=./y\n";
        let modules: Vec<_> = parse(text).into_iter().map(|module| (module.path, module.url)).collect();
        let expected = [("vendor/lib", "../lib.git"), ("y", "./y")];
        assert_eq!(modules, expected.map(|(path, url)| (path.to_owned(), url.to_owned())));
        assert!(parse("= nonsense\n[core]\n\u{0}=").is_empty());
    }

    #[test]
    fn a_submodule_is_fetched_from_its_repositorys_host_alone() {
        let parent =
            RepositoryKey::new("https://me:secret@git.example.org/shop/web.git", "", false).expect("a key");
        let found =
            |url: &str| key(&parent, url).map(|key| key.url().to_owned()).map_err(|error| error.to_string());
        for (url, expected) in [
            ("../lib.git", "https://me:secret@git.example.org/shop/lib.git"),
            ("../../other/lib", "https://me:secret@git.example.org/other/lib"),
            ("./deep", "https://me:secret@git.example.org/shop/web.git/deep"),
            ("https://git.example.org/other/lib", "https://git.example.org/other/lib"),
        ] {
            assert_eq!(found(url).as_deref(), Ok(expected), "{url}");
        }
        for url in [
            "https://10.0.0.1/lib",
            "https://git.example.org:6443/lib",
            "http://git.example.org/lib",
            "https://git.example.org.evil.org/x",
            "https://git.example.org@evil.org/x",
            "file:///etc",
            "/etc",
            "../../../../../evil.org/x",
            "ext::sh -c id",
        ] {
            let error = found(url).expect_err(url);
            assert!(!error.contains("secret"), "{error}");
        }
    }
}

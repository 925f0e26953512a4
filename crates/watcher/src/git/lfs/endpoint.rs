//! Where the server of Git LFS is that holds a repository's files. Pure.
//!
//! In: the repository, the text of `.lfsconfig`. Out: the server, by HTTP or behind a word over SSH. A file in a
//! repository may name a server on the repository's own host alone: who may write there must not have the watcher send
//! credentials to any address, nor ask any.

use ithaca_api::repository::is_ssh;

use crate::git::modules::is_beside;
use crate::repository::RepositoryKey;

/// How a server is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Endpoint {
    /// By HTTP, as that repository is.
    Http(RepositoryKey),
    /// At the URL that the host of that repository says over SSH.
    Ssh(RepositoryKey),
}

/// The server of a repository, or why there is none.
pub(super) fn endpoint(repository: &RepositoryKey, config: Option<&[u8]>) -> Result<Endpoint, String> {
    let written = config.and_then(|config| lfs_url(&String::from_utf8_lossy(config)));
    let Some(written) = written else {
        let url = repository.url();
        return match repository.is_local() {
            true => Err("a repository on a local path has no server for it".to_owned()),
            false if is_ssh(url) => Ok(Endpoint::Ssh(repository.clone())),
            false => below(repository, url),
        };
    };
    let key = RepositoryKey::new(&written, "", false).map_err(|error| format!("lfs.url: {error}"))?;
    if !is_beside(repository.url(), key.url()) {
        return Err(format!(
            "lfs.url in .lfsconfig leads to {key}, which is another host than the repository's, or without encryption"
        ));
    }
    let key = key.within(repository.scope());
    if is_ssh(key.url()) { Ok(Endpoint::Ssh(key)) } else { Ok(Endpoint::Http(key)) }
}

/// The usual place, below the repository.
fn below(repository: &RepositoryKey, url: &str) -> Result<Endpoint, String> {
    let url = url.strip_suffix(".git").unwrap_or(url);
    let key = RepositoryKey::new(&format!("{url}.git/info/lfs"), "", false);
    let key = key.map_err(|error| error.to_string())?;
    Ok(Endpoint::Http(key.within(repository.scope())))
}

/// `url` in the section `lfs` of a file in Git's format of settings; the last one counts.
fn lfs_url(config: &str) -> Option<String> {
    let (mut is_lfs, mut url) = (false, None);
    for line in config.lines().map(str::trim) {
        if let Some(section) = line.strip_prefix('[') {
            is_lfs = section.trim_end_matches(']').trim().eq_ignore_ascii_case("lfs");
        }
        let key = line.split_once('=').filter(|(key, _)| is_lfs && key.trim().eq_ignore_ascii_case("url"));
        if let Some((_, value)) = key {
            url = Some(value.trim().trim_matches('"').to_owned());
        }
    }
    url.filter(|url| !url.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(repository: &str, config: Option<&str>) -> Result<String, String> {
        let key = RepositoryKey::new(repository, "", true).expect("a URL").within("shop");
        endpoint(&key, config.map(str::as_bytes)).map(|found| match found {
            Endpoint::Http(key) => format!("{} {}", key.scope(), key.url()),
            Endpoint::Ssh(key) => format!("{} over {}", key.scope(), key.url()),
        })
    }

    #[test]
    fn a_server_is_below_its_repository_or_where_its_settings_say() {
        let config = |url: &str| format!("# ours\n[core]\n  url = no\n[LFS]\n\tURL = \"{url}\"\n");
        for (repository, config, expected) in [
            ("https://git.example.org/a/b", None, "shop https://git.example.org/a/b.git/info/lfs"),
            ("https://me@git.example.org/a.git", None, "shop https://me@git.example.org/a.git/info/lfs"),
            ("git@git.example.org:a.git", None, "shop over git@git.example.org:a.git"),
            (
                "https://git.example.org/a",
                Some(config("https://GIT.example.org/lfs/a")),
                "shop https://git.example.org/lfs/a",
            ),
            (
                "git@git.example.org:a",
                Some(config("https://git.example.org/l")),
                "shop https://git.example.org/l",
            ),
            ("git@git.example.org:a", Some("[lfs]\nurl =\n".to_owned()), "shop over git@git.example.org:a"),
        ] {
            assert_eq!(found(repository, config.as_deref()).as_deref(), Ok(expected), "{repository}");
        }
    }

    #[test]
    fn settings_lead_to_no_other_host() {
        for url in [
            "https://evil.example/lfs",
            "https://git.example.org.evil.example/lfs",
            "https://git.example.org@evil.example/lfs",
            "https://git.example.org:6443/lfs",
            "http://git.example.org/lfs",
            "http://169.254.169.254/",
            "file:///etc",
            "git@evil.example:lfs",
        ] {
            let error =
                found("https://git.example.org/a", Some(&format!("[lfs]\nurl={url}"))).expect_err(url);
            assert!(error.contains("lfs.url"), "{error}");
        }
        assert!(found("file:///srv/a", None).is_err());
    }
}

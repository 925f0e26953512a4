//! Repository URLs: which are served, when two mean the same repository, and how they are shown.

use std::fmt;

use ithaca_api::without_credentials;

use super::GitError;

/// A URL that may be fetched from. Two that differ in case of the host or in trailing slashes are one.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RepositoryUrl {
    text: String,
}

impl RepositoryUrl {
    /// Checks a URL as a spec gives it. Local paths pass only where files are allowed.
    pub fn parse(text: &str, allow_files: bool) -> Result<Self, GitError> {
        let refuse = |reason: &'static str| {
            Err(GitError::Unsupported { repository: without_credentials(text.trim()), reason })
        };
        let text = text.trim().trim_end_matches('/');
        if text.is_empty() {
            return refuse("the URL is empty");
        }
        let Some((scheme, rest)) = text.split_once("://") else {
            return match text {
                path if path.starts_with('/') && allow_files => Ok(Self { text: path.to_owned() }),
                path if path.starts_with('/') => refuse("local repositories are not allowed here"),
                scp if scp.contains('@') || scp.contains(':') => {
                    refuse("SSH needs a key, and keys are not supported yet")
                }
                _ => refuse("it is not a URL"),
            };
        };
        let scheme = scheme.to_ascii_lowercase();
        match scheme.as_str() {
            "http" | "https" => {
                let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
                let (user, host) = host.rsplit_once('@').map_or(("", host), |(user, host)| (user, host));
                let user = if user.is_empty() { String::new() } else { format!("{user}@") };
                let host = host.to_ascii_lowercase();
                Ok(Self { text: format!("{scheme}://{user}{host}/{path}") })
            }
            "file" if allow_files => Ok(Self { text: format!("file://{rest}") }),
            "file" => refuse("file:// repositories are not allowed here"),
            "ssh" => refuse("SSH needs a key, and keys are not supported yet"),
            "oci" => refuse("OCI registries are not supported yet"),
            _ => refuse("only https, http and file URLs are supported"),
        }
    }

    /// The URL to connect to; it may hold credentials.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// True where objects are copied from disk and depths mean nothing.
    pub fn is_local(&self) -> bool {
        self.text.starts_with('/') || self.text.starts_with("file://")
    }
}

/// Shown without credentials.
impl fmt::Display for RepositoryUrl {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&without_credentials(&self.text))
    }
}

impl fmt::Debug for RepositoryUrl {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

/// What webhooks are matched by: host and path, without scheme, user, port, `ssh.` and `.git`, in lower
/// case. None where there is no host and path to match.
pub fn match_key(url: &str) -> Option<String> {
    let url = url.trim().to_lowercase();
    let without_scheme = url.split_once("://").map_or(url.as_str(), |(_, rest)| rest);
    let is_scp = !url.contains("://");
    let split_at = if is_scp { [':', '/'].as_slice() } else { ['/'].as_slice() };
    let (authority, path) = without_scheme.split_once(split_at)?;
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    let host = host.split_once(':').map_or(host, |(host, _)| host);
    let host = host.strip_prefix("ssh.").or_else(|| host.strip_prefix("altssh.")).unwrap_or(host);
    let path = path.trim_matches('/');
    let path = path.strip_suffix(".git").unwrap_or(path);
    (!path.is_empty()).then(|| format!("{host}/{path}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_of_one_url_are_one() {
        let parse = |text| RepositoryUrl::parse(text, true).map(|url| url.text).map_err(|e| e.to_string());
        assert_eq!(parse("HTTPS://Example.org/a/B.git/"), Ok("https://example.org/a/B.git".into()));
        assert_eq!(parse(" file:///srv/a "), Ok("file:///srv/a".into()));
        assert_eq!(parse("/srv/a"), Ok("/srv/a".into()));
    }

    #[test]
    fn what_is_not_served_says_why() {
        for (url, reason) in [
            ("git@example.org:a/b.git", "SSH"),
            ("ssh://git@example.org/a", "SSH"),
            ("oci://example.org/a", "OCI"),
            ("file:///srv/a", "not allowed"),
            ("/srv/a", "not allowed"),
            ("ext::sh -c id", "SSH"),
            ("git://example.org/a", "only https"),
            ("", "empty"),
            ("guestbook", "not a URL"),
        ] {
            let error = RepositoryUrl::parse(url, false).expect_err(url).to_string();
            assert!(error.contains(reason), "{url}: {error}");
        }
    }

    #[test]
    fn credentials_are_never_shown() {
        let url = RepositoryUrl::parse("https://me:secret@example.org/a@b", false).expect("a URL");
        assert_eq!(url.to_string(), "https://example.org/a@b");
        assert_eq!(format!("{url:?}"), "https://example.org/a@b");
        assert_eq!(url.as_str(), "https://me:secret@example.org/a@b");
    }

    #[test]
    fn webhooks_match_any_spelling_of_a_repository() {
        for url in [
            "https://example.org/Group/repo",
            "https://example.org/group/repo.git",
            "http://user@example.org:8443/group/repo.git/",
            "git@example.org:group/repo.git",
            "ssh://git@ssh.example.org:22/group/repo.git",
            "ssh://git@altssh.example.org:443/group/repo",
        ] {
            assert_eq!(match_key(url).as_deref(), Some("example.org/group/repo"), "{url}");
        }
        assert_eq!(match_key("file:///srv/git/repo.git").as_deref(), Some("/srv/git/repo"));
        assert_eq!(match_key("https://example.org/"), None);
    }
}

//! What tells one repository from another: which are served, when two spellings mean the same, and how they are shown.

use std::fmt;

use ithaca_api::repository::is_ssh;
use ithaca_api::{ApplicationSource, without_credentials};
use percent_encoding::percent_decode_str;

use super::RepositoryError;

/// How a repository is spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Protocol {
    /// Git, over HTTP or on a local path.
    Git,
    /// One chart of a Helm repository with an index.
    Helm,
    /// An OCI repository, which holds a chart or other content.
    Oci,
    /// One file at a URL: a value file of a chart, or a resource of an overlay.
    ValueFile,
}

/// A repository that may be fetched from. Two that differ in case of the host or in trailing slashes are one.
/// What a project reaches by credentials of its own is another: neither a connection nor a cache is shared.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RepositoryKey {
    protocol: Protocol,
    url: String,
    chart: String,
    scope: String,
}

impl RepositoryKey {
    /// The repository of a source. Local paths pass only where files are allowed.
    pub fn of(source: &ApplicationSource, allow_files: bool) -> Result<Self, RepositoryError> {
        Self::new(&source.repo_url, &source.chart, allow_files)
    }

    /// From a URL as a spec gives it, and the name of a chart in it, which is empty where none is meant.
    pub fn new(url: &str, chart: &str, allow_files: bool) -> Result<Self, RepositoryError> {
        let refuse = |reason: &'static str| {
            Err(RepositoryError::Unsupported { repository: without_credentials(url.trim()), reason })
        };
        let text = url.trim().trim_end_matches('/');
        if text.is_empty() {
            return refuse("the URL is empty");
        }
        if leads_elsewhere(text) {
            return refuse(LEADS_ELSEWHERE);
        }
        let new = |protocol: Protocol, url: String, chart: &str| {
            Ok(Self { protocol, url, chart: chart.to_owned(), scope: String::new() })
        };
        let git = |url: String| new(Protocol::Git, url, "");
        let oci = |rest: &str| new(Protocol::Oci, format!("oci://{}", with_lower_host(rest)), chart);
        let Some((scheme, rest)) = text.split_once("://") else {
            return match text {
                // Argo CD's way to name a registry: without a scheme, with a chart.
                registry if !chart.is_empty() => oci(registry),
                path if path.starts_with('/') && allow_files => git(path.to_owned()),
                path if path.starts_with('/') => refuse("local repositories are not allowed here"),
                scp if is_ssh(scp) && scp.contains(':') => git(scp.to_owned()),
                _ => refuse("it is not a URL"),
            };
        };
        let scheme = scheme.to_ascii_lowercase();
        match scheme.as_str() {
            "oci" => oci(rest),
            "http" | "https" if !chart.is_empty() => {
                let url = format!("{scheme}://{}", with_lower_host(rest));
                if url::Url::parse(&url).is_err() {
                    return refuse("it is not a URL");
                }
                new(Protocol::Helm, url, chart)
            }
            "http" | "https" => git(format!("{scheme}://{}", with_lower_host(rest))),
            _ if !chart.is_empty() => refuse("charts are had by https, http and oci URLs only"),
            "file" if allow_files => git(format!("file://{rest}")),
            "file" => refuse("file:// repositories are not allowed here"),
            "ssh" => git(format!("ssh://{}", with_lower_host(rest))),
            _ => refuse("only https, http, ssh, oci and file URLs are supported"),
        }
    }

    /// A file at a URL.
    pub fn value_file(url: &str) -> Result<Self, RepositoryError> {
        let refused = |reason| RepositoryError::Unsupported { repository: without_credentials(url), reason };
        let unserved = || refused("files are had by http and https URLs only");
        let parsed = url::Url::parse(url.trim()).map_err(|_| unserved())?;
        if !matches!(parsed.scheme(), "http" | "https") {
            return Err(unserved());
        }
        if leads_elsewhere(url.trim()) {
            return Err(refused(LEADS_ELSEWHERE));
        }
        let (chart, scope) = (String::new(), String::new());
        Ok(Self { protocol: Protocol::ValueFile, url: parsed.into(), chart, scope })
    }

    /// The same repository as one project alone sees it, by credentials of its own; an empty name stands for all others.
    #[must_use]
    pub fn within(self, project: &str) -> Self {
        Self { scope: project.to_owned(), ..self }
    }

    /// The project whose alone it is; empty where all share it.
    pub fn scope(&self) -> &str {
        &self.scope
    }

    /// How it is spoken to.
    pub fn protocol(&self) -> Protocol {
        self.protocol
    }

    /// The URL to connect to; it may hold credentials.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The chart's name in a Helm repository or a registry; empty where no chart is meant.
    pub fn chart(&self) -> &str {
        &self.chart
    }

    /// Whether it goes by one of the keys that a webhook tells: a registry tells of the chart itself.
    pub fn goes_by(&self, keys: &[String]) -> bool {
        let url = match self.protocol {
            Protocol::Oci if !self.url.contains("://") => format!("oci://{}", self.url),
            _ => self.url.clone(),
        };
        let of_chart = (!self.chart.is_empty()).then(|| format!("{url}/{}", self.chart));
        let own = [Some(url), of_chart].into_iter().flatten();
        own.filter_map(|url| match_key(&url)).any(|key| keys.contains(&key))
    }

    /// True where objects are copied from disk and depths mean nothing.
    pub fn is_local(&self) -> bool {
        self.url.starts_with('/') || self.url.starts_with("file://")
    }
}

const LEADS_ELSEWHERE: &str =
    "its path must not hold . or .. as a part, nor a backslash or a control character";

/// Whether a URL would be asked for otherwise than it is written: projects permit it as it is written.
fn leads_elsewhere(url: &str) -> bool {
    let path = match url.split_once("://") {
        Some((_, rest)) => rest.split(['?', '#']).next().unwrap_or_default(),
        None => url,
    };
    let path = percent_decode_str(path).decode_utf8_lossy();
    let mut parts = path.split(['/', ':']);
    path.contains(|c: char| c == '\\' || c.is_control()) || parts.any(|part| matches!(part, "." | ".."))
}

/// A URL as the server that is asked may take it: no letter is escaped, no slash stands twice, and SSH has its own port.
pub fn plain(url: &str) -> String {
    let (scheme, rest) = match url.split_once("://") {
        Some((scheme, rest)) => (format!("{scheme}://"), rest.to_owned()),
        None if is_ssh(url) => (String::new(), url.replacen(':', "/", 1)),
        None => (String::new(), url.to_owned()),
    };
    let decoded = percent_decode_str(&rest).decode_utf8_lossy();
    let mut parts: Vec<&str> = decoded.split('/').filter(|part| !part.is_empty()).collect();
    if let (true, Some(host)) = (is_ssh(url), parts.first_mut()) {
        *host = host.strip_suffix(":22").unwrap_or(host);
    }
    format!("{scheme}{}", parts.join("/"))
}

/// What follows a scheme, with its host in lower case.
fn with_lower_host(rest: &str) -> String {
    let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
    let (user, host) = host.rsplit_once('@').map_or(("", host), |(user, host)| (user, host));
    let user = if user.is_empty() { String::new() } else { format!("{user}@") };
    format!("{user}{}/{path}", host.to_ascii_lowercase())
}

/// Shown without credentials, which files may have in their queries.
impl fmt::Display for RepositoryKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let url = without_credentials(&self.url);
        let is_file = self.protocol == Protocol::ValueFile;
        formatter.write_str(url.split('?').next().filter(|_| is_file).unwrap_or(&url))?;
        if self.chart.is_empty() { Ok(()) } else { write!(formatter, " (chart {})", self.chart) }
    }
}

impl fmt::Debug for RepositoryKey {
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
        let parse = |text| RepositoryKey::new(text, "", true).map(|key| key.url).map_err(|e| e.to_string());
        assert_eq!(parse("HTTPS://Example.org/a/B.git/"), Ok("https://example.org/a/B.git".into()));
        assert_eq!(parse(" file:///srv/a "), Ok("file:///srv/a".into()));
        assert_eq!(parse("/srv/a"), Ok("/srv/a".into()));
        assert_eq!(parse("ssh://git@Example.org:2222/a"), Ok("ssh://git@example.org:2222/a".into()));
        assert_eq!(parse("git@example.org:a/b.git"), Ok("git@example.org:a/b.git".into()));
    }

    #[test]
    fn what_is_not_served_says_why() {
        for (url, reason) in [
            ("file:///srv/a", "not allowed"),
            ("/srv/a", "not allowed"),
            ("ext::sh -c id", "not a URL"),
            ("git://example.org/a", "only https"),
            ("", "empty"),
            ("guestbook", "not a URL"),
        ] {
            let error = RepositoryKey::new(url, "", false).expect_err(url).to_string();
            assert!(error.contains(reason), "{url}: {error}");
        }
    }

    #[test]
    fn a_url_that_leads_elsewhere_is_not_served() {
        for url in [
            "https://example.org/open/../secret/app",
            "https://example.org/open/%2E%2e/secret/app",
            "https://example.org/open/.%2e",
            "https://example.org/./secret/app",
            "https://example.org/open\\..\\secret/app",
            "https://example.org/open%2F..%2fsecret/app",
            "https://example.org/open%5c..%5csecret/app",
            "git@example.org:../secret/app",
            "git@example.org:open/../secret/app",
            "https://example.org/open/.\t./secret/app",
            "ssh://git@example.org/open/../secret/app",
            "oci://example.org/open/../secret",
        ] {
            let refused = |key: Result<RepositoryKey, RepositoryError>| {
                key.is_err_and(|error| error.to_string().contains("must not hold"))
            };
            assert!(refused(RepositoryKey::new(url, "", true)), "{url}");
            assert!(!url.starts_with("http") || refused(RepositoryKey::value_file(url)), "{url}");
        }
        for url in ["https://example.org/a..b/.c", "https://example.org/a?path=../b", "file:///srv/a"] {
            assert!(RepositoryKey::new(url, "", true).is_ok(), "{url}");
        }
    }

    #[test]
    fn a_chart_is_in_a_helm_repository_or_in_a_registry() {
        for (url, chart, protocol, found) in [
            ("https://Example.org/charts/", "web", Protocol::Helm, "https://example.org/charts"),
            ("http://example.org", "web", Protocol::Helm, "http://example.org/"),
            ("oci://Registry.example.org/charts", "web", Protocol::Oci, "oci://registry.example.org/charts"),
            (
                "registry.example.org:5000/charts",
                "web",
                Protocol::Oci,
                "oci://registry.example.org:5000/charts",
            ),
            (
                "oci://registry.example.org/manifests",
                "",
                Protocol::Oci,
                "oci://registry.example.org/manifests",
            ),
        ] {
            let key = RepositoryKey::new(url, chart, false).expect(url);
            assert_eq!((key.protocol(), key.url(), key.chart()), (protocol, found, chart));
        }
        assert!(RepositoryKey::new("https://[", "web", false).is_err());
        assert!(RepositoryKey::new("ssh://git@example.org/a", "web", false).is_err());
    }

    #[test]
    fn credentials_are_never_shown() {
        let url = RepositoryKey::new("https://me:secret@example.org/a@b", "", false).expect("a URL");
        assert_eq!(url.to_string(), "https://example.org/a@b");
        assert_eq!(format!("{url:?}"), "https://example.org/a@b");
        assert_eq!(url.url(), "https://me:secret@example.org/a@b");
    }

    #[test]
    fn a_chart_goes_by_its_own_name_in_the_registry() {
        let key = |protocol, url: &str, chart: &str| RepositoryKey {
            protocol,
            url: url.to_owned(),
            chart: chart.to_owned(),
            scope: String::new(),
        };
        let told = ["ghcr.io/acme/charts/web".to_owned()];
        assert!(key(Protocol::Oci, "ghcr.io/Acme/charts", "web").goes_by(&told));
        assert!(key(Protocol::Oci, "oci://ghcr.io:443/acme/charts/web", "").goes_by(&told));
        assert!(!key(Protocol::Oci, "oci://ghcr.io/acme/charts", "other").goes_by(&told));
        assert!(!key(Protocol::Git, "https://ghcr.io/acme/charts", "").goes_by(&told));
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

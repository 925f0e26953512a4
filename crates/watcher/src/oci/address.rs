//! Where an OCI repository is: its registry and its name there, from what people write.

use url::Url;

use crate::repository::RepositoryKey;

/// What Docker Hub is called, and the server that speaks for it.
pub const HUB: (&str, &str) = ("docker.io", "registry-1.docker.io");
/// The longest name of a repository.
const LONGEST: usize = 255;

/// The address of a repository in a registry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    /// The root of the registry's interface.
    root: Url,
    /// The repository's name.
    name: String,
}

impl Address {
    /// From `host[:port]/name`, with or without `oci://` and credentials in front. None where it is no address.
    pub fn parse(text: &str, is_plain: bool) -> Option<Self> {
        let text = text.strip_prefix("oci://").unwrap_or(text);
        let (authority, name) = text.split_once('/')?;
        let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
        let host = if host == HUB.0 { HUB.1 } else { host };
        let name = name.trim_matches('/');
        let scheme = if is_plain { "http" } else { "https" };
        let root = Url::parse(&format!("{scheme}://{host}/v2/")).ok()?;
        let is_address =
            is_name(name) && root.host_str().is_some() && root.path() == "/v2/" && root.query().is_none();
        is_address.then(|| Self { root, name: name.to_owned() })
    }

    /// The address of a key's repository.
    pub fn of(repository: &RepositoryKey, is_plain: bool) -> Option<Self> {
        let (url, chart) = (repository.url(), repository.chart());
        if chart.is_empty() {
            Self::parse(url, is_plain)
        } else {
            Self::parse(&format!("{url}/{chart}"), is_plain)
        }
    }

    /// The repository's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The URL of something in the repository. `rest` holds only what is checked.
    pub fn part(&self, rest: &str) -> Option<Url> {
        self.root.join(&format!("{}/{rest}", self.name)).ok()
    }

    /// The URL that an answer of the registry leads to, if it is the registry's own.
    pub fn next(&self, link: &str) -> Option<Url> {
        self.root.join(link).ok().filter(|next| next.origin() == self.root.origin())
    }

    /// Whether the registry is spoken to without TLS.
    pub fn is_plain(&self) -> bool {
        self.root.scheme() == "http"
    }
}

/// Parts of lower-case letters, digits and separators.
fn is_name(name: &str) -> bool {
    let is_part = |part: &str| {
        let is_inner =
            |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"._-".contains(&byte);
        let is_edge =
            |byte: Option<u8>| byte.is_some_and(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
        part.bytes().all(is_inner) && is_edge(part.bytes().next()) && is_edge(part.bytes().last())
    };
    name.len() <= LONGEST && name.split('/').all(is_part)
}

/// Whether a text may be a tag.
pub fn is_tag(text: &str) -> bool {
    let is_inner = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    text.len() <= 128 && text.bytes().all(is_inner) && !text.is_empty() && !text.starts_with(['.', '-'])
}

/// Whether a text is a digest of the kind that is checked.
pub fn is_digest(text: &str) -> bool {
    let hex = text.strip_prefix("sha256:").unwrap_or_default();
    hex.len() == 64 && hex.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_a_host_and_a_name() {
        for (text, tags) in [
            (
                "oci://registry.example.org/charts/web",
                Some("https://registry.example.org/v2/charts/web/tags/list"),
            ),
            ("registry.example.org:5000/web/", Some("https://registry.example.org:5000/v2/web/tags/list")),
            ("oci://me:secret@example.org/web", Some("https://example.org/v2/web/tags/list")),
            ("docker.io/library/web", Some("https://registry-1.docker.io/v2/library/web/tags/list")),
            ("oci://registry.example.org", None),
            ("oci://registry.example.org/", None),
            ("oci://registry.example.org/Web", None),
            ("oci://registry.example.org/web/../../v1", None),
            ("oci://registry.example.org/web?a=b", None),
            ("oci://registry.example.org?a/web", None),
            ("oci://registry.example.org/we b", None),
            ("oci:///web", None),
        ] {
            let url = Address::parse(text, false).and_then(|address| address.part("tags/list"));
            assert_eq!(url.map(String::from).as_deref(), tags, "{text}");
        }
    }

    #[test]
    fn answers_lead_nowhere_else() {
        let address = Address::parse("example.org/web", true).expect("an address");
        let next = |link: &str| address.next(link).map(String::from);
        assert_eq!(
            next("/v2/web/tags/list?n=1&last=a").as_deref(),
            Some("http://example.org/v2/web/tags/list?n=1&last=a")
        );
        assert_eq!(next("http://other.example.org/v2/"), None);
        assert_eq!(next("//169.254.169.254/"), None);
        assert_eq!(next("https://example.org/v2/"), None);
    }

    #[test]
    fn tags_and_digests_are_told_apart_from_ranges() {
        for tag in ["1.2.3", "v1", "latest", "1.2.3_build", "1.x"] {
            assert!(is_tag(tag), "{tag}");
        }
        for other in ["", "^1", "1.2.3+build", ">=1, <2", "*", ".a", "a/b", "../x"] {
            assert!(!is_tag(other), "{other}");
        }
        assert!(is_digest(&format!("sha256:{}", "0a".repeat(32))));
        assert!(!is_digest(&format!("sha256:{}", "0A".repeat(32))));
        assert!(!is_digest("sha256:12"));
        assert!(!is_digest(&format!("sha512:{}", "0a".repeat(64))));
    }
}

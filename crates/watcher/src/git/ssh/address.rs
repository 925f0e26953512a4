//! Where a repository is that is reached over SSH: the parts of its URL. Pure.

use url::Url;

/// Who asks whom for what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Address {
    pub(super) user: String,
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) path: String,
}

impl Address {
    /// From `ssh://user@host:port/path` or `user@host:path`.
    pub(super) fn parse(url: &str) -> Option<Self> {
        if !url.contains("://") {
            let (user, rest) = url.split_once('@')?;
            let (host, path) = match rest.strip_prefix('[') {
                Some(rest) => rest.split_once("]:")?,
                None => rest.split_once(':')?,
            };
            let (user, host, path) = (user.to_owned(), host.to_lowercase(), path.to_owned());
            return (!host.is_empty() && !path.is_empty()).then_some(Self { user, host, port: 22, path });
        }
        let url = Url::parse(url).ok()?;
        let decode = |text: &str| percent_encoding::percent_decode_str(text).decode_utf8_lossy().into_owned();
        let path = decode(url.path());
        // A path in somebody's home.
        let path =
            path.strip_prefix('/').filter(|path| path.starts_with('~')).map_or(path.clone(), str::to_owned);
        let user = if url.username().is_empty() { "git".to_owned() } else { decode(url.username()) };
        let host = url.host_str()?.trim_matches(['[', ']']).to_lowercase();
        (!path.trim_matches('/').is_empty()).then_some(Self {
            user,
            host,
            port: url.port().unwrap_or(22),
            path,
        })
    }

    /// What the host is to run for whoever fetches.
    pub(super) fn upload_pack(&self) -> String {
        format!("git-upload-pack {}", self.word())
    }

    /// What the host is to run for whoever wants to know where Git LFS has its files.
    pub(super) fn lfs_authenticate(&self) -> String {
        format!("git-lfs-authenticate {} download", self.word())
    }

    /// The path as one word of a shell.
    fn word(&self) -> String {
        format!("'{}'", self.path.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ways_to_write_an_address_are_read() {
        for (url, expected) in [
            ("git@git.example.org:team/app.git", Some(("git", "git.example.org", 22, "team/app.git"))),
            ("me@GIT.example.org:/srv/app", Some(("me", "git.example.org", 22, "/srv/app"))),
            ("ssh://git@git.example.org:2222/team/app", Some(("git", "git.example.org", 2222, "/team/app"))),
            ("ssh://git.example.org/~me/app", Some(("git", "git.example.org", 22, "~me/app"))),
            ("ssh://git@[::1]:2222/a%20b", Some(("git", "::1", 2222, "/a b"))),
            ("git@[::1]:app", Some(("git", "::1", 22, "app"))),
            ("git@git.example.org", None),
            ("ssh://git.example.org", None),
        ] {
            let found = Address::parse(url);
            let found = found.as_ref();
            let found = found
                .map(|found| (found.user.as_str(), found.host.as_str(), found.port, found.path.as_str()));
            assert_eq!(found, expected, "{url}");
        }
    }

    #[test]
    fn a_path_is_one_word_to_the_hosts_shell() {
        let address = Address::parse("git@git.example.org:a'; rm -rf /; '").expect("an address");
        assert_eq!(address.upload_pack(), r"git-upload-pack 'a'\''; rm -rf /; '\'''");
    }
}

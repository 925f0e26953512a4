//! What an overlay may name by URL: a reference as it is written comes in, the repository or file that it means goes
//! out, as kustomize itself would understand it. Nothing is fetched here.

use url::form_urlencoded;

use super::error::ReadError;
use super::path;

/// What a Git URL begins with.
const SCHEMES: [&str; 4] = ["ssh://", "https://", "http://", "file://"];
/// The host that needs no scheme.
const GITHUB: &str = "github.com";
/// The folders of a repository's path where nothing else tells where it ends: an owner and a name.
const SEGMENTS: usize = 2;
/// How files are called that a URL may lead to.
const FILES: [&str; 3] = [".yaml", ".yml", ".json"];

/// Something elsewhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Remote {
    /// A folder of a Git repository.
    Folder {
        /// The repository's URL.
        repository: String,
        /// The folder.
        path: String,
        /// The revision.
        revision: String,
    },
    /// One file.
    File {
        /// Its URL.
        url: String,
    },
}

/// What a reference means; None where it is a path.
pub(super) fn parse(written: &str) -> Result<Option<Remote>, ReadError> {
    if written.starts_with('/') {
        return Ok(None);
    }
    let (address, query) = written.split_once('?').unwrap_or((written, ""));
    let address = strip(address, "git::").unwrap_or(address);
    let is_web = strip(address, "https://").is_some() || strip(address, "http://").is_some();
    let is_file = |split: &Split<'_>| !split.is_marked && FILES.iter().any(|end| address.ends_with(end));
    let split = split(address);
    let Some(split) = split.filter(|split| !(is_web && is_file(split))) else {
        return Ok(is_web.then(|| Remote::File { url: written.to_owned() }));
    };
    let escape = || ReadError::Escape { path: ithaca_api::without_credentials(written) };
    let path = path::join("", split.path).ok_or_else(escape)?;
    Ok(Some(Remote::Folder { repository: split.repository(), path, revision: revision(query) }))
}

/// A URL that means a repository, in its parts.
struct Split<'a> {
    /// Scheme, user and host as kustomize makes them.
    host: String,
    repository: &'a str,
    path: &'a str,
    /// Whether something in the URL says where the repository ends.
    is_marked: bool,
}

impl Split<'_> {
    fn repository(&self) -> String {
        format!("{}{}", self.host, self.repository)
    }
}

fn split(address: &str) -> Option<Split<'_>> {
    let (host, rest) = host(address)?;
    if let Some((repository, path)) = marked(rest) {
        return (!repository.is_empty()).then_some(Split { host, repository, path, is_marked: true });
    }
    if host == "file://" {
        return (!rest.is_empty()).then_some(Split { host, repository: rest, path: "", is_marked: true });
    }
    let slashes = rest.match_indices('/').map(|(at, _)| at);
    let (count, end) = (rest.split('/').count(), slashes.clone().nth(SEGMENTS - 1));
    let end = end.unwrap_or(rest.len());
    let is_whole = count >= SEGMENTS && !rest.is_empty();
    is_whole.then(|| Split {
        host,
        repository: &rest[..end],
        path: rest[end..].trim_start_matches('/'),
        is_marked: false,
    })
}

/// The scheme, user and host of a URL, and what follows; GitHub is spoken to in two ways alone.
fn host(address: &str) -> Option<(String, &str)> {
    let scheme = SCHEMES.into_iter().find(|scheme| strip(address, scheme).is_some());
    let rest = scheme.map_or(address, |scheme| &address[scheme.len()..]);
    if scheme == Some("file://") {
        return Some(("file://".to_owned(), rest));
    }
    let user = rest.split_once('@').map(|(user, _)| user).filter(|user| is_user(user));
    let rest = user.map_or(rest, |user| &rest[user.len() + 1..]);
    let is_github =
        strip(rest, GITHUB).is_some_and(|rest| rest.starts_with(['/', ':'])) && scheme != Some("file://");
    let is_scp = scheme.is_none() && (user.is_some() || is_github);
    if scheme.is_none() && !is_scp {
        return None;
    }
    let slash = rest.find('/');
    let colon = rest.find(':').filter(|at| is_scp && *at > 0 && slash.is_none_or(|slash| *at < slash));
    let (host, rest) = rest.split_at(colon.or(slash)? + 1);
    let user = user.map(|user| format!("{user}@")).unwrap_or_default();
    let host = match scheme {
        Some("ssh://") if is_github => format!("{user}{GITHUB}:"),
        _ if is_github && !user.is_empty() => format!("{user}{GITHUB}:"),
        _ if is_github => format!("https://{GITHUB}/"),
        scheme => format!("{}{user}{host}", scheme.unwrap_or_default()),
    };
    Some((host, rest))
}

/// The repository's path and the folder's, where something says where the one ends.
fn marked(rest: &str) -> Option<(&str, &str)> {
    if let Some(at) = rest.find("_git/") {
        let name = at + "_git/".len();
        let end = rest[name..].find('/').map_or(rest.len(), |end| name + end);
        return Some((&rest[..end], rest[end..].trim_start_matches('/')));
    }
    if let Some((repository, path)) = rest.split_once("//") {
        return Some((repository, path));
    }
    let end = rest.find(".git")? + ".git".len();
    Some((&rest[..end], rest[end..].trim_start_matches('/')))
}

/// The revision that a query asks for; the default branch where it asks for none.
fn revision(query: &str) -> String {
    let value = |name: &str| {
        let mut pairs = form_urlencoded::parse(query.as_bytes());
        pairs.find(|(key, _)| key == name).map(|(_, value)| value.into_owned()).filter(|it| !it.is_empty())
    };
    value("ref").or_else(|| value("version")).unwrap_or_else(|| "HEAD".to_owned())
}

fn is_user(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_alphabetic())
        && text.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '-')
}

fn strip<'a>(text: &'a str, prefix: &str) -> Option<&'a str> {
    let (start, rest) = text.split_at_checked(prefix.len())?;
    start.eq_ignore_ascii_case(prefix).then_some(rest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("github.com/org/repo//a/b?ref=v1", "https://github.com/org/repo", "a/b", "v1")]
    #[case("github.com/org/repo/a/b", "https://github.com/org/repo", "a/b", "HEAD")]
    #[case("GitHub.com:org/repo", "https://github.com/org/repo", "", "HEAD")]
    #[case(
        "https://github.com/org/repo//a/?version=v2&timeout=90s",
        "https://github.com/org/repo",
        "a",
        "v2"
    )]
    #[case("https://me@github.com/org/repo.git//a", "me@github.com:org/repo.git", "a", "HEAD")]
    #[case(
        "https://h.example/group/sub/repo.git/a?submodules=false&ref=x",
        "https://h.example/group/sub/repo.git",
        "a",
        "x"
    )]
    #[case(
        "https://h.example:8443/group/sub/repo//a?ref=a&version=b",
        "https://h.example:8443/group/sub/repo",
        "a",
        "a"
    )]
    #[case("https://me:pass@h.example/o/r//a", "https://me:pass@h.example/o/r", "a", "HEAD")]
    #[case(
        "https://dev.example/org/project/_git/repo/a/b?version=GBmain",
        "https://dev.example/org/project/_git/repo",
        "a/b",
        "GBmain"
    )]
    #[case("git@h.example:org/repo.git//a?ref=", "git@h.example:org/repo.git", "a", "HEAD")]
    #[case("git::https://h.example/o/r//.", "https://h.example/o/r", "", "HEAD")]
    #[case("ssh://git@h.example:2222/o/r.git/a", "ssh://git@h.example:2222/o/r.git", "a", "HEAD")]
    #[case("ssh://git@github.com/o/r//a", "git@github.com:o/r", "a", "HEAD")]
    #[case("file:///srv/r//a?ref=v1", "file:///srv/r", "a", "v1")]
    #[case("file:///srv/r.git", "file:///srv/r.git", "", "HEAD")]
    #[case("https://h.example/o/r//a.yaml", "https://h.example/o/r", "a.yaml", "HEAD")]
    fn a_url_of_a_folder_is_split_as_kustomize_does(
        #[case] written: &str,
        #[case] repository: &str,
        #[case] path: &str,
        #[case] revision: &str,
    ) {
        let expected = Remote::Folder {
            repository: repository.to_owned(),
            path: path.to_owned(),
            revision: revision.to_owned(),
        };
        assert_eq!(parse(written), Ok(Some(expected)));
    }

    #[rstest]
    #[case("https://raw.example/org/repo/v1/deploy/all.yaml")]
    #[case("https://github.com/org/repo/releases/download/v1/install.yml?raw=true")]
    #[case("http://h.example/all.json")]
    #[case("https://h.example/all")]
    fn a_url_of_a_file_is_one(#[case] written: &str) {
        assert_eq!(parse(written), Ok(Some(Remote::File { url: written.to_owned() })));
    }

    #[rstest]
    #[case("../base")]
    #[case("base.yaml")]
    #[case("/etc/passwd")]
    #[case("h.example/org/repo")]
    #[case("github.com-mirror/org/repo")]
    #[case("a:b")]
    fn everything_else_is_a_path(#[case] written: &str) {
        assert_eq!(parse(written), Ok(None));
    }

    #[test]
    fn a_folder_outside_of_its_repository_is_refused() {
        let error = parse("https://me:secret@h.example/o/r//../x").expect_err("outside").to_string();
        assert!(error.contains("h.example/o/r//../x") && !error.contains("secret"), "{error}");
    }
}

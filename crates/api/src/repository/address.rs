//! When two URLs mean one repository, and when one is the beginning of another, in Argo CD's sense. Pure.
//!
//! In: URLs as people write them. Out: yes or no. It connects to nothing.

/// True for `ssh://…` and `user@host:path`.
#[must_use]
pub fn is_ssh(url: &str) -> bool {
    match url.split_once("://") {
        Some((scheme, _)) => scheme.eq_ignore_ascii_case("ssh"),
        None => url.split([':', '/']).next().is_some_and(|authority| authority.contains('@')),
    }
}

/// A URL as it is compared: in lower case, without a slash or `.git` at its end, without a user of HTTP, and with one
/// spelling for SSH and for registries.
#[must_use]
pub fn normalized(url: &str) -> String {
    let url = beginning(url);
    let url = url.trim_end_matches('/');
    url.strip_suffix(".git").unwrap_or(url).to_owned()
}

/// True where a template's URL is the beginning of a repository's. A host is compared whole: what begins with
/// `https://git.example` does not belong to `https://git.example.org`.
#[must_use]
pub fn covers(template: &str, repository: &str) -> bool {
    let template = beginning(template);
    let template = template.strip_suffix(".git").unwrap_or(&template);
    let Some(rest) = normalized(repository).strip_prefix(template).map(str::to_owned) else {
        // Its slash at the end is not in the way of the very repository.
        return normalized(repository) == template.trim_end_matches('/');
    };
    let has_path = template.split_once("://").map_or(template, |(_, rest)| rest).contains('/');
    has_path || rest.is_empty() || rest.starts_with(['/', ':'])
}

fn beginning(url: &str) -> String {
    let url = url.trim().to_lowercase();
    match url.split_once("://") {
        Some(("http" | "https", rest)) => {
            let authority = &rest[..rest.find('/').unwrap_or(rest.len())];
            let user = authority.rfind('@').map_or(0, |at| at + 1);
            let scheme = if url.starts_with("https") { "https" } else { "http" };
            format!("{scheme}://{}", &rest[user..])
        }
        Some(("oci", rest)) => rest.to_owned(),
        Some(_) => url,
        None if is_ssh(&url) => format!("ssh://{}", url.replacen(':', "/", 1)),
        None => url,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_of_one_repository_are_one() {
        for (one, other) in [
            ("https://Git.example.org/Team/App.git", "https://git.example.org/team/app/"),
            ("https://me@git.example.org/app", "https://git.example.org/app"),
            ("git@git.example.org:team/app.git", "ssh://git@git.example.org/team/app"),
            ("oci://registry.example.org/charts", "registry.example.org/charts"),
        ] {
            assert_eq!(normalized(one), normalized(other));
        }
        for (one, other) in [
            ("https://git.example.org/app", "http://git.example.org/app"),
            ("https://git.example.org/app", "https://git.example.org:8443/app"),
            ("git@git.example.org:app", "me@git.example.org:app"),
            ("git@git.example.org:app", "https://git.example.org/app"),
        ] {
            assert_ne!(normalized(one), normalized(other));
        }
    }

    #[test]
    fn a_template_covers_what_begins_with_it() {
        for (template, repository, expected) in [
            ("https://git.example.org", "https://git.example.org/team/app.git", true),
            ("https://git.example.org", "https://git.example.org:8443/app", true),
            ("https://git.example.org/team", "https://GIT.example.org/team-two/app", true),
            ("https://git.example.org/team/", "https://git.example.org/team-two/app", false),
            ("https://git.example.org/team/", "https://git.example.org/team/app", true),
            ("https://git.example.org/team/app/", "https://git.example.org/team/app", true),
            ("https://git.example", "https://git.example.org/app", false),
            ("https://git.example.org", "https://git.example.org@evil.example/app", false),
            ("https://git.example.org", "https://git.example.org:x@evil.example/app", false),
            ("git@git.example.org:team", "ssh://git@git.example.org/team/app", true),
            ("git@git.example.org", "git@git.example.org:team/app", true),
            ("ssh://git", "git@git.example.org:team/app", false),
            ("registry.example.org", "oci://registry.example.org/charts", true),
        ] {
            assert_eq!(covers(template, repository), expected, "{template} {repository}");
        }
    }

    #[test]
    fn ssh_is_told_from_registries_and_urls() {
        for (url, expected) in [
            ("git@git.example.org:team/app", true),
            ("SSH://git.example.org/app", true),
            ("https://git@git.example.org/app", false),
            ("registry.example.org:5000/charts", false),
            ("registry.example.org/charts@1", false),
        ] {
            assert_eq!(is_ssh(url), expected, "{url}");
        }
    }
}

//! Paths inside a repository: without leading or trailing slash, without `.` and `..`, the root empty.

/// The path `relative` as seen from the folder `base`; None where it leads out of the repository.
pub(super) fn join(base: &str, relative: &str) -> Option<String> {
    let mut parts: Vec<&str> = base.split('/').filter(|part| !part.is_empty()).collect();
    for part in relative.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop()?;
            }
            name => parts.push(name),
        }
    }
    Some(parts.join("/"))
}

/// What leads from the folder `base` to the path `to`, by way of the root.
pub(super) fn relative(base: &str, to: &str) -> String {
    "../".repeat(base.split('/').filter(|part| !part.is_empty()).count()) + to
}

/// What is called `path` in what is laid at `at`.
pub(super) fn below(at: &str, path: &str) -> String {
    if path.is_empty() { at.to_owned() } else { format!("{at}/{path}") }
}

/// The folder that a path lies in.
pub(super) fn parent(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(parent, _)| parent)
}

/// The folders that a path lies in, from the root down.
pub(super) fn ancestors(path: &str) -> impl Iterator<Item = &str> {
    let root = (!path.is_empty()).then_some("");
    root.into_iter().chain(path.match_indices('/').map(|(end, _)| &path[..end]))
}

/// True where `path` is `folder` or lies below it.
pub(super) fn is_within(path: &str, folder: &str) -> bool {
    folder.is_empty()
        || path.strip_prefix(folder).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// The part of a path in front of its first element with a wildcard or a variable.
pub(super) fn fixed_part(path: &str) -> &str {
    let Some(special) = path.find(['*', '?', '[', '{', '$']) else { return path };
    path[..special].rfind('/').map_or("", |slash| &path[..slash.max(1)])
}

/// True for what is fetched from elsewhere: URLs, and the shorthands of Git hosts.
pub(super) fn is_remote(path: &str) -> bool {
    path.contains("://") || path.starts_with("git@") || path.starts_with("git::") || path.contains("?ref=")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_joined_inside_the_repository() {
        for (base, relative, joined) in [
            ("", "apps/web/", Some("apps/web")),
            ("", ".", Some("")),
            ("", "./a//b/./c", Some("a/b/c")),
            ("apps/web", "../../base", Some("base")),
            ("apps", "../..", None),
            ("", "..", None),
            ("", "a/../../b", None),
        ] {
            assert_eq!(join(base, relative).as_deref(), joined, "{base} + {relative}");
        }
    }

    #[test]
    fn a_relative_path_leads_to_where_it_should() {
        for (base, to) in [("", "a/b"), ("a", "a/b"), ("a/b", "c"), ("a/b", "")] {
            assert_eq!(join(base, &relative(base, to)).as_deref(), Some(to), "{base} to {to}");
        }
    }

    #[test]
    fn the_fixed_part_ends_before_wildcards_and_variables() {
        assert_eq!(fixed_part("values/prod.yaml"), "values/prod.yaml");
        assert_eq!(fixed_part("values/*.yaml"), "values");
        assert_eq!(fixed_part("../env/$ARGOCD_APP_NAME/values.yaml"), "../env");
        assert_eq!(fixed_part("*.yaml"), "");
        assert_eq!(fixed_part("/*.yaml"), "/");
    }

    #[test]
    fn ancestors_are_all_folders_above() {
        assert_eq!(ancestors("a/b/c").collect::<Vec<_>>(), ["", "a", "a/b"]);
        assert_eq!(ancestors("").count(), 0);
    }

    #[test]
    fn within_means_the_folder_or_below() {
        assert!(is_within("a/b", "a"));
        assert!(is_within("a", "a"));
        assert!(is_within("a", ""));
        assert!(!is_within("ab", "a"));
    }
}

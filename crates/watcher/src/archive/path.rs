//! The names in an archive: which are paths inside of it.

use super::error::ArchiveError;

/// The longest path, in bytes.
const LONGEST: usize = 1024;
/// How many folders may lie in each other.
const DEEPEST: usize = 64;

/// The parts of a name in an archive, without `.`; none for its root.
pub(super) fn parts(name: &[u8]) -> Result<Vec<String>, ArchiveError> {
    let shown = || String::from_utf8_lossy(&name[..name.len().min(LONGEST)]).into_owned();
    let refuse = |reason: &'static str| Err(ArchiveError::Path { path: shown(), reason });
    if name.len() > LONGEST {
        return refuse("its name is too long");
    }
    let Ok(text) = std::str::from_utf8(name) else { return refuse("its name is not UTF-8") };
    if text.starts_with('/') {
        return refuse("its name is an absolute path");
    }
    if text.contains(['\\', '\0', '\n']) {
        return refuse("its name holds a character that no path may");
    }
    let mut parts = Vec::new();
    for part in text.split('/') {
        match part {
            "" | "." => {}
            ".." => return refuse("its name leads out of the archive"),
            // Clients of Git would take it for their own.
            git if git.eq_ignore_ascii_case(".git") => return refuse("nothing may be called .git"),
            part => parts.push(part.to_owned()),
        }
    }
    if parts.len() > DEEPEST {
        return refuse("it lies too deep");
    }
    Ok(parts)
}

/// True where a relative path, seen from the folder of a link, stays in the archive.
pub(super) fn stays_inside(link: &[String], target: &str) -> bool {
    if target.is_empty() || target.len() > LONGEST || target.starts_with('/') || target.contains(['\\', '\0'])
    {
        return false;
    }
    let mut depth = link.len().saturating_sub(1);
    for part in target.split('/') {
        match part {
            "" | "." => {}
            ".." if depth == 0 => return false,
            ".." => depth -= 1,
            _ => depth += 1,
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_a_path_inside_of_the_archive_or_nothing() {
        for (name, expected) in [
            ("web/Chart.yaml", Some(vec!["web", "Chart.yaml"])),
            ("./web//templates/./a.yaml", Some(vec!["web", "templates", "a.yaml"])),
            ("./", Some(vec![])),
            ("web/.gitignore", Some(vec!["web", ".gitignore"])),
            ("web/..hidden", Some(vec!["web", "..hidden"])),
            ("../web", None),
            ("web/../../a", None),
            ("/etc/passwd", None),
            ("web\\..\\a", None),
            ("web/\0", None),
            ("web/.git/config", None),
            ("web/.GIT", None),
        ] {
            let found = parts(name.as_bytes()).ok();
            assert_eq!(
                found,
                expected.map(|parts| parts.into_iter().map(str::to_owned).collect()),
                "{name:?}"
            );
        }
        assert!(parts(b"web/\xff").is_err());
        assert!(parts("a/".repeat(65).as_bytes()).is_err());
        assert!(parts("a".repeat(1025).as_bytes()).is_err());
    }

    #[test]
    fn a_link_stays_inside_or_is_refused() {
        let link: Vec<String> = ["files", "link"].map(str::to_owned).to_vec();
        for (target, stays) in [
            ("a.txt", true),
            ("../values.yaml", true),
            ("../../values.yaml", false),
            ("a/../../b", true),
            ("a/../../../b", false),
            ("/etc/passwd", false),
            ("", false),
        ] {
            assert_eq!(stays_inside(&link, target), stays, "{target:?}");
        }
    }
}

//! What a chart depends on, from its own files. What does not parse has no dependencies: it is the renderer that
//! reports it.

use ithaca_api::{Version, VersionConstraint};
use serde::Deserialize;

/// The files that name dependencies, each with the one that says which versions they were found to be.
pub(super) const FILES: [(&str, &str); 2] =
    [("Chart.yaml", "Chart.lock"), ("requirements.yaml", "requirements.lock")];

/// A chart that another one depends on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub(super) struct Dependency {
    pub(super) name: String,
    /// A version, or a range of them.
    pub(super) version: String,
    pub(super) repository: String,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Listed {
    dependencies: Option<Vec<Dependency>>,
}

/// The dependencies, at the versions that the lock file has for them where those are in the range that is wanted.
pub(super) fn read(chart: &[u8], lock: Option<&[u8]>) -> Vec<Dependency> {
    let locked = lock.map(list).unwrap_or_default();
    let at_version = |mut dependency: Dependency| {
        let same = |other: &&Dependency| {
            other.name == dependency.name
                && other.repository == dependency.repository
                && is_in(&other.version, &dependency.version)
        };
        if let Some(found) = locked.iter().find(same) {
            dependency.version.clone_from(&found.version);
        }
        if dependency.version.trim().is_empty() {
            "*".clone_into(&mut dependency.version);
        }
        dependency
    };
    list(chart).into_iter().filter(|dependency| is_name(&dependency.name)).map(at_version).collect()
}

/// True where one of the names in a chart's `charts` folder is that of a chart, as a folder or as an archive.
pub(super) fn is_packed<'a>(chart: &str, mut names: impl Iterator<Item = &'a str>) -> bool {
    names.any(|name| {
        let rest = name.strip_prefix(chart);
        let version = rest.and_then(|rest| rest.strip_prefix('-')?.strip_suffix(".tgz"));
        rest == Some("") || version.is_some_and(|version| Version::parse(version).is_some())
    })
}

fn list(text: &[u8]) -> Vec<Dependency> {
    let parsed: Option<Listed> =
        std::str::from_utf8(text).ok().and_then(|text| serde_saphyr::from_str(text).ok());
    parsed.and_then(|listed| listed.dependencies).unwrap_or_default()
}

fn is_in(version: &str, wanted: &str) -> bool {
    let constraint = VersionConstraint::parse(wanted).ok();
    constraint.zip(Version::parse(version)).is_some_and(|(constraint, version)| constraint.matches(&version))
}

/// It becomes the name of a folder.
pub(super) fn is_name(name: &str) -> bool {
    !name.is_empty() && !matches!(name, "." | "..") && !name.contains(['/', '\\', '\0'])
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHART: &str = "dependencies:\n- {name: db, version: ^1.2, repository: https://a}\n\
                         - {name: cache, version: 2.x, repository: oci://b}\n- {name: ../x, repository: https://a}\n\
                         - {name: any, repository: https://a}\n";

    fn versions(lock: Option<&str>) -> Vec<(String, String)> {
        let found = read(CHART.as_bytes(), lock.map(str::as_bytes));
        found.into_iter().map(|dependency| (dependency.name, dependency.version)).collect()
    }

    #[test]
    fn a_lock_file_settles_versions_that_are_in_range() {
        let named = |versions: &[(&str, &str)]| -> Vec<(String, String)> {
            versions.iter().map(|(name, version)| ((*name).to_owned(), (*version).to_owned())).collect()
        };
        assert_eq!(versions(None), named(&[("db", "^1.2"), ("cache", "2.x"), ("any", "*")]));
        let lock = "dependencies:\n- {name: db, version: 1.4.7, repository: https://a}\n\
                    - {name: cache, version: 3.0.0, repository: oci://b}\n\
                    - {name: any, version: 5.0.0, repository: https://elsewhere}\ndigest: sha256:00\n";
        assert_eq!(versions(Some(lock)), named(&[("db", "1.4.7"), ("cache", "2.x"), ("any", "*")]));
        assert_eq!(versions(Some("[")), versions(None));
        assert!(read(b"dependencies: 5", None).is_empty());
        assert!(read(b"\xff", None).is_empty());
    }

    #[test]
    fn what_lies_in_the_charts_folder_is_packed() {
        for (name, packed) in [
            ("db", true),
            ("db-1.2.3.tgz", true),
            ("db-v1.2.3+b.tgz", true),
            ("db-extra-1.2.3.tgz", false),
            ("dbx", false),
            ("db.tgz", false),
        ] {
            assert_eq!(is_packed("db", [name].into_iter()), packed, "{name}");
        }
    }
}

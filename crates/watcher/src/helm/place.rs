//! Where the parts of a Helm repository are: its index, and the archives that the index names.

use url::Url;

/// The URL of the index of a repository. A query in the repository's URL is kept, as other clients keep it.
pub fn index(repository: &Url) -> Url {
    below(repository, "index.yaml").unwrap_or_else(|| repository.clone())
}

/// The URL of an archive: absolute, or as seen from the repository.
pub fn archive(repository: &Url, written: &str) -> Option<Url> {
    match Url::parse(written) {
        Ok(url) => Some(url),
        Err(url::ParseError::RelativeUrlWithoutBase) => below(repository, written),
        Err(_) => None,
    }
}

/// Where in a registry the archive of a chart is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InRegistry<'a> {
    /// The address that the chart's name is below.
    pub repository: &'a str,
    /// The chart's name there.
    pub chart: &'a str,
    /// A tag or a digest.
    pub tag: &'a str,
}

/// The place that a URL of the scheme `oci` means; without a tag that of the version.
pub fn in_registry<'a>(url: &'a str, version: &'a str) -> Option<InRegistry<'a>> {
    let at = url.strip_prefix("oci://")?.rfind('/')? + "oci://".len();
    let (repository, last) = (&url[..at], &url[at + 1..]);
    let (chart, tag) = last.split_once('@').or_else(|| last.split_once(':')).unwrap_or((last, version));
    // A digest counts more than the tag before it.
    let chart = chart.split(':').next().unwrap_or(chart);
    (!chart.is_empty() && !tag.is_empty()).then_some(InRegistry { repository, chart, tag })
}

fn below(repository: &Url, relative: &str) -> Option<Url> {
    let mut folder = repository.clone();
    if !folder.path().ends_with('/') {
        folder.set_path(&format!("{}/", folder.path()));
    }
    let mut found = folder.join(relative).ok()?;
    if found.query().is_none() {
        found.set_query(repository.query());
    }
    Some(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_archive_may_be_in_a_registry() {
        for (url, expected) in [
            ("oci://r.example.org:5000/a/web:1.0.0", Some(("oci://r.example.org:5000/a", "web", "1.0.0"))),
            ("oci://r.example.org/web", Some(("oci://r.example.org", "web", "2.0.0+b"))),
            ("oci://r.example.org/a/web:1@sha256:00", Some(("oci://r.example.org/a", "web", "sha256:00"))),
            ("oci://r.example.org", None),
            ("oci://r.example.org/:1", None),
            ("https://r.example.org/web:1", None),
        ] {
            let found = in_registry(url, "2.0.0+b");
            let found = found.map(|InRegistry { repository, chart, tag }| (repository, chart, tag));
            assert_eq!(found, expected, "{url}");
        }
    }

    #[test]
    fn parts_are_found_beside_the_repository_or_where_they_say() {
        let parse = |url| Url::parse(url).expect("a URL");
        let plain = parse("https://example.org/charts");
        assert_eq!(index(&plain).as_str(), "https://example.org/charts/index.yaml");
        assert_eq!(index(&parse("https://example.org/?a=b")).as_str(), "https://example.org/index.yaml?a=b");
        for (written, found) in [
            ("web-1.0.0.tgz", Some("https://example.org/charts/web-1.0.0.tgz")),
            ("deep/web.tgz", Some("https://example.org/charts/deep/web.tgz")),
            ("../web.tgz", Some("https://example.org/web.tgz")),
            ("/web.tgz", Some("https://example.org/web.tgz")),
            ("https://other.example.org/web.tgz", Some("https://other.example.org/web.tgz")),
            ("oci://registry.example.org/web:1.0.0", Some("oci://registry.example.org/web:1.0.0")),
            ("https://[", None),
        ] {
            assert_eq!(archive(&plain, written).map(String::from).as_deref(), found, "{written}");
        }
    }
}

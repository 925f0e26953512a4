//! Words that the pages share. Pure.

use ithaca_api::{ApplicationSource, Destination};

/// Seven characters of a commit id; charts' versions as they are.
pub fn short(revision: &str) -> &str {
    let is_commit = revision.len() >= 40 && revision.bytes().all(|byte| byte.is_ascii_hexdigit());
    if is_commit { &revision[..7] } else { revision }
}

/// `repo/apps/web`, or a chart's name, with the revision where it is not `HEAD`.
pub fn source_in_short(source: &ApplicationSource) -> String {
    let what = if source.chart.is_empty() {
        let url = source.repo_url.trim_end_matches('/').trim_end_matches(".git");
        let repository = url.rsplit(['/', ':']).next().unwrap_or(url);
        match source.path.trim_matches('/') {
            "" | "." => repository.to_owned(),
            path => format!("{repository}/{path}"),
        }
    } else {
        source.chart.clone()
    };
    match source.target_revision() {
        "HEAD" => what,
        revision => format!("{what} @ {}", short(revision)),
    }
}

/// A URL that a browser may follow from a page: anything else than HTTP may be a script.
pub fn link(url: &str) -> Option<&str> {
    let is_http = url.starts_with("https://") || url.starts_with("http://");
    is_http.then_some(url)
}

/// Where an Application's objects go.
pub fn destination(destination: &Destination) -> String {
    let cluster = if destination.is_in_cluster() {
        "in-cluster"
    } else if destination.name.is_empty() {
        &destination.server
    } else {
        &destination.name
    };
    match (cluster, destination.namespace.as_str()) {
        (cluster, "") => cluster.to_owned(),
        ("", namespace) => namespace.to_owned(),
        (cluster, namespace) => format!("{cluster} / {namespace}"),
    }
}

/// `1 object`, `2 objects`.
pub fn count(number: usize, noun: &str) -> String {
    if number == 1 { format!("1 {noun}") } else { format!("{number} {noun}s") }
}

/// A duration that people can compare: `340 ms`, `4.2 s`, `3 min 5 s`.
pub fn duration(seconds: f64) -> String {
    if seconds < 1.0 {
        format!("{:.0} ms", seconds * 1_000.0)
    } else if seconds < 60.0 {
        format!("{seconds:.1} s")
    } else {
        let whole = seconds.round() as u64;
        format!("{} min {} s", whole / 60, whole % 60)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_http_is_linked() {
        assert_eq!(link("https://example.org/"), Some("https://example.org/"));
        assert_eq!(link("javascript:alert(1)"), None);
    }

    #[test]
    fn durations_have_the_unit_that_fits() {
        assert_eq!([0.0346, 4.23, 185.4].map(duration), ["35 ms", "4.2 s", "3 min 5 s"]);
    }
}

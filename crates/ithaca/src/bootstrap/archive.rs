//! The Helm chart that this binary was built with, as the archive that Helm takes.
//!
//! In: the files of `deploy/chart`, embedded. Out: a `.tgz`, the same bytes every time.

use anyhow::Context;
use flate2::{Compression, GzBuilder};
use rust_embed::Embed;

#[derive(Embed)]
#[folder = "../../deploy/chart"]
struct Chart;

/// The packaged chart.
pub fn chart() -> anyhow::Result<Vec<u8>> {
    let mut archive = tar::Builder::new(GzBuilder::new().mtime(0).write(Vec::new(), Compression::best()));
    let mut paths: Vec<_> = Chart::iter().collect();
    // Helm reads Chart.yaml first where it stands first.
    paths.sort_by_key(|path| (path != "Chart.yaml", path.clone()));
    for path in paths {
        let file = Chart::get(&path).with_context(|| format!("the chart has no {path}"))?;
        let mut header = tar::Header::new_gnu();
        header.set_size(u64::try_from(file.data.len())?);
        header.set_mode(0o644);
        archive
            .append_data(&mut header, format!("ithaca/{path}"), file.data.as_ref())
            .with_context(|| format!("failed to pack {path}"))?;
    }
    archive.into_inner()?.finish().context("failed to compress the chart")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_chart_is_of_this_version_and_whole() {
        let metadata = Chart::get("Chart.yaml").expect("a chart");
        let metadata = String::from_utf8(metadata.data.into_owned()).expect("text");
        for line in ["version", "appVersion"] {
            let line = format!("\n{line}: {}\n", env!("CARGO_PKG_VERSION"));
            assert!(metadata.contains(&line), "Chart.yaml lacks{line}");
        }
        for path in [
            "values.yaml",
            "values.schema.json",
            "crds/applications.yaml",
            "templates/_helpers.tpl",
            "grafana/alerts.yaml",
        ] {
            assert!(Chart::get(path).is_some(), "{path}");
        }
    }

    #[test]
    fn the_archive_is_the_same_every_time() {
        let [first, second] = [chart(), chart()].map(|archive| archive.expect("an archive"));
        assert!(first == second && first.starts_with(&[0x1f, 0x8b]));
    }
}

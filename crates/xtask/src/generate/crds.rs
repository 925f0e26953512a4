//! CustomResourceDefinitions from the types that users' manifests are read into.
//!
//! In: `ithaca_api::crds()`. Out: one file each in `deploy/chart/crds`.

use std::path::PathBuf;

use anyhow::Context;

use super::Files;

const HEADER: &str = "# Generated from crates/api by `cargo xtask gen`. Not to be edited.\n";

/// The definitions, as the chart installs them.
pub fn files() -> anyhow::Result<Files> {
    ithaca_api::crds()
        .into_iter()
        .map(|crd| {
            let path = PathBuf::from("deploy/chart/crds").join(format!("{}.yaml", crd.spec.names.plural));
            // Through a value: its keys are sorted, so the text depends on the content alone.
            let value = serde_json::to_value(&crd)?;
            let yaml = serde_saphyr::to_string(&value)
                .with_context(|| format!("failed to write the definition of {}", crd.spec.names.kind))?;
            Ok((path, format!("{HEADER}{yaml}")))
        })
        .collect()
}

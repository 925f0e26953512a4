//! What K3s does with its folder of manifests and with HelmCharts, as far as Ithaca's bootstrap needs it.
//!
//! In: a manifest file and the HelmChart objects of a cluster. Out: applied objects, and charts installed by `helm`.
//! K3s applies a file again and again until all of it is taken, and its controller then installs each chart from
//! `chartContent` into `targetNamespace` with `valuesContent` (docs.k3s.io, "Helm").

use std::path::Path;

use anyhow::Context;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use crate::EmptyCluster;

/// The part of K3s's definition that the bootstrap uses; what is not in it is refused.
const DEFINITION: &str = include_str!("helm_controller/helmchart.yaml");
const CHARTS: &str = "/apis/helm.cattle.io/v1/helmcharts";

/// Plays K3s on a cluster.
pub struct HelmController<'a> {
    on: &'a EmptyCluster,
}

impl<'a> HelmController<'a> {
    /// Makes the cluster know HelmCharts.
    ///
    /// # Errors
    /// When the API server refuses.
    pub async fn start(on: &'a EmptyCluster) -> anyhow::Result<Self> {
        on.cluster.apply(DEFINITION).await?;
        on.cluster.lists("helmcharts.helm.cattle.io").await?;
        Ok(Self { on })
    }

    /// Applies a file of the manifests folder, then installs the charts that are in the cluster.
    ///
    /// # Errors
    /// With what kubectl or helm says.
    pub async fn take(&self, manifests: &str) -> anyhow::Result<()> {
        self.on.cluster.apply(manifests).await?;
        let charts = self.on.cluster.get(CHARTS).await?.context("the cluster knows no HelmCharts")?;
        for chart in charts["items"].as_array().into_iter().flatten() {
            self.install(chart).await?;
        }
        Ok(())
    }

    async fn install(&self, chart: &Value) -> anyhow::Result<()> {
        let name = chart["metadata"]["name"].as_str().context("a chart without name")?;
        let spec = &chart["spec"];
        let text = |field: &str| spec[field].as_str().with_context(|| format!("{name} has no {field}"));
        let folder = self.on.dir.join("helm-controller");
        std::fs::create_dir_all(&folder)?;
        let archive = folder.join(format!("{name}.tgz"));
        let values = folder.join(format!("{name}.yaml"));
        std::fs::write(&archive, STANDARD.decode(text("chartContent")?)?)?;
        std::fs::write(&values, text("valuesContent")?)?;
        let path = |path: &Path| path.display().to_string();
        let (archive, values) = (path(&archive), path(&values));
        let namespace = text("targetNamespace")?;
        let arguments =
            ["upgrade", "--install", name, &archive, "--namespace", namespace, "--values", &values];
        self.on.helm(&arguments).await?;
        Ok(())
    }
}

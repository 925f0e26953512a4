//! The manifest of an artifact, and which of its layers holds the files.

use serde::Deserialize;

use super::address::is_digest;
use crate::archive::{Layout, Packing};

/// What a chart's layer is called.
const CHART: &str = "application/vnd.cncf.helm.chart.content.v1.tar+gzip";
/// What the layer beside it is called that tells where it comes from.
const PROVENANCE: &str = "application/vnd.cncf.helm.chart.provenance.v1.prov";
/// What other layers with files are called.
const PLAIN: &str = "application/vnd.oci.image.layer.v1.tar";
const PACKED: &str = "application/vnd.oci.image.layer.v1.tar+gzip";

/// The types of manifests that are asked for: those that are served, and those that are to be refused clearly.
pub(super) const ACCEPTED: &str = "application/vnd.oci.image.manifest.v1+json, \
    application/vnd.docker.distribution.manifest.v2+json, application/vnd.oci.image.index.v1+json, \
    application/vnd.docker.distribution.manifest.list.v2+json";
/// Layers that a manifest may have, signatures and the like included.
const MOST_LAYERS: usize = 10;

/// The layer with the files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Layer {
    pub(super) digest: String,
    pub(super) size: u64,
    pub(super) packing: Packing,
    pub(super) layout: Layout,
}

#[derive(Deserialize)]
struct Manifest {
    #[serde(default)]
    layers: Vec<Descriptor>,
    #[serde(default)]
    manifests: Option<Vec<serde::de::IgnoredAny>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Descriptor {
    #[serde(default)]
    media_type: String,
    #[serde(default)]
    digest: String,
    #[serde(default)]
    size: i64,
}

/// The only layer that holds files; the others, such as provenance, are left alone. A chart's is wanted where the
/// source names a chart.
pub(super) fn layer(manifest: &[u8], is_chart: bool) -> Result<Layer, String> {
    let Manifest { layers, manifests } =
        serde_json::from_slice(manifest).map_err(|error| format!("its manifest cannot be read: {error}"))?;
    if manifests.is_some() {
        return Err("it is an index of several manifests: name one of them by its digest".to_owned());
    }
    if layers.len() > MOST_LAYERS {
        return Err(format!("its manifest has {} layers, and at most {MOST_LAYERS} are read", layers.len()));
    }
    let mut content = layers.iter().filter(|layer| holds_files(&layer.media_type));
    let (Some(found), None) = (content.next(), content.next()) else {
        let count = layers.iter().filter(|layer| holds_files(&layer.media_type)).count();
        return Err(format!("its manifest has {count} layers with files, and one is expected"));
    };
    let (packing, layout) = match found.media_type.as_str() {
        CHART => (Packing::Gzip, Layout::InFolder),
        _ if is_chart => {
            return Err(format!("it is no chart: its layer has the media type {:?}", found.media_type));
        }
        PACKED => (Packing::Gzip, Layout::AtRoot),
        PLAIN => (Packing::Plain, Layout::AtRoot),
        other => return Err(format!("its layer has the media type {other:?}, which is not read")),
    };
    if !is_digest(&found.digest) {
        return Err(format!("its layer has the digest {:?}, which is not of SHA-256", found.digest));
    }
    let size = u64::try_from(found.size).map_err(|_| format!("its layer has the size {}", found.size))?;
    Ok(Layer { digest: found.digest.clone(), size, packing, layout })
}

/// The digest of a chart's archive and that of its provenance file, where a manifest is a chart's.
pub(super) fn chart(manifest: &[u8]) -> Option<(String, Option<String>)> {
    let Manifest { layers, .. } = serde_json::from_slice(manifest).ok()?;
    let of_type = |wanted: &str| {
        let found = layers.iter().find(|layer| layer.media_type == wanted && is_digest(&layer.digest));
        found.map(|layer| layer.digest.clone())
    };
    Some((of_type(CHART)?, of_type(PROVENANCE)))
}

fn holds_files(media_type: &str) -> bool {
    media_type.ends_with("tar") || media_type.ends_with("tar+gzip")
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn descriptor(media_type: &str) -> Value {
        json!({"mediaType": media_type, "digest": format!("sha256:{}", "0a".repeat(32)), "size": 7})
    }

    fn read(layers: &[Value], is_chart: bool) -> Result<(Packing, Layout), String> {
        let manifest = json!({"schemaVersion": 2, "layers": layers});
        layer(manifest.to_string().as_bytes(), is_chart).map(|layer| (layer.packing, layer.layout))
    }

    #[test]
    fn the_layer_with_the_files_is_found_by_its_type() {
        let provenance = descriptor("application/vnd.cncf.helm.chart.provenance.v1.prov");
        let chart = Ok((Packing::Gzip, Layout::InFolder));
        assert_eq!(read(&[descriptor(CHART), provenance], true), chart);
        assert_eq!(read(&[descriptor(CHART)], false), chart);
        assert_eq!(read(&[descriptor(PACKED)], false), Ok((Packing::Gzip, Layout::AtRoot)));
        assert_eq!(read(&[descriptor(PLAIN)], false), Ok((Packing::Plain, Layout::AtRoot)));
    }

    #[test]
    fn what_is_not_served_says_why() {
        let odd = |field: &str, value: Value| {
            let mut descriptor = descriptor(PACKED);
            descriptor[field] = value;
            descriptor
        };
        for (layers, is_chart, reason) in [
            (vec![], false, "0 layers with files"),
            (vec![descriptor(PACKED), descriptor(PLAIN)], false, "2 layers with files"),
            (vec![descriptor(PACKED)], true, "no chart"),
            (vec![descriptor("application/vnd.other.tar")], false, "not read"),
            (vec![descriptor("application/vnd.docker.image.rootfs.diff.tar.gzip")], false, "0 layers"),
            (vec![descriptor("text/plain"); 11], false, "11 layers"),
            (vec![odd("digest", json!("sha256:../../x"))], false, "not of SHA-256"),
            (vec![odd("digest", json!("sha512:00"))], false, "not of SHA-256"),
            (vec![odd("size", json!(-1))], false, "size -1"),
            (vec![odd("size", json!("7"))], false, "cannot be read"),
        ] {
            let error = read(&layers, is_chart).expect_err(reason);
            assert!(error.contains(reason), "{error}");
        }
        let index = json!({"manifests": [{"digest": "x"}]});
        assert!(
            layer(index.to_string().as_bytes(), false).expect_err("an index").contains("several manifests")
        );
        assert!(layer(b"<html>", false).expect_err("no manifest").contains("cannot be read"));
    }
}

//! The bytes of a bundle: objects come in, their canonical JSON, its digest and its compressed form go out.
//!
//! Equal objects give equal bytes, whatever order their keys were written in.

use serde::ser::{Serialize, SerializeMap, SerializeSeq, Serializer};
use serde_json::Value;
use sha2::{Digest, Sha256};

/// Small gains of higher levels are not worth their time: bundles are read once or twice.
const COMPRESSION_LEVEL: i32 = 3;

/// Why objects do not make a bundle.
#[derive(Debug, thiserror::Error)]
pub enum BundleError {
    /// More JSON than is allowed.
    #[error("the rendered manifests are larger than the limit of {limit} bytes")]
    TooLarge {
        /// Bytes of JSON.
        limit: usize,
    },
    /// The library refused: for want of memory.
    #[error("failed to compress the rendered manifests: {0}")]
    Compress(std::io::Error),
}

/// The manifests of an application, ready to travel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bundle {
    /// SHA-256 of the JSON, hexadecimal.
    pub digest: String,
    /// How many objects there are.
    pub objects: u32,
    /// Bytes of JSON.
    pub size: u64,
    /// The JSON compressed with zstd.
    pub compressed: Vec<u8>,
}

impl Bundle {
    /// Packs `objects`, in their order; `limit` is in bytes of JSON.
    ///
    /// # Errors
    /// When the JSON is larger than `limit`, or memory is short.
    pub fn pack(objects: &[Value], limit: usize) -> Result<Self, BundleError> {
        let json = canonical(objects);
        if json.len() > limit {
            return Err(BundleError::TooLarge { limit });
        }
        let compressed = zstd::bulk::compress(&json, COMPRESSION_LEVEL).map_err(BundleError::Compress)?;
        Ok(Self {
            digest: hex::encode(Sha256::digest(&json)),
            objects: u32::try_from(objects.len()).unwrap_or(u32::MAX),
            size: json.len() as u64,
            compressed,
        })
    }
}

/// The JSON of `objects` with all keys sorted and nothing between the tokens.
fn canonical(objects: &[Value]) -> Vec<u8> {
    let mut json = Vec::new();
    let sorted = objects.iter().map(Sorted).collect::<Vec<_>>();
    // Neither values nor memory can refuse to be written.
    let _ = serde_json::to_writer(&mut json, &sorted);
    json
}

/// A value that writes its keys in order, also where the map keeps another one.
struct Sorted<'a>(&'a Value);

impl Serialize for Sorted<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Value::Object(map) => {
                let mut entries: Vec<_> = map.iter().collect();
                entries.sort_unstable_by_key(|(key, _)| *key);
                let mut out = serializer.serialize_map(Some(entries.len()))?;
                for (key, value) in entries {
                    out.serialize_entry(key, &Sorted(value))?;
                }
                out.end()
            }
            Value::Array(items) => {
                let mut out = serializer.serialize_seq(Some(items.len()))?;
                for item in items {
                    out.serialize_element(&Sorted(item))?;
                }
                out.end()
            }
            leaf => leaf.serialize(serializer),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn equal_objects_give_equal_bytes() {
        let one: Value = serde_json::from_str(r#"{"b":{"d":1,"c":[{"z":1,"y":2}]},"a":"x"}"#).expect("JSON");
        let two: Value = serde_json::from_str(r#"{"a":"x","b":{"c":[{"y":2,"z":1}],"d":1}}"#).expect("JSON");
        assert_eq!(canonical(std::slice::from_ref(&one)), br#"[{"a":"x","b":{"c":[{"y":2,"z":1}],"d":1}}]"#);
        assert_eq!(Bundle::pack(&[one], 1000).expect("small"), Bundle::pack(&[two], 1000).expect("small"));
    }

    #[test]
    fn a_bundle_says_what_it_holds() {
        let bundle = Bundle::pack(&[json!({"a": 1}), json!({"b": 2})], 1000).expect("small");
        assert_eq!((bundle.objects, bundle.size), (2, 17));
        assert_eq!(bundle.digest, hex::encode(Sha256::digest(br#"[{"a":1},{"b":2}]"#)));
        let json = zstd::bulk::decompress(&bundle.compressed, 100).expect("zstd");
        assert_eq!(json, br#"[{"a":1},{"b":2}]"#);
    }

    #[test]
    fn a_bundle_beyond_the_limit_is_refused() {
        assert!(Bundle::pack(&[json!({"a": 1})], 5).is_err());
    }
}

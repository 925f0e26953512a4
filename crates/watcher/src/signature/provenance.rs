//! Provenance files of charts, as `helm package --sign` makes them: a clear-signed text of the chart's description and
//! of the digests of archives.
//!
//! Nothing within counts before the signature does. An archive counts where its digest is there, and where it is said to
//! be of the chart and the version that were asked for: an older archive must not pass for a newer one.

use std::collections::BTreeMap;

use pgp::composed::CleartextSignedMessage;
use serde::Deserialize;

use super::OpenPgpKeys;
use super::error::SignatureError;
use super::validity::{Moments, one_good};
use crate::repository::ChartArchive;

/// What stands between the description and the digests.
const BETWEEN: &str = "\n...\n";

#[derive(Deserialize)]
struct Description {
    name: String,
    version: String,
}

#[derive(Deserialize)]
struct Digests {
    files: BTreeMap<String, String>,
}

/// Verifies that the archive of a chart is what one of the permitted keys signed.
pub(super) fn verify(
    chart: &ChartArchive,
    permitted: &[String],
    keys: &OpenPgpKeys,
    now: i64,
) -> Result<(), SignatureError> {
    let text = match (&chart.provenance, &chart.unread) {
        (Some(text), _) => text,
        (None, Some(reason)) => return Err(unreadable(reason)),
        (None, None) => return Err(SignatureError::NoProvenance),
    };
    let text = std::str::from_utf8(text).map_err(|error| unreadable(&error.to_string()))?;
    let (message, _) =
        CleartextSignedMessage::from_string(text).map_err(|error| unreadable(&error.to_string()))?;
    let signed = message.signed_text();
    let moments = Moments { made: now, now: Some(now) };
    let judged = message
        .signatures()
        .iter()
        .map(|signature| keys.verify_one(signature, signed.as_bytes(), moments, permitted));
    let key = one_good(judged).unwrap_or(Err(SignatureError::Unsigned))?;
    let elsewhere = |reason: String| SignatureError::Elsewhere { key: key.clone(), reason };
    let (description, digests) = read(&signed.replace("\r\n", "\n")).map_err(elsewhere)?;
    let is_asked = description.name == chart.name
        && chart.version.as_ref().is_none_or(|asked| bare(asked) == bare(&description.version));
    if !is_asked {
        return Err(elsewhere(format!("it is for {} {}", description.name, description.version)));
    }
    let digest = format!("sha256:{}", chart.sha256);
    if digests.files.values().any(|signed| signed.eq_ignore_ascii_case(&digest)) {
        Ok(())
    } else {
        Err(elsewhere(format!("it names no archive with the digest {digest}")))
    }
}

fn read(text: &str) -> Result<(Description, Digests), String> {
    let (description, digests) = text.split_once(BETWEEN).ok_or("it names no digests")?;
    let told = |error: serde_saphyr::Error| format!("it cannot be read: {error}");
    Ok((serde_saphyr::from_str(description).map_err(told)?, serde_saphyr::from_str(digests).map_err(told)?))
}

/// A version with and without a `v` is the same.
fn bare(version: &str) -> &str {
    version.strip_prefix('v').unwrap_or(version)
}

fn unreadable(reason: &str) -> SignatureError {
    SignatureError::Unreadable(reason.to_owned())
}

//! Whether a sender knows a secret, found out in a time that tells nothing about it.
//!
//! Where a setting is not set, whoever should be checked by it is believed: a webhook only ever leads to a look at a
//! repository.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use super::Refusal;
use super::secrets::Secrets;

/// Checks the HMAC-SHA256 of a payload, given in hexadecimal.
pub(super) fn signature(
    secrets: &Secrets,
    setting: &'static str,
    given: &str,
    payload: &[u8],
) -> Result<(), Refusal> {
    let Some(secret) = secrets.get(setting)? else { return Ok(()) };
    let given = hex::decode(given).unwrap_or_default();
    mac(secret, payload).and_then(|mac| mac.verify_slice(&given).ok()).ok_or(Refusal::Secret(setting))
}

/// Checks a secret that is sent as it is.
pub(super) fn secret(secrets: &Secrets, setting: &'static str, given: &str) -> Result<(), Refusal> {
    match secrets.get(setting)? {
        Some(secret) if !is_same(given.as_bytes(), secret) => Err(Refusal::Secret(setting)),
        _ => Ok(()),
    }
}

/// Compares two texts. What is compared are their digests under the secret, so neither length nor content shows.
pub(super) fn is_same(given: &[u8], secret: &[u8]) -> bool {
    match (mac(secret, given), mac(secret, secret)) {
        (Some(given), Some(expected)) => given.finalize() == expected.finalize(),
        _ => false,
    }
}

fn mac(secret: &[u8], message: &[u8]) -> Option<Hmac<Sha256>> {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret).ok()?;
    mac.update(message);
    Some(mac)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::webhook::secrets::GITHUB;

    #[test]
    fn secrets_are_compared_whole() {
        for (given, is_right) in [("mellon", true), ("mello", false), ("mellon ", false), ("", false)] {
            assert_eq!(is_same(given.as_bytes(), b"mellon"), is_right, "{given}");
        }
    }

    #[test]
    fn what_is_not_set_is_not_checked() {
        let none = Secrets::default();
        assert_eq!(signature(&none, GITHUB, "", b"payload"), Ok(()));
        assert_eq!(secret(&none, GITHUB, "anything"), Ok(()));
    }

    #[test]
    fn a_signature_is_of_the_whole_payload() {
        let secrets = Secrets::from_pairs(&[(GITHUB, "secret")]);
        // Computed with `openssl dgst -sha256 -hmac secret`.
        let right = "b82fcb791acec57859b989b430a826488ce2e479fdf92326bd0a2e8375a42ba4";
        assert_eq!(signature(&secrets, GITHUB, right, b"payload"), Ok(()));
        for (given, payload) in
            [(right, b"payloa".as_slice()), ("", b"payload"), ("zz", b"payload"), (&right[2..], b"payload")]
        {
            assert_eq!(signature(&secrets, GITHUB, given, payload), Err(Refusal::Secret(GITHUB)));
        }
    }
}

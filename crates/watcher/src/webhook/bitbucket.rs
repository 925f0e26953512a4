//! Bitbucket: Cloud, which proves itself by the webhook's UUID, and Server or Data Center, which signs with HMAC-SHA256.

use serde::Deserialize;

use super::delivery::{Delivery, keys as keys_of};
use super::secrets::{BITBUCKET, BITBUCKET_SERVER, Secrets};
use super::{Refusal, check};

/// The header that tells the webhooks of Cloud.
pub(super) const CLOUD: &str = "x-hook-uuid";
/// The header that names the event, at both.
pub(super) const EVENT: &str = "x-event-key";
const SIGNATURE: &str = "x-hub-signature";

/// What the repositories pushed to in Cloud go by.
pub(super) fn cloud_keys(delivery: &Delivery<'_>, secrets: &Secrets) -> Result<Vec<String>, Refusal> {
    let braces = ['{', '}'];
    if let Some(uuid) = secrets.get(BITBUCKET)? {
        let uuid = String::from_utf8_lossy(uuid);
        // Bitbucket shows it in braces in some places, and without them in others.
        let (given, wanted) = (delivery.header(CLOUD).trim_matches(braces), uuid.trim().trim_matches(braces));
        if !check::is_same(given.as_bytes(), wanted.as_bytes()) {
            return Err(Refusal::Secret(BITBUCKET));
        }
    }
    if delivery.header(EVENT) != "repo:push" {
        return Ok(Vec::new());
    }
    let Push { repository: CloudRepository { full_name, links } } = delivery.read()?;
    let named = full_name.map(|name| format!("https://bitbucket.org/{name}"));
    keys_of(named.into_iter().chain(links.into_iter().map(|links| links.html.href)))
}

/// What the repositories pushed to in Server go by.
pub(super) fn server_keys(delivery: &Delivery<'_>, secrets: &Secrets) -> Result<Vec<String>, Refusal> {
    let given = delivery.header(SIGNATURE).strip_prefix("sha256=").unwrap_or_default();
    check::signature(secrets, BITBUCKET_SERVER, given, delivery.payload)?;
    if !matches!(delivery.header(EVENT), "repo:refs_changed" | "mirror:repo_synchronized") {
        return Ok(Vec::new());
    }
    let Push { repository: ServerRepository { links } } = delivery.read()?;
    keys_of(links.clone.into_iter().map(|link| link.href))
}

#[derive(Deserialize)]
struct Push<T> {
    repository: T,
}

#[derive(Deserialize)]
struct CloudRepository {
    full_name: Option<String>,
    links: Option<CloudLinks>,
}

#[derive(Deserialize)]
struct CloudLinks {
    html: Link,
}

#[derive(Deserialize)]
struct ServerRepository {
    #[serde(default)]
    links: ServerLinks,
}

#[derive(Default, Deserialize)]
struct ServerLinks {
    #[serde(default)]
    clone: Vec<Link>,
}

#[derive(Deserialize)]
struct Link {
    href: String,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::webhook::tests::{hex_signature, keys_from};

    const UUID: &str = "f4ae2ed0-7d62-4d18-b9b1-4bd1c0bd5d6e";

    #[test]
    fn cloud_proves_itself_by_the_webhooks_uuid() {
        let payload = r#"{"push": {"changes": []}, "repository": {"full_name": "shop/web",
            "links": {"html": {"href": "https://bitbucket.org/shop/web"}, "avatar": {"href": "x"}}}}"#;
        let with = |uuid: &str, set: &str| {
            keys_from(&[(CLOUD, uuid), (EVENT, "repo:push")], "", payload, &[(BITBUCKET, set)])
        };
        let braced = format!("{{{UUID}}}");
        for (uuid, set) in [(UUID, UUID), (UUID, braced.as_str()), (braced.as_str(), UUID), ("any", "")] {
            assert_eq!(with(uuid, set), Ok(vec!["bitbucket.org/shop/web".to_owned()]), "{uuid} {set}");
        }
        assert_eq!(with("another", UUID), Err(Refusal::Secret(BITBUCKET)));
        let event = [(CLOUD, UUID), (EVENT, "issue:created")];
        assert_eq!(keys_from(&event, "", "{}", &[(BITBUCKET, UUID)]), Ok(vec![]));
    }

    const REFS_CHANGED: &str = r#"{"eventKey": "repo:refs_changed", "changes": [],
        "repository": {"slug": "web", "project": {"key": "SHOP"}, "links": {
        "self": [{"href": "https://git.example.com/projects/SHOP/repos/web/browse"}],
        "clone": [{"href": "ssh://git@git.example.com:7999/shop/web.git", "name": "ssh"},
                  {"href": "https://git.example.com/scm/shop/web.git", "name": "http"}]}}}"#;

    #[test]
    fn server_names_all_urls_of_a_repository() {
        let keys = keys_from(&[(EVENT, "repo:refs_changed")], "", REFS_CHANGED, &[]);
        let expected = ["git.example.com/scm/shop/web", "git.example.com/shop/web"];
        assert_eq!(keys, Ok(expected.map(str::to_owned).to_vec()));
        let test = keys_from(&[(EVENT, "diagnostics:ping")], "", r#"{"test": true}"#, &[]);
        assert_eq!(test, Ok(vec![]));
        let without = r#"{"repository": {"slug": "web"}}"#;
        let keys = keys_from(&[(EVENT, "repo:refs_changed")], "", without, &[]);
        assert_eq!(keys, Err(Refusal::Payload));
    }

    #[test]
    fn with_a_secret_servers_signature_is_checked() {
        let with = |signature: &str| {
            let headers = [(EVENT, "repo:refs_changed"), (SIGNATURE, signature)];
            keys_from(&headers, "", REFS_CHANGED, &[(BITBUCKET_SERVER, "mellon")])
        };
        assert!(with(&format!("sha256={}", hex_signature("mellon", REFS_CHANGED))).is_ok());
        for wrong in [format!("sha256={}", hex_signature("friend", REFS_CHANGED)), String::new()] {
            assert_eq!(with(&wrong), Err(Refusal::Secret(BITBUCKET_SERVER)));
        }
    }
}

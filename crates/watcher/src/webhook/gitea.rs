//! Gitea, Forgejo and Gogs, which all sign as Gogs does: the bare HMAC-SHA256.
//!
//! Argo CD checks them by `webhook.gogs.secret`. Where that is not set but `webhook.github.secret` is, it is that one:
//! these hosts send what GitHub sends too, and were often set up so.

use super::delivery::Delivery;
use super::github::Push;
use super::secrets::{GITHUB, GOGS, Secrets};
use super::{Refusal, check};

/// The headers that tell their webhooks.
pub(super) const EVENTS: [&str; 3] = ["x-forgejo-event", "x-gitea-event", "x-gogs-event"];
const SIGNATURES: [&str; 3] = ["x-forgejo-signature", "x-gitea-signature", "x-gogs-signature"];

/// What the pushed repositories go by.
pub(super) fn keys(delivery: &Delivery<'_>, secrets: &Secrets) -> Result<Vec<String>, Refusal> {
    let first = |names: [&str; 3]| {
        names
            .into_iter()
            .map(|name| delivery.header(name))
            .find(|value| !value.is_empty())
            .unwrap_or_default()
    };
    let setting = if secrets.get(GOGS)?.is_some() { GOGS } else { GITHUB };
    check::signature(secrets, setting, first(SIGNATURES), delivery.payload)?;
    match first(EVENTS) {
        "push" | "create" | "delete" => delivery.read::<Push>()?.keys(),
        _ => Ok(Vec::new()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::webhook::tests::{hex_signature, keys_from};

    const PUSH: &str = r#"{"ref": "refs/heads/main", "repository": {"name": "web", "full_name": "shop/web",
        "html_url": "https://git.example.com/shop/web", "clone_url": "https://git.example.com/shop/web.git",
        "ssh_url": "ssh://git@git.example.com:2222/shop/web.git"}}"#;

    #[test]
    fn each_of_them_is_told_from_github_whose_headers_they_send_too() {
        for headers in [
            ["x-gogs-event", "x-gogs-delivery"].as_slice(),
            &["x-gitea-event", "x-gogs-event", "x-github-event"],
            &["x-forgejo-event", "x-gitea-event", "x-gogs-event", "x-github-event"],
        ] {
            let headers: Vec<_> = headers.iter().map(|name| (*name, "push")).collect();
            let keys = keys_from(&headers, "", PUSH, &[]);
            assert_eq!(keys, Ok(vec!["git.example.com/shop/web".to_owned()]), "{headers:?}");
        }
        assert_eq!(keys_from(&[("x-gitea-event", "issues")], "", "{}", &[]), Ok(vec![]));
    }

    #[test]
    fn a_signature_is_checked_by_the_one_secret_that_is_set() {
        let with = |header: &'static str, signed: &str, secrets: &[(&str, &str)]| {
            let signature = hex_signature(signed, PUSH);
            keys_from(&[("x-gitea-event", "push"), (header, &signature)], "", PUSH, secrets)
        };
        let (gogs, github) = ((GOGS, "mellon"), (GITHUB, "friend"));
        for header in SIGNATURES {
            assert!(with(header, "mellon", &[gogs]).is_ok(), "{header}");
            assert!(with(header, "friend", &[github]).is_ok(), "{header}");
            assert_eq!(with(header, "friend", &[gogs, github]), Err(Refusal::Secret(GOGS)), "{header}");
            assert_eq!(with(header, "mellon", &[github]), Err(Refusal::Secret(GITHUB)), "{header}");
        }
    }
}

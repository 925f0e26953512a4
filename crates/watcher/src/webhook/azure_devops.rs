//! Azure DevOps: its service hooks tell of pushes, and sign in with a user and a password.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;

use super::delivery::{Delivery, keys as keys_of};
use super::secrets::{AZURE_DEVOPS_PASSWORD, AZURE_DEVOPS_USER, Secrets};
use super::{Refusal, check};

/// The header that tells what comes from Azure DevOps.
pub(super) const ACTIVITY: &str = "x-vss-activityid";

/// What the pushed repositories go by.
pub(super) fn keys(delivery: &Delivery<'_>, secrets: &Secrets) -> Result<Vec<String>, Refusal> {
    let (user, password) = (secrets.get(AZURE_DEVOPS_USER)?, secrets.get(AZURE_DEVOPS_PASSWORD)?);
    if user.or(password).is_some() {
        let wanted = [user.unwrap_or_default(), b":", password.unwrap_or_default()].concat();
        let given = delivery.header("authorization").strip_prefix("Basic ");
        let given = given.and_then(|given| STANDARD.decode(given.trim()).ok()).unwrap_or_default();
        if !check::is_same(&given, &wanted) {
            return Err(Refusal::Secret(AZURE_DEVOPS_PASSWORD));
        }
    }
    let Event { event_type, resource } = delivery.read()?;
    let repository = resource.and_then(|resource| resource.repository);
    match repository.filter(|_| event_type == "git.push") {
        Some(Repository { remote_url }) => {
            let over_ssh = over_ssh(&remote_url);
            keys_of([Some(remote_url), over_ssh].into_iter().flatten())
        }
        None if event_type == "git.push" => Err(Refusal::Payload),
        None => Ok(Vec::new()),
    }
}

/// The same repository over SSH, which goes by another path.
fn over_ssh(url: &str) -> Option<String> {
    let (_, rest) = url.split_once("dev.azure.com/")?;
    let (project, repository) = rest.split_once("/_git/")?;
    Some(format!("ssh://git@ssh.dev.azure.com/v3/{project}/{repository}"))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Event {
    event_type: String,
    resource: Option<Resource>,
}

#[derive(Deserialize)]
struct Resource {
    repository: Option<Repository>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Repository {
    remote_url: String,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::repository::match_key;
    use crate::webhook::tests::keys_from;

    const PUSH: &str = r#"{"publisherId": "tfs", "eventType": "git.push", "resource": {"refUpdates": [],
        "repository": {"name": "web", "project": {"name": "Shop"},
        "remoteUrl": "https://acme@dev.azure.com/acme/Shop/_git/web"}}}"#;

    #[test]
    fn a_push_names_its_repository_over_https_and_ssh() {
        let keys = keys_from(&[(ACTIVITY, "1")], "", PUSH, &[]).expect("keys");
        assert_eq!(keys, ["dev.azure.com/acme/shop/_git/web", "dev.azure.com/v3/acme/shop/web"]);
        let over_ssh = match_key("git@ssh.dev.azure.com:v3/acme/Shop/web").expect("a key");
        assert!(keys.contains(&over_ssh));
        let other = r#"{"eventType": "build.complete", "resource": {"uri": "x"}}"#;
        assert_eq!(keys_from(&[(ACTIVITY, "1")], "", other, &[]), Ok(vec![]));
        let minimal = r#"{"eventType": "git.push", "resource": {"url": "x"}}"#;
        assert_eq!(keys_from(&[(ACTIVITY, "1")], "", minimal, &[]), Err(Refusal::Payload));
    }

    #[test]
    fn with_a_password_only_who_signs_in_passes() {
        let with = |user: &str, password: &str| {
            let basic = format!("Basic {}", STANDARD.encode(format!("{user}:{password}")));
            let secrets = [(AZURE_DEVOPS_USER, "frodo"), (AZURE_DEVOPS_PASSWORD, "mellon")];
            keys_from(&[(ACTIVITY, "1"), ("authorization", &basic)], "", PUSH, &secrets)
        };
        assert!(with("frodo", "mellon").is_ok());
        for (user, password) in [("frodo", "friend"), ("sam", "mellon"), ("", "")] {
            assert_eq!(with(user, password), Err(Refusal::Secret(AZURE_DEVOPS_PASSWORD)));
        }
        let secrets = [(AZURE_DEVOPS_PASSWORD, "mellon")];
        assert!(keys_from(&[(ACTIVITY, "1")], "", PUSH, &secrets).is_err());
    }
}

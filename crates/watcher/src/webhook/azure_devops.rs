//! Azure DevOps: its service hooks tell of pushes, and sign in with a user and a password.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use url::Url;

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
            keys_of(spellings(&remote_url).into_iter().flatten().chain([remote_url]))
        }
        None if event_type == "git.push" => Err(Refusal::Payload),
        None => Ok(Vec::new()),
    }
}

/// How the same repository is called: an organization has two hosts of either protocol, the older of which has its name,
/// and may have a collection in its paths.
fn spellings(url: &str) -> Option<[String; 5]> {
    let url = Url::parse(url).ok()?;
    let segments: Vec<_> = url.path_segments()?.collect();
    let (organization, path) = match url.host_str()? {
        "dev.azure.com" => segments.split_first().map(|(first, rest)| (*first, rest))?,
        host => (host.strip_suffix(".visualstudio.com")?, segments.as_slice()),
    };
    let path = path.strip_prefix(&["DefaultCollection"]).unwrap_or(path);
    // The repository that is called as its project is may be named alone.
    let (project, repository) = match path {
        [project, "_git", repository] => (project, repository),
        ["_git", repository] => (repository, repository),
        _ => return None,
    };
    Some([
        format!("https://dev.azure.com/{organization}/{project}/_git/{repository}"),
        format!("ssh://git@ssh.dev.azure.com/v3/{organization}/{project}/{repository}"),
        format!("https://{organization}.visualstudio.com/{project}/_git/{repository}"),
        format!("https://{organization}.visualstudio.com/DefaultCollection/{project}/_git/{repository}"),
        format!("ssh://{organization}@vs-ssh.visualstudio.com/v3/{organization}/{project}/{repository}"),
    ])
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
    fn a_push_names_its_repository_by_each_of_its_urls() {
        for told in [
            "https://acme@dev.azure.com/acme/Shop/_git/web",
            "https://acme.visualstudio.com/Shop/_git/web",
            "https://acme.visualstudio.com/DefaultCollection/Shop/_git/web",
        ] {
            let push = PUSH.replace("https://acme@dev.azure.com/acme/Shop/_git/web", told);
            let keys = keys_from(&[(ACTIVITY, "1")], "", &push, &[]).expect("keys");
            for url in [
                "https://acme@dev.azure.com/acme/Shop/_git/web",
                "git@ssh.dev.azure.com:v3/acme/Shop/web",
                "https://acme.visualstudio.com/Shop/_git/web",
                "https://acme.visualstudio.com/DefaultCollection/Shop/_git/web",
                "acme@vs-ssh.visualstudio.com:v3/acme/Shop/web",
            ] {
                assert!(keys.contains(&match_key(url).expect("a key")), "{url} is not in {keys:?}");
            }
        }
        let alone = PUSH.replace("acme/Shop/_git/web", "acme/_git/web");
        let keys = keys_from(&[(ACTIVITY, "1")], "", &alone, &[]).expect("keys");
        let over_ssh = match_key("git@ssh.dev.azure.com:v3/acme/web/web").expect("a key");
        assert!(
            keys.contains(&over_ssh) && keys.contains(&"dev.azure.com/acme/_git/web".to_owned()),
            "{keys:?}"
        );
    }

    #[test]
    fn a_server_of_ones_own_is_called_as_it_says() {
        let url = "https://azure.example.com/collection/Shop/_git/web";
        let push = PUSH.replace("https://acme@dev.azure.com/acme/Shop/_git/web", url);
        let keys = keys_from(&[(ACTIVITY, "1")], "", &push, &[]);
        assert_eq!(keys, Ok(vec!["azure.example.com/collection/shop/_git/web".to_owned()]));
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

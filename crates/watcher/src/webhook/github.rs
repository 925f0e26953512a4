//! GitHub: pushes to repositories, and packages of its container registry. Signed with HMAC-SHA256.

use serde::Deserialize;

use super::delivery::{Delivery, keys as keys_of};
use super::registry::without_reference;
use super::secrets::{GITHUB, Secrets};
use super::{Refusal, check};

/// The header that tells GitHub's webhooks.
pub(super) const EVENT: &str = "x-github-event";
/// The header of their signature, `sha256=…`.
pub(super) const SIGNATURE: &str = "x-hub-signature-256";

/// What the pushed repositories go by.
pub(super) fn keys(delivery: &Delivery<'_>, secrets: &Secrets) -> Result<Vec<String>, Refusal> {
    let given = delivery.header(SIGNATURE).strip_prefix("sha256=").unwrap_or_default();
    check::signature(secrets, GITHUB, given, delivery.payload)?;
    match delivery.header(EVENT) {
        "push" => delivery.read::<Push>()?.keys(),
        "package" | "registry_package" => delivery.read::<PackageEvent>()?.keys(),
        _ => Ok(Vec::new()),
    }
}

/// A push, as GitHub, Gitea, Forgejo and Gogs write it.
#[derive(Deserialize)]
pub(super) struct Push {
    repository: Repository,
}

#[derive(Deserialize)]
struct Repository {
    clone_url: Option<String>,
    html_url: Option<String>,
    ssh_url: Option<String>,
    git_url: Option<String>,
    url: Option<String>,
}

impl Push {
    pub(super) fn keys(self) -> Result<Vec<String>, Refusal> {
        let Repository { clone_url, html_url, ssh_url, git_url, url } = self.repository;
        keys_of([clone_url, html_url, ssh_url, git_url, url].into_iter().flatten())
    }
}

/// A package of any kind; containers, charts and OCI artifacts are all of the kind `container`.
#[derive(Deserialize)]
struct PackageEvent {
    action: String,
    #[serde(alias = "registry_package")]
    package: Package,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    package_type: String,
    owner: Owner,
    package_version: Option<PackageVersion>,
}

#[derive(Deserialize)]
struct Owner {
    login: String,
}

#[derive(Deserialize)]
struct PackageVersion {
    #[serde(default)]
    package_url: String,
}

impl PackageEvent {
    fn keys(self) -> Result<Vec<String>, Refusal> {
        let Self { action, package } = self;
        let is_pushed = matches!(action.as_str(), "published" | "updated");
        if !is_pushed || !package.package_type.eq_ignore_ascii_case("container") {
            return Ok(Vec::new());
        }
        let named = format!("ghcr.io/{}/{}", package.owner.login, package.name);
        // An own server of GitHub has its registry elsewhere.
        let written = package.package_version.map(|version| version.package_url).unwrap_or_default();
        keys_of([named, format!("oci://{}", without_reference(&written))])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::webhook::tests::{hex_signature, keys_from};

    const PUSH: &str = r#"{"ref": "refs/heads/main", "repository": {"id": 5, "full_name": "a/b",
        "clone_url": "https://github.example.com/a/b.git", "html_url": "https://github.example.com/a/b",
        "ssh_url": "git@github.example.com:a/b.git", "git_url": "git://github.example.com/a/b.git"}}"#;

    #[test]
    fn a_push_names_its_repository_once() {
        let keys = keys_from(&[(EVENT, "push")], "", PUSH, &[]);
        assert_eq!(keys, Ok(vec!["github.example.com/a/b".to_owned()]));
    }

    #[test]
    fn other_events_are_taken_and_ignored() {
        assert_eq!(keys_from(&[(EVENT, "ping")], "", "{}", &[]), Ok(vec![]));
        assert_eq!(keys_from(&[(EVENT, "issues")], "", "[]", &[]), Ok(vec![]));
    }

    #[test]
    fn a_container_package_names_its_repository_in_the_registry() {
        let package = r#"{"name": "charts/web", "package_type": "CONTAINER", "namespace": "acme",
            "owner": {"login": "Acme"}, "package_version": {"package_url": "ghcr.io/acme/charts/web:1.2.0",
            "container_metadata": {"tag": {"name": "1.2.0"}}}}"#;
        for (event, field) in [("package", "package"), ("registry_package", "registry_package")] {
            let payload = format!(r#"{{"action": "published", "{field}": {package}}}"#);
            let keys = keys_from(&[(EVENT, event)], "", &payload, &[]);
            assert_eq!(keys, Ok(vec!["ghcr.io/acme/charts/web".to_owned()]), "{event}");
        }
        let npm = package.replace("CONTAINER", "npm");
        let payload = format!(r#"{{"action": "published", "package": {npm}}}"#);
        assert_eq!(keys_from(&[(EVENT, "package")], "", &payload, &[]), Ok(vec![]));
    }

    #[test]
    fn with_a_secret_only_its_signature_passes() {
        let secrets = [(GITHUB, "mellon")];
        let right = format!("sha256={}", hex_signature("mellon", PUSH));
        assert!(keys_from(&[(EVENT, "push"), (SIGNATURE, &right)], "", PUSH, &secrets).is_ok());
        let other = format!("sha256={}", hex_signature("friend", PUSH));
        for wrong in [&other, right.trim_start_matches("sha256="), "sha256=00", ""] {
            let keys = keys_from(&[(EVENT, "push"), (SIGNATURE, wrong)], "", PUSH, &secrets);
            assert_eq!(keys, Err(Refusal::Secret(GITHUB)), "{wrong}");
        }
        assert_eq!(keys_from(&[(EVENT, "ping")], "", "{}", &secrets), Err(Refusal::Secret(GITHUB)));
    }

    #[test]
    fn a_form_is_refused_with_what_to_change() {
        let headers = [(EVENT, "push"), ("content-type", "application/x-www-form-urlencoded")];
        assert_eq!(keys_from(&headers, "", "payload=%7B%7D", &[]), Err(Refusal::ContentType));
    }
}

//! Registries of charts and other OCI artifacts: Harbor, Docker Hub, and the distribution registry.
//!
//! None of them signs. Harbor and distribution send a header `Authorization` that their administrator sets; to Docker
//! Hub a secret can only be given in the webhook's URL. GitHub's registry tells as GitHub does.

use serde::Deserialize;

use super::delivery::{Delivery, keys as keys_of};
use super::secrets::{DISTRIBUTION, DOCKER_HUB, HARBOR, Secrets};
use super::{Refusal, check};

const AUTHORIZATION: &str = "authorization";
/// The names by which people know Docker Hub's registry.
const DOCKER_HUB_HOSTS: [&str; 3] = ["docker.io", "registry-1.docker.io", "index.docker.io"];

/// What the repositories go by that something was pushed to in Harbor, told in its own form or as CloudEvents.
pub(super) fn harbor_keys(delivery: &Delivery<'_>, secrets: &Secrets) -> Result<Vec<String>, Refusal> {
    #[derive(Deserialize)]
    struct Event {
        #[serde(rename = "type")]
        kind: String,
        #[serde(alias = "data")]
        event_data: Option<Data>,
    }
    #[derive(Deserialize)]
    struct Data {
        #[serde(default)]
        resources: Vec<Resource>,
    }
    #[derive(Deserialize)]
    struct Resource {
        #[serde(default)]
        resource_url: String,
    }
    check::secret(secrets, HARBOR, delivery.header(AUTHORIZATION))?;
    let Event { kind, event_data } = delivery.read()?;
    if !matches!(kind.as_str(), "PUSH_ARTIFACT" | "harbor.artifact.pushed") {
        return Ok(Vec::new());
    }
    let resources = event_data.map(|data| data.resources).unwrap_or_default();
    keys_of(resources.iter().map(|resource| format!("oci://{}", without_reference(&resource.resource_url))))
}

/// What the repository goes by that something was pushed to in Docker Hub.
pub(super) fn docker_hub_keys(delivery: &Delivery<'_>, secrets: &Secrets) -> Result<Vec<String>, Refusal> {
    #[derive(Deserialize)]
    struct Event {
        repository: Repository,
    }
    #[derive(Deserialize)]
    struct Repository {
        repo_name: String,
    }
    check::secret(secrets, DOCKER_HUB, &delivery.query("secret").unwrap_or_default())?;
    let Event { repository: Repository { repo_name } } = delivery.read()?;
    let is_official = !repo_name.contains('/');
    let name = if is_official { format!("library/{repo_name}") } else { repo_name };
    keys_of(DOCKER_HUB_HOSTS.map(|host| format!("{host}/{name}")))
}

/// What the repositories go by that something was pushed to in a distribution registry.
pub(super) fn distribution_keys(delivery: &Delivery<'_>, secrets: &Secrets) -> Result<Vec<String>, Refusal> {
    #[derive(Deserialize)]
    struct Envelope {
        events: Vec<Event>,
    }
    #[derive(Deserialize)]
    struct Event {
        action: String,
        target: Target,
        #[serde(default)]
        request: Request,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Target {
        #[serde(default)]
        media_type: String,
        repository: String,
        #[serde(default)]
        url: String,
    }
    #[derive(Default, Deserialize)]
    struct Request {
        #[serde(default)]
        host: String,
    }
    check::secret(secrets, DISTRIBUTION, delivery.header(AUTHORIZATION))?;
    let Envelope { events } = delivery.read()?;
    // Layers are told of one by one before the manifest that needs them.
    let pushed =
        |event: &Event| event.action == "push" && event.target.media_type != "application/octet-stream";
    let urls: Vec<String> = events
        .into_iter()
        .filter(pushed)
        .flat_map(|Event { target, request, .. }| {
            // The registry may be known by another name outside than to who pushed.
            let known_as = target.url.split_once("/v2/").map(|(host, _)| host.to_owned());
            let asked_as =
                Some(request.host).filter(|host| !host.is_empty()).map(|host| format!("oci://{host}"));
            let hosts = [known_as, asked_as].into_iter().flatten();
            hosts.map(|host| format!("{host}/{}", target.repository)).collect::<Vec<_>>()
        })
        .collect();
    if urls.is_empty() { Ok(Vec::new()) } else { keys_of(urls) }
}

/// An artifact's repository: its name without tag and digest.
pub(super) fn without_reference(artifact: &str) -> &str {
    let name = artifact.split_once('@').map_or(artifact, |(name, _)| name);
    match name.rsplit_once(':') {
        Some((repository, tag)) if !tag.contains('/') => repository,
        _ => name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::webhook::tests::keys_from;

    const HARBOR_PUSH: &str = r#"{"type": "PUSH_ARTIFACT", "occur_at": 1, "operator": "admin", "event_data": {
        "resources": [{"digest": "sha256:1", "tag": "1.2.0",
                       "resource_url": "harbor.example.com:8443/charts/Web:1.2.0"}],
        "repository": {"name": "Web", "namespace": "charts", "repo_full_name": "charts/Web"}}}"#;

    #[test]
    fn harbor_is_told_by_what_it_sends_and_by_the_query() {
        let expected = Ok(vec!["harbor.example.com/charts/web".to_owned()]);
        assert_eq!(keys_from(&[], "", HARBOR_PUSH, &[]), expected);
        assert_eq!(keys_from(&[], "type=harbor", HARBOR_PUSH, &[]), expected);
        let event =
            HARBOR_PUSH.replace("event_data", "data").replace("PUSH_ARTIFACT", "harbor.artifact.pushed");
        let event = event.replacen('{', r#"{"specversion": "1.0", "#, 1);
        assert_eq!(keys_from(&[], "", &event, &[]), expected);
        let scan = HARBOR_PUSH.replace("PUSH_ARTIFACT", "SCANNING_COMPLETED");
        assert_eq!(keys_from(&[], "", &scan, &[]), Ok(vec![]));
    }

    #[test]
    fn harbor_and_distribution_send_the_secret_as_a_header() {
        for (payload, setting) in [(HARBOR_PUSH, HARBOR), (DISTRIBUTION_PUSH, DISTRIBUTION)] {
            let with = |header: &str| {
                keys_from(&[(AUTHORIZATION, header)], "", payload, &[(setting, "Bearer mellon")])
            };
            assert!(with("Bearer mellon").is_ok());
            for wrong in ["Bearer friend", "mellon", ""] {
                assert_eq!(with(wrong), Err(Refusal::Secret(setting)), "{wrong}");
            }
        }
    }

    const DOCKER_HUB_PUSH: &str = r#"{"callback_url": "https://registry.hub.docker.com/u/acme/web/hook/1/",
        "push_data": {"pushed_at": 1, "pusher": "ada", "tag": "1.2.0"},
        "repository": {"name": "web", "namespace": "acme", "repo_name": "acme/web", "status": "Active"}}"#;

    #[test]
    fn docker_hub_goes_by_all_names_of_its_registry() {
        let keys = keys_from(&[], "type=dockerhub", DOCKER_HUB_PUSH, &[]).expect("keys");
        assert_eq!(keys, ["docker.io/acme/web", "index.docker.io/acme/web", "registry-1.docker.io/acme/web"]);
        assert_eq!(keys_from(&[], "", DOCKER_HUB_PUSH, &[]), Ok(keys));
        let official = DOCKER_HUB_PUSH.replace("acme/web\"", "web\"");
        assert!(
            keys_from(&[], "", &official, &[]).expect("keys").contains(&"docker.io/library/web".to_owned())
        );
    }

    #[test]
    fn docker_hubs_secret_is_in_the_url() {
        let with = |query| keys_from(&[], query, DOCKER_HUB_PUSH, &[(DOCKER_HUB, "mel&lon")]);
        assert!(with("type=dockerhub&secret=mel%26lon").is_ok());
        for query in ["type=dockerhub", "type=dockerhub&secret=mel", "secret=friend", ""] {
            assert_eq!(with(query), Err(Refusal::Secret(DOCKER_HUB)), "{query}");
        }
    }

    const DISTRIBUTION_PUSH: &str = r#"{"events": [
        {"id": "1", "action": "push", "target": {"mediaType": "application/octet-stream",
         "repository": "layers/only", "url": "https://registry.example.com/v2/layers/only/blobs/sha256:1"},
         "request": {"host": "registry.example.com"}},
        {"id": "2", "action": "pull", "target": {"repository": "pulled", "url": "http://x/v2/pulled/manifests/1"}},
        {"id": "3", "action": "push", "target": {"mediaType": "application/vnd.oci.image.manifest.v1+json",
         "repository": "charts/web", "tag": "1.2.0",
         "url": "https://registry.example.com/v2/charts/web/manifests/sha256:2"},
         "request": {"host": "10.0.0.7:5000", "method": "PUT"}}]}"#;

    #[test]
    fn distribution_tells_of_manifests_under_each_of_its_names() {
        let keys = keys_from(&[], "", DISTRIBUTION_PUSH, &[]);
        let expected = ["10.0.0.7/charts/web", "registry.example.com/charts/web"];
        assert_eq!(keys, Ok(expected.map(str::to_owned).to_vec()));
        assert_eq!(keys_from(&[], "type=distribution", r#"{"events": []}"#, &[]), Ok(vec![]));
    }

    #[test]
    fn a_reference_is_cut_off_its_repository() {
        for artifact in ["h:5000/a/b:1", "h:5000/a/b@sha256:00", "h:5000/a/b:1@sha256:00", "h:5000/a/b"] {
            assert_eq!(without_reference(artifact), "h:5000/a/b");
        }
    }
}

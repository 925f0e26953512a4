//! GitLab: pushes of branches and tags, told by a project or by the whole installation. The secret comes as it is.

use serde::Deserialize;

use super::delivery::{Delivery, keys as keys_of};
use super::secrets::{GITLAB, Secrets};
use super::{Refusal, check};

/// The header that tells GitLab's webhooks.
pub(super) const EVENT: &str = "x-gitlab-event";
const TOKEN: &str = "x-gitlab-token";

/// What the pushed repositories go by.
pub(super) fn keys(delivery: &Delivery<'_>, secrets: &Secrets) -> Result<Vec<String>, Refusal> {
    check::secret(secrets, GITLAB, delivery.header(TOKEN))?;
    let event: Event = delivery.read()?;
    let name = event.event_name.or(event.object_kind).unwrap_or_default();
    if !matches!(name.as_str(), "push" | "tag_push" | "repository_update") {
        return Ok(Vec::new());
    }
    let places = [event.project, event.repository].into_iter().flatten();
    keys_of(places.flat_map(|Place { git_http_url, git_ssh_url, web_url, homepage }| {
        [git_http_url, git_ssh_url, web_url, homepage].into_iter().flatten()
    }))
}

#[derive(Deserialize)]
struct Event {
    object_kind: Option<String>,
    event_name: Option<String>,
    project: Option<Place>,
    repository: Option<Place>,
}

#[derive(Deserialize)]
struct Place {
    git_http_url: Option<String>,
    git_ssh_url: Option<String>,
    web_url: Option<String>,
    homepage: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::webhook::tests::keys_from;

    const PLACE: &str = r#"{"name": "Web", "web_url": "https://gitlab.example.com/shop/web",
        "git_ssh_url": "git@gitlab.example.com:shop/web.git",
        "git_http_url": "https://gitlab.example.com/shop/web.git"}"#;

    #[test]
    fn pushes_of_branches_and_tags_name_their_project() {
        for (header, kind) in [
            ("Push Hook", r#""object_kind": "push", "event_name": "push""#),
            ("Tag Push Hook", r#""object_kind": "tag_push", "event_name": "tag_push""#),
            ("System Hook", r#""event_name": "repository_update""#),
        ] {
            let payload = format!(r#"{{{kind}, "ref": "refs/heads/main", "project": {PLACE}}}"#);
            let keys = keys_from(&[(EVENT, header)], "", &payload, &[]);
            assert_eq!(keys, Ok(vec!["gitlab.example.com/shop/web".to_owned()]), "{header}");
        }
    }

    #[test]
    fn other_events_are_taken_and_ignored() {
        let payload = format!(r#"{{"object_kind": "note", "project": {PLACE}}}"#);
        assert_eq!(keys_from(&[(EVENT, "Note Hook")], "", &payload, &[]), Ok(vec![]));
        assert_eq!(keys_from(&[(EVENT, "System Hook")], "", "{}", &[]), Ok(vec![]));
    }

    #[test]
    fn with_a_secret_only_its_token_passes() {
        let payload = format!(r#"{{"object_kind": "push", "project": {PLACE}}}"#);
        let with =
            |token| keys_from(&[(EVENT, "Push Hook"), (TOKEN, token)], "", &payload, &[(GITLAB, "mellon")]);
        assert!(with("mellon").is_ok());
        for token in ["friend", "mello", ""] {
            assert_eq!(with(token), Err(Refusal::Secret(GITLAB)), "{token}");
        }
    }
}

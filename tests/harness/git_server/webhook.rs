//! What a Git host tells about a push, in the form that GitHub gives it.

use serde_json::{Value, json};

use super::backend::Branches;

/// Where nothing was or is.
const NOTHING: &str = "0000000000000000000000000000000000000000";

/// Tells the webhook about each reference that a push changed. A receiver that is down misses it, as with any host.
pub async fn tell(webhook: String, repository: String, before: Branches, after: Branches) {
    for payload in payloads(&repository, &before, &after) {
        let _ = post(&webhook, &payload).await;
    }
}

/// Posts one payload.
pub async fn post(webhook: &str, payload: &Value) -> reqwest::Result<()> {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let request = reqwest::Client::new().post(webhook).header("X-GitHub-Event", "push").json(payload);
    request.send().await?.error_for_status()?;
    Ok(())
}

/// One payload for each reference that differs.
fn payloads(repository: &str, before: &Branches, after: &Branches) -> Vec<Value> {
    let mut names: Vec<_> = before.keys().chain(after.keys()).collect();
    names.sort();
    names.dedup();
    let commit = |branches: &Branches, name| {
        let commit = branches.get(name).map(String::as_str);
        commit.unwrap_or(NOTHING).to_owned()
    };
    names
        .into_iter()
        .map(|name| (name, commit(before, name), commit(after, name)))
        .filter(|(_, before, after)| before != after)
        .map(|(name, before, after)| push(repository, name, &before, &after))
        .collect()
}

/// The payload for one reference.
pub fn push(repository: &str, reference: &str, before: &str, after: &str) -> Value {
    json!({
        "ref": reference,
        "before": before,
        "after": after,
        "created": before == NOTHING,
        "deleted": after == NOTHING,
        "repository": {
            "clone_url": repository,
            "html_url": repository.trim_end_matches(".git"),
            "default_branch": "main",
        },
        "commits": [],
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn branches(pairs: &[(&str, &str)]) -> Branches {
        let owned = |(name, commit): &(&str, &str)| ((*name).to_owned(), (*commit).to_owned());
        pairs.iter().map(owned).collect()
    }

    #[test]
    fn only_references_that_changed_are_told() {
        let before = branches(&[("refs/heads/a", "1"), ("refs/heads/b", "1")]);
        let after = branches(&[("refs/heads/b", "2"), ("refs/heads/c", "3"), ("refs/heads/d", "4")]);
        let after = after.into_iter().chain([("refs/heads/a".to_owned(), "1".to_owned())]);
        let told = payloads("http://host/x.git", &before, &after.collect());
        let told: Vec<_> =
            told.iter().map(|push| (push["ref"].as_str(), push["created"].as_bool())).collect();
        assert_eq!(
            told,
            [
                (Some("refs/heads/b"), Some(false)),
                (Some("refs/heads/c"), Some(true)),
                (Some("refs/heads/d"), Some(true)),
            ]
        );
    }
}

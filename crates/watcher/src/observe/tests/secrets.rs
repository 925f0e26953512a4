//! As whom repositories are reached changes with Secrets, and with it what is asked and said.

use ithaca_api::RepositorySpec;
use ithaca_api::annotation::SECRET_TYPE_LABEL;
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;

use super::*;
use crate::credentials::Index;
use crate::repository::RepositoryError;

/// Credentials in which one token reaches the repository of all tests, for all or for one project.
fn credentials(token: &str, project: &str) -> Arc<Index> {
    let data = [("url", URL), ("bearerToken", token), ("project", project)];
    let data = data.map(|(key, text)| (key.to_owned(), ByteString(text.as_bytes().to_vec())));
    let mut secret = Secret { data: Some(data.into()), ..Secret::default() };
    secret.metadata.labels = Some([(SECRET_TYPE_LABEL.to_owned(), "repository".to_owned())].into());
    let mut index = Index::default();
    index.put("private", RepositorySpec::read(&secret));
    Arc::new(index)
}

#[test]
fn a_change_of_credentials_asks_the_repositories_that_it_concerns_at_once() {
    let mut world = World::new().with(&["a"]);
    world.is_down = true;
    assert_eq!(world.settle().len(), 1);
    world.is_down = false;
    let calls = world.calls;
    world.observer.credentials(world.now, Arc::default());
    assert!(world.settle().is_empty());
    assert_eq!(world.calls, calls);
    world.observer.credentials(world.now, credentials("one", ""));
    assert_eq!(texts(&world.settle()), ["a c1"]);
    assert_eq!(world.calls, calls + 1);
    world.observer.credentials(world.now, credentials("two", ""));
    assert!(world.settle().is_empty());
    assert_eq!(world.calls, calls + 2);
}

/// It said so to somebody else; up to an hour passed before the new credentials were tried.
#[test]
fn a_server_that_wants_to_be_left_alone_is_asked_with_other_credentials() {
    let mut world = World::new().with(&["a"]);
    let call = world.call();
    let busy = RepositoryError::Busy { repository: URL.to_owned(), hold: Some(3_600 * SECOND) };
    world.answered(call, Err(busy));
    assert_eq!(world.settle().len(), 1);
    world.push();
    assert!(world.settle().is_empty());
    assert_eq!(world.calls, 0);
    world.observer.credentials(world.now, credentials("one", ""));
    assert_eq!(texts(&world.settle()), ["a c1"]);
}

#[test]
fn what_a_project_reaches_by_its_own_credentials_is_a_repository_of_its_own() {
    let mut world = World::new().with(&["a"]);
    world.observer.rules(world.now, rules(&[("shop", false)]));
    let mut object = application("b", json!({}));
    object["spec"]["project"] = json!("shop");
    world.apply(object);
    world.files.insert("apps/b".to_owned(), "1".to_owned());
    assert_eq!(texts(&world.settle()), ["a c1", "b c1"]);
    assert_eq!(world.observer.sizes(), (2, 1));
    world.observer.credentials(world.now, credentials("one", "shop"));
    let said = world.settle();
    assert_eq!(texts(&said), ["b c1"]);
    assert_eq!(said[0].fact.sources[0].scope, "shop");
    assert_eq!(world.observer.sizes(), (2, 2));
    world.observer.credentials(world.now, Arc::default());
    world.settle();
    assert_eq!(world.observer.sizes(), (2, 1));
}

#[test]
fn what_a_secret_says_of_git_lfs_is_told_and_told_anew() {
    let index = |enabled: &str| {
        let data = [("url", URL), ("enableLfs", enabled)];
        let data = data.map(|(key, text)| (key.to_owned(), ByteString(text.as_bytes().to_vec())));
        let mut secret = Secret { data: Some(data.into()), ..Secret::default() };
        secret.metadata.labels = Some([(SECRET_TYPE_LABEL.to_owned(), "repository".to_owned())].into());
        let mut index = Index::default();
        index.put("lfs", RepositorySpec::read(&secret));
        Arc::new(index)
    };
    let mut world = World::new().with(&["a"]);
    assert!(!world.settle()[0].fact.sources[0].lfs);
    world.observer.credentials(world.now, index("true"));
    assert!(world.settle()[0].fact.sources[0].lfs);
    world.observer.credentials(world.now, index("true"));
    assert!(world.settle().is_empty());
    world.observer.credentials(world.now, index("false"));
    assert!(!world.settle()[0].fact.sources[0].lfs);
    // Registries have none.
    let mut object = application("b", json!({}));
    object["spec"]["source"] =
        json!({"repoURL": "oci://example.org/repo", "path": "apps/a", "targetRevision": "HEAD"});
    world.apply(object);
    let said = world.settle();
    assert!(!said[0].fact.sources[0].lfs && said[0].fact.sources[0].commit.is_none());
}

//! What a project does not permit is not asked for, whoever names it.

use ithaca_api::RepositorySpec;
use ithaca_api::annotation::SECRET_TYPE_LABEL;
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use serde_json::Value;

use super::*;
use crate::credentials::Index;
use crate::reads::{Want, What};
use crate::signature::{Origins, Rules};

fn want(what: What, repository: &str) -> Want {
    let revision = "v1".to_owned();
    Want {
        what,
        source: 0,
        path: "x".to_owned(),
        repository: repository.to_owned(),
        chart: String::new(),
        revision,
    }
}

/// Rules of the project `shop`, which permits these repositories.
fn permitting(repositories: &[&str]) -> Rules {
    admitting(repositories, &[])
}

/// The same where it may be used from these namespaces.
fn admitting(repositories: &[&str], namespaces: &[&str]) -> Rules {
    let spec = json!({"sourceRepos": repositories, "sourceNamespaces": namespaces});
    let spec = serde_json::from_value(spec).expect("a project's spec");
    let mut rules = rules(&[("shop", false)]);
    rules.origins.insert("shop".to_owned(), Arc::new(Origins::of(&spec)));
    rules
}

fn in_shop(name: &str) -> Value {
    let mut object = application(name, json!({}));
    object["spec"]["project"] = json!("shop");
    object
}

#[test]
fn a_repository_that_its_project_does_not_permit_is_never_asked() {
    let mut world = World::before_projects();
    world.files.insert("apps/a".to_owned(), "1".to_owned());
    world.observer.rules(world.now, permitting(&["https://example.org/other"]));
    world.apply(in_shop("a"));
    let refused = format!(
        "a: application repo {URL} is not permitted in project 'shop': its spec.sourceRepos has to allow it"
    );
    let said = world.settle();
    assert_eq!(texts(&said), [refused]);
    assert_eq!(said[0].fact.failure.as_ref().map(|failure| failure.reason()), Some(Reason::InvalidSpec));
    assert!(world.wait(600 * SECOND).is_empty() && world.push() == 0);
    assert_eq!(world.calls, 0);
    // Once it is permitted it is asked, and no more once it is not.
    world.observer.rules(world.now, permitting(&["*"]));
    assert_eq!(texts(&world.settle()), ["a c1"]);
    assert_eq!(world.calls, 1);
    world.observer.rules(world.now, permitting(&["!https://example.org/repo"]));
    assert!(texts(&world.settle())[0].contains("is not permitted"));
    world.wait(600 * SECOND);
    assert_eq!((world.calls, world.observer.sizes()), (1, (1, 0)));
}

#[test]
fn a_project_that_does_not_name_the_namespace_of_an_application_asks_nobody_for_it() {
    let mut world = World::before_projects();
    world.files.insert("apps/a".to_owned(), "1".to_owned());
    world.observer.rules(world.now, admitting(&["*"], &["team-b"]));
    let mut elsewhere = in_shop("a");
    elsewhere["metadata"]["namespace"] = json!("team-a");
    world.apply(elsewhere);
    let said = world.settle();
    let refused = "a: an application in namespace 'team-a' is not allowed to use project 'shop': its \
                   spec.sourceNamespaces has to name the namespace";
    assert_eq!(texts(&said), [refused]);
    assert_eq!(said[0].fact.failure.as_ref().map(|failure| failure.reason()), Some(Reason::InvalidSpec));
    assert!(world.wait(600 * SECOND).is_empty() && world.push() == 0);
    assert_eq!(world.calls, 0);
    world.observer.rules(world.now, admitting(&["*"], &["team-*"]));
    assert_eq!(texts(&world.settle()), ["a c1"]);
    world.observer.rules(world.now, permitting(&["*"]));
    assert!(texts(&world.settle())[0].contains("is not allowed to use project"));
}

#[test]
fn what_an_overlay_names_needs_the_permission_of_its_project() {
    let mut world = World::before_projects();
    world.revisions.insert("v1", "b1");
    world.files.insert("apps/a".to_owned(), "1".to_owned());
    world.observer.rules(world.now, permitting(&[URL]));
    world.wants = vec![want(What::Base, "https://other.example.org/base")];
    world.apply(in_shop("a"));
    let expected = "a: failed to have a base of the overlay: repo https://other.example.org/base is not permitted in \
                    project 'shop': its spec.sourceRepos has to allow it";
    assert_eq!(texts(&world.settle()), [expected]);
    assert_eq!(world.calls, 1);
    world.observer.rules(world.now, permitting(&["*"]));
    assert_eq!(texts(&world.settle()), ["a c1"]);
}

#[test]
fn what_an_overlay_names_may_not_be_internal() {
    for (what, url) in [
        (What::Base, "http://127.0.0.1:9/base"),
        (What::Base, "git@gitea:team/base"),
        (What::File, "http://169.254.169.254/latest.yaml?token=secret"),
        (What::Chart, "http://charts.default.svc/"),
    ] {
        let mut world = World::new();
        let chart = if what == What::Chart { "web" } else { "" };
        world.wants = vec![Want { chart: chart.to_owned(), ..want(what, url) }];
        world = world.with(&["a"]);
        let said = texts(&world.settle());
        assert!(said[0].contains("internal") && !said[0].contains("secret"), "{said:?}");
        assert_eq!(world.calls, 1, "{url}");
    }
}

#[test]
fn what_an_overlay_names_may_be_internal_where_a_secret_has_its_url() {
    let mut world = World::new();
    world.revisions.insert("v1", "b1");
    world.wants = vec![want(What::Base, "http://127.0.0.1:9/base")];
    world = world.with(&["a"]);
    assert!(texts(&world.settle())[0].contains("internal"));
    let mut index = Index::default();
    let data = [("url".to_owned(), ByteString(b"http://127.0.0.1:9".to_vec()))];
    let mut secret = Secret { data: Some(data.into()), ..Default::default() };
    secret.metadata.labels = Some([(SECRET_TYPE_LABEL.to_owned(), "repo-creds".to_owned())].into());
    index.put("one", RepositorySpec::read(&secret));
    world.observer.credentials(world.now, Arc::new(index));
    assert_eq!(texts(&world.settle()), ["a c1"]);
}

#[test]
fn a_chart_that_names_a_secret_needs_the_permission_of_its_url() {
    let charts = "https://charts.example.org";
    let mut world = World::before_projects();
    world.revisions.insert("v1", "b1");
    world.files.insert("apps/a".to_owned(), "1".to_owned());
    let mut index = Index::default();
    let data = [("url", charts), ("name", "ours"), ("username", "me"), ("password", "secret")];
    let data = data.map(|(key, text)| (key.to_owned(), ByteString(text.as_bytes().to_vec())));
    let mut secret = Secret { data: Some(data.into()), ..Default::default() };
    secret.metadata.labels = Some([(SECRET_TYPE_LABEL.to_owned(), "repository".to_owned())].into());
    index.put("one", RepositorySpec::read(&secret));
    world.observer.credentials(world.now, Arc::new(index));
    world.wants = vec![Want { chart: "web".to_owned(), ..want(What::Dependency, "@ours") }];
    world.observer.rules(world.now, permitting(&[URL]));
    world.apply(in_shop("a"));
    let said = texts(&world.settle());
    assert!(said[0].contains("repo https://charts.example.org/ (chart web) is not permitted"), "{said:?}");
    world.observer.rules(world.now, permitting(&[URL, charts]));
    assert_eq!(texts(&world.settle()), ["a c1"]);
}

#[test]
fn a_base_that_moves_is_said() {
    let mut world = World::new();
    world.revisions.insert("v1", "b1");
    world.wants = vec![want(What::Base, "https://other.example.org/base")];
    world = world.with(&["a"]);
    let reads = |said: &[Publication]| said[0].fact.sources[0].attachments[0].reads.clone();
    let first = reads(&world.settle());
    assert_eq!(first[0].object_id, "tree of b1");
    world.revisions.insert("v1", "b2");
    assert_eq!(reads(&world.wait(130 * SECOND))[0].object_id, "tree of b2");
}

#[test]
fn who_leads_to_a_repository_is_told_with_the_call() {
    let mut world = World::new();
    world.revisions.insert("v1", "b1");
    world.wants = vec![
        want(What::Base, "https://other.example.org/base"),
        want(What::Base, URL),
        Want { chart: "db".to_owned(), ..want(What::Dependency, "https://charts.example.org") },
    ];
    world = world.with(&["a"]);
    world.settle();
    assert_eq!(world.led, ["https://other.example.org/base".to_owned()].into());
}

#[test]
fn what_a_chart_depends_on_needs_no_permission_where_nobody_is_shown_credentials() {
    let mut world = World::before_projects();
    world.files.insert("apps/a".to_owned(), "1".to_owned());
    world.revisions.insert("v1", "1.0.0");
    let charts = Want { chart: "db".to_owned(), ..want(What::Dependency, "https://charts.example.org") };
    world.wants = vec![charts];
    world.observer.rules(world.now, permitting(&[URL]));
    world.apply(in_shop("a"));
    assert_eq!(texts(&world.settle()), ["a c1"]);
}

//! What charts depend on is looked for, told, and forgotten with them.

use super::*;
use crate::reads::{Want, What};

fn dependency(chart: &str, revision: &str) -> Want {
    Want {
        what: What::Dependency,
        source: 0,
        path: format!("charts/{chart}"),
        repository: "https://charts.example.org".to_owned(),
        chart: chart.to_owned(),
        revision: revision.to_owned(),
    }
}

/// What is laid into the only source of a fact: where, which revision, which tree.
fn laid(publication: &Publication) -> Vec<(String, String, String)> {
    let attachments = publication.fact.sources[0].attachments.iter();
    let tree = |attachment: &ithaca_proto::v1::Attachment| {
        attachment.read.as_ref().map(|read| read.object_id.clone()).unwrap_or_default()
    };
    attachments.map(|it| (it.path.clone(), it.revision.clone(), tree(it))).collect()
}

#[test]
fn what_a_chart_depends_on_is_looked_for_before_anything_is_said() {
    let mut world = World::new();
    world.revisions.insert("^1", "1.4.0");
    world.wants = vec![dependency("db", "^1")];
    world = world.with(&["a", "b"]);
    let said = world.settle();
    assert_eq!(texts(&said), ["a c1", "b c1"]);
    let expected = [("charts/db".to_owned(), "1.4.0".to_owned(), "tree of 1.4.0".to_owned())];
    assert!(said.iter().all(|publication| laid(publication) == expected));
    assert_eq!(said[0].fact.sources[0].attachments[0].chart, "db");
    // One call to the repository and one to that of the dependency, which both share.
    assert_eq!(world.calls, 2);
    assert_eq!(world.observer.sizes(), (2, 2));
}

#[test]
fn a_new_version_of_a_dependency_is_said_when_it_is_found() {
    let mut world = World::new();
    world.revisions.insert("^1", "1.4.0");
    world.wants = vec![dependency("db", "^1")];
    world = world.with(&["a"]);
    world.settle();
    assert!(world.wait(600 * SECOND).is_empty());
    world.revisions.insert("^1", "1.5.0");
    let said = world.wait(130 * SECOND);
    assert_eq!(laid(&said[0])[0].1, "1.5.0");
}

#[test]
fn a_dependency_that_is_wanted_no_more_is_forgotten() {
    let mut world = World::new();
    world.revisions.insert("^1", "1.4.0");
    world.wants = vec![dependency("db", "^1")];
    world = world.with(&["a"]);
    world.settle();
    world.wants = Vec::new();
    world.commit("c2", &["a"]);
    world.push();
    let said = world.settle();
    assert_eq!((texts(&said), laid(&said[0])), (vec!["a c2".to_owned()], Vec::new()));
    assert_eq!(world.observer.sizes(), (1, 1));
}

#[test]
fn a_dependency_that_is_not_to_be_had_is_told_until_a_commit_leaves_it_out() {
    let mut world = World::new();
    world.wants = vec![dependency("db", "^9")];
    world = world.with(&["a"]);
    let said = texts(&world.settle());
    assert!(said[0].starts_with("a: failed to have chart db for charts/db: "), "{said:?}");
    assert!(world.settle().is_empty());
    world.wants = vec![Want { repository: "@alias".to_owned(), ..dependency("db", "1.0.0") }];
    world.commit("c2", &["a"]);
    world.push();
    assert!(!texts(&world.settle()).is_empty());
    world.wants = Vec::new();
    world.commit("c3", &["a"]);
    world.push();
    assert_eq!(texts(&world.settle()), ["a c3"]);
    assert_eq!(world.observer.sizes(), (1, 1));
}

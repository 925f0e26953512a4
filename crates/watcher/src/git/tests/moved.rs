//! References that move: force-pushes, deleted and renamed branches, tags that are put elsewhere, new versions.

use super::*;

#[tokio::test]
async fn a_force_push_is_followed_even_where_nothing_is_shared() {
    let world = World::new();
    let first = world.commit("main", &[("a.yaml", "1")]);
    let repository = world.open();
    assert_eq!(observe(&repository, "main").await, Ok(first.clone()));
    world.upstream.find_reference("refs/heads/main").expect("a branch").delete().expect("it is gone");
    let other = world.commit("main", &[("b.yaml", "1")]);
    assert_eq!(observe(&repository, "main").await, Ok(other.clone()));
    let handle = repository.handle().expect("a handle");
    assert!(handle.snapshot(&other).expect("a snapshot").entry("b.yaml").is_some());
    // Who still renders what was there before can read it.
    assert!(handle.snapshot(&first).is_ok());
}

#[tokio::test]
async fn a_deleted_branch_is_told_and_comes_back() {
    let world = World::new();
    world.commit("main", &[("a.yaml", "1")]);
    let before = world.commit("feature", &[("b.yaml", "1")]);
    let repository = world.open();
    assert_eq!(observe(&repository, "feature").await, Ok(before));
    world.upstream.find_reference("refs/heads/feature").expect("a branch").delete().expect("it is gone");
    let error = observe(&repository, "feature").await.expect_err("no branch");
    assert!(error.contains("\"feature\"") && error.contains("no such branch"), "{error}");
    let again = world.commit("feature", &[("b.yaml", "2")]);
    assert_eq!(observe(&repository, "feature").await, Ok(again));
}

#[tokio::test]
async fn head_follows_a_renamed_default_branch() {
    let world = World::new();
    let first = world.commit("main", &[("a.yaml", "1")]);
    let repository = world.open();
    assert_eq!(observe(&repository, "HEAD").await, Ok(first));
    let second = world.commit("trunk", &[("a.yaml", "2")]);
    world.upstream.set_head("refs/heads/trunk").expect("another default branch");
    world.upstream.find_reference("refs/heads/main").expect("a branch").delete().expect("it is gone");
    assert_eq!(observe(&repository, "HEAD").await, Ok(second));
    assert!(observe(&repository, "main").await.is_err());
}

#[tokio::test]
async fn a_tag_that_is_put_elsewhere_is_followed() {
    let world = World::new();
    let first = world.commit("main", &[("a.yaml", "1")]);
    let second = world.commit("main", &[("a.yaml", "2")]);
    world.tag("v1", &first);
    let repository = world.open();
    assert_eq!(observe(&repository, "v1").await, Ok(first));
    world.upstream.tag_delete("v1").expect("it is gone");
    world.tag("v1", &second);
    assert_eq!(observe(&repository, "v1").await, Ok(second));
}

#[tokio::test]
async fn a_constraint_follows_new_versions() {
    let world = World::new();
    let first = world.commit("main", &[("a.yaml", "1")]);
    let repository = world.open();
    let error = observe(&repository, "web-:1.x").await.expect_err("no tag");
    assert!(error.contains("\"1.x\"") && error.contains("no tag that begins with \"web-\""), "{error}");
    world.tag("web-1.9.0", &first);
    world.tag("v1.99.0", &first);
    assert_eq!(observe(&repository, "web-:1.x").await, Ok(first));
    let second = world.commit("main", &[("a.yaml", "2")]);
    world.tag("web-1.10.0", &second);
    assert_eq!(observe(&repository, "web-:1.x").await, Ok(second));
}

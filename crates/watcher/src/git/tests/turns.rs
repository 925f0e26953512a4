//! Turns as fetches take them.

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{Method, StatusCode};
use axum::response::IntoResponse;
use axum::routing::any;
use tokio::sync::mpsc;

use super::http::{lie, listen, serve};
use super::*;
use crate::git::remote::{Fetch, takes_much};

#[tokio::test(flavor = "multi_thread")]
async fn remotes_that_prepare_no_pack_hold_up_no_fetch_of_another() {
    let world = World::new();
    let commit = world.commit("main", &[("a.yaml", "1")]);
    let good = serve(world.folder.path()).await;
    let (free, held) = watch::channel(false);
    let (asked_tx, mut asked) = mpsc::unbounded_channel();
    let folder = world.folder.path().to_owned();
    let answer = async move |request: Request| {
        if request.method() == Method::GET {
            return lie(State(folder)).await.into_response();
        }
        let _ = asked_tx.send(());
        let _ = held.clone().wait_for(|free| *free).await;
        StatusCode::BAD_GATEWAY.into_response()
    };
    let slow = listen(Router::new().fallback(any(answer))).await;
    let _ = rustls::crypto::ring::default_provider().install_default();
    prepare_process();

    let cache = |name: &str| world.folder.path().join(name);
    let hang = |name: &str| {
        let repository = open(&format!("{slow}/{name}"), &cache(name));
        tokio::spawn(async move { observe(&repository, "HEAD").await })
    };
    let hanging: Vec<_> = ["one", "other", "third"].map(hang).into();
    for _ in &hanging {
        asked.recv().await;
    }
    let fetched = observe(&open(&format!("{good}/git/upstream"), &world.cache()), "HEAD").await;
    assert_eq!(fetched, Ok(commit));
    assert!(hanging.iter().all(|one| !one.is_finished()), "it waited for the others");
    free.send_replace(true);
    for one in hanging {
        assert!(one.await.expect("an answer").is_err());
    }
}

#[tokio::test]
async fn what_is_new_in_a_repository_asks_for_no_turn() {
    let world = World::new();
    let commit = world.commit("main", &[("a.yaml", "1")]);
    let repository = open(&format!("file://{}", world.folder.path().join("gone").display()), &world.cache());
    let tips = || Fetch::Tips(vec!["refs/heads/main".to_owned()]);
    assert!(takes_much(&tips(), &repository.handle().expect("a handle")), "all of it is new");
    let repository = world.open();
    assert_eq!(observe(&repository, "main").await, Ok(commit.clone()));
    let handle = repository.handle().expect("a handle");
    assert!(!takes_much(&tips(), &handle));
    assert!(!takes_much(&Fetch::Commit(Oid::from_str(&commit).expect("an id")), &handle));
    assert!(takes_much(&Fetch::Everything, &handle), "history may be long");
}

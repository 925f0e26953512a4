//! Where proof is asked for, a commit comes with all that it descends from, whatever was fetched before.

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::{Response, StatusCode};
use axum::response::IntoResponse;
use axum::routing::any;

use super::http::{backend, depth, serve};
use super::private::secret;
use super::*;

/// Asks for proof, and gives how many commits are there then.
async fn prove(repository: &GitRepository, revision: &str) -> usize {
    let observed = repository.observe(BTreeSet::from([revision.to_owned()]), true).await.expect("an answer");
    let resolved = observed[revision].clone().expect("a revision");
    assert!(resolved.proof.is_some());
    let id = Oid::from_str(&resolved.commit).expect("an id");
    let handle = repository.handle().expect("a handle");
    let mut commits = vec![id];
    // By what the commits say themselves.
    while let Some(parent) = handle.parents(commits[commits.len() - 1]).expect("a commit").first() {
        commits.push(*parent);
    }
    commits.len()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_comes_with_its_history_where_that_is_asked_for() {
    let world = World::new();
    let first = world.commit("main", &[("a.yaml", "1")]);
    let second = world.commit("main", &[("a.yaml", "2")]);
    world.commit("main", &[("a.yaml", "3")]);
    let server = serve(world.folder.path()).await;
    let _ = rustls::crypto::ring::default_provider().install_default();
    prepare_process();
    let url = format!("{server}/git/upstream");

    // What is here without its history is fetched once more.
    let repository = open(&url, &world.cache());
    let tip = observe(&repository, "main").await.expect("a tip");
    assert_eq!(depth(&repository, &tip), 1);
    assert_eq!(prove(&repository, "main").await, 3);
    assert_eq!(prove(&repository, "main").await, 3);
    // Then only what is new is, and what others ask for without history takes nothing away.
    world.commit("main", &[("a.yaml", "4")]);
    let tip = observe(&repository, "main").await.expect("a tip");
    assert_eq!(depth(&repository, &tip), 1);
    world.commit("main", &[("a.yaml", "5")]);
    assert_eq!(prove(&repository, "main").await, 5);
    world.commit("main", &[("a.yaml", "6")]);
    assert_eq!(prove(&repository, "main").await, 6);

    // A cache that somebody emptied, and others began anew without history.
    std::fs::remove_dir_all(world.cache()).expect("removed");
    let tip = observe(&repository, "main").await.expect("a tip");
    assert_eq!(depth(&repository, &tip), 1);
    assert_eq!(prove(&repository, "main").await, 6);

    // Commits that nothing points at.
    let other = open(&url, &world.folder.path().join("other"));
    assert_eq!(prove(&other, &second).await, 2);
    assert_eq!(prove(&other, &first[..9]).await, 1);
    std::fs::remove_dir_all(world.folder.path().join("other")).expect("removed");
    assert_eq!(prove(&other, &second).await, 2);
    assert_eq!(prove(&open(&world.url(), &world.folder.path().join("local")), "main").await, 6);
}

/// What a Secret lets be searched for a commit is no less of a history that has to be judged.
#[tokio::test(flavor = "multi_thread")]
async fn a_history_is_whole_however_little_may_be_searched() {
    let world = World::new();
    let commits: Vec<String> =
        ["1", "2", "3", "4"].iter().map(|text| world.commit("main", &[("a.yaml", text)])).collect();
    let server = serve(world.folder.path()).await;
    let _ = rustls::crypto::ring::default_provider().install_default();
    prepare_process();
    let url = format!("{server}/git/upstream");
    let index = watch::channel(Some(secret(&[("url", &url), ("depth", "2")]))).1;
    let repository = open_as(Credentials::new(index, PATIENCE), &url, &world.cache());
    assert_eq!(prove(&repository, &commits[2]).await, 3);
}

/// A server that gives files and no history.
async fn tips_alone(state: State<PathBuf>, request: Request) -> Response<Body> {
    let (head, body) = request.into_parts();
    let body = to_bytes(body, 1 << 20).await.expect("a body");
    let wants_tips = String::from_utf8_lossy(&body).contains("deepen 1\n");
    if head.uri.path().ends_with("/git-upload-pack") && !wants_tips {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    }
    backend(state, Request::from_parts(head, Body::from(body))).await
}

#[tokio::test(flavor = "multi_thread")]
async fn history_that_is_not_to_be_had_takes_no_files_away() {
    let world = World::new();
    world.commit("main", &[("a.yaml", "1")]);
    let tip = world.commit("main", &[("a.yaml", "2")]);
    let _ = rustls::crypto::ring::default_provider().install_default();
    prepare_process();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}/git/upstream", listener.local_addr().expect("an address"));
    let router =
        Router::new().route("/git/{*path}", any(tips_alone)).with_state(world.folder.path().to_owned());
    tokio::spawn(async move { axum::serve(listener, router).await });
    let repository = open(&url, &world.cache());
    for _ in 0..2 {
        let observed = repository.observe(BTreeSet::from(["main".to_owned()]), true).await;
        let resolved = observed.expect("an answer")["main"].clone().expect("a revision");
        assert_eq!(resolved.commit, tip);
        let handle = repository.handle().expect("a handle");
        let parents = handle.parents(Oid::from_str(&tip).expect("an id")).expect("a commit");
        assert!(parents.len() == 1 && handle.parents(parents[0]).is_err(), "whoever judges it sees that");
    }
}

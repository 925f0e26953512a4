//! Git LFS against a server that speaks its batch interface, in all the ways in which one can be wrong.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::{Path as InPath, Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get, post};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::http::backend;
use super::private::secret;
use super::ssh::Server;
use super::*;
use crate::git::{Objects, Pointer};

/// `me:p4ssword`.
const WELCOME: &str = "Basic bWU6cDRzc3dvcmQ=";
const CONTENT: &str = "what is too large for Git";

/// What the server was asked, each with whether it was told who asks and the token that it had asked for.
type Heard = Arc<Mutex<Vec<(String, bool, bool)>>>;

fn pointer(text: &str) -> Pointer {
    Pointer { oid: hex::encode(Sha256::digest(text)), size: text.len() as u64 }
}

fn written(Pointer { oid, size }: &Pointer) -> String {
    format!("version https://git-lfs.github.com/spec/v1\noid sha256:{oid}\nsize {size}\n")
}

/// Serves the folder's repositories below `/git` and their files by the batch interface. Where an object is depends on
/// the first letters of its content, by `contents`.
async fn serve(folder: &Path, contents: &[&str], heard: Heard) -> u16 {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let by_oid: BTreeMap<String, String> =
        contents.iter().map(|text| (pointer(text).oid, (*text).to_owned())).collect();
    let contents = by_oid.clone();
    let batch = async move |headers: HeaderMap, question: String| -> Response {
        if headers.get(header::AUTHORIZATION).is_none_or(|shown| shown != WELCOME && shown != "Over SSH") {
            return StatusCode::UNAUTHORIZED.into_response();
        }
        let question: Value = serde_json::from_str(&question).expect("JSON");
        let objects = question["objects"].as_array().expect("objects").iter();
        let answers: Vec<Value> = objects.map(|object| located(&by_oid, port, object)).collect();
        axum::Json(json!({"transfer": "basic", "objects": answers})).into_response()
    };
    let object = async move |InPath(oid): InPath<String>| match contents.get(&oid).map(String::as_str) {
        Some("lost") => StatusCode::NOT_FOUND.into_response(),
        Some(text) if text.starts_with("short") => text[1..].to_owned().into_response(),
        Some(text) if text.starts_with("long") => format!("{text}er").into_response(),
        Some(text) if text.starts_with("false") => text.to_uppercase().into_response(),
        Some(text) => text.to_owned().into_response(),
        None => StatusCode::NOT_FOUND.into_response(),
    };
    let router = Router::new()
        .route("/git/upstream.git/info/lfs/objects/batch", post(batch.clone()))
        .route("/other/objects/batch", post(batch))
        .route("/objects/{oid}", get(object))
        .route("/git/{*path}", any(backend))
        .with_state(folder.to_owned())
        .layer(axum::middleware::from_fn_with_state(heard, listen));
    tokio::spawn(async move { axum::serve(listener, router).await });
    port
}

/// What the batch interface says of one object.
fn located(contents: &BTreeMap<String, String>, port: u16, object: &Value) -> Value {
    let oid = object["oid"].as_str().expect("an id");
    let found = |host: &str, header: Value| {
        let href = format!("http://{host}:{port}/objects/{oid}");
        json!({"oid": oid, "size": object["size"], "actions": {"download": {"href": href, "header": header}}})
    };
    match contents.get(oid).map(String::as_str) {
        None => json!({"oid": oid, "error": {"code": 404, "message": "Object does not exist"}}),
        Some(text) if text.starts_with("away") => found("localhost", json!({"X-Token": "t0ken"})),
        Some(_) => found("127.0.0.1", json!({})),
    }
}

async fn listen(State(heard): State<Heard>, request: Request, next: axum::middleware::Next) -> Response {
    let headers = request.headers();
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    let host = host.split(':').next().unwrap_or_default();
    let (says_who, token) = (headers.contains_key(header::AUTHORIZATION), headers.contains_key("X-Token"));
    let path = request.uri().path().to_owned();
    if !path.starts_with("/git/upstream/") {
        heard.lock().expect("a list").push((format!("{host}{path}"), says_who, token));
    }
    next.run(request).await
}

async fn fetch(repository: &GitRepository, commit: &str, texts: &[&str]) -> Result<Objects, String> {
    let files = texts.iter().map(|text| (format!("files/{text}"), pointer(text))).collect();
    repository.objects(commit, &files).await.cloned().map_err(|error| error.to_string())
}

#[tokio::test(flavor = "multi_thread")]
async fn files_are_had_once_by_who_may_and_are_what_their_pointers_say() {
    let world = World::new();
    let config = |url: &str| format!("[lfs]\n\turl = {url}\n");
    let plain = world.commit("main", &[("files/a", &written(&pointer(CONTENT)))]);
    let heard = Heard::default();
    let contents = [CONTENT, "away", "short", "long", "false", "lost"];
    let port = serve(world.folder.path(), &contents, heard.clone()).await;
    let near = world.commit("main", &[(".lfsconfig", &config(&format!("http://127.0.0.1:{port}/other")))]);
    let far = world.commit("main", &[(".lfsconfig", &config(&format!("http://localhost:{port}/other")))]);
    let _ = rustls::crypto::ring::default_provider().install_default();
    prepare_process();

    let url = format!("http://127.0.0.1:{port}/git/upstream");
    let (index, credentials) = watch::channel(None);
    let credentials = Credentials::new(credentials, PATIENCE);
    let repository = open_as(credentials, &url, &world.cache());
    observe(&repository, "main").await.expect("a commit");
    repository.ensure(plain.clone()).await.expect("a commit");
    let error = fetch(&repository, &plain, &[CONTENT]).await.expect_err("nobody");
    assert!(error.contains("no Secret has credentials"), "{error}");
    index.send_replace(Some(secret(&[("url", &url), ("username", "me"), ("password", "p4ssword")])));
    heard.lock().expect("a list").clear();

    let objects = fetch(&repository, &plain, &[CONTENT, "away"]).await.expect("contents");
    for text in [CONTENT, "away"] {
        assert_eq!(objects.read(&pointer(text)).as_deref(), Some(text.as_bytes()));
    }
    let mut asked = std::mem::take(&mut *heard.lock().expect("a list"));
    asked.sort();
    let batch = "127.0.0.1/git/upstream.git/info/lfs/objects/batch".to_owned();
    let expected = [
        (batch, true, false),
        (format!("127.0.0.1/objects/{}", pointer(CONTENT).oid), true, false),
        (format!("localhost/objects/{}", pointer("away").oid), false, true),
    ];
    assert_eq!(asked, expected);
    fetch(&repository, &plain, &[CONTENT, "away"]).await.expect("contents");
    assert_eq!(*heard.lock().expect("a list"), [], "what is here is asked for again");

    for (text, reason) in [
        ("short", "gave 4 bytes"),
        ("long", "has more than the 4 bytes"),
        ("false", "with the SHA-256"),
        ("lost", "files/lost: the server does not have it"),
        ("unknown", "files/unknown: its server does not have object"),
    ] {
        let error = fetch(&repository, &plain, &[text]).await.expect_err(text);
        assert!(error.contains(reason) && error.contains("from Git LFS"), "{text}: {error}");
        assert!(objects.read(&pointer(text)).is_none(), "{text}");
    }

    // What a file in the repository says counts on the repository's own host.
    heard.lock().expect("a list").clear();
    let credentials = Credentials::new(index.subscribe(), PATIENCE);
    let other = open_as(credentials, &url, &world.folder.path().join("other"));
    observe(&other, "main").await.expect("a commit");
    other.ensure(near.clone()).await.expect("a commit");
    fetch(&other, &near, &[CONTENT]).await.expect("contents");
    assert_eq!(heard.lock().expect("a list")[0], ("127.0.0.1/other/objects/batch".to_owned(), true, false));
    heard.lock().expect("a list").clear();
    let error = fetch(&other, &far, &["away"]).await.expect_err("another host");
    assert!(error.contains("another host"), "{error}");
    assert_eq!(*heard.lock().expect("a list"), [], "another host was asked");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_over_ssh_says_where_its_files_are() {
    let server = Server::start(&[("ed25519", &["-t", "ed25519"])]).await;
    let world = World::new();
    let commit = world.commit("main", &[("files/a", &written(&pointer(CONTENT)))]);
    let heard = Heard::default();
    let port = serve(world.folder.path(), &[CONTENT], heard.clone()).await;
    let _ = rustls::crypto::ring::default_provider().install_default();
    prepare_process();
    let url = server.url(&world.folder.path().join("upstream"));
    let mut known =
        Arc::unwrap_or_clone(secret(&[("url", &url), ("sshPrivateKey", &server.read("ed25519"))]));
    known.set_known_hosts(&server.line());
    let (index, credentials) = watch::channel(None);
    index.send_replace(Some(Arc::new(known)));
    let repository = open_as(Credentials::new(credentials, PATIENCE), &url, &world.cache());
    observe(&repository, "main").await.expect("a commit");

    let error = fetch(&repository, &commit, &[CONTENT]).await.expect_err("no such program");
    assert!(error.contains("does not answer git-lfs-authenticate"), "{error}");
    server.say_of_lfs("gibberish");
    let error = fetch(&repository, &commit, &[CONTENT]).await.expect_err("gibberish");
    assert!(error.contains("not JSON"), "{error}");
    let href = format!("http://127.0.0.1:{port}/other");
    server.say_of_lfs(
        &json!({"href": href, "header": {"Authorization": "Over SSH"}, "expires_in": 60}).to_string(),
    );
    let objects = fetch(&repository, &commit, &[CONTENT]).await.expect("contents");
    assert_eq!(objects.read(&pointer(CONTENT)).as_deref(), Some(CONTENT.as_bytes()));
    let asked = server.read("asked");
    let path = world.folder.path().join("upstream");
    assert!(asked.contains(&format!("git-lfs-authenticate '{}' download", path.display())), "{asked}");
    assert!(heard.lock().expect("a list").iter().all(|(_, says_who, _)| *says_who));
}

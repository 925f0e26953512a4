//! A server that the tests change, and what the watcher makes of its file.

use std::sync::Mutex;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::get;
use ithaca_api::RepositorySpec;
use ithaca_api::annotation::SECRET_TYPE_LABEL;
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use tokio::sync::watch;

use super::*;
use crate::archive::ArchiveLimits;
use crate::cache::Caches;
use crate::credentials::Index;

/// What is served, and whether the last request said who asks.
#[derive(Default)]
struct Served {
    text: Mutex<Option<String>>,
    says_who: Mutex<bool>,
}

async fn serve(State(served): State<Arc<Served>>, headers: HeaderMap) -> Response {
    *served.says_who.lock().expect("a lock") = headers.contains_key(header::AUTHORIZATION);
    let text = served.text.lock().expect("a lock").clone();
    text.map_or(StatusCode::NOT_FOUND.into_response(), IntoResponse::into_response)
}

async fn start(served: Arc<Served>) -> u16 {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let inside = format!("http://localhost:{port}/values.yaml");
    let router = Router::new()
        .route("/values.yaml", get(serve))
        .route("/away", get(async move || Redirect::temporary(&inside)))
        .with_state(served);
    tokio::spawn(async move { axum::serve(listener, router).await });
    port
}

/// A Secret about all repositories whose URLs begin so, with a password.
fn template(url: &str, project: &str) -> Index {
    let data = [("url", url), ("username", "me"), ("password", "p4ssword"), ("project", project)];
    let data = data.map(|(key, text)| (key.to_owned(), ByteString(text.as_bytes().to_vec())));
    let mut secret = Secret { data: Some(data.into()), ..Secret::default() };
    secret.metadata.labels = Some([(SECRET_TYPE_LABEL.to_owned(), "repo-creds".to_owned())].into());
    let mut index = Index::default();
    index.put("template", RepositorySpec::read(&secret));
    index
}

fn open(folder: &std::path::Path, url: &str, scope: &str, index: Index) -> ValueFile {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let credentials = Credentials::new(watch::channel(Some(Arc::new(index))).1, Duration::from_secs(5));
    let key = RepositoryKey::value_file(url).expect("a URL").within(scope);
    let way = Way::new(key.clone(), credentials.clone(), Duration::from_secs(20));
    ValueFile::new(
        way,
        credentials,
        Shelf::new(&Caches::below(folder), &key, ArchiveLimits::of_mib(1)),
        Metrics::new(),
    )
}

async fn look(file: &ValueFile) -> Result<Resolved, String> {
    let mut observed = file.observe([NEWEST.to_owned()].into()).await.map_err(|error| error.to_string())?;
    observed.remove(NEWEST).expect("an answer").map_err(|error| error.to_string())
}

#[tokio::test]
async fn a_file_is_known_by_its_content_and_asked_for_as_nobody() {
    let folder = tempfile::tempdir().expect("a folder");
    let served = Arc::new(Served::default());
    let port = start(served.clone()).await;
    let url = format!("http://127.0.0.1:{port}/values.yaml?token=s3cret");
    let file = open(folder.path(), &url, "", template(&format!("http://127.0.0.1:{port}"), ""));
    let error = look(&file).await.expect_err("nothing");
    assert!(error.contains("the server does not have it") && !error.contains("s3cret"), "{error}");

    let put = |text: &str| *served.text.lock().expect("a lock") = Some(text.to_owned());
    put("a: 1");
    let first = look(&file).await.expect("a file");
    assert_eq!(first.revision, hex::encode(Sha256::digest("a: 1")));
    assert!(!*served.says_who.lock().expect("a lock"), "the server was told a password");
    assert_eq!(look(&file).await, Ok(first.clone()));
    put("a: 2");
    let second = look(&file).await.expect("a file");
    assert_ne!(first.commit, second.commit);
    for (resolved, text) in [(&first, "a: 1"), (&second, "a: 2")] {
        file.ensure(resolved.revision.clone()).await.expect("it is here");
        let handle = file.handle().expect("a handle");
        let found = handle.snapshot(&resolved.revision).expect("a revision").text(REMOTE_VALUE_FILE);
        assert_eq!(found.as_deref(), Some(text.as_bytes()));
    }
    put(&"x".repeat(17 << 20));
    let error = look(&file).await.expect_err("too long");
    assert!(error.contains("more than 16 MiB"), "{error}");
}

#[tokio::test]
async fn no_address_inside_is_asked_unless_a_secret_names_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let served = Arc::new(Served::default());
    *served.text.lock().expect("a lock") = Some("a: 1".to_owned());
    let port = start(served.clone()).await;
    let home = format!("http://127.0.0.1:{port}");
    for (path, scope, index, allowed) in [
        ("/values.yaml", "", Index::default(), false),
        ("/values.yaml", "", template("http://127.0.0.1:1", ""), false),
        ("/values.yaml", "", template(&home, "shop"), false),
        ("/values.yaml", "shop", template(&home, "shop"), true),
        ("/values.yaml", "", template(&format!("{home}/charts"), ""), true),
        // What is named does not vouch for where it leads.
        ("/away", "", template(&home, ""), false),
    ] {
        let found = look(&open(folder.path(), &format!("{home}{path}"), scope, index)).await;
        let words = "leads to an address inside";
        assert!(
            found.as_ref().map_or_else(|error| !allowed && error.contains(words), |_| allowed),
            "{found:?}"
        );
    }
    let by_name = format!("http://localhost:{port}/values.yaml");
    let found = look(&open(folder.path(), &by_name, "", Index::default())).await.expect_err("by its name");
    assert!(found.contains("localhost leads to an address inside"), "{found}");
}

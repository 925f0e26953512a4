//! Repositories that ask who wants to read them, over HTTP.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::any;
use ithaca_api::RepositorySpec;
use ithaca_api::annotation::SECRET_TYPE_LABEL;
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;

use super::http::backend;
use super::*;
use crate::credentials::Index;

/// `me:p4ssword`, and a token.
const WELCOME: [&str; 2] = ["Basic bWU6cDRzc3dvcmQ=", "Bearer t0ken"];

/// What the server was told of who asks, by path.
type Heard = Arc<Mutex<Vec<(String, bool)>>>;

/// Serves the folder's repositories below `/git` to those it knows, and what leads away from there.
async fn serve(folder: &Path, heard: Heard) -> u16 {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let public = Router::new().route("/public/git/{*path}", any(public)).with_state(folder.to_owned());
    let elsewhere = format!("http://localhost:{port}/public/git/upstream/info/refs?service=git-upload-pack");
    let router = Router::new()
        .route("/git/{*path}", any(private))
        .with_state(folder.to_owned())
        .route("/away/info/refs", any(async move || Redirect::permanent(&elsewhere)))
        .merge(public)
        .layer(axum::middleware::from_fn(move |request: Request, next: axum::middleware::Next| {
            let says_who = request.headers().contains_key(header::AUTHORIZATION);
            let host =
                request.headers().get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
            heard.lock().expect("a list").push((format!("{host}{}", request.uri().path()), says_who));
            next.run(request)
        }));
    tokio::spawn(async move { axum::serve(listener, router).await });
    port
}

fn is_welcome(headers: &HeaderMap) -> bool {
    headers.get(header::AUTHORIZATION).is_some_and(|header| WELCOME.iter().any(|known| header == known))
}

async fn private(State(folder): State<PathBuf>, request: Request) -> Response {
    if is_welcome(request.headers()) {
        backend(State(folder), request).await.into_response()
    } else {
        StatusCode::UNAUTHORIZED.into_response()
    }
}

async fn public(State(folder): State<PathBuf>, mut request: Request) -> Response {
    let path = request.uri().to_string().trim_start_matches("/public").to_owned();
    *request.uri_mut() = path.parse().expect("a path");
    backend(State(folder), request).await.into_response()
}

/// Credentials from the keys of one Secret.
pub(super) fn secret(data: &[(&str, &str)]) -> Arc<Index> {
    let data = data.iter().map(|(key, text)| ((*key).to_owned(), ByteString(text.as_bytes().to_vec())));
    let mut secret = Secret { data: Some(data.collect()), ..Secret::default() };
    secret.metadata.labels = Some([(SECRET_TYPE_LABEL.to_owned(), "repository".to_owned())].into());
    let mut index = Index::default();
    index.put("private", RepositorySpec::read(&secret));
    Arc::new(index)
}

#[tokio::test(flavor = "multi_thread")]
async fn private_repositories_are_read_by_whom_their_secret_names() {
    let world = World::new();
    let commit = world.commit("main", &[("a.yaml", "1")]);
    let heard = Heard::default();
    let port = serve(world.folder.path(), heard.clone()).await;
    let _ = rustls::crypto::ring::default_provider().install_default();
    prepare_process();
    let url = format!("http://127.0.0.1:{port}/git/upstream");
    let (index, credentials) = watch::channel(None);
    let credentials = Credentials::new(credentials, PATIENCE);
    let look = async |url: &str, data: &[(&str, &str)]| {
        index.send_replace(Some(secret(&[&[("url", url)], data].concat())));
        observe(&open_as(credentials.clone(), url, &world.cache()), "HEAD").await
    };

    assert_eq!(look(&url, &[("username", "me"), ("password", "p4ssword")]).await, Ok(commit.clone()));
    assert_eq!(look(&url, &[("bearerToken", "t0ken")]).await, Ok(commit.clone()));
    let written = format!("http://me:p4ssword@127.0.0.1:{port}/git/upstream");
    assert_eq!(look(&written, &[]).await, Ok(commit.clone()));

    let nobody = look(&url, &[]).await.expect_err("nobody");
    assert!(nobody.contains("no Secret has credentials"), "{nobody}");
    let wrong = look(&url, &[("username", "me"), ("password", "gu3ss")]).await.expect_err("a wrong password");
    assert!(wrong.contains("refused the credentials of Secret private"), "{wrong}");
    let bad = look(&url, &[("bearerToken", "t0\nken")]).await.expect_err("no token");
    for hidden in ["gu3ss", "t0"] {
        assert!(!wrong.contains(hidden) && !bad.contains(hidden), "{wrong} {bad}");
    }

    // Whoever is sent to another host says nothing of himself there.
    heard.lock().expect("a list").clear();
    let away = format!("http://127.0.0.1:{port}/away");
    assert_eq!(look(&away, &[("bearerToken", "t0ken")]).await, Ok(commit));
    let heard = heard.lock().expect("a list").clone();
    assert!(
        heard.iter().any(|(place, says_who)| place.ends_with("/away/info/refs") && *says_who),
        "{heard:?}"
    );
    let elsewhere: Vec<_> = heard.iter().filter(|(place, _)| place.starts_with("localhost")).collect();
    assert!(elsewhere.len() > 1 && elsewhere.iter().all(|(_, says_who)| !says_who), "{heard:?}");
}

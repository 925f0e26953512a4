//! Git over HTTP against the real `git http-backend`, and against servers that are none.

use std::process::Stdio;

use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{Request, State};
use axum::http::{Method, Response, StatusCode, header};
use axum::response::Redirect;
use axum::routing::any;
use tokio::io::AsyncWriteExt;

use super::private::secret;
use super::*;

/// Serves the folder's repositories below `/git`, and what else the tests need beside it.
pub(super) async fn serve(folder: &Path) -> String {
    let router = Router::new()
        .route("/git/{*path}", any(backend))
        .route(
            "/moved/info/refs",
            any(async || Redirect::permanent("/git/upstream/info/refs?service=git-upload-pack")),
        )
        .route("/login/info/refs", any(async || "<html>please log in</html>"))
        .route("/private/info/refs", any(async || StatusCode::UNAUTHORIZED))
        .route("/broken/info/refs", any(async || StatusCode::BAD_GATEWAY))
        .route(
            "/busy/info/refs",
            any(async || (StatusCode::TOO_MANY_REQUESTS, [(header::RETRY_AFTER, "42")])),
        )
        .route(
            "/limited/info/refs",
            any(async || (StatusCode::FORBIDDEN, [(header::RETRY_AFTER, "Fri, 01 Jan 2100 00:00:00 GMT")])),
        )
        .route("/lying/info/refs", any(lie))
        .route(
            "/lying/git-upload-pack",
            any(async || {
                ([(header::CONTENT_TYPE, "application/x-git-upload-pack-result")], "0008NAK\nnonsense")
            }),
        )
        .route("/silent/info/refs", any(std::future::pending::<StatusCode>))
        .with_state(folder.to_owned());
    listen(router).await
}

pub(super) async fn listen(router: Router) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move { axum::serve(listener, router).await });
    format!("http://{address}")
}

/// Lists what another repository has.
pub(super) async fn lie(state: State<PathBuf>) -> Response<Body> {
    let uri = "/git/upstream/info/refs?service=git-upload-pack";
    backend(state, Request::get(uri).body(Body::empty()).expect("a request")).await
}

pub(super) async fn backend(State(folder): State<PathBuf>, request: Request) -> Response<Body> {
    let (head, body) = request.into_parts();
    let body = to_bytes(body, 1 << 20).await.expect("a body");
    let content_type =
        head.headers.get(header::CONTENT_TYPE).map_or("", |value| value.to_str().expect("text"));
    let mut child = tokio::process::Command::new("git")
        .arg("http-backend")
        .env("GIT_PROJECT_ROOT", folder)
        .env("GIT_HTTP_EXPORT_ALL", "1")
        .env("PATH_INFO", head.uri.path().trim_start_matches("/git"))
        .env("QUERY_STRING", head.uri.query().unwrap_or_default())
        .env("REQUEST_METHOD", head.method.as_str())
        .env("CONTENT_TYPE", content_type)
        .env("CONTENT_LENGTH", body.len().to_string())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("git");
    child.stdin.take().expect("an input").write_all(&body).await.expect("written");
    let output = child.wait_with_output().await.expect("an output").stdout;
    let end = output.windows(4).position(|bytes| bytes == b"\r\n\r\n").expect("a head");
    let mut response = Response::builder();
    for line in String::from_utf8_lossy(&output[..end]).lines() {
        let (name, value) = line.split_once(": ").expect("a header");
        response = match name {
            "Status" => response.status(value.split(' ').next().unwrap_or(value)),
            _ => response.header(name, value),
        };
    }
    response.body(Body::from(Bytes::copy_from_slice(&output[end + 4..]))).expect("a response")
}

/// How many commits a cache holds of the history of a revision.
pub(super) fn depth(repository: &GitRepository, commit: &str) -> usize {
    let handle = repository.handle().expect("a handle");
    let mut walk = handle.revwalk().expect("a walk");
    walk.push(Oid::from_str(commit).expect("an id")).expect("a start");
    walk.count()
}

/// Makes a repository whose objects have long names.
fn sha256_repository(folder: &Path) {
    let git = |folder: &Path, arguments: &[&str]| {
        let mut git = std::process::Command::new("git");
        let git = git.arg("-C").arg(folder).args(["-c", "user.name=Ada", "-c", "user.email=ada@example.org"]);
        assert!(git.args(arguments).output().expect("git").status.success(), "{arguments:?}");
    };
    let long = ["init", "--quiet", "--object-format=sha256", "--initial-branch=main"];
    git(folder, &[long.as_slice(), &["--bare", "long"]].concat());
    git(folder, &[long.as_slice(), &["work"]].concat());
    git(&folder.join("work"), &["commit", "--quiet", "--allow-empty", "--message=Begin"]);
    git(&folder.join("work"), &["push", "--quiet", "../long", "main"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_says_how_much_of_a_history_may_be_searched() {
    let world = World::new();
    let commits: Vec<String> =
        ["1", "2", "3", "4"].iter().map(|text| world.commit("main", &[("a.yaml", text)])).collect();
    let server = serve(world.folder.path()).await;
    let _ = rustls::crypto::ring::default_provider().install_default();
    prepare_process();
    let url = format!("{server}/git/upstream");
    let (index, credentials) = watch::channel(None);
    let repository = open_as(Credentials::new(credentials, PATIENCE), &url, &world.cache());
    let look = async |depth: &str, revision: &str| {
        index.send_replace(Some(secret(&[("url", &url), ("depth", depth)])));
        observe(&repository, revision).await
    };
    assert_eq!(look("2", "main").await, Ok(commits[3].clone()));
    assert_eq!(depth(&repository, &commits[3]), 1, "more than the tip was fetched");
    assert_eq!(look("2", &commits[2]).await, Ok(commits[2].clone()));
    assert_eq!(depth(&repository, &commits[3]), 2);
    for revision in [commits[0].as_str(), &commits[0][..9]] {
        let error = look("2", revision).await.expect_err(revision);
        assert!(error.contains("no such commit among the last 2 of each"), "{error}");
    }
    assert_eq!(look("0", &commits[0][..9]).await, Ok(commits[0].clone()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_brought_a_whole_repository_is_closed() {
    let world = World::new();
    world.commit("main", &[("a.yaml", "1")]);
    let folder = world.folder.path().to_owned();
    let (questions, mut asked) = tokio::sync::mpsc::unbounded_channel();
    let answer = async move |request: Request| {
        if request.method() == Method::POST {
            let closes = request.headers().get(header::CONNECTION).is_some_and(|value| value == "close");
            questions.send(closes).expect("the test listens");
        }
        backend(State(folder), request).await
    };
    let server = listen(Router::new().route("/git/{*path}", any(answer))).await;
    let _ = rustls::crypto::ring::default_provider().install_default();
    prepare_process();
    let repository = open(&format!("{server}/git/upstream"), &world.cache());
    let mut fetch = async || {
        observe(&repository, "HEAD").await.expect("a commit");
        std::iter::from_fn(|| asked.try_recv().ok()).collect::<Vec<_>>()
    };
    assert_eq!(fetch().await, [false, true], "where history ends, then the files");
    world.commit("main", &[("a.yaml", "2")]);
    let later = fetch().await;
    assert!(!later.is_empty() && !later.contains(&true), "{later:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn repositories_are_fetched_over_http_without_their_history() {
    let world = World::new();
    let first = world.commit("main", &[("a.yaml", "1")]);
    world.commit("main", &[("a.yaml", "2")]);
    let tip = world.commit("main", &[("a.yaml", "3")]);
    world.tag("v1", &first);
    let server = serve(world.folder.path()).await;
    // The process does this first thing; an error says that another test did.
    let _ = rustls::crypto::ring::default_provider().install_default();
    prepare_process();

    let url = format!("{server}/git/upstream");
    let repository = open(&url, &world.cache());
    assert_eq!(observe(&repository, "HEAD").await, Ok(tip.clone()));
    assert_eq!(depth(&repository, &tip), 1);
    let next = world.commit("main", &[("a.yaml", "4")]);
    assert_eq!(observe(&repository, "main").await, Ok(next.clone()));
    assert_eq!(depth(&repository, &next), 1);
    assert_eq!(observe(&repository, "v1").await, Ok(first.clone()));

    // A commit that no reference points at, and the beginning of one, may need all history.
    let middle = world.upstream.revparse_single("main~1").expect("a commit").id().to_string();
    let repository = open(&url, &world.folder.path().join("other"));
    assert_eq!(observe(&repository, "HEAD").await, Ok(next));
    assert_eq!(observe(&repository, &middle).await, Ok(middle));
    assert_eq!(observe(&repository, &first[..9]).await, Ok(first));

    sha256_repository(world.folder.path());
    let on_disk = open(&format!("file://{}/long", world.folder.path().display()), &world.cache());
    let error = observe(&on_disk, "HEAD").await.expect_err("long names");
    assert!(error.contains("only SHA-1 is supported"), "{error}");
    let moved = open(&format!("{server}/moved"), &world.cache());
    assert!(observe(&moved, "HEAD").await.is_ok());
    for (path, reason) in [
        ("git/nothing", "does not exist"),
        ("git/long", "only SHA-1 is supported"),
        ("private", "authentication is needed"),
        ("login", "does not speak Git's smart protocol"),
        ("broken", "status code: 502"),
        ("lying", "failed to read repository"),
    ] {
        let error = observe(&open(&format!("{server}/{path}"), &world.cache()), "HEAD").await;
        let error = error.expect_err(path);
        assert!(error.contains(reason), "{path}: {error}");
        assert!(error.contains(path), "{path}: {error}");
    }
    let silent = open_impatiently(&format!("{server}/silent"), &world.cache());
    let error = observe(&silent, "HEAD").await.expect_err("silence");
    assert!(error.contains("no answer within 1 s") && error.contains("silent"), "{error}");
    // How long, is another number each time that somebody asks.
    for (path, seconds) in [("busy", 42..=42), ("limited", 43..=u64::MAX)] {
        let repository = open(&format!("{server}/{path}"), &world.cache());
        let error = repository.observe(BTreeSet::from(["HEAD".to_owned()]), false).await.expect_err(path);
        assert!(error.hold().is_some_and(|hold| seconds.contains(&hold.as_secs())), "{error:?}");
        assert!(error.to_string().ends_with("wants to be asked less often"), "{error}");
    }
    let closed = open("http://127.0.0.1:1/repo", &world.cache());
    let error = observe(&closed, "HEAD").await.expect_err("nobody listens");
    assert!(error.contains("refused"), "{error}");
}

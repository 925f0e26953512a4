//! A repository over HTTP that the tests change, and what the watcher makes of it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use flate2::Compression;
use flate2::write::GzEncoder;
use ithaca_api::RepositorySpec;
use ithaca_api::annotation::SECRET_TYPE_LABEL;
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use sha2::{Digest, Sha256};
use url::Url;

use super::*;
use crate::archive::{ArchiveLimits, Shelf};
use crate::cache::Caches;
use crate::credentials::{Credentials, Index};
use crate::metrics::Metrics;
use crate::repository::{RepositoryError, RepositoryKey, Resolved, wanted};
use crate::web::Way;

/// What the server has, and what it was asked.
#[derive(Default)]
struct Served {
    files: Mutex<BTreeMap<String, Vec<u8>>>,
    /// A user and password in base64, where one is asked for.
    secret: Mutex<Option<&'static str>>,
    /// With which status it answers, and how long it wants to be left alone, where it has too much to do.
    busy: Mutex<Option<(StatusCode, &'static str)>>,
    sent: AtomicUsize,
    unchanged: AtomicUsize,
}

async fn serve(State(served): State<Arc<Served>>, Path(path): Path<String>, headers: HeaderMap) -> Response {
    if let Some(secret) = *served.secret.lock().expect("a lock") {
        let said = headers.get("authorization").and_then(|value| value.to_str().ok());
        if said != Some(&format!("Basic {secret}")) {
            return StatusCode::UNAUTHORIZED.into_response();
        }
    }
    if let Some((status, wait)) = *served.busy.lock().expect("a lock") {
        return (status, [("retry-after", wait)]).into_response();
    }
    let Some(content) = served.files.lock().expect("a lock").get(&path).cloned() else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let tag = format!("\"{}\"", hex::encode(Sha256::digest(&content)));
    if headers.get("if-none-match").is_some_and(|known| known == &tag) {
        served.unchanged.fetch_add(1, Ordering::Relaxed);
        return StatusCode::NOT_MODIFIED.into_response();
    }
    served.sent.fetch_add(1, Ordering::Relaxed);
    ([("etag", tag)], content).into_response()
}

struct World {
    folder: tempfile::TempDir,
    served: Arc<Served>,
    url: String,
    catalogs: Arc<Catalogs>,
}

impl World {
    async fn new() -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let served = Arc::new(Served::default());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}/charts", listener.local_addr().expect("an address"));
        let router = Router::new()
            .route("/charts/{*path}", get(serve))
            // A registry, of what is there by the same paths.
            .route("/v2/{*path}", get(serve))
            .with_state(served.clone());
        tokio::spawn(async { axum::serve(listener, router).await });
        let folder = tempfile::tempdir().expect("a folder");
        let catalogs = Arc::new(Catalogs::new(folder.path().to_owned()));
        Self { folder, served, url, catalogs }
    }

    fn put(&self, path: &str, content: Vec<u8>) {
        self.served.files.lock().expect("a lock").insert(path.to_owned(), content);
    }

    /// Publishes versions of the chart `web`, whose content is a text.
    fn publish(&self, versions: &[(&str, &str)]) {
        let mut index = "entries:\n  web:\n".to_owned();
        for (version, text) in versions {
            let archive = chart(&[("web/Chart.yaml", "name: web"), ("web/text", text)]);
            let digest = hex::encode(Sha256::digest(&archive));
            index +=
                &format!("  - version: {version}\n    digest: {digest}\n    urls: [web-{version}.tgz]\n");
            self.put(&format!("web-{version}.tgz"), archive);
        }
        self.put("index.yaml", index.into_bytes());
    }

    fn open_at(&self, url: &str, chart: &str) -> HelmRepository {
        self.open_as(url, chart, credentials())
    }

    fn open_as(&self, url: &str, chart: &str, credentials: Credentials) -> HelmRepository {
        let key = RepositoryKey::new(url, chart, false).expect("a key");
        let limit = Duration::from_secs(20);
        let shelf = Shelf::new(&Caches::below(self.folder.path()), &key, ArchiveLimits::of_mib(1));
        let (url, way) = (Url::parse(key.url()).expect("a URL"), Way::new(key, credentials, limit));
        HelmRepository::new(
            url,
            Parts { way, catalogs: self.catalogs.clone(), shelf, metrics: Metrics::new() },
        )
    }

    fn open(&self) -> HelmRepository {
        self.open_at(&self.url, "web")
    }
}

/// No Secrets: what is written into a URL counts.
fn credentials() -> Credentials {
    let index = tokio::sync::watch::channel(Some(Arc::new(Index::default()))).1;
    Credentials::new(index, Duration::from_secs(5))
}

/// One template for credentials.
fn known(data: &[(&str, &str)]) -> Credentials {
    let data = data.iter().map(|(key, text)| ((*key).to_owned(), ByteString(text.as_bytes().to_vec())));
    let mut secret = Secret { data: Some(data.collect()), ..Secret::default() };
    secret.metadata.labels = Some([(SECRET_TYPE_LABEL.to_owned(), "repo-creds".to_owned())].into());
    let mut known = Index::default();
    known.put("registry", RepositorySpec::read(&secret));
    Credentials::new(tokio::sync::watch::channel(Some(Arc::new(known))).1, Duration::from_secs(5))
}

fn chart(files: &[(&str, &str)]) -> Vec<u8> {
    let mut archive = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::fast()));
    for (path, text) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(text.len() as u64);
        header.set_mode(0o644);
        archive.append_data(&mut header, path, text.as_bytes()).expect("an entry");
    }
    archive.into_inner().and_then(GzEncoder::finish).expect("an archive")
}

async fn look(repository: &HelmRepository, revision: &str) -> Result<Resolved, String> {
    let observed = repository.observe(BTreeSet::from([revision.to_owned()]), true).await;
    let mut observed = observed.map_err(|error| error.to_string())?;
    observed.remove(revision).expect("an answer").map_err(|error| error.to_string())
}

fn text(repository: &HelmRepository, revision: &str) -> String {
    let handle = repository.handle().expect("a handle");
    let snapshot = handle.snapshot(revision).expect("a snapshot");
    String::from_utf8(snapshot.text("text").expect("a file")).expect("a text")
}

#[tokio::test]
async fn a_version_is_found_and_its_files_are_there() {
    let world = World::new().await;
    world.publish(&[("1.2.3", "one"), ("1.3.0", "two"), ("2.0.0", "three")]);
    let repository = world.open();
    for (revision, version, content) in
        [("1.2.3", "1.2.3", "one"), ("^1", "1.3.0", "two"), ("*", "2.0.0", "three")]
    {
        let resolved = look(&repository, revision).await.expect("a version");
        assert_eq!(resolved.revision, version);
        assert_eq!(text(&repository, version), content);
        assert_eq!(text(&repository, &resolved.commit), content);
    }
}

#[tokio::test]
async fn an_unchanged_index_is_not_sent_again() {
    let world = World::new().await;
    world.publish(&[("1.0.0", "one")]);
    let (repository, other) = (world.open(), world.open_at(&world.url, "none"));
    look(&repository, "*").await.expect("a version");
    assert_eq!(world.served.sent.load(Ordering::Relaxed), 2);
    for _ in 0..3 {
        look(&repository, "*").await.expect("a version");
    }
    assert!(look(&other, "*").await.expect_err("no chart").contains("chart not found in its index"));
    assert_eq!(world.served.sent.load(Ordering::Relaxed), 2);
    assert_eq!(world.served.unchanged.load(Ordering::Relaxed), 4);
    world.publish(&[("1.0.0", "one"), ("1.1.0", "two")]);
    assert_eq!(look(&repository, "*").await.expect("a version").revision, "1.1.0");
}

#[tokio::test]
async fn a_server_that_has_too_much_to_do_is_left_alone_for_as_long_as_it_says() {
    let world = World::new().await;
    world.publish(&[("1.0.0", "one")]);
    let repository = world.open_at(&world.url, "web");
    for (status, wait, hold) in [
        (StatusCode::TOO_MANY_REQUESTS, "90", Some(Duration::from_secs(90))),
        (StatusCode::SERVICE_UNAVAILABLE, "soon", None),
        (StatusCode::FORBIDDEN, "7", Some(Duration::from_secs(7))),
    ] {
        *world.served.busy.lock().expect("a lock") = Some((status, wait));
        let failed = repository.observe(BTreeSet::from(["1.0.0".to_owned()]), false).await;
        let error = failed.expect_err("too much to do");
        assert!(matches!(error, RepositoryError::Busy { .. }), "{error}");
        assert_eq!(error.hold(), hold);
    }
}

#[tokio::test]
async fn an_archive_that_is_replaced_is_other_content_of_the_same_version() {
    let world = World::new().await;
    world.publish(&[("1.0.0", "one")]);
    let repository = world.open();
    let first = look(&repository, "1.0.0").await.expect("a version");
    world.publish(&[("1.0.0", "another")]);
    let second = look(&repository, "1.0.0").await.expect("a version");
    assert_eq!(first.revision, second.revision);
    assert_ne!(first.commit, second.commit);
    assert_eq!(text(&repository, "1.0.0"), "another");
}

#[tokio::test]
async fn a_version_that_is_not_here_is_fetched_when_it_is_read() {
    let world = World::new().await;
    world.publish(&[("1.0.0", "one")]);
    let repository = world.open();
    repository.ensure("1.0.0".to_owned()).await.expect("the version");
    assert_eq!(text(&repository, "1.0.0"), "one");
    world.served.files.lock().expect("a lock").clear();
    repository.ensure("1.0.0".to_owned()).await.expect("it is here");
    let error = repository.ensure("2.0.0".to_owned()).await.expect_err("no version").to_string();
    assert!(error.contains("does not exist"), "{error}");
}

#[tokio::test]
async fn many_versions_leave_only_what_is_in_use() {
    let world = World::new().await;
    let versions: Vec<(String, String)> =
        (0..70).map(|number| (format!("1.{number}.0"), number.to_string())).collect();
    let versions: Vec<(&str, &str)> =
        versions.iter().map(|(version, text)| (version.as_str(), text.as_str())).collect();
    world.publish(&versions);
    let repository = world.open();
    for (version, _) in &versions {
        look(&repository, version).await.expect("a version");
    }
    assert!(repository.handle().expect("a handle").snapshot("1.0.0").is_err());
    assert_eq!(text(&repository, "1.69.0"), "69");
    repository.ensure("1.0.0".to_owned()).await.expect("it is fetched once more");
    assert_eq!(text(&repository, "1.0.0"), "0");
}

#[tokio::test]
async fn credentials_go_to_the_repository_and_nowhere_else() {
    let (world, elsewhere) = (World::new().await, World::new().await);
    *world.served.secret.lock().expect("a lock") = Some("bWU6c2VjcmV0");
    world.publish(&[("1.0.0", "one")]);
    let error = look(&world.open(), "*").await.expect_err("a refusal");
    assert!(error.contains("authentication is needed"), "{error}");
    let with_credentials = world.url.replace("http://", "http://me:secret@");
    let repository = world.open_at(&with_credentials, "web");
    assert_eq!(look(&repository, "*").await.expect("a version").revision, "1.0.0");
    // The other server would refuse them, as it wants others.
    elsewhere.publish(&[("2.0.0", "two")]);
    let index =
        format!("entries:\n  web:\n  - version: 2.0.0\n    urls: ['{}/web-2.0.0.tgz']\n", elsewhere.url);
    world.put("index.yaml", index.into_bytes());
    look(&repository, "*").await.expect("a version");
    *elsewhere.served.secret.lock().expect("a lock") = Some("bWU6c2VjcmV0");
    let index =
        format!("entries:\n  web:\n  - version: 3.0.0\n    urls: ['{}/web-2.0.0.tgz']\n", elsewhere.url);
    world.put("index.yaml", index.into_bytes());
    let error = look(&repository, "*").await.expect_err("a refusal");
    assert!(error.contains("refuses it to us") && !error.contains("secret"), "{error}");
    // But to whatever server the index names, once the source passes them.
    let passing = wanted::of_chart("*", true);
    assert_eq!(look(&repository, &passing).await.expect("a version").revision, "3.0.0");
}

#[test]
fn an_index_outside_leads_to_no_archive_inside() {
    let way = |url: &str, credentials: Credentials| {
        let key = RepositoryKey::new(url, "web", false).expect("a key");
        Way::new(key, credentials, Duration::from_secs(1))
    };
    let named = known(&[("url", "http://10.0.0.1"), ("username", "me")]);
    let outside = "https://charts.example.org";
    for (way, url, leads) in [
        (way(outside, credentials()), "http://10.0.0.1/web.tgz", false),
        (way(outside, credentials()), "https://store.storage.svc/web.tgz", false),
        (way(outside, credentials()), "oci://registry.internal/charts", false),
        (way(outside, credentials()), "https://cdn.example.net/web.tgz", true),
        (way("http://charts.svc", credentials()), "http://10.0.0.1/web.tgz", true),
        (way(outside, named), "http://10.0.0.1/web.tgz", true),
    ] {
        assert_eq!(way.may_lead_to(url), leads, "{url}");
    }
}

#[tokio::test]
async fn an_archive_in_a_registry_is_had_from_there() {
    let world = World::new().await;
    let host = world.url.trim_start_matches("http://").trim_end_matches("/charts").to_owned();
    let digest = |content: &[u8]| format!("sha256:{}", hex::encode(Sha256::digest(content)));
    let layer = chart(&[("web/Chart.yaml", "name: web"), ("web/text", "packed")]);
    let kind = "application/vnd.cncf.helm.chart.content.v1.tar+gzip";
    let manifest = serde_json::json!({
        "schemaVersion": 2,
        "config": {"mediaType": "x", "digest": "sha256:0", "size": 2},
        "layers": [{"mediaType": kind, "digest": digest(&layer), "size": layer.len()}],
    });
    let manifest = manifest.to_string().into_bytes();
    world.put("charts/web/manifests/1.0.0", manifest.clone());
    world.put(&format!("charts/web/manifests/{}", digest(&manifest)), manifest);
    world.put(&format!("charts/web/blobs/{}", digest(&layer)), layer);
    let index = format!(
        "entries:\n  web:\n  - {{version: 1.0.0, urls: ['oci://{host}/charts/web:1.0.0']}}\n  \
         - {{version: 2.0.0, urls: ['oci://{host}/charts/web']}}\n"
    );
    world.put("index.yaml", index.into_bytes());
    let data = [
        ("url", host.as_str()),
        ("insecureOCIForceHttp", "true"),
        ("username", "me"),
        ("password", "secret"),
    ];
    let repository = world.open_as(&world.url, "web", known(&data));
    let resolved = look(&repository, "1.0.0").await.expect("a version");
    assert_eq!((resolved.revision.as_str(), text(&repository, "1.0.0").as_str()), ("1.0.0", "packed"));
    assert_eq!(look(&repository, "1.0.0").await, Ok(resolved));
    let error = look(&repository, "2.0.0").await.expect_err("no tag");
    assert!(error.contains("failed to use revision \"2.0.0\"") && error.contains("oci://"), "{error}");
}

#[tokio::test]
async fn whatever_is_wrong_with_a_version_is_told_of_that_version() {
    let world = World::new().await;
    world.publish(&[("1.0.0", "one")]);
    let good = chart(&[("web/Chart.yaml", "name: web")]);
    let bomb = chart(&[("web/Chart.yaml", &"x".repeat(2 << 20))]);
    let index = "entries:\n  web:\n  - {version: 1.0.0, urls: [web-1.0.0.tgz]}\n  \
                 - {version: 2.0.0, urls: [good.tgz], digest: '0123'}\n  - {version: 3.0.0, urls: [page.tgz]}\n  \
                 - {version: 4.0.0, urls: [bomb.tgz]}\n  - {version: 5.0.0, urls: [other.tgz]}\n  \
                 - {version: 6.0.0, urls: [none.tgz]}\n  - {version: 7.0.0, urls: ['file:///etc/passwd']}\n  \
                 - {version: 8.0.0}\n";
    world.put("index.yaml", index.into());
    world.put("good.tgz", good);
    world.put("page.tgz", b"<html>log in</html>".to_vec());
    world.put("bomb.tgz", bomb);
    world.put("other.tgz", chart(&[("web/values.yaml", "")]));
    let repository = world.open();
    for (version, reason) in [
        ("2.0.0", "its index says 0123"),
        ("3.0.0", "cannot be read"),
        ("4.0.0", "more than 1 MiB"),
        ("5.0.0", "holds no Chart.yaml"),
        ("6.0.0", "does not have it"),
        ("7.0.0", "neither http nor https"),
        ("8.0.0", "names no URL"),
        ("9.0.0", "none of its 8 versions matches"),
    ] {
        let error = look(&repository, version).await.expect_err(reason);
        assert!(error.contains(reason) && error.contains(version), "{error}");
    }
    let all = repository
        .observe(BTreeSet::from(["1.0.0".to_owned(), "4.0.0".to_owned()]), false)
        .await
        .expect("an answer");
    assert!(all["1.0.0"].is_ok() && all["4.0.0"].is_err());
}

#[tokio::test]
async fn what_lies_beside_an_archive_is_shown_and_outlives_a_failure() {
    let world = World::new().await;
    world.publish(&[("1.2.3", "one")]);
    let repository = world.open();
    let shown = async || {
        let resolved = look(&repository, "1.2.3").await.expect("a version");
        resolved.proof.and_then(|proof| proof.chart.clone()).expect("a chart")
    };
    let bare = shown().await;
    assert_eq!((bare.name.as_str(), bare.version.as_deref()), ("web", Some("1.2.3")));
    assert_eq!((&bare.provenance, &bare.unread), (&None, &None));
    let put = |content: Option<&[u8]>| {
        let mut files = world.served.files.lock().expect("a lock");
        let path = files.keys().find(|path| path.ends_with(".tgz")).expect("an archive").clone();
        assert_eq!(bare.sha256, hex::encode(Sha256::digest(&files[&path])));
        match content {
            Some(content) => files.insert(format!("{path}.prov"), content.to_vec()),
            None => files.remove(&format!("{path}.prov")),
        };
    };
    put(Some(b"signed"));
    assert_eq!(shown().await.provenance.as_deref(), Some(b"signed".as_slice()));
    put(Some(&vec![b'x'; (1 << 20) + 1]));
    assert_eq!(shown().await.provenance.as_deref(), Some(b"signed".as_slice()), "it is too large to be read");
    let files_alone = repository.observe(BTreeSet::from(["1.2.3".to_owned()]), false).await;
    assert!(files_alone.is_ok_and(|found| found["1.2.3"].is_ok()));
    assert_eq!(
        shown().await.provenance.as_deref(),
        Some(b"signed".as_slice()),
        "who asked for no proof took it"
    );
    world.publish(&[("1.2.3", "another archive")]);
    let other = shown().await;
    assert!(other.sha256 != bare.sha256 && other.provenance.is_none() && other.unread.is_some());
    world.publish(&[("1.2.3", "one")]);
    put(None);
    assert_eq!(shown().await.provenance, None);
    put(Some(&vec![b'x'; (1 << 20) + 1]));
    let anew = world.open();
    let resolved = look(&anew, "1.2.3").await.expect("a version");
    let chart = resolved.proof.and_then(|proof| proof.chart.clone()).expect("a chart");
    assert!(chart.unread.is_some_and(|told| told.contains("more than 1 MiB")));
}

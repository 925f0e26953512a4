//! A registry that tells the truth or lies as the tests want, and what the watcher makes of it. The real registry is
//! in the behaviours.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::extract::{Path, RawQuery, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use flate2::Compression;
use flate2::write::GzEncoder;
use ithaca_api::RepositorySpec;
use ithaca_api::annotation::SECRET_TYPE_LABEL;
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

mod signatures;

use super::*;
use crate::archive::{ArchiveLimits, Shelf};
use crate::cache::Caches;
use crate::credentials::{Credentials, Index};
use crate::metrics::Metrics;
use crate::repository::{RepositoryKey, Resolved};
use crate::web::Way;

const CHART: &str = "application/vnd.cncf.helm.chart.content.v1.tar+gzip";
const INDEX: &str = "application/vnd.oci.image.index.v1+json";
const FILES: &str = "application/vnd.oci.image.layer.v1.tar+gzip";

/// The status of what is not answered.
const NEVER: u16 = 0;

/// What the registry has: by the part of its path after the repository's name.
#[derive(Default)]
struct Registry {
    parts: Mutex<BTreeMap<String, Vec<u8>>>,
    tags: Mutex<Vec<String>>,
    /// Whether whoever asks must bring a token, which costs a user's name and password.
    is_private: Mutex<bool>,
    /// Parts that are answered with a status instead.
    failing: Mutex<BTreeMap<String, u16>>,
    asked: Mutex<Vec<String>>,
}

impl Registry {
    fn put(&self, part: String, content: &[u8]) {
        self.parts.lock().expect("a lock").insert(part, content.to_vec());
    }

    /// Pushes a manifest under a tag, and gives its digest.
    fn push(&self, tag: &str, manifest: &Value) -> String {
        let text = manifest.to_string();
        let digest = digest(text.as_bytes());
        self.put(format!("manifests/{digest}"), text.as_bytes());
        self.put(format!("manifests/{tag}"), text.as_bytes());
        let mut tags = self.tags.lock().expect("a lock");
        if !tags.iter().any(|known| known == tag) {
            tags.push(tag.to_owned());
        }
        digest
    }

    /// Pushes files in one layer.
    fn push_files(&self, tag: &str, media_type: &str, files: &[(&str, &str)]) -> String {
        let layer = packed(files);
        self.put(format!("blobs/{}", digest(&layer)), &layer);
        self.push(tag, &manifest(&[descriptor(media_type, &layer)]))
    }
}

fn descriptor(media_type: &str, content: &[u8]) -> Value {
    json!({"mediaType": media_type, "digest": digest(content), "size": content.len()})
}

fn manifest(layers: &[Value]) -> Value {
    json!({"schemaVersion": 2, "config": {"mediaType": "x", "digest": "sha256:0", "size": 2}, "layers": layers})
}

fn digest(content: &[u8]) -> String {
    format!("sha256:{}", hex::encode(Sha256::digest(content)))
}

fn packed(files: &[(&str, &str)]) -> Vec<u8> {
    let mut archive = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::fast()));
    for (path, text) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(text.len() as u64);
        header.set_mode(0o644);
        archive.append_data(&mut header, path, text.as_bytes()).expect("an entry");
    }
    archive.into_inner().and_then(GzEncoder::finish).expect("an archive")
}

async fn serve(
    State(registry): State<Arc<Registry>>,
    Path(path): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response {
    registry.asked.lock().expect("a lock").push(path.clone());
    let said = headers.get("authorization").and_then(|value| value.to_str().ok()).unwrap_or_default();
    let host = headers.get("host").and_then(|host| host.to_str().ok()).unwrap_or_default();
    if *registry.is_private.lock().expect("a lock") && said != "Bearer good" {
        let challenge = format!("Bearer realm=\"http://{host}/v2/token\",service=\"here\"");
        return (StatusCode::UNAUTHORIZED, [("www-authenticate", challenge)]).into_response();
    }
    if path == "charts/web/tags/list" {
        return page(&registry, &query.unwrap_or_default());
    }
    let part = path.strip_prefix("charts/web/").unwrap_or_default();
    let failing = registry.failing.lock().expect("a lock").get(part).copied();
    match failing {
        Some(NEVER) => return std::future::pending().await,
        Some(status) => return StatusCode::from_u16(status).expect("a status").into_response(),
        None => {}
    }
    match registry.parts.lock().expect("a lock").get(part) {
        Some(content) if part.starts_with("referrers/") => {
            let kind = if content.starts_with(b"<") { "text/html" } else { INDEX };
            ([("content-type", kind)], content.clone()).into_response()
        }
        Some(content) => content.clone().into_response(),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

/// Two tags on each page.
fn page(registry: &Registry, query: &str) -> Response {
    let tags = registry.tags.lock().expect("a lock").clone();
    let from = query.strip_prefix("from=").map_or(0, |from| from.parse().expect("a number"));
    let end = tags.len().min(from + 2);
    let page = axum::Json(json!({"name": "charts/web", "tags": tags[from..end]}));
    if end == tags.len() {
        return page.into_response();
    }
    ([("link", format!("</v2/charts/web/tags/list?from={end}>; rel=\"next\""))], page).into_response()
}

async fn token(headers: HeaderMap, RawQuery(query): RawQuery) -> Response {
    let is_known = headers.get("authorization").is_some_and(|said| said == "Basic bWU6c2VjcmV0");
    let is_asked = query.as_deref() == Some("service=here&scope=repository%3Acharts%2Fweb%3Apull");
    if is_known && is_asked {
        axum::Json(json!({"token": "good"})).into_response()
    } else {
        StatusCode::UNAUTHORIZED.into_response()
    }
}

struct World {
    folder: tempfile::TempDir,
    registry: Arc<Registry>,
    host: String,
}

impl World {
    async fn new() -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let registry = Arc::new(Registry::default());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let host = listener.local_addr().expect("an address").to_string();
        let router = Router::new()
            .route("/v2/token", get(token))
            .route("/v2/{*path}", get(serve))
            .with_state(registry.clone());
        tokio::spawn(async { axum::serve(listener, router).await });
        Self { folder: tempfile::tempdir().expect("a folder"), registry, host }
    }

    fn open_at(&self, url: &str, chart: &str, password: &str) -> OciRepository {
        let key = RepositoryKey::new(url, chart, false).expect("a key");
        let shelf = Shelf::new(&Caches::below(self.folder.path()), &key, ArchiveLimits::of_mib(1));
        let way = Way::new(key, self.credentials(password), Duration::from_secs(20));
        OciRepository::new(way, shelf, Metrics::new())
    }

    /// A Secret for all of the registry, which is spoken to without TLS.
    fn credentials(&self, password: &str) -> Credentials {
        let mut data = vec![("url", self.host.as_str()), ("type", "helm"), ("insecureOCIForceHttp", "true")];
        if !password.is_empty() {
            data.extend([("username", "me"), ("password", password)]);
        }
        let bytes = |(key, text): (&str, &str)| (key.to_owned(), ByteString(text.as_bytes().to_vec()));
        let mut secret = Secret { data: Some(data.into_iter().map(bytes).collect()), ..Secret::default() };
        secret.metadata.labels = Some([(SECRET_TYPE_LABEL.to_owned(), "repo-creds".to_owned())].into());
        let mut index = Index::default();
        index.put("registry", RepositorySpec::read(&secret));
        let index = tokio::sync::watch::channel(Some(Arc::new(index))).1;
        Credentials::new(index, Duration::from_secs(5))
    }

    fn chart(&self) -> OciRepository {
        self.open_at(&format!("{}/charts", self.host), "web", "")
    }

    fn artifact(&self) -> OciRepository {
        self.open_at(&format!("oci://{}/charts/web", self.host), "", "")
    }
}

async fn look(repository: &OciRepository, revision: &str) -> Result<Resolved, String> {
    look_for(repository, revision, false).await
}

async fn look_for(repository: &OciRepository, revision: &str, with_proof: bool) -> Result<Resolved, String> {
    let observed = repository.observe(BTreeSet::from([revision.to_owned()]), with_proof).await;
    let mut observed = observed.map_err(|error| error.to_string())?;
    observed.remove(revision).expect("an answer").map_err(|error| error.to_string())
}

fn text(repository: &OciRepository, revision: &str, path: &str) -> String {
    let handle = repository.handle().expect("a handle");
    let snapshot = handle.snapshot(revision).expect("a snapshot");
    String::from_utf8(snapshot.text(path).expect("a file")).expect("a text")
}

#[tokio::test]
async fn a_chart_is_found_by_version_and_range() {
    let world = World::new().await;
    for version in ["1.2.3", "1.3.0", "v1.4.0", "2.0.0_build", "latest"] {
        world.registry.push_files(version, CHART, &[("web/Chart.yaml", "name: web"), ("web/text", version)]);
    }
    let repository = world.chart();
    for (revision, version, tag) in [
        ("1.2.3", "1.2.3", "1.2.3"),
        ("^1", "v1.4.0", "v1.4.0"),
        ("1.4.0", "v1.4.0", "v1.4.0"),
        ("1.x", "v1.4.0", "v1.4.0"),
        ("2.0.0+build", "2.0.0+build", "2.0.0_build"),
        ("*", "2.0.0+build", "2.0.0_build"),
    ] {
        let resolved = look(&repository, revision).await.expect(revision);
        assert_eq!(resolved.revision, version, "{revision}");
        assert_eq!(text(&repository, version, "text"), tag);
    }
    let error = look(&repository, "^3").await.expect_err("no version");
    assert!(error.contains("none of its 5 versions matches"), "{error}");
}

#[tokio::test]
async fn an_artifact_is_shown_by_its_digest_however_it_is_named() {
    let world = World::new().await;
    let digest = world.registry.push_files("1.2.3", FILES, &[("deep/a.yaml", "one")]);
    world.registry.push_files("0.1.0", FILES, &[("a.yaml", "old")]);
    let repository = world.artifact();
    for revision in ["1.2.3", "^1", digest.as_str()] {
        assert_eq!(look(&repository, revision).await.expect(revision).revision, digest, "{revision}");
    }
    assert_eq!(text(&repository, &digest, "deep/a.yaml"), "one");
    let moved = world.registry.push_files("1.2.3", FILES, &[("deep/a.yaml", "two")]);
    assert_eq!(look(&repository, "1.2.3").await.expect("a tag").revision, moved);
    repository.ensure(digest).await.expect("it is here");
}

#[tokio::test]
async fn what_is_here_is_not_fetched_again() {
    let world = World::new().await;
    world.registry.push_files("1.2.3", CHART, &[("web/Chart.yaml", "name: web")]);
    let repository = world.chart();
    look(&repository, "1.2.3").await.expect("a version");
    world.registry.asked.lock().expect("a lock").clear();
    look(&repository, "1.2.3").await.expect("a version");
    let asked = world.registry.asked.lock().expect("a lock").clone();
    assert!(asked.iter().all(|path| path == "charts/web/manifests/1.2.3"), "{asked:?}");
    let first = look(&repository, "1.2.3").await.expect("a version");
    world.registry.push_files("1.2.3", CHART, &[("web/Chart.yaml", "name: web"), ("web/more", "")]);
    assert_ne!(look(&repository, "1.2.3").await.expect("a version").commit, first.commit);
}

#[tokio::test]
async fn a_private_registry_is_convinced_by_a_token() {
    let world = World::new().await;
    world.registry.push_files("1.2.3", CHART, &[("web/Chart.yaml", "name: web")]);
    *world.registry.is_private.lock().expect("a lock") = true;
    let error = look(&world.chart(), "1.2.3").await.expect_err("a refusal");
    assert!(error.contains("authentication is needed"), "{error}");
    let repository = world.open_at(&format!("oci://{}/charts", world.host), "web", "secret");
    assert_eq!(look(&repository, "^1").await.expect("a version").revision, "1.2.3");
    let wrong = world.open_at(&format!("oci://{}/charts", world.host), "web", "wrong-one");
    let error = look(&wrong, "^1").await.expect_err("a refusal");
    assert!(error.contains("Secret registry") && !error.contains("wrong-one"), "{error}");
}

#[tokio::test]
async fn a_lie_is_told_of_the_revision_that_it_is_about() {
    let world = World::new().await;
    let registry = &world.registry;
    registry.push_files("1.0.0", FILES, &[("a.yaml", "one")]);
    let layer = packed(&[("a.yaml", "lie")]);
    let honest = descriptor(FILES, &layer);
    registry.put(format!("blobs/{}", digest(&layer)), &layer);
    let lie = |tag: &str, field: &str, value: Value| {
        let mut descriptor = honest.clone();
        descriptor[field] = value;
        registry.push(tag, &manifest(&[descriptor]));
    };
    lie("2.0.0", "size", json!(layer.len() - 1));
    lie("3.0.0", "size", json!(layer.len() + 1));
    let other = digest(b"other");
    registry.put(format!("blobs/{other}"), &layer);
    lie("4.0.0", "digest", json!(other));
    lie("5.0.0", "size", json!(1_u64 << 40));
    lie("6.0.0", "digest", json!(digest(b"nowhere")));
    registry.push("7.0.0", &json!({"manifests": []}));
    let lying = registry.push("8.0.0", &manifest(&[]));
    registry.put(format!("manifests/{lying}"), b"{}");
    let mut bomb = GzEncoder::new(Vec::new(), Compression::best());
    bomb.write_all(&[0; 64 << 20]).expect("gzip");
    let bomb = bomb.finish().expect("gzip");
    registry.put(format!("blobs/{}", digest(&bomb)), &bomb);
    registry.push("9.0.0", &manifest(&[descriptor(FILES, &bomb)]));
    let repository = world.artifact();
    for (tag, reason) in [
        ("2.0.0", "its manifest says"),
        ("3.0.0", "its manifest says"),
        ("4.0.0", "its manifest says"),
        ("5.0.0", "more than 1 MiB"),
        ("6.0.0", "does not have it"),
        ("7.0.0", "several manifests"),
        ("8.0.0", "gave a manifest of the digest"),
        ("9.0.0", "the archive"),
    ] {
        let error = look(&repository, tag).await.expect_err(tag);
        assert!(error.contains(reason) && error.contains("sha256:"), "{tag}: {error}");
    }
    let both = BTreeSet::from(["1.0.0".to_owned(), "2.0.0".to_owned()]);
    let observed = repository.observe(both, false).await.expect("an answer");
    assert!(observed["1.0.0"].is_ok() && observed["2.0.0"].is_err());
}

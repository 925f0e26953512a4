//! The distribution protocol, as far as artifacts are read by it: tags, manifests and blobs, each within limits and
//! held against its digest.
//!
//! It is small enough to be our own: what clients there are either hold blobs in memory, trust what a manifest says of
//! sizes, or bring a second TLS library.

use std::path::Path;
use std::sync::Arc;

use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, LINK};
use reqwest::{Method, Response, StatusCode};
use serde::Deserialize;
use sha2::{Digest, Sha256};
use tokio::sync::Mutex;
use url::Url;

use super::address::{Address, is_digest};
use super::challenge::Challenge;
use super::manifest::ACCEPTED;
use crate::credentials::Access;
use crate::web::{Downloaded, Web, WebError, download, text};

const MANIFEST: u64 = 4 << 20;
const TOKEN: u64 = 1 << 20;
const PAGE: u64 = 16 << 20;
/// Pages of tags that are read; with a thousand tags on each there are more than any registry has.
const PAGES: usize = 1_000;
/// A list of what refers to something.
const INDEX: &str = "application/vnd.oci.image.index.v1+json";
const DIGEST: HeaderName = HeaderName::from_static("docker-content-digest");

/// A repository in a registry.
pub(super) struct Client {
    web: Arc<Web>,
    address: Address,
    /// What the registry was convinced by last.
    convinced: Mutex<Option<HeaderValue>>,
}

impl Client {
    pub(super) fn new(web: Arc<Web>, address: Address) -> Self {
        Self { web, address, convinced: Mutex::new(None) }
    }

    /// Whether this is what it asks with.
    pub(super) fn asks_with(&self, web: &Arc<Web>) -> bool {
        Arc::ptr_eq(&self.web, web)
    }

    /// How the registry is reached.
    pub(super) fn access(&self) -> &Access {
        &self.web.access
    }

    /// The digest of the manifest that a tag names.
    pub(super) async fn digest(&self, tag: &str) -> Result<String, WebError> {
        let part = format!("manifests/{tag}");
        let answer = self.send(Method::HEAD, self.part(&part)?, ACCEPTED).await?;
        let told = answer.headers().get(DIGEST).and_then(|digest| digest.to_str().ok());
        if let Some(digest) = told.filter(|digest| is_digest(digest)) {
            return Ok(digest.to_owned());
        }
        let answer = self.send(Method::GET, self.part(&part)?, ACCEPTED).await?;
        Ok(digest_of(&text(answer, MANIFEST).await?))
    }

    /// The manifest of a digest.
    pub(super) async fn manifest(&self, digest: &str) -> Result<Vec<u8>, WebError> {
        let answer = self.send(Method::GET, self.part(&format!("manifests/{digest}"))?, ACCEPTED).await?;
        let manifest = text(answer, MANIFEST).await?;
        let found = digest_of(&manifest);
        if found == digest {
            return Ok(manifest);
        }
        Err(WebError::Failed(format!("the registry gave a manifest of the digest {found} for {digest}")))
    }

    /// The manifest that a tag names, and its digest; None where there is no such tag.
    pub(super) async fn tagged(&self, tag: &str) -> Result<Option<(String, Vec<u8>)>, WebError> {
        let answer = self.send(Method::GET, self.part(&format!("manifests/{tag}"))?, ACCEPTED).await;
        match answer {
            Ok(answer) => {
                let manifest = text(answer, MANIFEST).await?;
                Ok(Some((digest_of(&manifest), manifest)))
            }
            Err(WebError::NotFound) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The index of what refers to a manifest; None where the registry cannot tell. Those that cannot say so in many
    /// ways, with pages for people among them.
    pub(super) async fn referrers(&self, digest: &str) -> Result<Option<Vec<u8>>, WebError> {
        let answer = self.ask(Method::GET, self.part(&format!("referrers/{digest}"))?, INDEX).await?;
        if matches!(answer.status().as_u16(), 400 | 404 | 405 | 406 | 501) {
            return Ok(None);
        }
        if let Some(error) = WebError::of_answer(&answer) {
            return Err(error);
        }
        let told = answer.headers().get(CONTENT_TYPE).and_then(|told| told.to_str().ok());
        if !told.is_some_and(|told| told.starts_with(INDEX)) {
            return Ok(None);
        }
        text(answer, MANIFEST).await.map(Some)
    }

    /// A small blob of a digest.
    pub(super) async fn small(&self, digest: &str, limit: u64) -> Result<Vec<u8>, WebError> {
        let answer = self.send(Method::GET, self.part(&format!("blobs/{digest}"))?, "*/*").await?;
        let blob = text(answer, limit).await?;
        let found = digest_of(&blob);
        if found == digest {
            return Ok(blob);
        }
        Err(WebError::Failed(format!("the registry gave a blob of the digest {found} for {digest}")))
    }

    /// A blob of a digest and size, on disk.
    pub(super) async fn blob(&self, digest: &str, size: u64, folder: &Path) -> Result<Downloaded, WebError> {
        let answer = self.send(Method::GET, self.part(&format!("blobs/{digest}"))?, "*/*").await?;
        if answer.content_length().is_some_and(|length| length > size) {
            return Err(WebError::Failed(format!(
                "its layer has more than the {size} bytes that its manifest says"
            )));
        }
        let blob = download(answer, folder, size).await.map_err(|error| match error {
            WebError::Failed(reason) => {
                WebError::Failed(format!("{reason}, and its manifest says {size} bytes"))
            }
            other => other,
        })?;
        if blob.size != size {
            let reason = format!("its layer has {} bytes, and its manifest says {size}", blob.size);
            return Err(WebError::Failed(reason));
        }
        if format!("sha256:{}", blob.sha256) != digest {
            let reason =
                format!("its layer has the digest sha256:{}, and its manifest says {digest}", blob.sha256);
            return Err(WebError::Failed(reason));
        }
        Ok(blob)
    }

    /// All tags, page by page.
    pub(super) async fn tags(&self) -> Result<Vec<String>, WebError> {
        #[derive(Deserialize)]
        struct Page {
            tags: Option<Vec<String>>,
        }
        let mut tags = Vec::new();
        let mut next = Some(self.part("tags/list?n=1000")?);
        for _ in 0..PAGES {
            let Some(url) = next else { return Ok(tags) };
            let answer = self.send(Method::GET, url, "application/json").await?;
            next = next_page(answer.headers(), &self.address)?;
            let page = text(answer, PAGE).await?;
            let page: Page = serde_json::from_slice(&page)
                .map_err(|error| WebError::Failed(format!("its list of tags cannot be read: {error}")))?;
            tags.extend(page.tags.into_iter().flatten());
        }
        Err(WebError::Failed(format!("its list of tags has more than {PAGES} pages")))
    }

    fn part(&self, rest: &str) -> Result<Url, WebError> {
        self.address.part(rest).ok_or_else(|| WebError::Failed(format!("{rest} is in no repository")))
    }

    /// Asks, and takes anything but success for a failure.
    async fn send(&self, method: Method, url: Url, accept: &'static str) -> Result<Response, WebError> {
        let answer = self.ask(method, url, accept).await?;
        WebError::of_answer(&answer).map_or(Ok(answer), Err)
    }

    /// Asks, and where the registry wants to know who asks, tells it and asks once more.
    async fn ask(&self, method: Method, url: Url, accept: &'static str) -> Result<Response, WebError> {
        let mut convinced = self.convinced.lock().await.clone();
        for _ in 0..2 {
            let mut headers = HeaderMap::from_iter([(ACCEPT, HeaderValue::from_static(accept))]);
            headers.extend(convinced.map(|authorization| (AUTHORIZATION, authorization)));
            let request = self.web.request(method.clone(), url.clone(), headers, false);
            let answer = request.send().await.map_err(WebError::of_request)?;
            if answer.status() != StatusCode::UNAUTHORIZED {
                return Ok(answer);
            }
            let challenge = Challenge::read(answer.headers(), self.address.name(), self.address.is_plain());
            convinced = Some(self.convince(challenge).await?);
            self.convinced.lock().await.clone_from(&convinced);
        }
        Err(WebError::Authentication)
    }

    /// What convinces a registry.
    async fn convince(&self, challenge: Option<Challenge>) -> Result<HeaderValue, WebError> {
        let own = self.web.authorization.clone();
        let is_token = own.as_ref().is_some_and(|own| own.as_bytes().starts_with(b"Bearer "));
        let authorization = match challenge {
            Some(Challenge::Token(url)) if !is_token => {
                HeaderValue::try_from(format!("Bearer {}", self.token(url).await?)).ok()
            }
            _ => own,
        };
        authorization.ok_or(WebError::Authentication)
    }

    async fn token(&self, url: Url) -> Result<String, WebError> {
        #[derive(Deserialize)]
        struct Granted {
            token: Option<String>,
            access_token: Option<String>,
        }
        let answer = self.web.send(self.web.request(Method::GET, url, HeaderMap::new(), true)).await?;
        let granted: Option<Granted> = serde_json::from_slice(&text(answer, TOKEN).await?).ok();
        let token = granted.and_then(|granted| granted.token.or(granted.access_token));
        token.ok_or_else(|| WebError::Failed("the registry's token service gives no token".to_owned()))
    }
}

fn digest_of(content: &[u8]) -> String {
    format!("sha256:{}", hex::encode(Sha256::digest(content)))
}

/// The next page, where there is one: it must be in the same registry.
fn next_page(headers: &HeaderMap, address: &Address) -> Result<Option<Url>, WebError> {
    let link = headers.get(LINK).and_then(|link| link.to_str().ok());
    let Some(link) = link.filter(|link| link.contains("rel=\"next\"") || link.contains("rel=next")) else {
        return Ok(None);
    };
    let target = link.split_once('<').and_then(|(_, rest)| rest.split_once('>')).map(|(target, _)| target);
    let next = target.and_then(|target| address.next(target));
    next.map(Some).ok_or_else(|| WebError::Failed("its list of tags goes on elsewhere".to_owned()))
}

//! The index of a Helm repository on disk: fetched when it changed, shared by all charts of the repository.

use std::io::{BufRead, BufReader, Read};
use std::path::PathBuf;
use std::time::Instant;

use flate2::read::MultiGzDecoder;
use reqwest::header::{
    ACCEPT_ENCODING, CONTENT_ENCODING, ETAG, HeaderMap, HeaderValue, IF_MODIFIED_SINCE, IF_NONE_MATCH,
    LAST_MODIFIED,
};
use reqwest::{Method, StatusCode};
use tokio::sync::Mutex;
use url::Url;

use super::place;
use crate::web::{Downloaded, Web, WebError, download};

/// The largest index, packed or not.
const LARGEST: u64 = 256 << 20;

/// An index as it was served.
#[derive(Clone, Debug)]
pub struct Catalog {
    body: Downloaded,
    is_packed: bool,
}

/// The newest index of a repository.
pub struct Catalogs {
    folder: PathBuf,
    newest: Mutex<Option<Newest>>,
}

struct Newest {
    catalog: Catalog,
    /// What the server is to compare with.
    conditions: HeaderMap,
    checked: Instant,
}

impl Catalog {
    /// What tells it from another.
    pub fn digest(&self) -> &str {
        &self.body.sha256
    }

    /// Its text.
    pub fn text(&self) -> Box<dyn BufRead> {
        let body = BufReader::new(self.body.reader());
        if self.is_packed {
            Box::new(BufReader::new(MultiGzDecoder::new(body).take(LARGEST)))
        } else {
            Box::new(body)
        }
    }
}

impl Catalogs {
    /// None yet; they will be in files without names in a folder.
    pub fn new(folder: PathBuf) -> Self {
        Self { folder, newest: Mutex::new(None) }
    }

    /// The index as it is now. One that was asked for after `since` is new enough.
    pub async fn newest(&self, web: &Web, repository: &Url, since: Instant) -> Result<Catalog, WebError> {
        let mut newest = self.newest.lock().await;
        if let Some(known) = newest.as_ref().filter(|known| known.checked >= since) {
            return Ok(known.catalog.clone());
        }
        let checked = Instant::now();
        let mut headers = newest.as_ref().map(|known| known.conditions.clone()).unwrap_or_default();
        headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("gzip"));
        let request = web.request(Method::GET, place::index(repository), headers, true);
        let response = web.send(request).await?;
        if let Some(known) = newest.as_mut().filter(|_| response.status() == StatusCode::NOT_MODIFIED) {
            known.checked = checked;
            return Ok(known.catalog.clone());
        }
        let conditions = conditions(response.headers());
        let is_packed = response.headers().get(CONTENT_ENCODING).is_some_and(|encoding| encoding == "gzip");
        let body = download(response, &self.folder, LARGEST).await?;
        let catalog = Catalog { body, is_packed };
        *newest = Some(Newest { catalog: catalog.clone(), conditions, checked });
        Ok(catalog)
    }
}

/// What to send with the next request, so that the server need not send the same again.
fn conditions(answered: &HeaderMap) -> HeaderMap {
    let pairs = [(ETAG, IF_NONE_MATCH), (LAST_MODIFIED, IF_MODIFIED_SINCE)];
    let known = pairs.into_iter().filter_map(|(from, to)| Some((to, answered.get(from)?.clone())));
    known.collect()
}

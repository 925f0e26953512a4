//! Repositories that are read over HTTP: requests that carry credentials only where they belong, and answers within
//! limits.
//!
//! What comes in: URLs, some of them written by strangers. What goes out: answers, and large ones as files on disk that
//! have no name. What it does not do: know what is asked for, or speak Git, whose library has a transport of its own.

mod download;
mod error;
mod way;

use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderValue};
use reqwest::{Client, Method, RequestBuilder, Response};
use url::Url;

pub use download::{Downloaded, FileReader, download, text};
pub use error::{WebError, reason, retry_after};
pub use way::Way;

use crate::credentials::Access;

/// What one repository is asked with.
pub struct Web {
    /// What the requests are made with.
    pub client: Client,
    /// The header that tells the repository's server who asks.
    pub authorization: Option<HeaderValue>,
    /// How the repository is reached.
    pub access: Access,
}

impl Web {
    /// Asks, and takes anything but success for a failure.
    pub async fn send(&self, request: RequestBuilder) -> Result<Response, WebError> {
        let response = request.send().await.map_err(WebError::of_request)?;
        match WebError::of_answer(&response) {
            Some(error) => Err(error),
            None => Ok(response),
        }
    }

    /// A request with the repository's credentials, or without where a URL leads elsewhere.
    pub fn request(&self, method: Method, url: Url, mut headers: HeaderMap, is_home: bool) -> RequestBuilder {
        let authorization = self.authorization.clone().filter(|_| is_home);
        headers.extend(authorization.map(|header| (AUTHORIZATION, header)));
        self.client.request(method, bare(&url)).headers(headers)
    }
}

/// A URL without the credentials in it.
fn bare(url: &Url) -> Url {
    let mut bare = url.clone();
    // Only URLs that cannot have any refuse this.
    let _ = bare.set_username("");
    let _ = bare.set_password(None);
    bare
}

/// True where two URLs lead to the same server.
pub fn same_server(one: &Url, other: &Url) -> bool {
    one.origin() == other.origin()
}

//! Tokens of GitHub Apps: made when they are needed, and kept until shortly before they expire.
//!
//! What comes in: an App with its private key, and a repository. What goes out: a token that reads it. Neither key nor
//! token shows in an error.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ithaca_api::Sensitive;
use ithaca_api::repository::GitHubApp;
use reqwest::header::ACCEPT;
use reqwest::{Client, RequestBuilder};
use ring::rand::SystemRandom;
use ring::signature::{RSA_PKCS1_SHA256, RsaKeyPair};
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use url::Url;

const API: &str = "https://api.github.com";
const JSON: &str = "application/vnd.github+json";
/// Tokens live for an hour.
const KEPT: Duration = Duration::from_secs(50 * 60);

/// The tokens in use; cheap to clone.
#[derive(Clone, Default)]
pub(super) struct Tokens {
    kept: Arc<Mutex<HashMap<Place, Slot>>>,
}

/// An App where it is installed.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Place {
    app: GitHubApp,
    /// Whose installation is looked for, where the App does not name one.
    repository: String,
}

/// One at a time asks for a token.
type Slot = Arc<tokio::sync::Mutex<Option<(Sensitive, SystemTime)>>>;

#[derive(Deserialize)]
struct Installation {
    id: u64,
}

#[derive(Deserialize)]
struct Token {
    token: Sensitive,
}

impl Tokens {
    /// A token that reads the repository at a URL, or why there is none.
    pub(super) async fn get(&self, client: &Client, app: &GitHubApp, url: &str) -> Result<Sensitive, String> {
        let repository = if app.installation.is_some() { String::new() } else { path(url) };
        let place = Place { app: app.clone(), repository };
        let slot = self
            .kept
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .entry(place.clone())
            .or_default()
            .clone();
        let mut slot = slot.lock().await;
        let now = SystemTime::now();
        if let Some((token, _)) = slot.as_ref().filter(|(_, end)| *end > now) {
            return Ok(token.clone());
        }
        let token = ask(client, &place)
            .await
            .map_err(|reason| format!("failed to get a token for GitHub App {}: {reason}", place.app.id))?;
        *slot = Some((token.clone(), now + KEPT));
        Ok(token)
    }
}

async fn ask(client: &Client, Place { app, repository }: &Place) -> Result<Sensitive, String> {
    let jwt = jwt(app, SystemTime::now())?;
    let base = if app.base_url.is_empty() { API } else { &app.base_url };
    let installation = match app.installation {
        Some(id) => id,
        None => {
            let url = format!("{base}/repos/{repository}/installation");
            send::<Installation>(client.get(url), &jwt).await?.id
        }
    };
    let url = format!("{base}/app/installations/{installation}/access_tokens");
    Ok(send::<Token>(client.post(url), &jwt).await?.token)
}

async fn send<T: DeserializeOwned>(request: RequestBuilder, jwt: &str) -> Result<T, String> {
    let response = request.bearer_auth(jwt).header(ACCEPT, JSON).send().await;
    let response = response.map_err(|error| error.without_url().to_string())?;
    let status = response.status();
    if !status.is_success() {
        let why = match status.as_u16() {
            401 => ": the App does not know this private key",
            404 => ": the App has no such installation",
            _ => "",
        };
        return Err(format!("the server answered with status code {}{why}", status.as_u16()));
    }
    // What is wrong with an answer could show a part of it.
    response.json().await.map_err(|_| "the server's answer is no JSON with what was asked for".to_owned())
}

/// What an App says of itself: a claim that lives for minutes, signed by its key.
fn jwt(app: &GitHubApp, now: SystemTime) -> Result<String, &'static str> {
    let key = match PrivateKeyDer::from_pem_slice(app.private_key.reveal().as_bytes()) {
        Ok(PrivateKeyDer::Pkcs1(key)) => RsaKeyPair::from_der(key.secret_pkcs1_der()),
        Ok(PrivateKeyDer::Pkcs8(key)) => RsaKeyPair::from_pkcs8(key.secret_pkcs8_der()),
        _ => return Err("githubAppPrivateKey is no private key in PEM"),
    };
    let key = key.map_err(|_| "githubAppPrivateKey is no RSA key of 2048 bits or more")?;
    let now = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    // Clocks differ by a little.
    let claims =
        serde_json::json!({"iat": now.saturating_sub(60), "exp": now + 540, "iss": app.id.to_string()});
    let head = URL_SAFE_NO_PAD.encode(r#"{"alg":"RS256","typ":"JWT"}"#);
    let signed = format!("{head}.{}", URL_SAFE_NO_PAD.encode(claims.to_string()));
    let mut signature = vec![0; key.public().modulus_len()];
    key.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), signed.as_bytes(), &mut signature)
        .map_err(|_| "githubAppPrivateKey cannot sign")?;
    Ok(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature)))
}

/// `owner/name` of a repository.
fn path(url: &str) -> String {
    let path = Url::parse(url).map(|url| url.path().trim_matches('/').to_owned()).unwrap_or_default();
    path.strip_suffix(".git").map(str::to_owned).unwrap_or(path)
}

#[cfg(test)]
mod tests;

//! Tokens from a server that checks who asks, as GitHub does.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::Router;
use axum::http::{HeaderMap, StatusCode, header};
use axum::routing::{get, post};
use ring::signature::{KeyPair, RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};
use serde_json::{Value, json};

use super::*;

/// A new key, as GitHub gives it.
fn key() -> String {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("key");
    let made = std::process::Command::new("ssh-keygen")
        .args(["-q", "-t", "rsa", "-b", "2048", "-m", "PEM", "-N", "", "-f"])
        .arg(&file)
        .status();
    assert!(made.expect("ssh-keygen").success());
    std::fs::read_to_string(file).expect("a key")
}

/// Whether a request bears a claim of App 7 that this key has signed.
fn is_signed(headers: &HeaderMap, public: &[u8]) -> bool {
    let check = || {
        let jwt = headers.get(header::AUTHORIZATION)?.to_str().ok()?.strip_prefix("Bearer ")?;
        let (signed, signature) = jwt.rsplit_once('.')?;
        let signature = URL_SAFE_NO_PAD.decode(signature).ok()?;
        let public = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, public);
        public.verify(signed.as_bytes(), &signature).ok()?;
        let claims = URL_SAFE_NO_PAD.decode(signed.split('.').nth(1)?).ok()?;
        let claims: Value = serde_json::from_slice(&claims).ok()?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).ok()?.as_secs();
        let lives = claims["iat"].as_u64()? < now
            && now < claims["exp"].as_u64()?
            && claims["exp"].as_u64()? <= now + 600;
        Some(lives && claims["iss"] == "7")
    };
    check().unwrap_or(false)
}

async fn serve(public: Vec<u8>, asked: Arc<AtomicUsize>) -> String {
    let public = Arc::new(Mutex::new(public));
    let answer = move |headers: HeaderMap, body: Value| {
        asked.fetch_add(1, Ordering::Relaxed);
        let public = public.lock().expect("a key").clone();
        if is_signed(&headers, &public) { Ok(axum::Json(body)) } else { Err(StatusCode::UNAUTHORIZED) }
    };
    let (token, installation) = (answer.clone(), answer);
    let router = Router::new()
        .route(
            "/api/v3/app/installations/42/access_tokens",
            post(async move |headers: HeaderMap| token(headers, json!({"token": "ghs_t0ken"}))),
        )
        .route(
            "/api/v3/repos/team/app/installation",
            get(async move |headers: HeaderMap| installation(headers, json!({"id": 42}))),
        );
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move { axum::serve(listener, router).await });
    format!("http://{address}/api/v3")
}

#[tokio::test]
async fn an_app_is_given_a_token_that_is_kept() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let pem = key();
    let private = PrivateKeyDer::from_pem_slice(pem.as_bytes()).expect("a key");
    let pair = RsaKeyPair::from_der(private.secret_der()).expect("a pair");
    let asked = Arc::new(AtomicUsize::new(0));
    let base_url = serve(pair.public_key().as_ref().to_vec(), asked.clone()).await;
    let app = GitHubApp { id: 7, installation: Some(42), private_key: pem.into(), base_url };
    let (client, tokens) = (Client::new(), Tokens::default());
    let get = async |app: &GitHubApp| {
        let token = tokens.get(&client, app, "https://github.example.org/team/app.git").await;
        token.map(|token| token.reveal().to_owned())
    };

    assert_eq!(get(&app).await.as_deref(), Ok("ghs_t0ken"));
    assert_eq!(get(&app).await.as_deref(), Ok("ghs_t0ken"));
    assert_eq!(asked.load(Ordering::Relaxed), 1);
    let anywhere = GitHubApp { installation: None, ..app.clone() };
    assert_eq!(get(&anywhere).await.as_deref(), Ok("ghs_t0ken"));

    let other = GitHubApp { id: 8, ..app.clone() };
    let error = get(&other).await.expect_err("another App");
    assert!(error.contains("GitHub App 8") && error.contains("401"), "{error}");
    let nowhere = GitHubApp { installation: Some(1), ..app.clone() };
    assert!(get(&nowhere).await.expect_err("no installation").contains("404"));
    let odd = GitHubApp { private_key: "s3cret".to_owned().into(), ..app };
    let error = get(&odd).await.expect_err("no key");
    assert!(error.contains("githubAppPrivateKey") && !error.contains("s3cret"), "{error}");
}

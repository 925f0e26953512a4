//! Servers that are reached only in the right way: by their own authority, with a client's certificate, by a proxy.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use ithaca_api::repository::{ClientCertificate, RepositoryAccess};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use super::*;
use crate::web::WebError;

/// An authority of our own, and what it signs.
struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).expect("parameters");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().expect("a key")).expect("an authority"))
    }

    /// A certificate for a name, and its key.
    fn sign(&self, name: &str) -> (rcgen::Certificate, KeyPair) {
        let key = KeyPair::generate().expect("a key");
        let params = CertificateParams::new(vec![name.to_owned()]).expect("parameters");
        (params.signed_by(&key, &self.0).expect("a certificate"), key)
    }
}

/// Its own certificate, until the end of a year, and the configuration of a server with it.
fn own_certificate(is_ca: IsCa, until: i32) -> (rcgen::Certificate, ServerConfig) {
    let key = KeyPair::generate().expect("a key");
    let mut params = CertificateParams::new(vec!["localhost".to_owned()]).expect("parameters");
    params.is_ca = is_ca;
    params.not_after = rcgen::date_time_ymd(until, 1, 1);
    let own = params.self_signed(&key).expect("a certificate");
    let chain = vec![CertificateDer::from(own.der().to_vec())];
    let key = PrivateKeyDer::try_from(key.serialize_der()).expect("a key");
    let config = ServerConfig::builder().with_no_client_auth().with_single_cert(chain, key);
    (own, config.expect("a configuration"))
}

/// Answers one request after the other with the first line of each.
async fn answer(mut stream: impl AsyncRead + AsyncWrite + Unpin) {
    let mut request = vec![0; 4096];
    let Ok(length) = stream.read(&mut request).await else { return };
    let request = String::from_utf8_lossy(&request[..length]).into_owned();
    let line = request.lines().next().unwrap_or_default();
    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", line.len());
    let _ = stream.write_all(format!("{head}{line}").as_bytes()).await;
    let _ = stream.shutdown().await;
}

/// A server at `localhost`; with TLS where there is a configuration for it.
async fn serve(config: Option<ServerConfig>) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let acceptor = config.map(|config| TlsAcceptor::from(Arc::new(config)));
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            match acceptor.clone() {
                None => answer(stream).await,
                Some(acceptor) => {
                    if let Ok(stream) = acceptor.accept(stream).await {
                        answer(stream).await;
                    }
                }
            }
        }
    });
    port
}

async fn get(access: &Access, url: &str) -> Result<String, String> {
    let client = Clients::new(Duration::from_secs(5)).get(access, None)?;
    let response = client.get(url).send().await.map_err(|error| error.to_string())?;
    response.text().await.map_err(|error| error.to_string())
}

#[tokio::test]
async fn certificates_are_as_the_installation_says() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let authority = Authority::new();
    let (certificate, key) = authority.sign("localhost");
    let chain = vec![CertificateDer::from(certificate.der().to_vec())];
    let key = || PrivateKeyDer::try_from(key.serialize_der()).expect("a key");
    let mut roots = RootCertStore::empty();
    roots.add(authority.0.der().clone()).expect("a root");
    let verifier = WebPkiClientVerifier::builder(roots.into()).build().expect("a verifier");
    let open = ServerConfig::builder().with_no_client_auth().with_single_cert(chain.clone(), key());
    let strict = ServerConfig::builder().with_client_cert_verifier(verifier).with_single_cert(chain, key());
    let open = format!("https://localhost:{}/", serve(Some(open.expect("a configuration"))).await);
    let strict = format!("https://localhost:{}/", serve(Some(strict.expect("a configuration"))).await);

    let unknown = Access::default();
    let known = Access { authorities: Some(authority.0.pem().into()), ..Access::default() };
    let other = Access { authorities: Some(Authority::new().0.pem().into()), ..Access::default() };
    let settings = RepositoryAccess { insecure: true, ..RepositoryAccess::default() };
    let insecure = Access { settings, ..Access::default() };
    assert!(get(&known, &open).await.is_ok());
    assert!(get(&insecure, &open).await.is_ok());
    assert!(get(&unknown, &open).await.is_err());
    assert!(get(&other, &open).await.is_err());

    let (shown, shown_key) = authority.sign("ithaca");
    let client = ClientCertificate { certificate: shown.pem(), key: shown_key.serialize_pem().into() };
    let settings = RepositoryAccess { client_certificate: Some(client), ..RepositoryAccess::default() };
    assert!(get(&Access { settings, ..known.clone() }, &strict).await.is_ok());
    assert!(get(&known, &strict).await.is_err());

    let odd = ClientCertificate { certificate: "s3cret".to_owned(), key: "s3cret".to_owned().into() };
    let settings = RepositoryAccess { client_certificate: Some(odd), ..RepositoryAccess::default() };
    let error = get(&Access { settings, ..Access::default() }, &strict).await.expect_err("no certificate");
    assert!(error.contains("tlsClientCertData") && !error.contains("s3cret"), "{error}");
    let odd = Access { authorities: Some("none".into()), ..Access::default() };
    assert!(get(&odd, &open).await.expect_err("no authority").contains("argocd-tls-certs-cm"));
}

#[tokio::test]
async fn a_server_may_sign_its_own_certificate() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let authority = IsCa::Ca(BasicConstraints::Unconstrained);
    for (is_ca, until, expected) in
        [(IsCa::NoCa, 4000, true), (authority, 4000, true), (authority, 2020, false)]
    {
        let (own, config) = own_certificate(is_ca, until);
        let port = serve(Some(config)).await;
        let known = Access { authorities: Some(own.pem().into()), ..Access::default() };
        let answer = get(&known, &format!("https://localhost:{port}/")).await;
        assert_eq!(answer.is_ok(), expected, "{is_ca:?} {until}: {answer:?}");
        // It is who it says it is, and nobody else.
        assert!(get(&known, &format!("https://127.0.0.1:{port}/")).await.is_err());
    }
}

/// What TLS says of such a certificate names the second: each try was another failure.
#[tokio::test]
async fn a_certificate_out_of_date_is_told_in_the_same_words_each_time() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let (own, config) = own_certificate(IsCa::NoCa, 2020);
    let url = format!("https://localhost:{}/", serve(Some(config)).await);
    let known = Access { authorities: Some(own.pem().into()), ..Access::default() };
    let client = Clients::new(Duration::from_secs(5)).get(&known, None).expect("a client");
    let error = client.get(url).send().await.expect_err("no valid certificate");
    let expected = WebError::Failed("invalid peer certificate: it has expired".to_owned());
    assert_eq!(WebError::of_request(error), expected);
}

#[tokio::test]
async fn a_proxy_leads_where_it_is_not_left_out() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let (proxy, server) = (serve(None).await, serve(None).await);
    let access = |no_proxy: &str| {
        let proxy = format!("http://127.0.0.1:{proxy}").into();
        let settings =
            RepositoryAccess { proxy, no_proxy: no_proxy.to_owned(), ..RepositoryAccess::default() };
        Access { settings, ..Access::default() }
    };
    let far = get(&access(""), "http://git.invalid/app").await;
    assert_eq!(far.as_deref(), Ok("GET http://git.invalid/app HTTP/1.1"));
    let near = get(&access("localhost"), &format!("http://localhost:{server}/app")).await;
    assert_eq!(near.as_deref(), Ok("GET /app HTTP/1.1"));
}

#[test]
fn nobody_is_led_inside_or_to_where_there_is_no_tls() {
    let refused = |from: &str, to: &str| {
        let url = |text: &str| Url::parse(text).expect("a URL");
        refused(&url(from), &url(to)).is_some()
    };
    assert!(refused("https://example.org/a", "http://example.org/a"));
    assert!(refused("https://example.org/a", "https://127.0.0.1/a"));
    assert!(refused("http://example.org/a", "http://169.254.169.254/latest"));
    assert!(refused("http://example.org/a", "http://kubernetes.default.svc/a"));
    assert!(!refused("http://example.org/a", "https://elsewhere.example.org/a"));
    assert!(!refused("http://gitea.git.svc/a", "http://gitea.git.svc/a.git"));
}

/// A server that leads to a URL whatever it is asked, and how often it was.
async fn lead(to: impl FnOnce(u16) -> String) -> (u16, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let (to, asked) = (to(port), Arc::new(AtomicUsize::new(0)));
    let counted = asked.clone();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            counted.fetch_add(1, Ordering::Relaxed);
            let _ = stream.read(&mut [0; 4096]).await;
            let head = format!(
                "HTTP/1.1 302 Found\r\nLocation: {to}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
            );
            let _ = stream.write_all(head.as_bytes()).await;
            let _ = stream.shutdown().await;
        }
    });
    (port, asked)
}

#[tokio::test]
async fn a_server_that_leads_on_for_ever_is_followed_ten_times() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let (port, asked) = lead(|port| format!("http://localhost:{port}/again")).await;
    assert!(get(&Access::default(), &format!("http://localhost:{port}/")).await.is_err());
    assert_eq!(asked.load(Ordering::Relaxed), 11);
}

#[tokio::test]
async fn a_server_inside_that_a_secret_names_leads_to_no_other() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let other = serve(None).await;
    let (port, _) = lead(|_| format!("http://127.0.0.1:{other}/")).await;
    let guard = Guard { known: Some(("127.0.0.1".to_owned(), port)), proxy: None };
    let get = async |guard: Option<Guard>| {
        let client = Clients::new(Duration::from_secs(5)).get(&Access::default(), guard).expect("a client");
        client.get(format!("http://127.0.0.1:{port}/")).send().await.is_ok()
    };
    assert!(get(None).await);
    assert!(!get(Some(guard)).await);
}

#[test]
fn who_is_reached_alike_shares_a_client() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let clients = Clients::new(Duration::from_secs(5));
    let kept = || clients.kept.lock().expect("the clients").len();
    let settings = RepositoryAccess { insecure: true, ..RepositoryAccess::default() };
    let insecure = Access { settings, ..Access::default() };
    for access in [&Access::default(), &insecure, &Access::default(), &insecure] {
        clients.get(access, None).expect("a client");
    }
    assert_eq!(kept(), 2);
}

//! An admission webhook that denies whatever it is asked about.
//!
//! In: what it says. Out: where it is, and the certificate that the API server needs to trust it.

use std::net::SocketAddr;

use axum::{Json, Router, serve::Listener};
use base64::{Engine, prelude::BASE64_STANDARD};
use rcgen::{CertificateParams, KeyPair};
use rustls::{
    ServerConfig,
    pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer},
};
use serde_json::{Value, json};
use tokio::{
    net::{TcpListener, TcpStream},
    task::AbortHandle,
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};

/// A webhook that denies. It ends when it is dropped.
pub struct Denial {
    /// Where it is asked.
    pub url: String,
    /// Its certificate for `clientConfig.caBundle`.
    pub authority: String,
    server: AbortHandle,
}

impl Denial {
    /// Starts one that denies everything with these words.
    pub async fn start(message: &str) -> anyhow::Result<Self> {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let key = KeyPair::generate()?;
        let certificate = CertificateParams::new(vec!["127.0.0.1".to_owned()])?.self_signed(&key)?;
        let private = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let config = ServerConfig::builder()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], private)?;
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("https://{}/", listener.local_addr()?);
        let encrypted = Encrypted { listener, acceptor: TlsAcceptor::from(std::sync::Arc::new(config)) };
        let message = message.to_owned();
        let deny = async move |Json(review): Json<Value>| Json(denied(&review, &message));
        let router = Router::new().fallback(deny);
        let server = tokio::spawn(async { axum::serve(encrypted, router).await }).abort_handle();
        Ok(Self { url, authority: BASE64_STANDARD.encode(certificate.pem()), server })
    }
}

impl Drop for Denial {
    fn drop(&mut self) {
        self.server.abort();
    }
}

fn denied(review: &Value, message: &str) -> Value {
    json!({
        "apiVersion": "admission.k8s.io/v1",
        "kind": "AdmissionReview",
        "response": {
            "uid": review["request"]["uid"],
            "allowed": false,
            "status": {"code": 403, "message": message},
        },
    })
}

/// Connections, once they are encrypted.
struct Encrypted {
    listener: TcpListener,
    acceptor: TlsAcceptor,
}

impl Listener for Encrypted {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        loop {
            // Whoever does not speak TLS is not served.
            if let Ok((stream, address)) = self.listener.accept().await
                && let Ok(encrypted) = self.acceptor.accept(stream).await
            {
                return (encrypted, address);
            }
        }
    }

    fn local_addr(&self) -> std::io::Result<Self::Addr> {
        self.listener.local_addr()
    }
}

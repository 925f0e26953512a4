//! HTTP for the platform: /healthz, /readyz and /metrics. Nothing for users.

use std::net::SocketAddr;

use anyhow::Context;
use axum::{
    Router,
    extract::State,
    http::{StatusCode, header},
    response::IntoResponse,
    routing::get,
};
use prometheus::Encoder;
use tokio::net::TcpListener;

use crate::Health;

pub(crate) async fn bind(address: SocketAddr) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address)
        .await
        .with_context(|| format!("failed to listen on {address}; choose another --http-listen"))
}

pub(crate) async fn serve(
    listener: TcpListener,
    health: Health,
    registry: prometheus::Registry,
) -> std::io::Result<()> {
    let router = Router::new()
        .route("/healthz", get(async || "ok\n"))
        .route("/readyz", get(readyz).with_state(health))
        .route("/metrics", get(metrics).with_state(registry));
    axum::serve(listener, router).await
}

async fn readyz(State(health): State<Health>) -> impl IntoResponse {
    match health.missing() {
        missing if missing.is_empty() => (StatusCode::OK, "ok\n".to_owned()),
        missing => (StatusCode::SERVICE_UNAVAILABLE, format!("waiting for {}\n", missing.join(", "))),
    }
}

async fn metrics(State(registry): State<prometheus::Registry>) -> impl IntoResponse {
    let mut text = Vec::new();
    match prometheus::TextEncoder::new().encode(&registry.gather(), &mut text) {
        Ok(()) => (StatusCode::OK, [(header::CONTENT_TYPE, prometheus::TEXT_FORMAT)], text),
        Err(error) => {
            let text = format!("failed to encode the metrics: {error}\n").into_bytes();
            (StatusCode::INTERNAL_SERVER_ERROR, [(header::CONTENT_TYPE, "text/plain")], text)
        }
    }
}

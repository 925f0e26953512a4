//! The floor: how fast a client that does nothing else applies the same objects.
//!
//! In: the API server. Out: seconds, with server-side apply over 8 connections and no other work between requests.

use std::time::{Duration, Instant};

use anyhow::Context;
use futures::{StreamExt, TryStreamExt, stream};
use kube::Client;
use serde_json::{Value, json};

use super::workload;

/// Requests at once, and so connections: HTTP/1.1 carries one at a time.
pub const CONNECTIONS: usize = 8;
const NAMESPACE: &str = "floor";

/// Applies the objects of so many applications to a namespace of their own.
pub async fn measure(client: &Client, apps: usize) -> anyhow::Result<Duration> {
    let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}});
    apply(client, &format!("/api/v1/namespaces/{NAMESPACE}"), &namespace).await?;
    let objects = (0..apps)
        .flat_map(|number| workload::objects(&workload::name(number), &workload::image(0), NAMESPACE));
    let objects: Vec<_> = objects.collect();
    let started = Instant::now();
    stream::iter(&objects)
        .map(|object| apply_object(client, object))
        .buffer_unordered(CONNECTIONS)
        .try_collect::<Vec<()>>()
        .await?;
    Ok(started.elapsed())
}

/// Applies an object that lives in a namespace.
pub async fn apply_object(client: &Client, object: &Value) -> anyhow::Result<()> {
    apply(client, &path(object), object).await
}

fn path(object: &Value) -> String {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let version = text(&object["apiVersion"]);
    let prefix = if version.contains('/') { "apis" } else { "api" };
    let kind = text(&object["kind"]).to_lowercase();
    let plural = if kind.ends_with('s') { format!("{kind}es") } else { format!("{kind}s") };
    let name = text(&object["metadata"]["name"]);
    let namespace = text(&object["metadata"]["namespace"]);
    format!("/{prefix}/{version}/namespaces/{namespace}/{plural}/{name}")
}

async fn apply(client: &Client, path: &str, object: &Value) -> anyhow::Result<()> {
    let request = http::Request::patch(format!("{path}?fieldManager=floor&force=true"))
        .header("content-type", "application/apply-patch+yaml")
        .body(serde_json::to_vec(object)?)?;
    client.request_text(request).await.with_context(|| format!("failed to apply {path}"))?;
    Ok(())
}

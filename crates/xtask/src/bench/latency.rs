//! How long one change takes, measured at the API server by a watch.
//!
//! In: an application and a change. Out: the time until its live Deployment is as it should be.

use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use futures::{TryStreamExt, pin_mut};
use ithaca_tests::{Repository, Stack};
use kube::Client;
use kube::api::{Api, DynamicObject, ListParams, Patch, PatchParams, WatchEvent, WatchParams};
use kube::core::{ApiResource, GroupVersionKind};
use serde_json::json;

use super::workload::{self, Kind, NAMESPACE};

const DEADLINE: Duration = Duration::from_secs(60);

/// Changes an application's image in Git; the time runs from the webhook to the live object.
pub async fn commit(
    stack: &Stack,
    repository: &Repository,
    client: &Client,
    kind: Kind,
    number: usize,
    version: usize,
) -> anyhow::Result<Duration> {
    let before = repository.head().await?;
    for (path, text) in workload::files(kind, number, version) {
        repository.write(&path, &text)?;
    }
    let after = repository.commit(&format!("Raise {} to {version}", workload::name(number))).await?;
    repository.push_silently().await?;
    let deployments = deployments(client);
    let name = workload::deployment(kind, number);
    let image = workload::image(version);
    let change = async || stack.git.announce(repository, &before, &after).await;
    arrival(&deployments, &name, &image, false, change)
        .await
        .with_context(|| format!("commit {version} to {name}"))
}

/// Edits a live Deployment as a person would; the time runs from the edit until it is undone.
pub async fn drift(client: &Client, kind: Kind, number: usize, image: &str) -> anyhow::Result<Duration> {
    let deployments = deployments(client);
    let name = workload::deployment(kind, number);
    let edit = json!({"spec": {"template": {"spec": {"containers": [{"name": "app", "image": "edited"}]}}}});
    let change = async || {
        let params = PatchParams { field_manager: Some("kubectl-edit".to_owned()), ..PatchParams::default() };
        deployments.patch(&name, &params, &Patch::Strategic(&edit)).await?;
        Ok(())
    };
    arrival(&deployments, &name, image, true, change).await.with_context(|| format!("edit of {name}"))
}

/// Makes a change and waits for the first event that carries the image, or that carries it again.
async fn arrival(
    deployments: &Api<DynamicObject>,
    name: &str,
    image: &str,
    again: bool,
    change: impl AsyncFnOnce() -> anyhow::Result<()>,
) -> anyhow::Result<Duration> {
    let field = format!("metadata.name={name}");
    // The object's own version may be older than what the API server still remembers; the list's never is.
    let now = deployments.list_metadata(&ListParams::default().fields(&field)).await?;
    let version = now.metadata.resource_version.unwrap_or_default();
    let params = WatchParams::default().fields(&field);
    let events = deployments.watch(&params, &version).await?;
    pin_mut!(events);
    let observe = async {
        let mut awaited = !again;
        while let Some(event) = events.try_next().await? {
            let object = match event {
                WatchEvent::Modified(object) => object,
                WatchEvent::Error(status) => return Err(kube::Error::Api(status).into()),
                _ => continue,
            };
            let live = &object.data["spec"]["template"]["spec"]["containers"][0]["image"];
            if awaited && live == image {
                return Ok(Instant::now());
            }
            awaited |= live != image;
        }
        bail!("the watch ended")
    };
    let started = Instant::now();
    let both = async { tokio::try_join!(change(), observe) };
    let ((), arrived) = tokio::time::timeout(DEADLINE, both).await.context("it did not arrive in time")??;
    Ok(arrived - started)
}

fn deployments(client: &Client) -> Api<DynamicObject> {
    let resource = ApiResource::from_gvk(&GroupVersionKind::gvk("apps", "v1", "Deployment"));
    Api::namespaced_with(client.clone(), NAMESPACE, &resource)
}

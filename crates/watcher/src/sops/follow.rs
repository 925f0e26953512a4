//! The Secret that holds age keys, as it changes.

use futures::StreamExt;
use k8s_openapi::api::core::v1::Secret;
use kube::Client;
use tokio::sync::watch::Sender;

use super::Keys;
use crate::event::{Event, Events};
use crate::watch;

/// Where age keys are: every entry is a file as `age-keygen` writes it.
pub const SECRET: &str = "sops-age";

/// Watches the Secret until nobody listens any more. Whenever there are other keys than before, everything is said
/// again, for what did not decrypt may do so now.
pub async fn watch_keys(client: Client, namespace: &str, keys: Sender<Keys>, events: Events) {
    let mut stream = watch::named::<Secret>(client, namespace, SECRET);
    while let Some(secret) = stream.next().await {
        let data = secret.and_then(|secret| secret.data).unwrap_or_default();
        let files =
            data.iter().map(|(name, bytes)| (name.as_str(), std::str::from_utf8(&bytes.0).unwrap_or("?")));
        let (found, unreadable) = Keys::read(files);
        for problem in unreadable {
            tracing::warn!("failed to read Secret {SECRET}: {problem}");
        }
        let is_new = keys.send_if_modified(|known| {
            let is_new = known.recipients() != found.recipients();
            *known = found;
            is_new
        });
        if is_new && events.send(Event::KeysChanged).is_err() {
            return;
        }
    }
}

//! The key of bundles in a Secret: a name comes in, the seal goes out. The Secret is made by whichever applier is first,
//! so that nobody has to make a key before an installation, and no chart renders one anew each time.
//!
//! What it does not do: watch it. Who wants another key deletes the Secret and restarts who has it.

use std::collections::BTreeMap;

use anyhow::Context;
use ithaca_bus::Seal;
use k8s_openapi::api::core::v1::Secret;
use kube::api::{ObjectMeta, PostParams};
use kube::{Api, Client};

/// The entry of the Secret.
const ENTRY: &str = "key";

/// The seal whose key a Secret holds.
///
/// # Errors
/// When the Secret can be neither read nor made, or holds no key.
pub async fn seal(client: Client, namespace: &str, name: &str) -> anyhow::Result<Seal> {
    let api: Api<Secret> = Api::namespaced(client, namespace);
    let read = async || {
        let found = api.get_opt(name).await;
        found.with_context(|| format!("failed to read Secret {name}, which holds the key of bundles"))
    };
    let secret = match read().await? {
        Some(secret) => secret,
        None => match api.create(&PostParams::default(), &new(name)?).await {
            Ok(secret) => {
                tracing::info!("made Secret {name} with a new key of bundles");
                secret
            }
            // Another applier was faster.
            Err(kube::Error::Api(status)) if status.is_already_exists() => {
                read().await?.with_context(|| format!("Secret {name} was deleted as soon as it was made"))?
            }
            Err(error) => {
                return Err(error)
                    .with_context(|| format!("failed to make Secret {name} for the key of bundles"));
            }
        },
    };
    let data = secret.data.unwrap_or_default();
    let key = data.get(ENTRY).and_then(|bytes| std::str::from_utf8(&bytes.0).ok()).unwrap_or_default();
    Seal::parse(key).with_context(|| format!("failed to use the entry {ENTRY} of Secret {name}"))
}

fn new(name: &str) -> anyhow::Result<Secret> {
    let part_of = ("app.kubernetes.io/part-of".to_owned(), "ithaca".to_owned());
    let metadata = ObjectMeta {
        name: Some(name.to_owned()),
        labels: Some(BTreeMap::from([part_of])),
        ..ObjectMeta::default()
    };
    let string_data = Some(BTreeMap::from([(ENTRY.to_owned(), Seal::new_key()?)]));
    Ok(Secret { metadata, string_data, ..Secret::default() })
}

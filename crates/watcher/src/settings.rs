//! The installation's settings that concern the watcher, from a ConfigMap that may be absent.

use std::collections::BTreeMap;
use std::time::Duration;

use futures::StreamExt;
use ithaca_api::annotation::SETTINGS_CONFIG_MAP;
use ithaca_api::duration::parse_duration;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::Client;
use tokio::sync::watch::Sender;

use crate::build_options::BuildOptions;
use crate::event::{Event, Events};
use crate::schedule::Policy;
use crate::tools::Tools;
use crate::watch;

const INTERVAL: &str = "timeout.reconciliation";
const JITTER: &str = "timeout.reconciliation.jitter";
const HARD: &str = "timeout.hard.reconciliation";
const WEBHOOK_LIMIT: &str = "webhook.maxPayloadSizeMB";

/// What holds where nothing is set.
pub const DEFAULT_POLICY: Policy =
    Policy { interval: Duration::from_secs(120), jitter: Duration::from_secs(60), hard: Duration::ZERO };

/// Watches the ConfigMap until nobody listens any more. The largest webhook is told in bytes; it is what was told
/// before where the ConfigMap has none.
pub async fn watch_config_map(client: Client, namespace: &str, events: Events, webhook_limit: Sender<usize>) {
    let default_limit = *webhook_limit.borrow();
    let mut stream = watch::named::<ConfigMap>(client, namespace, SETTINGS_CONFIG_MAP);
    while let Some(config_map) = stream.next().await {
        let data = config_map.and_then(|config_map| config_map.data).unwrap_or_default();
        webhook_limit.send_replace(limit(&data).unwrap_or(default_limit));
        let told = [
            Event::Policy(policy(&data)),
            Event::BuildOptions(BuildOptions::of(&data)),
            Event::Tools(Tools::of(&data)),
        ];
        if told.into_iter().any(|event| events.send(event).is_err()) {
            return;
        }
    }
}

fn policy(data: &BTreeMap<String, String>) -> Policy {
    let read = |key: &str, default: Duration| match data.get(key).map(|text| parse_duration(text)) {
        None => default,
        Some(Ok(duration)) => duration,
        Some(Err(error)) => {
            tracing::warn!(%error, "failed to read {key} of ConfigMap {SETTINGS_CONFIG_MAP}, using {default:?}");
            default
        }
    };
    Policy {
        interval: read(INTERVAL, DEFAULT_POLICY.interval),
        jitter: read(JITTER, DEFAULT_POLICY.jitter),
        hard: read(HARD, DEFAULT_POLICY.hard),
    }
}

/// The largest webhook, in bytes, where one is set.
fn limit(data: &BTreeMap<String, String>) -> Option<usize> {
    let text = data.get(WEBHOOK_LIMIT)?.trim();
    let limit =
        text.parse().ok().filter(|limit| *limit > 0).and_then(|limit: usize| limit.checked_mul(1 << 20));
    if limit.is_none() {
        tracing::warn!(
            text,
            "failed to read {WEBHOOK_LIMIT} of ConfigMap {SETTINGS_CONFIG_MAP} as a number of MiB"
        );
    }
    limit
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_webhook_is_a_number_of_mebibytes() {
        for (text, bytes) in [("1", Some(1 << 20)), (" 50 ", Some(50 << 20)), ("0", None), ("a lot", None)] {
            assert_eq!(
                limit(&BTreeMap::from([(WEBHOOK_LIMIT.to_owned(), text.to_owned())])),
                bytes,
                "{text}"
            );
        }
        assert_eq!(limit(&BTreeMap::new()), None);
    }

    #[test]
    fn absent_and_unreadable_settings_have_argo_cds_defaults() {
        assert_eq!(policy(&BTreeMap::new()), DEFAULT_POLICY);
        let data =
            [(INTERVAL, "5m"), (JITTER, "often"), (HARD, "1d")].map(|(key, text)| (key.into(), text.into()));
        let expected = Policy {
            interval: Duration::from_secs(300),
            hard: Duration::from_secs(86_400),
            ..DEFAULT_POLICY
        };
        assert_eq!(policy(&BTreeMap::from(data)), expected);
    }
}

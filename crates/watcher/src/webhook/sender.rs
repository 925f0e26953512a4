//! Who sent a webhook: told by headers, else by the query, else by the form of what is sent.

use std::collections::BTreeMap;

use serde::de::IgnoredAny;

use super::Refusal;
use super::delivery::Delivery;
use super::secrets::Secrets;
use super::{azure_devops, bitbucket, gitea, github, gitlab, registry};

/// A sender of webhooks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sender {
    GitHub,
    GitLab,
    BitbucketCloud,
    BitbucketServer,
    AzureDevOps,
    /// Gitea, Forgejo and Gogs, from which they come.
    Gitea,
    Harbor,
    DockerHub,
    Distribution,
}

impl Sender {
    /// Who sent it, if it is anybody who is known.
    pub(super) fn of(delivery: &Delivery<'_>) -> Option<Self> {
        Self::by_headers(delivery).or_else(|| match delivery.query("type").as_deref() {
            Some("harbor") => Some(Self::Harbor),
            Some("dockerhub") => Some(Self::DockerHub),
            Some("distribution") => Some(Self::Distribution),
            Some(_) => None,
            None => Self::by_payload(delivery),
        })
    }

    fn by_headers(delivery: &Delivery<'_>) -> Option<Self> {
        let sender = match () {
            // These send GitHub's headers too.
            () if gitea::EVENTS.iter().any(|header| delivery.has(header)) => Self::Gitea,
            () if delivery.has(github::EVENT) => Self::GitHub,
            () if delivery.has(gitlab::EVENT) => Self::GitLab,
            () if delivery.has(bitbucket::CLOUD) => Self::BitbucketCloud,
            () if delivery.has(bitbucket::EVENT) => Self::BitbucketServer,
            () if delivery.has(azure_devops::ACTIVITY) => Self::AzureDevOps,
            () => return None,
        };
        Some(sender)
    }

    fn by_payload(delivery: &Delivery<'_>) -> Option<Self> {
        let fields: BTreeMap<String, IgnoredAny> = delivery.read().ok()?;
        let has = |field| fields.contains_key(field);
        match () {
            () if has("event_data") || has("specversion") => Some(Self::Harbor),
            () if has("push_data") => Some(Self::DockerHub),
            () if has("events") => Some(Self::Distribution),
            () => None,
        }
    }

    /// Its name in logs and traces.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::GitHub => "github",
            Self::GitLab => "gitlab",
            Self::BitbucketCloud => "bitbucket",
            Self::BitbucketServer => "bitbucketserver",
            Self::AzureDevOps => "azuredevops",
            Self::Gitea => "gitea",
            Self::Harbor => "harbor",
            Self::DockerHub => "dockerhub",
            Self::Distribution => "distribution",
        }
    }

    /// Checks that it is the sender, and reads what the pushed repositories go by.
    pub(super) fn keys(self, delivery: &Delivery<'_>, secrets: &Secrets) -> Result<Vec<String>, Refusal> {
        match self {
            Self::GitHub => github::keys(delivery, secrets),
            Self::GitLab => gitlab::keys(delivery, secrets),
            Self::BitbucketCloud => bitbucket::cloud_keys(delivery, secrets),
            Self::BitbucketServer => bitbucket::server_keys(delivery, secrets),
            Self::AzureDevOps => azure_devops::keys(delivery, secrets),
            Self::Gitea => gitea::keys(delivery, secrets),
            Self::Harbor => registry::harbor_keys(delivery, secrets),
            Self::DockerHub => registry::docker_hub_keys(delivery, secrets),
            Self::Distribution => registry::distribution_keys(delivery, secrets),
        }
    }
}

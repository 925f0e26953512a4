//! What senders sign with, under the names that Argo CD gives it in Secret `argocd-secret`.

use std::collections::BTreeMap;

use k8s_openapi::ByteString;

use super::Refusal;

pub(super) const GITHUB: &str = "webhook.github.secret";
pub(super) const GITLAB: &str = "webhook.gitlab.secret";
pub(super) const BITBUCKET: &str = "webhook.bitbucket.uuid";
pub(super) const BITBUCKET_SERVER: &str = "webhook.bitbucketserver.secret";
pub(super) const GOGS: &str = "webhook.gogs.secret";
pub(super) const AZURE_DEVOPS_USER: &str = "webhook.azuredevops.username";
pub(super) const AZURE_DEVOPS_PASSWORD: &str = "webhook.azuredevops.password";
pub(super) const HARBOR: &str = "webhook.harbor.secret";
pub(super) const DOCKER_HUB: &str = "webhook.dockerhub.secret";
/// Ithaca's own.
pub(super) const DISTRIBUTION: &str = "webhook.distribution.secret";

const SETTINGS: [&str; 10] = [
    GITHUB,
    GITLAB,
    BITBUCKET,
    BITBUCKET_SERVER,
    GOGS,
    AZURE_DEVOPS_USER,
    AZURE_DEVOPS_PASSWORD,
    HARBOR,
    DOCKER_HUB,
    DISTRIBUTION,
];

/// What senders sign with.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Secrets {
    /// None where a value refers to a key that is not there.
    values: BTreeMap<&'static str, Option<Vec<u8>>>,
}

impl Secrets {
    /// From the Secret's data. A value may refer to another key of it, `$my.key`, or to that of another Secret by its
    /// name, `$other:my.key`; blanks around what is there do not count. One that is empty is not set.
    pub fn new(
        data: &BTreeMap<String, ByteString>,
        others: &BTreeMap<String, BTreeMap<String, ByteString>>,
    ) -> Self {
        let referred = |reference: &str| match reference.split_once(':') {
            Some((secret, key)) => others.get(secret.trim())?.get(key.trim()),
            None => data.get(reference.trim()),
        };
        let value = |setting: &'static str| {
            let value = &data.get(setting)?.0;
            let value = match value.strip_prefix(b"$").map(std::str::from_utf8) {
                Some(reference) => {
                    reference.ok().and_then(referred).map(|value| value.0.trim_ascii().to_vec())
                }
                None => Some(value.clone()),
            };
            Some((setting, value)).filter(|(_, value)| value.as_ref().is_none_or(|value| !value.is_empty()))
        };
        Self { values: SETTINGS.into_iter().filter_map(value).collect() }
    }

    /// What is set under a name.
    pub(super) fn get(&self, setting: &'static str) -> Result<Option<&[u8]>, Refusal> {
        match self.values.get(setting) {
            None => Ok(None),
            Some(None) => Err(Refusal::Setting(setting)),
            Some(Some(value)) => Ok(Some(value)),
        }
    }

    #[cfg(test)]
    pub(super) fn from_pairs(pairs: &[(&str, &str)]) -> Self {
        let owned =
            |(name, value): &(&str, &str)| ((*name).to_owned(), ByteString(value.as_bytes().to_vec()));
        Self::new(&pairs.iter().map(owned).collect(), &BTreeMap::new())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_may_refer_to_another_key() {
        let secrets = Secrets::from_pairs(&[(GITHUB, "$mine"), ("mine", "mellon"), (GITLAB, "$theirs:key")]);
        assert_eq!(secrets.get(GITHUB), Ok(Some(b"mellon".as_slice())));
        assert_eq!(secrets.get(GITLAB), Err(Refusal::Setting(GITLAB)));
    }

    #[test]
    fn a_value_may_refer_to_a_key_of_another_secret() {
        let pair = |key: &str, text: &str| (key.to_owned(), ByteString(text.as_bytes().to_vec()));
        let data = [
            (GITHUB, "$vault:github"),
            (GITLAB, "$vault:none"),
            (GOGS, "$nowhere:github"),
            (HARBOR, "$vault: blank "),
            ("vault:gogs", "not this one"),
            (DOCKER_HUB, "$vault:gogs"),
        ];
        let vault = [pair("github", " mellon\n"), pair("blank", "friend")];
        let secrets = Secrets::new(
            &data.into_iter().map(|(key, text)| pair(key, text)).collect(),
            &[("vault".to_owned(), vault.into())].into(),
        );
        assert_eq!(secrets.get(GITHUB), Ok(Some(b"mellon".as_slice())));
        assert_eq!(secrets.get(HARBOR), Ok(Some(b"friend".as_slice())));
        for setting in [GITLAB, GOGS, DOCKER_HUB] {
            assert_eq!(secrets.get(setting), Err(Refusal::Setting(setting)), "{setting}");
        }
    }

    #[test]
    fn empty_is_not_set() {
        let secrets = Secrets::from_pairs(&[(GITHUB, ""), (GITLAB, "$empty"), ("empty", "")]);
        assert_eq!(secrets.get(GITHUB), Ok(None));
        assert_eq!(secrets.get(GITLAB), Ok(None));
        assert_eq!(secrets.get(GOGS), Ok(None));
    }
}

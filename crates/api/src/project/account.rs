//! Whom a sync acts as, where the installation wants syncs to act as accounts of their project. Pure.
//!
//! In: `destinationServiceAccounts` and a destination. Out: a user's name, or why there is none.

use super::DestinationServiceAccount;
use super::permissions::ClusterRef;
use crate::glob::{Glob, Separator};

/// Accounts by destination; the first that matches counts.
#[derive(Clone, Debug)]
pub(super) struct Accounts(Vec<Account>);

#[derive(Clone, Debug)]
struct Account {
    server: Glob,
    namespace: Glob,
    /// As it was written.
    name: Box<str>,
}

impl Accounts {
    pub(super) fn of(accounts: &[DestinationServiceAccount]) -> Self {
        let glob = |text: &str| Glob::parse(text, Separator::None).unwrap_or(Glob::Nothing);
        let account = |account: &DestinationServiceAccount| Account {
            server: glob(&account.server),
            namespace: glob(&account.namespace),
            name: account.default_service_account.trim().into(),
        };
        Self(accounts.iter().map(account).collect())
    }

    /// The user as whom a sync to this destination acts. An account without a namespace is one of the destination's,
    /// or of the Application's where the destination has none.
    pub(super) fn user(
        &self,
        cluster: ClusterRef<'_>,
        namespace: &str,
        application_namespace: &str,
    ) -> Result<String, String> {
        let matching = |account: &&Account| {
            account.server.matches(cluster.server) && account.namespace.matches(namespace)
        };
        let account = self.0.iter().find(matching).ok_or_else(|| {
            format!(
                "no matching service account found for destination server {} and namespace {namespace}",
                cluster.server
            )
        })?;
        let own = if namespace.is_empty() { application_namespace } else { namespace };
        let (namespace, name) = account.name.split_once(':').unwrap_or((own, &account.name));
        let is_name = |text: &str| {
            let allowed =
                |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-.".contains(&byte);
            !text.is_empty() && text.bytes().all(allowed)
        };
        match is_name(namespace) && is_name(name) {
            true => Ok(format!("system:serviceaccount:{namespace}:{name}")),
            false => Err(format!("{:?} is not the name of a service account", account.name)),
        }
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::{Value, json};

    use super::*;

    const HERE: ClusterRef<'static> =
        ClusterRef { server: "https://kubernetes.default.svc", name: "in-cluster", project: "" };

    #[rstest]
    #[case::of_the_destination(json!([["*", "*", "deployer"]]), "web", "system:serviceaccount:web:deployer")]
    #[case::of_another_namespace(json!([["*", "*", "ops:deployer"]]), "web", "system:serviceaccount:ops:deployer")]
    #[case::of_the_application(json!([["*", "*", "deployer"]]), "", "system:serviceaccount:argocd:deployer")]
    #[case::the_first_counts(json!([["*", "shop", "a"], ["*", "w*", "b"], ["*", "*", "c"]]), "web", "system:serviceaccount:web:b")]
    #[case::by_server(json!([["https://elsewhere", "*", "a"], ["https://kubernetes*", "*", "b"]]), "web", "system:serviceaccount:web:b")]
    #[case::none(json!([["*", "shop", "a"]]), "web", "no matching service account found for destination server https://kubernetes.default.svc and namespace web")]
    #[case::no_name(json!([["*", "*", "a:b:c"]]), "web", "\"a:b:c\" is not the name of a service account")]
    #[case::empty(json!([["*", "*", ""]]), "web", "\"\" is not the name of a service account")]
    fn users(#[case] accounts: Value, #[case] namespace: &str, #[case] expected: &str) {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let accounts = accounts.as_array().into_iter().flatten();
        let accounts = accounts.map(|account| DestinationServiceAccount {
            server: text(&account[0]),
            namespace: text(&account[1]),
            default_service_account: text(&account[2]),
        });
        let accounts = Accounts::of(&accounts.collect::<Vec<_>>());
        let user = accounts.user(HERE, namespace, "argocd").unwrap_or_else(|reason| reason);
        assert_eq!(user, expected);
    }
}

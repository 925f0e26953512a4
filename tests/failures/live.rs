//! What the cluster has of the kinds that these tests use, whoever put it there.
//!
//! In: lists of the API server. Out: objects by name.

use std::collections::BTreeMap;
use std::fmt::{self, Display, Formatter};

use anyhow::ensure;
use serde_json::Value;

use crate::world::{PREFIX, ROOT};

/// Each kind with the path of all its objects.
const KINDS: [(&str, &str); 5] = [
    ("Application", "/apis/argoproj.io/v1alpha1/namespaces/argocd/applications"),
    ("ConfigMap", "/api/v1/configmaps"),
    ("Service", "/api/v1/services"),
    ("Secret", "/api/v1/secrets"),
    ("Deployment", "/apis/apps/v1/deployments"),
];
/// The controllers put it into every namespace.
const AUTHORITY: &str = "kube-root-ca.crt";

/// Which object.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Name {
    pub kind: String,
    pub namespace: String,
    pub name: String,
}

/// All objects but the root Application.
#[derive(Default)]
pub struct Live {
    pub objects: BTreeMap<Name, Value>,
    pub root: Value,
}

impl Live {
    /// Asks for everything.
    pub async fn read(client: &kube::Client) -> anyhow::Result<Self> {
        let mut live = Self::default();
        for (kind, path) in KINDS {
            let mut list: Value = client.request(http::Request::get(path).body(Vec::new())?).await?;
            for object in list["items"].as_array_mut().into_iter().flatten() {
                live.put(kind, object.take());
            }
        }
        Ok(live)
    }

    fn put(&mut self, kind: &str, object: Value) {
        let text = |field: &str| object["metadata"][field].as_str().unwrap_or_default().to_owned();
        let name = Name { kind: kind.to_owned(), namespace: text("namespace"), name: text("name") };
        if kind == "Application" && name.name == ROOT {
            self.root = object;
        } else if kind == "Application" || name.namespace.starts_with(PREFIX) && name.name != AUTHORITY {
            self.objects.insert(name, object);
        }
    }

    /// The Application of this name.
    pub fn application(&self, name: &str) -> &Value {
        if name == ROOT {
            return &self.root;
        }
        let key =
            Name { kind: "Application".to_owned(), namespace: "argocd".to_owned(), name: name.to_owned() };
        self.objects.get(&key).unwrap_or(&Value::Null)
    }

    /// What was there before and is there now is the same and was not made anew.
    ///
    /// # Errors
    /// With what was made anew.
    pub fn kept(&self, before: &Self) -> anyhow::Result<()> {
        let uid = |object: &Value| object["metadata"]["uid"].clone();
        let is_other = |(name, object): &(&Name, &Value)| {
            before.objects.get(*name).is_some_and(|before| uid(before) != uid(object))
        };
        let others: Vec<_> = self.objects.iter().filter(is_other).map(|(name, _)| name.to_string()).collect();
        ensure!(others.is_empty(), "deleted and made anew: {}", others.join(", "));
        Ok(())
    }
}

impl Display for Name {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} {}/{}", self.kind, self.namespace, self.name)
    }
}

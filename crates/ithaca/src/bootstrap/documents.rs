//! What the file holds: namespace, chart, Secret, root Application. Pure.

use anyhow::{Context, ensure};
use serde_json::{Map, Value, json};

/// Where K3s keeps its charts.
const CHARTS: &str = "kube-system";

/// How a private repository is read.
pub enum Credentials {
    /// Over HTTPS.
    Password { username: String, password: String },
    /// Over SSH: a private key in PEM.
    SshKey(String),
}

/// All that the file is made from.
pub struct Plan {
    pub repo: String,
    pub path: String,
    pub revision: String,
    /// Of the root Application.
    pub name: String,
    pub namespace: String,
    /// What the user sets in the chart.
    pub values: Map<String, Value>,
    pub credentials: Option<Credentials>,
    /// The packaged chart.
    pub chart: Vec<u8>,
}

impl Plan {
    /// In the order in which they may be created.
    pub fn documents(self) -> anyhow::Result<Vec<Value>> {
        let namespace = self.namespace();
        let secret = self.secret();
        let chart = self.helm_chart()?;
        Ok([Some(namespace), secret, Some(chart)].into_iter().flatten().collect())
    }

    /// Ithaca's pods ask for nothing that the strictest standard forbids, so nothing else may live beside them.
    fn namespace(&self) -> Value {
        json!({
            "apiVersion": "v1",
            "kind": "Namespace",
            "metadata": {
                "name": self.namespace,
                "labels": {"pod-security.kubernetes.io/enforce": "restricted"},
            },
        })
    }

    /// What Argo CD calls a repository Secret.
    fn secret(&self) -> Option<Value> {
        let mut data = Map::from_iter([
            ("type".to_owned(), Value::from("git")),
            ("url".to_owned(), Value::from(self.repo.as_str())),
        ]);
        let fields = match self.credentials.as_ref()? {
            Credentials::Password { username, password } => {
                vec![("username", username), ("password", password)]
            }
            Credentials::SshKey(key) => vec![("sshPrivateKey", key)],
        };
        data.extend(fields.into_iter().map(|(name, value)| (name.to_owned(), Value::from(value.as_str()))));
        Some(json!({
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {
                "name": format!("{}-repository", self.name),
                "namespace": self.namespace,
                "labels": {
                    "app.kubernetes.io/part-of": "argocd",
                    "argocd.argoproj.io/secret-type": "repository",
                },
            },
            "type": "Opaque",
            "stringData": data,
        }))
    }

    /// What K3s's Helm controller installs. The root Application is among the values, since Helm alone knows when the
    /// definitions of the chart are there.
    fn helm_chart(self) -> anyhow::Result<Value> {
        let archive = base64(&self.chart);
        let mut values = self.values;
        let root = values.entry("rootApplication").or_insert_with(|| json!({}));
        let root = root.as_object_mut().context("rootApplication in the values is no map")?;
        ensure!(
            !root.contains_key("repoURL") && !root.contains_key("spec"),
            "the values name a root Application already; --repo names another: leave one out"
        );
        let said = [("repoURL", self.repo), ("path", self.path), ("targetRevision", self.revision)];
        root.extend(said.map(|(key, value)| (key.to_owned(), Value::from(value))));
        root.insert("name".to_owned(), Value::from(self.name));
        Ok(json!({
            "apiVersion": "helm.cattle.io/v1",
            "kind": "HelmChart",
            "metadata": {"name": "ithaca", "namespace": CHARTS},
            "spec": {
                "targetNamespace": self.namespace,
                "chartContent": archive,
                "valuesContent": serde_saphyr::to_string(&values)?,
                // Without it a failed upgrade is answered by an uninstall.
                "failurePolicy": "abort",
            },
        }))
    }
}

fn base64(bytes: &[u8]) -> String {
    use base64::Engine;
    base64::engine::general_purpose::STANDARD.encode(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(values: Value, credentials: Option<Credentials>) -> Plan {
        Plan {
            repo: "https://git.example.org/home.git".to_owned(),
            path: "bootstrap".to_owned(),
            revision: "HEAD".to_owned(),
            name: "root".to_owned(),
            namespace: "argocd".to_owned(),
            values: values.as_object().cloned().unwrap_or_default(),
            credentials,
            chart: b"chart".to_vec(),
        }
    }

    #[test]
    fn a_public_repository_needs_a_namespace_and_a_chart() {
        let values = json!({"log": "debug", "rootApplication": {"name": "other"}});
        let documents = plan(values, None).documents().expect("documents");
        let kinds: Vec<_> = documents.iter().map(|document| document["kind"].clone()).collect();
        assert_eq!(kinds, ["Namespace", "HelmChart"]);
        let spec = &documents[1]["spec"];
        assert_eq!(spec["chartContent"], "Y2hhcnQ=");
        let values: Value =
            serde_saphyr::from_str(spec["valuesContent"].as_str().expect("text")).expect("YAML");
        assert_eq!(values["log"], "debug");
        assert_eq!(
            values["rootApplication"],
            json!({"name": "root", "path": "bootstrap", "repoURL": "https://git.example.org/home.git", "targetRevision": "HEAD"})
        );
    }

    #[test]
    fn a_private_repository_gets_its_secret_before_anything_reads_it() {
        let key = Credentials::SshKey("KEY\n".to_owned());
        let password = Credentials::Password { username: "me".to_owned(), password: "hush".to_owned() };
        for (credentials, field, value) in [(key, "sshPrivateKey", "KEY\n"), (password, "password", "hush")] {
            let documents = plan(json!({}), Some(credentials)).documents().expect("documents");
            assert_eq!(documents[1]["kind"], "Secret");
            assert_eq!(documents[1]["stringData"][field], value);
            assert_eq!(documents[1]["metadata"]["labels"]["argocd.argoproj.io/secret-type"], "repository");
        }
    }

    #[test]
    fn two_root_applications_are_one_too_many() {
        let values = json!({"rootApplication": {"spec": {"project": "default"}}});
        let error = plan(values, None).documents().expect_err("two roots").to_string();
        assert!(error.contains("leave one out"), "{error}");
    }
}

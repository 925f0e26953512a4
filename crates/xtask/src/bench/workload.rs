//! The applications that are measured: a folder in Git and an Application for each.
//!
//! In: a number and a version. Out: files, objects and manifests; equal input gives equal output.
//! Each has a ServiceAccount, a Service, a Deployment without replicas and an Ingress.

use ithaca_tests::Repository;
use serde_json::{Value, json};

/// The namespace that all of them live in.
pub const NAMESPACE: &str = "bench";

/// What an application's source is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Kind {
    /// A plain file
    Dir,
    /// A chart
    Helm,
    /// An overlay on a base that all share
    Kustomize,
}

impl Kind {
    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Dir => "dir",
            Self::Helm => "helm",
            Self::Kustomize => "kustomize",
        }
    }
}

/// The name of an application and of its objects.
pub fn name(number: usize) -> String {
    format!("app-{number:04}")
}

/// The image that the Deployment runs at a version.
pub fn image(version: usize) -> String {
    format!("registry.example.com/app:1.0.{version}")
}

/// The files that all applications of a kind share.
fn shared_files(kind: Kind) -> Vec<(String, String)> {
    if kind != Kind::Kustomize {
        return Vec::new();
    }
    vec![
        ("base/objects.yaml".to_owned(), documents(&objects("app", "registry.example.com/app", NAMESPACE))),
        ("base/kustomization.yaml".to_owned(), "resources:\n- objects.yaml\n".to_owned()),
    ]
}

/// The files of one application at a version.
pub fn files(kind: Kind, number: usize, version: usize) -> Vec<(String, String)> {
    let name = name(number);
    let file = |path: &str, text: String| (format!("apps/{name}/{path}"), text);
    match kind {
        Kind::Dir => vec![file("objects.yaml", documents(&objects(&name, &image(version), NAMESPACE)))],
        Kind::Helm => {
            let templates = documents(&objects("{{ .Release.Name }}", "{{ .Values.image }}", NAMESPACE));
            vec![
                file("Chart.yaml", format!("apiVersion: v2\nname: {name}\nversion: 0.1.0\n")),
                file("values.yaml", format!("image: {}\n", image(version))),
                file("templates/objects.yaml", templates),
            ]
        }
        Kind::Kustomize => vec![file(
            "kustomization.yaml",
            format!(
                "resources:\n- ../../base\nnamePrefix: {name}-\nimages:\n- name: registry.example.com/app\n  newTag: 1.0.{version}\n"
            ),
        )],
    }
}

/// Writes the files of so many applications into a working clone.
pub fn write(kind: Kind, apps: usize, repository: &Repository) -> anyhow::Result<()> {
    let own = (0..apps).flat_map(|number| files(kind, number, 0));
    for (path, text) in shared_files(kind).into_iter().chain(own) {
        repository.write(&path, &text)?;
    }
    Ok(())
}

/// The Application that follows the files.
pub fn application(kind: Kind, number: usize, repository: &str) -> Value {
    let name = name(number);
    let mut source = json!({"repoURL": repository, "path": format!("apps/{name}"), "targetRevision": "HEAD"});
    if kind == Kind::Helm {
        source["helm"] = json!({"releaseName": name});
    }
    json!({
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Application",
        "metadata": {"name": name, "namespace": "argocd"},
        "spec": {
            "project": "default",
            "source": source,
            "destination": {"server": "https://kubernetes.default.svc", "namespace": NAMESPACE},
            "syncPolicy": {"automated": {"prune": true, "selfHeal": true}},
        },
    })
}

/// The name of an application's Deployment in the cluster.
pub fn deployment(kind: Kind, number: usize) -> String {
    match kind {
        Kind::Kustomize => format!("{}-app", name(number)),
        Kind::Dir | Kind::Helm => name(number),
    }
}

/// The four objects under one name.
pub fn objects(name: &str, image: &str, namespace: &str) -> [Value; 4] {
    let metadata = json!({"name": name, "namespace": namespace, "labels": {"app": name}});
    let backend = json!({"service": {"name": name, "port": {"number": 80}}});
    [
        json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata}),
        json!({
            "apiVersion": "v1", "kind": "Service", "metadata": metadata,
            "spec": {"selector": {"app": name}, "ports": [{"name": "http", "port": 80, "targetPort": 8080}]},
        }),
        json!({
            "apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata,
            "spec": {
                "replicas": 0,
                "selector": {"matchLabels": {"app": name}},
                "template": {
                    "metadata": {"labels": {"app": name}},
                    "spec": {
                        "serviceAccountName": name,
                        "containers": [{"name": "app", "image": image, "ports": [{"containerPort": 8080}]}],
                    },
                },
            },
        }),
        json!({
            "apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "metadata": metadata,
            "spec": {"rules": [{
                "host": format!("{name}.example.com"),
                "http": {"paths": [{"path": "/", "pathType": "Prefix", "backend": backend}]},
            }]},
        }),
    ]
}

/// JSON documents in one YAML file: the same text whatever writes it.
fn documents(objects: &[Value]) -> String {
    objects.iter().map(|object| format!("---\n{object:#}\n")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_changes_one_file_of_an_application() {
        for kind in [Kind::Dir, Kind::Helm, Kind::Kustomize] {
            let (before, after) = (files(kind, 7, 0), files(kind, 7, 1));
            let changed = before.iter().zip(&after).filter(|(before, after)| before != after).count();
            assert_eq!(changed, 1, "{kind:?}");
        }
    }
}

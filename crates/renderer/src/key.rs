//! The render key: everything that a rendering depends on comes in, a digest goes out. Equal keys mean equal bundles.

use ithaca_proto::v1::{Capabilities, Reference};
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::environment;
use crate::plugin::Plugin;
use crate::request::{Request, SourceRequest};

/// To be raised when the same input renders to something else.
const FORMAT: &str = "ithaca-render-3";
/// Stands before a spec whose pointers of Git LFS stand for files: no JSON begins so.
const LFS: &str = "lfs ";

/// The key of `sources`, rendered for `request` with `tools` (names and versions), or by one of the `plugins` of each.
pub fn render_key(
    request: &Request,
    sources: &[SourceRequest],
    tools: &str,
    plugins: &[Vec<Plugin>],
) -> String {
    let mut key = Key(Sha256::new());
    let names = [&request.application.name, &request.instance, &request.destination_namespace];
    let disabled: Vec<&str> = request.tools.disabled().collect();
    let format =
        if disabled.is_empty() { FORMAT.to_owned() } else { format!("{FORMAT} without {disabled:?}") };
    for part in [format.as_str(), tools].into_iter().chain(names.map(String::as_str)) {
        key.add(part);
    }
    let Capabilities { kube_version, api_versions } = &request.capabilities;
    key.add(kube_version);
    key.add_all(api_versions.iter().map(String::as_str));
    key.count(sources.len());
    let none = Vec::new();
    for (source, plugins) in sources.iter().zip(plugins.iter().chain(std::iter::repeat(&none))) {
        if !plugins.is_empty() {
            key.add_plugins(plugins, request, source);
        }
        let lfs = if source.lfs { LFS } else { "" };
        key.add(&format!("{lfs}{}", spec(source)));
        key.add(&source.build_options);
        if environment::depends_on_revision(&source.json) {
            key.add(&source.revision);
        }
        if source.json.contains("ARGOCD_APP_PROJECT_NAME") {
            key.add(&request.project);
        }
        key.add_all(source.reads.iter().flat_map(|read| [read.path.as_str(), read.object_id.as_str()]));
        key.count(source.attachments.len());
        for attachment in &source.attachments {
            key.add(&attachment.path);
            let reads = attachment.read.iter().chain(&attachment.reads);
            key.add_all(reads.flat_map(|read| [read.path.as_str(), read.object_id.as_str()]));
        }
        for Reference { folder, written, path } in &source.references {
            key.add_all([folder, written, path].into_iter().map(String::as_str));
        }
    }
    hex::encode(key.0.finalize())
}

/// The spec without what only says where the revision came from.
fn spec(source: &SourceRequest) -> String {
    let uses_it = source.json.contains("ARGOCD_APP_SOURCE_TARGET_REVISION");
    match serde_json::from_str(&source.json) {
        Ok(Value::Object(mut spec)) if !uses_it => {
            spec.remove("targetRevision");
            Value::Object(spec).to_string()
        }
        _ => source.json.clone(),
    }
}

/// Parts with their lengths, so that no two lists of parts give the same bytes.
struct Key(Sha256);

impl Key {
    fn add(&mut self, part: &str) {
        self.count(part.len());
        self.0.update(part.as_bytes());
    }

    fn add_all<'a>(&mut self, parts: impl Iterator<Item = &'a str> + Clone) {
        self.count(parts.clone().count());
        parts.for_each(|part| self.add(part));
    }

    /// The plugins that may render a source, and what they are told beside its spec and files.
    fn add_plugins(&mut self, plugins: &[Plugin], request: &Request, source: &SourceRequest) {
        self.add("plugins");
        self.add_all(plugins.iter().flat_map(|plugin| [plugin.name.as_str(), plugin.version.as_str()]));
        self.add(&request.project);
        self.add(&source.spec.target_revision);
        if plugins.iter().any(|plugin| plugin.uses_revision) {
            self.add(&source.revision);
        }
    }

    fn count(&mut self, count: usize) {
        self.0.update((count as u64).to_le_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ithaca_proto::v1::{ApplicationRef, Attachment, PathRead, RevisionObserved, SourceRevision};
    use serde_json::json;

    fn message(spec: &Value, revision: &str, id: &str) -> RevisionObserved {
        RevisionObserved {
            application: Some(ApplicationRef {
                uid: "1".into(),
                namespace: "argocd".into(),
                name: "shop".into(),
            }),
            purpose: 1,
            sources: vec![SourceRevision {
                source: spec.to_string(),
                revision: revision.into(),
                reads: vec![PathRead { path: "x".into(), object_id: id.into() }],
                ..Default::default()
            }],
            ..Default::default()
        }
    }

    fn key(message: RevisionObserved) -> String {
        let request = Request::parse(message).expect("a request");
        let sources = request.sources.clone().expect("sources");
        render_key(&request, &sources, "helm 4", &[])
    }

    #[test]
    fn what_is_read_makes_the_key_and_the_revision_does_not() {
        let spec = json!({"repoURL": "r", "path": "x", "targetRevision": "main"});
        let same = key(message(&spec, "r1", "t1"));
        assert_eq!(same, key(message(&spec, "r2", "t1")));
        let branch = json!({"repoURL": "r", "path": "x", "targetRevision": "other"});
        assert_eq!(same, key(message(&branch, "r2", "t1")));
        assert_ne!(same, key(message(&spec, "r1", "t2")));
    }

    #[test]
    fn everything_else_that_a_rendering_sees_makes_another_key() {
        let spec = json!({"repoURL": "r", "path": "x"});
        let plain = message(&spec, "r1", "t1");
        let mut others = Vec::new();
        let mut changed = |change: fn(&mut RevisionObserved)| {
            let mut other = plain.clone();
            change(&mut other);
            others.push(key(other));
        };
        changed(|other| other.destination_namespace = "store".into());
        changed(|other| other.application.as_mut().expect("set").name = "other".into());
        changed(|other| other.instance = "team_shop".into());
        changed(|other| other.sources[0].overridden = json!({"repoURL": "r", "helm": {}}).to_string());
        changed(|other| {
            other.capabilities = Some(Capabilities { kube_version: "1".into(), api_versions: vec![] })
        });
        changed(|other| {
            other.capabilities =
                Some(Capabilities { kube_version: String::new(), api_versions: vec!["1".into()] })
        });
        changed(|other| other.sources.push(other.sources[0].clone()));
        changed(|other| {
            other.sources[0].source = json!({"repoURL": "r", "path": "x", "helm": {}}).to_string()
        });
        changed(|other| other.sources[0].kustomize_build_options = "--enable-helm".into());
        changed(|other| other.sources[0].lfs = true);
        changed(|other| other.disabled_tools = vec!["helm".into()]);
        changed(|other| other.disabled_tools = vec!["jsonnet".into()]);
        changed(|other| {
            let reads = vec![PathRead { path: "b".into(), object_id: "1".into() }];
            other.sources[0].attachments = vec![Attachment { reads, ..Attachment::default() }];
        });
        changed(|other| {
            let reads = vec![PathRead { path: "b".into(), object_id: "2".into() }];
            other.sources[0].attachments = vec![Attachment { reads, ..Attachment::default() }];
        });
        changed(|other| {
            let (folder, written, path) = ("x".into(), "https://r".into(), "../b".into());
            other.sources[0].references = vec![Reference { folder, written, path }];
        });
        others.push(key(plain.clone()));
        others.sort();
        others.dedup();
        assert_eq!(others.len(), 16);
    }

    #[test]
    fn the_project_counts_where_it_is_named() {
        let of = |spec: &Value, project: &str| {
            key(RevisionObserved { project: project.into(), ..message(spec, "r1", "t1") })
        };
        let plain = json!({"repoURL": "r", "helm": {}});
        assert_eq!(of(&plain, "a"), of(&plain, "b"));
        let named = json!({"repoURL": "r", "helm": {"valueFiles": ["$ARGOCD_APP_PROJECT_NAME.yaml"]}});
        assert_ne!(of(&named, "a"), of(&named, "b"));
    }

    #[test]
    fn what_a_file_says_over_the_spec_may_name_the_revision() {
        let of = |revision: &str| {
            let mut message = message(&json!({"repoURL": "r"}), revision, "t1");
            message.sources[0].overridden =
                json!({"repoURL": "r", "helm": {"valueFiles": ["$ARGOCD_APP_REVISION"]}}).to_string();
            key(message)
        };
        assert_ne!(of("r1"), of("r2"));
    }

    #[test]
    fn another_version_of_a_plugin_makes_another_key_and_the_revision_where_it_is_told() {
        let spec = json!({"repoURL": "r", "plugin": {"name": "x"}});
        let of = |revision: &str, project: &str, plugin: Plugin| {
            let message = RevisionObserved { project: project.into(), ..message(&spec, revision, "t1") };
            let request = Request::parse(message).expect("a request");
            let sources = request.sources.clone().expect("sources");
            render_key(&request, &sources, "helm 4", &[vec![plugin]])
        };
        let plugin = Plugin { name: "x".into(), version: "1".into(), ..Plugin::default() };
        let plain = of("r1", "a", plugin.clone());
        assert_eq!(plain, of("r2", "a", plugin.clone()));
        assert_ne!(plain, of("r1", "b", plugin.clone()));
        assert_ne!(plain, of("r1", "a", Plugin { version: "2".into(), ..plugin.clone() }));
        let using = Plugin { uses_revision: true, ..plugin };
        assert_ne!(of("r1", "a", using.clone()), of("r2", "a", using));
    }

    #[test]
    fn a_spec_that_names_the_revision_depends_on_it() {
        let spec =
            json!({"repoURL": "r", "helm": {"parameters": [{"name": "a", "value": "$ARGOCD_APP_REVISION"}]}});
        assert_ne!(key(message(&spec, "r1", "t1")), key(message(&spec, "r2", "t1")));
    }
}

//! An Application as the watcher needs it: a small part of the object, checked, and nothing else kept.

use std::sync::Arc;
use std::time::Duration;

use ithaca_api::annotation::{self, Refresh};
use ithaca_api::tracking::instance_name;
use ithaca_api::{
    Application, ApplicationNamespaces, ApplicationSource, ApplicationSpec, GeneratePaths, Operation,
    operation_request_key, without_credentials,
};
use kube::Resource;
use kube::core::{NamespaceResourceScope, ObjectMeta};
use serde::{Deserialize, Deserializer};
use std::borrow::Cow;

use crate::repository::{Wanted, wanted};

/// The annotations that are read.
const ANNOTATIONS: [&str; 4] = [
    annotation::REFRESH,
    annotation::SKIP_RECONCILE,
    annotation::INTERVAL,
    annotation::MANIFEST_GENERATE_PATHS,
];

/// What Argo CD says of a chart without a version, which has no newest one that could be meant.
const REVISION_REQUIRED: &str =
    "spec.source.targetRevision is required if the manifest source is a helm chart";

/// What the watcher knows of an Application.
#[derive(Clone, Debug, PartialEq)]
pub struct Watched {
    /// metadata.uid.
    pub uid: Arc<str>,
    /// metadata.namespace.
    pub namespace: String,
    /// metadata.name.
    pub name: String,
    /// The name where the namespace counts; see [`ithaca_api::tracking::instance_name`].
    pub instance: String,
    /// metadata.generation. Each write to the object raises it, so it is no sign of a change.
    pub generation: i64,
    /// Whether the object says that nothing is to be done for it.
    pub is_skipped: bool,
    /// What the refresh annotation asks for.
    pub refresh: Option<Refresh>,
    /// How often its repositories are to be asked, where it says so. One that cannot be read is told of by the applier.
    pub interval: Option<Duration>,
    /// The files that concern it, where it says so. What cannot be read is told of by the applier as well.
    pub generate_paths: Option<Arc<GeneratePaths>>,
    /// What the spec tracks.
    pub tracked: Request,
    /// What the operation asks for outright, with its key.
    pub operation: Option<(String, Request)>,
    /// The operation that somebody began for what is tracked: it means the newest of that.
    pub look_for: Option<Operation>,
}

/// Sources whose revisions are wanted.
#[derive(Clone, Debug, PartialEq)]
pub struct Request {
    /// The project's name.
    pub project: String,
    /// The Application's namespace, where it is not the control plane's.
    pub outside: Option<String>,
    /// spec.destination.namespace.
    pub destination_namespace: String,
    /// The sources, or why they are none.
    pub sources: Result<Arc<[SourceRequest]>, String>,
}

/// One source and the revision wanted of it.
#[derive(Clone, Debug, PartialEq)]
pub struct SourceRequest {
    /// The source as it was written.
    pub source: ApplicationSource,
    /// The revision to resolve, as [`Wanted`] writes it.
    pub revision: String,
}

impl Watched {
    /// From the object as it is read; None where it is not the installation's, or has no uid, which no stored object
    /// lacks.
    pub fn new(object: &WatchedObject, namespaces: &ApplicationNamespaces) -> Option<Self> {
        let metadata = &object.metadata;
        if !namespaces.includes(metadata) {
            return None;
        }
        let name = metadata.name.clone().unwrap_or_default();
        let namespace = metadata.namespace.clone().unwrap_or_default();
        let annotation = |name: &str| metadata.annotations.as_ref()?.get(name).map(String::as_str);
        let outside = Some(namespace.as_str()).filter(|namespace| *namespace != namespaces.control_plane());
        Some(Self {
            tracked: tracked(&object.spec, outside),
            operation: operation(&object.spec, outside, &object.operation),
            look_for: look_for(&object.operation),
            uid: metadata.uid.as_deref()?.into(),
            instance: instance_name(&name, &namespace, namespaces.control_plane()),
            namespace,
            name,
            generation: metadata.generation.unwrap_or_default(),
            is_skipped: annotation::skips_reconcile(annotation(annotation::SKIP_RECONCILE)),
            refresh: annotation(annotation::REFRESH).map(Refresh::parse),
            interval: annotation(annotation::INTERVAL)
                .and_then(|value| annotation::parse_interval(value).ok()),
            generate_paths: annotation(annotation::MANIFEST_GENERATE_PATHS)
                .and_then(|value| GeneratePaths::parse(value).ok().flatten())
                .map(Arc::new),
        })
    }

    /// True where another Application's fact would tell the same.
    pub fn tells_the_same_as(&self, other: &Self) -> bool {
        Self { generation: other.generation, ..self.clone() } == *other
    }
}

fn tracked(spec: &Read<ApplicationSpec>, outside: Option<&str>) -> Request {
    let spec = match spec {
        Ok(spec) => spec,
        Err(error) => return refused(format!("failed to read spec: {error}")),
    };
    let with_revision = |source: &ApplicationSource| SourceRequest {
        source: source.clone(),
        revision: wanted(source, source.target_revision()),
    };
    Request {
        project: spec.project().to_owned(),
        outside: outside.map(str::to_owned),
        destination_namespace: spec.destination.namespace.clone(),
        sources: check(spec.sources().iter().map(with_revision).collect()),
    }
}

/// The request of an operation that names a revision or a source: its sources, else the spec's, each at
/// the operation's revision where it names one.
fn operation(
    spec: &Read<ApplicationSpec>,
    outside: Option<&str>,
    operation: &Option<Read<Operation>>,
) -> Option<(String, Request)> {
    let (Ok(spec), Some(Ok(operation))) = (spec, operation) else { return None };
    let key = operation_request_key(operation)?;
    let sync = operation.sync.as_ref()?;
    let sources = match (sync.sources.as_slice(), &sync.source) {
        ([], None) => spec.sources(),
        ([], Some(source)) => std::slice::from_ref(source),
        (sources, _) => sources,
    };
    let revision = |index: usize, source: &ApplicationSource| {
        let named = sync.revisions.get(index).filter(|revision| !revision.is_empty());
        let single = Some(&sync.revision).filter(|revision| sources.len() == 1 && !revision.is_empty());
        named.or(single).map_or_else(|| source.target_revision().to_owned(), String::clone)
    };
    let requests = sources
        .iter()
        .enumerate()
        .map(|(index, source)| SourceRequest {
            source: source.clone(),
            revision: wanted(source, &revision(index, source)),
        })
        .collect();
    let request = Request {
        project: spec.project().to_owned(),
        outside: outside.map(str::to_owned),
        destination_namespace: spec.destination.namespace.clone(),
        sources: check(requests),
    };
    Some((key, request))
}

/// An operation that wants what is tracked to be looked at.
fn look_for(operation: &Option<Read<Operation>>) -> Option<Operation> {
    let operation = operation.as_ref()?.as_ref().ok()?;
    operation.means_newest().then(|| operation.clone())
}

/// What is wanted of the repository of a source. Only Git's tags have prefixes, and only charts may have their archives
/// elsewhere.
fn wanted(source: &ApplicationSource, revision: &str) -> String {
    if !source.chart.is_empty() {
        return wanted::of_chart(revision, source.helm.as_ref().is_some_and(|helm| helm.pass_credentials));
    }
    let is_git = !source.repo_url.starts_with("oci://");
    let tag_prefix = if is_git { source.tag_prefix.as_str() } else { "" };
    Wanted { revision, tag_prefix }.text()
}

fn check(sources: Vec<SourceRequest>) -> Result<Arc<[SourceRequest]>, String> {
    if sources.is_empty() {
        return Err("spec.source or spec.sources must be set".to_owned());
    }
    for SourceRequest { source, revision } in &sources {
        if source.repo_url.is_empty() {
            return Err("a source's repoURL must be set".to_owned());
        }
        let url = without_credentials(&source.repo_url);
        if source.path.is_empty() && source.chart.is_empty() && source.reference.is_empty() {
            return Err(format!("a source of {url} must have path, chart or ref"));
        }
        if !source.path.is_empty() && !source.chart.is_empty() {
            return Err(format!("a source of {url} has both path and chart"));
        }
        let is_archived = !source.chart.is_empty() || source.repo_url.starts_with("oci://");
        if is_archived && source.target_revision.is_empty() && revision == source.target_revision() {
            return Err(REVISION_REQUIRED.to_owned());
        }
        if is_archived && !source.reference.is_empty() {
            return Err(format!("a source of {url} has a ref, which only Git repositories can have"));
        }
    }
    check_references(&sources)?;
    Ok(sources.into())
}

/// Each `ref` has to mean one source, and to end where the path behind it begins.
fn check_references(sources: &[SourceRequest]) -> Result<(), String> {
    let is_part_of_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
    let mut seen: Vec<(usize, &str)> = Vec::new();
    for (number, SourceRequest { source, .. }) in (1..).zip(sources) {
        let reference = source.reference.as_str();
        if !reference.chars().all(is_part_of_name) {
            return Err(format!("the ref {reference:?} may hold letters, digits, _ and - alone"));
        }
        if let Some((first, _)) = seen.iter().find(|(_, known)| !reference.is_empty() && *known == reference)
        {
            return Err(format!(
                "sources {first} and {number} have the same ref {reference:?}: give each a ref of its own"
            ));
        }
        seen.push((number, reference));
    }
    Ok(())
}

fn refused(reason: String) -> Request {
    Request {
        project: String::new(),
        outside: None,
        destination_namespace: String::new(),
        sources: Err(reason),
    }
}

/// A part of an object that may not be what it should: one bad object must not hide the others.
type Read<T> = Result<T, String>;

/// The parts of an Application object that are read at all. Status and managed fields are not.
#[derive(Clone, Debug, Deserialize)]
pub struct WatchedObject {
    #[serde(deserialize_with = "metadata")]
    metadata: ObjectMeta,
    #[serde(default = "missing", deserialize_with = "readable")]
    spec: Read<ApplicationSpec>,
    #[serde(default, deserialize_with = "maybe_readable")]
    operation: Option<Read<Operation>>,
}

impl Resource for WatchedObject {
    type DynamicType = ();
    type Scope = NamespaceResourceScope;

    fn kind(dynamic: &()) -> Cow<'_, str> {
        Application::kind(dynamic)
    }

    fn group(dynamic: &()) -> Cow<'_, str> {
        Application::group(dynamic)
    }

    fn version(dynamic: &()) -> Cow<'_, str> {
        Application::version(dynamic)
    }

    fn plural(dynamic: &()) -> Cow<'_, str> {
        Application::plural(dynamic)
    }

    fn meta(&self) -> &ObjectMeta {
        &self.metadata
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        &mut self.metadata
    }
}

fn metadata<'de, D: Deserializer<'de>>(deserializer: D) -> Result<ObjectMeta, D::Error> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Needed {
        name: Option<String>,
        namespace: Option<String>,
        uid: Option<String>,
        generation: Option<i64>,
        resource_version: Option<String>,
        #[serde(default)]
        annotations: std::collections::BTreeMap<String, String>,
    }
    let Needed { name, namespace, uid, generation, resource_version, mut annotations } =
        Needed::deserialize(deserializer)?;
    annotations.retain(|name, _| ANNOTATIONS.contains(&name.as_str()));
    let annotations = (!annotations.is_empty()).then_some(annotations);
    Ok(ObjectMeta { name, namespace, uid, generation, resource_version, annotations, ..Default::default() })
}

fn missing() -> Read<ApplicationSpec> {
    Err("it is missing".to_owned())
}

fn readable<'de, D, T>(deserializer: D) -> Result<Read<T>, D::Error>
where
    D: Deserializer<'de>,
    T: serde::de::DeserializeOwned,
{
    let value = serde_json::Value::deserialize(deserializer)?;
    Ok(serde_json::from_value(value).map_err(|error| error.to_string()))
}

fn maybe_readable<'de, D, T>(deserializer: D) -> Result<Option<Read<T>>, D::Error>
where
    D: Deserializer<'de>,
    T: serde::de::DeserializeOwned,
{
    let value = Option::<serde_json::Value>::deserialize(deserializer)?;
    Ok(value.map(|value| serde_json::from_value(value).map_err(|error| error.to_string())))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn watched(object: Value) -> Watched {
        let object: WatchedObject = serde_json::from_value(object).expect("an object");
        let namespaces = ApplicationNamespaces::new("argocd", "team-*".parse().expect("patterns"));
        Watched::new(&object, &namespaces).expect("a uid")
    }

    fn object(spec: Value, operation: Value) -> Value {
        json!({
            "metadata": {"uid": "u", "name": "web", "namespace": "argocd", "generation": 3,
                         "managedFields": [{"manager": "m"}],
                         "annotations": {"argocd.argoproj.io/refresh": "hard", "other": "x"}},
            "spec": spec, "operation": operation, "status": {"resources": [1, 2]},
        })
    }

    fn revisions(request: &Request) -> Vec<&str> {
        let sources = request.sources.as_ref().expect("sources");
        sources.iter().map(|source| source.revision.as_str()).collect()
    }

    #[test]
    fn an_application_tracks_what_its_sources_say() {
        let spec = json!({"project": "", "destination": {"namespace": "n"}, "sources": [
            {"repoURL": "a", "path": "p"},
            {"repoURL": "b", "path": "p", "targetRevision": "v1", "tagPrefix": "web-"}]});
        let watched = watched(object(spec, Value::Null));
        assert_eq!(revisions(&watched.tracked), ["HEAD", "web-:v1"]);
        assert_eq!(watched.tracked.destination_namespace, "n");
        assert_eq!((watched.tracked.project.as_str(), watched.instance.as_str()), ("default", "web"));
        assert_eq!(watched.refresh, Some(Refresh::Hard));
        assert_eq!((watched.operation, watched.look_for), (None, None));
    }

    #[test]
    fn an_operation_may_ask_for_another_revision_or_source() {
        let spec = json!({"project": "", "destination": {}, "source": {"repoURL": "a", "path": "p"}});
        let asked = |sync: Value| {
            let watched = watched(object(spec.clone(), json!({"sync": sync})));
            let asked = watched.operation.map(|(_, request)| revisions(&request).join(","));
            assert_eq!(watched.look_for.is_some(), asked.is_none());
            asked
        };
        assert_eq!(asked(json!({"prune": true})), None);
        assert_eq!(asked(json!({"revision": "abc"})).as_deref(), Some("abc"));
        let source = json!({"repoURL": "b", "path": "q", "targetRevision": "v2"});
        assert_eq!(asked(json!({"source": source})).as_deref(), Some("v2"));
        let two = json!([source, source]);
        assert_eq!(asked(json!({"sources": two, "revisions": ["x", ""]})).as_deref(), Some("x,v2"));
    }

    #[test]
    fn a_bad_spec_is_the_applications_own_failure() {
        for (spec, reason) in [
            (json!({"source": 5}), "failed to read spec"),
            (json!({"project": "", "destination": {}}), "spec.source or spec.sources must be set"),
            (json!({"project": "", "destination": {}, "source": {"repoURL": "a"}}), "path, chart or ref"),
            (
                json!({"project": "", "destination": {}, "source": {"repoURL": "a", "chart": "c"}}),
                "spec.source.targetRevision is required",
            ),
            (
                json!({"project": "", "destination": {}, "source": {"repoURL": "oci://a/b", "path": "."}}),
                "spec.source.targetRevision is required",
            ),
            (
                json!({"project": "", "destination": {}, "source":
                    {"repoURL": "a", "chart": "c", "ref": "values", "targetRevision": "1"}}),
                "only Git repositories",
            ),
            (
                json!({"project": "", "destination": {}, "sources": [
                    {"repoURL": "a", "ref": "values"}, {"repoURL": "b", "path": "p"}, {"repoURL": "c", "ref": "values"}]}),
                "sources 1 and 3 have the same ref \"values\"",
            ),
            (
                json!({"project": "", "destination": {}, "sources": [
                    {"repoURL": "a", "ref": "team/values"}, {"repoURL": "b", "path": "p"}]}),
                "the ref \"team/values\" may hold letters, digits, _ and - alone",
            ),
        ] {
            let error = watched(object(spec, Value::Null)).tracked.sources.expect_err("a refusal");
            assert!(error.contains(reason), "{error}");
        }
    }

    #[test]
    fn a_refusal_shows_no_credentials_of_a_url() {
        for fields in [json!({}), json!({"path": "a", "chart": "b"}), json!({"chart": "c", "ref": "v"})] {
            let mut source = fields;
            source["repoURL"] = json!("https://me:secret@example.org/a");
            source["targetRevision"] = json!("1");
            let spec = json!({"project": "", "destination": {}, "source": source});
            let error = watched(object(spec, Value::Null)).tracked.sources.expect_err("a refusal");
            assert!(error.contains("https://example.org/a") && !error.contains("secret"), "{error}");
        }
    }

    #[test]
    fn a_write_that_only_raises_the_generation_tells_nothing() {
        let spec = json!({"project": "", "destination": {}, "source": {"repoURL": "a", "path": "p"}});
        let before = watched(object(spec.clone(), Value::Null));
        let mut later = object(spec, Value::Null);
        later["metadata"]["generation"] = json!(4);
        assert!(watched(later.clone()).tells_the_same_as(&before));
        later["metadata"]["annotations"] = json!({});
        assert!(!watched(later).tells_the_same_as(&before));
    }
}

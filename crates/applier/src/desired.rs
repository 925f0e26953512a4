//! From a bundle's manifests to the objects that an application wants.
//!
//! What comes in: the JSON of a bundle, whose Application it is for, and which kinds live in namespaces.
//! What goes out: each object once, named, tracked and ready to be applied; and what is wrong with the rest.
//! What it does not do: look at the cluster.

use std::{
    collections::HashMap,
    hash::{DefaultHasher, Hash, Hasher},
    sync::{Arc, LazyLock},
};

use base64::{Engine, prelude::BASE64_STANDARD};
use ithaca_api::{SyncOptions, annotation, sync_options, sync_policy::ManagedNamespaceMetadata};
use serde_json::{Map, Value, json, value::RawValue};

use crate::{
    health::is_custom,
    hook::Hook,
    judge::Ignored,
    links,
    object::{GroupKind, Kind, ObjectKey},
    order::{self, Phase, Role},
    rules::Rules,
    tracked,
};

/// Whom the objects belong to, and where those without a namespace go.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Owner {
    /// The Application's name in tracking ids.
    pub instance: String,
    /// spec.destination.namespace.
    pub namespace: String,
    /// What the destination's namespace carries, where it is made and kept by the Application.
    pub namespace_metadata: Option<ManagedNamespaceMetadata>,
    /// Objects of kinds that are not there yet hold up nothing before their turn.
    pub skips_missing_kinds: bool,
    /// What the installation says of all objects.
    pub rules: Arc<Rules>,
}

/// An object as Git wants it.
#[derive(Clone, Debug)]
pub struct Desired {
    /// Which object.
    pub key: ObjectKey,
    /// The version of its API that Git speaks.
    pub version: String,
    /// The whole object, tracked and in its namespace.
    pub json: Arc<RawValue>,
    /// Of `json`: equal hashes mean an equal wish.
    pub hash: u64,
    /// Its wave.
    pub wave: i64,
    /// Images that it runs.
    pub images: Vec<String>,
    /// Where people find what it serves.
    pub links: Vec<String>,
    /// Does not count for the application's health.
    pub ignores_health: bool,
    /// Its own sync options.
    pub options: SyncOptions,
    /// It is the destination's namespace, which the sources do not hold: not tracked, and never deleted.
    pub is_destination: bool,
    /// The differences that do not count, where a rule is about it.
    pub ignored: Option<Arc<Ignored>>,
}

impl Desired {
    /// The object, taken apart.
    pub fn as_value(&self) -> Option<Value> {
        serde_json::from_str(self.json.get()).ok()
    }

    /// The kind in the version that Git speaks.
    pub fn kind(&self) -> Kind {
        Kind {
            group: self.key.group.to_string(),
            version: self.version.clone(),
            kind: self.key.kind.to_string(),
        }
    }
}

/// All that a bundle amounts to in one cluster.
#[derive(Clone, Debug, Default)]
pub struct Assembly {
    /// Every object once, in the order of the bundle.
    pub objects: Vec<Arc<Desired>>,
    /// Objects that no API of the cluster serves, with the reason. A sync that meets one fails.
    pub unknown: Vec<(ObjectKey, String)>,
    /// Objects that cannot be applied as they are, with the reason.
    pub invalid: Vec<String>,
    /// The hooks among both: when they would run, and why they cannot.
    pub barred_hooks: Vec<(Vec<Phase>, String)>,
    /// Objects that the sources hold more than once; the last one counts.
    pub repeated: Vec<ObjectKey>,
    /// What runs in the phases of an operation.
    pub hooks: Vec<Arc<Hook>>,
    /// Objects that Git has and does not want applied. Those that live are left alone.
    pub skipped: Vec<ObjectKey>,
    /// Objects of kinds that the installation does not manage.
    pub excluded: Vec<ObjectKey>,
    /// What is written and has no effect, with what to do about it.
    pub unsupported: Vec<String>,
    /// Whether the kind of some object lives in namespaces was guessed, for the cluster does not know it yet.
    pub guessed: bool,
    /// The differences that do not count.
    pub ignored: Option<Arc<Ignored>>,
}

impl Assembly {
    /// Whether every object of the bundle is known. Where one is not, an object in the cluster that seems to be no
    /// longer wanted may be just that one.
    pub fn is_whole(&self) -> bool {
        self.unknown.is_empty() && self.invalid.is_empty()
    }

    /// Whether it would come out the same by the kinds that a cluster serves now. Only custom ones come and go.
    pub fn is_settled(&self, serves: &dyn Fn(&Kind) -> bool) -> bool {
        let hooks = self.hooks.iter().map(|hook| &hook.manifest);
        let all = self.objects.iter().map(Arc::as_ref).chain(hooks);
        let mut custom = all.filter(|desired| is_custom(&desired.key.group));
        self.unknown.is_empty() && !self.guessed && custom.all(|desired| serves(&desired.kind()))
    }

    fn bar(&mut self, role: &Role, reason: &str) {
        if let Role::Hook { phases, .. } = role {
            self.barred_hooks.push((phases.clone(), reason.to_owned()));
        }
    }

    fn refuse(&mut self, role: &Role, reason: String) {
        self.bar(role, &reason);
        self.invalid.push(reason);
    }

    /// Whether the sources hold no object at all.
    pub fn is_empty(&self) -> bool {
        self.objects.iter().all(|desired| desired.is_destination)
    }

    /// The same with differences that do not count. An object that is about to be compared by other rules than before
    /// is another wish.
    pub fn ignoring(mut self, ignored: Option<Arc<Ignored>>) -> Self {
        for desired in &mut self.objects {
            let Some(rules) = ignored.as_ref().filter(|rules| rules.concerns(&desired.key)) else { continue };
            let desired = Arc::make_mut(desired);
            let mut hasher = DefaultHasher::new();
            (desired.hash, rules.hash()).hash(&mut hasher);
            (desired.hash, desired.ignored) = (hasher.finish(), Some(rules.clone()));
        }
        Self { ignored, ..self }
    }
}

/// Whether a kind's objects live in namespaces; None where the cluster does not know the kind.
pub type Scopes<'a> = &'a dyn Fn(&Kind) -> Option<bool>;

/// Puts a bundle's manifests together for one cluster.
pub fn assemble(manifests: Vec<Value>, owner: &Owner, scopes: Scopes<'_>) -> Assembly {
    let own_scopes = scopes_of_definitions(&manifests);
    let mut assembly = Assembly::default();
    let mut places: HashMap<ObjectKey, usize> = HashMap::new();
    for mut manifest in manifests {
        let Some(kind) = Kind::of(&manifest) else {
            assembly.invalid.push("an object without apiVersion or kind".to_owned());
            continue;
        };
        let known = scopes(&kind);
        let namespaced = known.or_else(|| own_scopes.get(&kind.group_kind()).copied());
        settle_namespace(&mut manifest, namespaced.unwrap_or(true), &owner.namespace);
        let Some(key) = ObjectKey::of(&kind.group_kind(), &manifest) else { continue };
        if owner.rules.exclusions.excludes(&kind.group, &kind.kind) {
            assembly.excluded.push(key);
            continue;
        }
        let own_options = sync_options_of(&manifest);
        assembly.unsupported.extend(unsupported(&key, annotations_of(&manifest)));
        let role = order::role(annotations_of(&manifest));
        let may_be_missing = || {
            let options = own_options.map(SyncOptions::from_annotation).unwrap_or_default();
            owner.skips_missing_kinds || options.skips_missing_kinds()
        };
        if namespaced.is_none() && may_be_missing() {
            assembly.guessed = true;
        } else if namespaced.is_none() {
            let reason =
                format!("the cluster does not serve {kind}; is its CustomResourceDefinition missing?");
            assembly.bar(&role, &format!("{key}: {reason}"));
            assembly.unknown.push((key, reason));
            continue;
        }
        if namespaced == Some(true) && key.namespace.is_empty() {
            let reason = format!("{key} has no namespace, and neither has spec.destination.namespace");
            assembly.refuse(&role, reason);
            continue;
        }
        if let Role::Skipped = role {
            assembly.skipped.push(key);
            continue;
        }
        let generate_name = generate_name(&manifest);
        let desired = match finish(manifest, kind, key.clone(), owner) {
            Ok(desired) => desired,
            Err(reason) => {
                assembly.refuse(&role, format!("{key}: {reason}"));
                continue;
            }
        };
        match role {
            // Tests and rollbacks of Helm, and what was told of as unknown.
            Role::Hook { phases, .. } if phases.is_empty() => {}
            Role::Hook { .. } if key.name.is_empty() && generate_name.is_empty() => {
                assembly.refuse(&role, format!("{key} has neither a name nor a generateName"));
            }
            Role::Hook { phases, delete } => {
                let application = owner.instance.clone();
                let hook = Hook { manifest: desired, generate_name, phases, delete, application };
                assembly.hooks.push(Arc::new(hook));
            }
            _ if key.name.is_empty() => {
                assembly.invalid.push(format!("{key} has no name; metadata.generateName is for hooks alone"));
            }
            _ => match places.get(&key) {
                Some(place) => {
                    assembly.objects[*place] = Arc::new(desired);
                    assembly.repeated.push(key);
                }
                None => {
                    places.insert(key, assembly.objects.len());
                    assembly.objects.push(Arc::new(desired));
                }
            },
        }
    }
    let destination = destination_namespace(owner).filter(|namespace| !places.contains_key(&namespace.key));
    assembly.objects.extend(destination.map(Arc::new));
    assembly
}

/// The destination's namespace as `CreateNamespace=true` with `managedNamespaceMetadata` wants it.
fn destination_namespace(owner: &Owner) -> Option<Desired> {
    let wanted = owner.namespace_metadata.as_ref().filter(|_| !owner.namespace.is_empty())?;
    if owner.rules.exclusions.excludes("", "Namespace") {
        return None;
    }
    let key = ObjectKey::new("", "Namespace", "", &owner.namespace);
    let metadata = json!({
        "name": owner.namespace,
        "labels": wanted.labels,
        "annotations": wanted.annotations,
    });
    let manifest = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": metadata});
    let json: Arc<RawValue> = serde_json::value::to_raw_value(&manifest).ok()?.into();
    Some(Desired {
        key,
        version: "v1".to_owned(),
        hash: hash(&json),
        json,
        wave: 0,
        images: Vec::new(),
        links: Vec::new(),
        ignores_health: false,
        options: SyncOptions::default(),
        is_destination: true,
        ignored: None,
    })
}

fn hash(json: &RawValue) -> u64 {
    let mut hasher = DefaultHasher::new();
    json.get().hash(&mut hasher);
    hasher.finish()
}

fn sync_options_of(manifest: &Value) -> Option<&str> {
    annotations_of(manifest).get(annotation::SYNC_OPTIONS)?.as_str()
}

/// What of an object's annotations has no effect.
fn unsupported(key: &ObjectKey, annotations: &Map<String, Value>) -> Vec<String> {
    let text = |name: &str| annotations.get(name).and_then(Value::as_str);
    let options = text(annotation::SYNC_OPTIONS).unwrap_or_default().split(',');
    let options = sync_options::unsupported(options, sync_options::Place::Object);
    let compared = text(annotation::COMPARE_OPTIONS).and_then(annotation::without_effect);
    let compared = compared.map(|reason| format!("annotation {}: {reason}", annotation::COMPARE_OPTIONS));
    let reasons = options.into_iter().chain(compared).chain(order::unreadable(annotations));
    reasons.map(|reason| format!("{key}: {reason}")).collect()
}

fn generate_name(manifest: &Value) -> String {
    let prefix = manifest.pointer("/metadata/generateName").and_then(Value::as_str);
    prefix.unwrap_or_default().to_owned()
}

fn annotations_of(manifest: &Value) -> &Map<String, Value> {
    static NONE: LazyLock<Map<String, Value>> = LazyLock::new(Map::new);
    manifest.pointer("/metadata/annotations").and_then(Value::as_object).unwrap_or(&NONE)
}

fn finish(mut manifest: Value, kind: Kind, key: ObjectKey, owner: &Owner) -> Result<Desired, String> {
    if kind.group.is_empty() && kind.kind == "Secret" {
        encode_string_data(&mut manifest);
    }
    if kind.kind != "CustomResourceDefinition" {
        tracked::mark(&mut manifest, &key, owner)?;
    }
    let annotations = annotations_of(&manifest);
    let text = |name: &str| annotations.get(name).and_then(Value::as_str);
    let wave = order::wave(annotations)?;
    let ignores_health = text(annotation::IGNORE_HEALTHCHECK) == Some("true");
    let options = text(annotation::SYNC_OPTIONS).map(SyncOptions::from_annotation).unwrap_or_default();
    let (images, links) = (images(&manifest), links::links(&key.group, &key.kind, &manifest));
    let json = serde_json::value::to_raw_value(&manifest).map_err(|error| error.to_string())?;
    let json: Arc<RawValue> = json.into();
    Ok(Desired {
        key,
        version: kind.version,
        hash: hash(&json),
        json,
        wave,
        images,
        links,
        ignores_health,
        options,
        is_destination: false,
        ignored: None,
    })
}

/// Namespaced objects without a namespace get the destination's; cluster-scoped ones lose theirs.
fn settle_namespace(manifest: &mut Value, namespaced: bool, destination: &str) {
    let Some(metadata) = manifest.get_mut("metadata").and_then(Value::as_object_mut) else { return };
    let given =
        metadata.get("namespace").and_then(Value::as_str).is_some_and(|namespace| !namespace.is_empty());
    if !namespaced || (!given && destination.is_empty()) {
        metadata.remove("namespace");
    } else if !given {
        metadata.insert("namespace".to_owned(), Value::from(destination));
    }
}

/// Moves a Secret's `stringData` into `data`, as the API server does: it gives back `data` alone.
fn encode_string_data(manifest: &mut Value) {
    let Some(secret) = manifest.as_object_mut() else { return };
    let Some(Value::Object(texts)) = secret.remove("stringData") else { return };
    let data = secret.entry("data").or_insert_with(|| Value::Object(Map::new()));
    let Some(data) = data.as_object_mut() else { return };
    for (key, text) in texts {
        let encoded = text.as_str().map(|text| Value::from(BASE64_STANDARD.encode(text)));
        data.insert(key, encoded.unwrap_or(text));
    }
}

/// The scopes of the kinds whose definitions the bundle itself brings.
fn scopes_of_definitions(manifests: &[Value]) -> HashMap<GroupKind, bool> {
    let definitions = manifests.iter().filter(|m| m["kind"] == "CustomResourceDefinition");
    definitions
        .filter_map(|definition| {
            let group = definition.pointer("/spec/group")?.as_str()?.to_owned();
            let kind = definition.pointer("/spec/names/kind")?.as_str()?.to_owned();
            let namespaced = definition.pointer("/spec/scope")?.as_str()? == "Namespaced";
            Some((GroupKind { group, kind }, namespaced))
        })
        .collect()
}

/// The images of a workload's containers, each once, in order.
fn images(manifest: &Value) -> Vec<String> {
    const PODS: [&str; 3] = ["/spec/template/spec", "/spec/jobTemplate/spec/template/spec", "/spec"];
    let mut images = Vec::new();
    for pod in PODS.iter().filter_map(|path| manifest.pointer(path)) {
        let containers =
            ["initContainers", "containers"].iter().filter_map(|field| pod.get(field)?.as_array());
        for image in containers.flatten().filter_map(|container| container.get("image")?.as_str()) {
            if !images.iter().any(|known| known == image) {
                images.push(image.to_owned());
            }
        }
    }
    images
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn assembled(manifests: Value) -> Assembly {
        let owner = Owner { instance: "shop".to_owned(), namespace: "web".to_owned(), ..Owner::default() };
        let scopes = |kind: &Kind| match kind.kind.as_str() {
            "ConfigMap" => Some(true),
            "Namespace" | "CustomResourceDefinition" => Some(false),
            _ => None,
        };
        assemble(manifests.as_array().cloned().unwrap_or_default(), &owner, &scopes)
    }

    #[test]
    fn an_object_without_a_namespace_goes_to_the_destinations_and_is_tracked() {
        let assembly =
            assembled(json!([{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}}]));
        let object = &assembly.objects[0];
        assert_eq!(object.key.to_string(), "/ConfigMap/web/a");
        assert!(object.json.get().contains(r#""argocd.argoproj.io/tracking-id":"shop:/ConfigMap:web/a""#));
    }

    #[test]
    fn a_cluster_scoped_object_loses_its_namespace() {
        let object =
            json!([{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "a", "namespace": "b"}}]);
        let assembly = assembled(object);
        assert_eq!(assembly.objects[0].key.to_string(), "/Namespace/a");
        assert!(assembly.objects[0].json.get().contains("shop:/Namespace:web/a"));
    }

    /// Compat 2.5: a definition outlives whoever brought it, so nobody's mark is on it.
    #[test]
    fn a_definition_is_not_tracked() {
        let definition = json!({"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
             "metadata": {"name": "things.e.org", "labels": {"a": "b"}}});
        let assembly = assembled(json!([definition]));
        assert_eq!(assembly.objects[0].as_value(), Some(definition));
    }

    /// Compat 1.6: said by the Application for all, or by an object for itself.
    #[test]
    fn a_kind_that_is_not_there_yet_may_be_skipped_until_its_turn() {
        let other = |options: Value| {
            let metadata = json!({"name": "a", "annotations": {"argocd.argoproj.io/sync-options": options}});
            json!({"apiVersion": "e.org/v1", "kind": "Other", "metadata": metadata})
        };
        let unknown = |skips_missing_kinds: bool, options: Value| {
            let owner = Owner { namespace: "web".to_owned(), skips_missing_kinds, ..Owner::default() };
            let assembly = assemble(vec![other(options)], &owner, &|_| None);
            (assembly.objects.len(), assembly.unknown.len())
        };
        assert_eq!(unknown(false, json!("")), (0, 1));
        assert_eq!(unknown(false, json!("SkipDryRunOnMissingResource=true")), (1, 0));
        assert_eq!(unknown(true, json!("")), (1, 0));
    }

    #[test]
    fn the_last_of_repeated_objects_counts() {
        let object = |value: &str| json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": {"k": value}});
        let assembly = assembled(json!([object("first"), object("last")]));
        assert_eq!(assembly.objects.len(), 1);
        assert_eq!(assembly.repeated.len(), 1);
        assert!(assembly.objects[0].json.get().contains("last"));
    }

    #[test]
    fn a_kind_is_known_from_the_definition_beside_it() {
        let assembly = assembled(json!([
            {"apiVersion": "e.org/v1", "kind": "Thing", "metadata": {"name": "a"}},
            {"apiVersion": "e.org/v1", "kind": "Other", "metadata": {"name": "a"}},
            {"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
             "metadata": {"name": "things.e.org"},
             "spec": {"group": "e.org", "scope": "Cluster", "names": {"kind": "Thing"}}},
        ]));
        assert_eq!(assembly.objects[0].key.to_string(), "e.org/Thing/a");
        assert_eq!(assembly.unknown.len(), 1);
        assert!(assembly.unknown[0].1.contains("e.org/v1 Other"));
    }

    #[test]
    fn a_secrets_texts_are_wanted_as_the_api_server_keeps_them() {
        let mut secret = json!({"kind": "Secret", "data": {"a": "eA=="}, "stringData": {"b": "hello"}});
        encode_string_data(&mut secret);
        assert_eq!(secret, json!({"kind": "Secret", "data": {"a": "eA==", "b": "aGVsbG8="}}));
    }

    #[test]
    fn images_are_found_in_every_workload() {
        let pod =
            json!({"containers": [{"image": "a:1"}, {"image": "a:1"}], "initContainers": [{"image": "b:2"}]});
        let cron = json!({"spec": {"jobTemplate": {"spec": {"template": {"spec": pod}}}}});
        assert_eq!(images(&cron), ["b:2", "a:1"]);
    }
}

//! Hooks: objects that run in the phases of an operation and are no part of the state that Git describes.
//!
//! What comes in: a hook as Git has it, and the attempt and phase that it is to run in; or a live object.
//! What goes out: the object to create, marked with that attempt, and the mark of a live one.
//!
//! The mark makes a hook run once: whoever finds a live object with the mark of its own attempt knows that the hook was
//! started, whatever became of the process that started it. The finalizer keeps the object until its end is recorded.

use std::sync::Arc;

use ithaca_api::annotation;
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::{
    desired::Desired,
    object::{self, ObjectKey},
    order::{self, DeletePolicy, Phase, Role},
};

/// A hook as Git has it.
#[derive(Clone, Debug)]
pub struct Hook {
    /// The object. Its name is empty where Git leaves it to `generate_name`.
    pub manifest: Desired,
    /// What a generated name begins with; empty where the hook has a name.
    pub generate_name: String,
    /// When it runs; never empty.
    pub phases: Vec<Phase>,
    /// When its object is deleted.
    pub delete: Vec<DeletePolicy>,
    /// The Application that it belongs to, as its objects name it.
    pub application: String,
}

/// One attempt of an operation, or of an Application's deletion.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// When the operation began. No two operations of an Application begin in the same second.
    pub started_at: Timestamp,
    /// How often it was repeated.
    pub retries: i64,
}

impl Attempt {
    /// What objects of this attempt's hooks carry.
    pub fn mark(self, phase: Phase) -> String {
        format!("{}.{}.{phase}", self.started_at.as_second(), self.retries)
    }
}

/// A hook's object for one phase of one attempt.
#[derive(Clone, Debug)]
pub struct Instance {
    /// The object to create.
    pub object: Desired,
    /// What it is marked with.
    pub mark: String,
    /// When it is deleted.
    pub delete: Vec<DeletePolicy>,
    /// The Application that it belongs to.
    pub application: String,
}

impl Hook {
    /// The object that runs in a phase of an attempt. `revision` becomes part of a generated name.
    pub fn instance(&self, attempt: Attempt, phase: Phase, revision: &str) -> Instance {
        let mark = attempt.mark(phase);
        let mut manifest: Value = serde_json::from_str(self.manifest.json.get()).unwrap_or_default();
        let mut key = self.manifest.key.clone();
        if key.name.is_empty() {
            let name = self.generated_name(attempt, phase, revision);
            key = ObjectKey::new(&key.group, &key.kind, &key.namespace, &name);
            manifest["metadata"]["name"] = json!(key.name);
            if let Some(metadata) = manifest["metadata"].as_object_mut() {
                metadata.remove("generateName");
            }
            let id = object::annotation(&manifest, annotation::TRACKING_ID);
            if let Some(id) = id.map(|id| format!("{id}{}", key.name)) {
                manifest["metadata"]["annotations"][annotation::TRACKING_ID] = json!(id);
            }
        }
        manifest["metadata"]["annotations"][annotation::HOOK_OF] = json!(mark);
        let finalizers = &mut manifest["metadata"]["finalizers"];
        match finalizers.as_array_mut() {
            Some(finalizers) => finalizers.push(json!(annotation::HOOK_FINALIZER)),
            None => *finalizers = json!([annotation::HOOK_FINALIZER]),
        }
        let json = serde_json::value::to_raw_value(&manifest).map_or(self.manifest.json.clone(), Arc::from);
        Instance {
            object: Desired { key, json, ..self.manifest.clone() },
            mark,
            delete: self.delete.clone(),
            application: self.application.clone(),
        }
    }

    /// The prefix, the revision, the phase and the second of the operation's start, as Argo CD puts them together.
    fn generated_name(&self, attempt: Attempt, phase: Phase, revision: &str) -> String {
        const SHOWN: usize = 7;
        let revision: String = revision.chars().take(SHOWN).collect();
        let name = format!("{}{revision}-{phase}-{}", self.generate_name, attempt.started_at.as_second());
        name.to_lowercase()
    }
}

/// What a live object tells of the hook that it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mark {
    /// The attempt and phase that it was created for; empty where another tool created it.
    pub attempt: Box<str>,
    /// It carries the finalizer.
    pub held: bool,
    /// When it was created.
    pub since: Option<Timestamp>,
}

impl Mark {
    /// Reads a live object. None where it is no hook.
    pub fn of(live: &Value) -> Option<Self> {
        let annotations = live.pointer("/metadata/annotations")?.as_object()?;
        let Role::Hook { .. } = order::role(annotations) else { return None };
        let finalizers = live.pointer("/metadata/finalizers").and_then(Value::as_array);
        let held = finalizers.into_iter().flatten().any(|finalizer| finalizer == annotation::HOOK_FINALIZER);
        let attempt = object::annotation(live, annotation::HOOK_OF).unwrap_or_default();
        let created = live.pointer("/metadata/creationTimestamp").and_then(Value::as_str);
        let since = created.and_then(|created| created.parse().ok());
        Some(Self { attempt: attempt.into(), held, since })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::desired::{Owner, assemble};

    fn hook(metadata: Value) -> Hook {
        let owner = Owner { instance: "shop".to_owned(), namespace: "web".to_owned(), ..Owner::default() };
        let mut manifest = json!({"apiVersion": "batch/v1", "kind": "Job", "metadata": metadata});
        manifest["metadata"]["annotations"] = json!({"argocd.argoproj.io/hook": "PreSync,PostSync"});
        let assembly = assemble(vec![manifest], &owner, &|_| Some(true));
        assembly.hooks.first().map(|hook| hook.as_ref().clone()).expect("a hook")
    }

    const ATTEMPT: Attempt = Attempt { started_at: Timestamp::UNIX_EPOCH, retries: 2 };

    #[test]
    fn a_generated_name_tells_revision_phase_and_time() {
        let instance =
            hook(json!({"generateName": "migrate-"})).instance(ATTEMPT, Phase::PreSync, "ABCDEF0123");
        assert_eq!(&*instance.object.key.name, "migrate-abcdef0-presync-0");
        let object: Value = serde_json::from_str(instance.object.json.get()).expect("an object");
        assert_eq!(object["metadata"]["name"], "migrate-abcdef0-presync-0");
        assert_eq!(object["metadata"].get("generateName"), None);
        let id = &object["metadata"]["annotations"]["argocd.argoproj.io/tracking-id"];
        assert_eq!(id, "shop:batch/Job:web/migrate-abcdef0-presync-0");
    }

    #[test]
    fn a_live_hook_tells_the_attempt_that_it_belongs_to() {
        let instance =
            hook(json!({"name": "migrate", "finalizers": ["a/b"]})).instance(ATTEMPT, Phase::PostSync, "");
        assert_eq!(&*instance.object.key.name, "migrate");
        let live: Value = serde_json::from_str(instance.object.json.get()).expect("an object");
        let mark = Mark::of(&live).expect("a hook");
        assert_eq!((&*mark.attempt, mark.held), ("0.2.PostSync", true));
        assert_eq!(mark.attempt, instance.mark.into());
        assert_eq!(live["metadata"]["finalizers"], json!(["a/b", "argocd.argoproj.io/hook-finalizer"]));
    }
}

//! Which hooks ran, as their Jobs tell: each at most once for a commit, whoever died meanwhile.
//!
//! In: the Jobs that are there, looked at again and again. Out: how often each hook ran in a round.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::ensure;
use serde_json::{Value, json};

/// The Application that has hooks, and its namespace.
pub const APPLICATION: &str = "fail-hooks";
/// A hook lives longer than this: it makes a pod, and waits for it.
const PAUSE: Duration = Duration::from_millis(100);
const ROUND: &str = "hook-round";
const HOOK: &str = "hook";

/// The uids of Jobs, by the round and the hook that they were made for.
type Seen = BTreeMap<(String, String), BTreeSet<String>>;

/// The Jobs that were seen.
#[derive(Clone, Default)]
pub struct Hooks(Arc<Mutex<Seen>>);

impl Hooks {
    /// Looks at the Jobs for as long as it is awaited. An API server that is away is asked again.
    pub async fn watch(self, client: kube::Client) {
        let mut ticks = tokio::time::interval(PAUSE);
        loop {
            ticks.tick().await;
            let _ = self.look(&client).await;
        }
    }

    /// Looks at the Jobs once.
    ///
    /// # Errors
    /// When the API server cannot be asked.
    pub async fn look(&self, client: &kube::Client) -> anyhow::Result<()> {
        let path = format!("/apis/batch/v1/namespaces/{APPLICATION}/jobs");
        let list: Value = client.request(http::Request::get(path).body(Vec::new())?).await?;
        list["items"].as_array().into_iter().flatten().for_each(|job| self.note(job));
        Ok(())
    }

    fn note(&self, job: &Value) {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let (labels, uid) = (&job["metadata"]["labels"], &job["metadata"]["uid"]);
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        seen.entry((text(&labels[ROUND]), text(&labels[HOOK]))).or_default().insert(text(uid));
    }

    /// Each hook of the last round ran, and none of any round ran twice.
    ///
    /// # Errors
    /// With the hook that did not, or that did.
    pub fn ran_once(&self, round: usize) -> anyhow::Result<()> {
        let seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for ((round, hook), jobs) in seen.iter() {
            ensure!(jobs.len() == 1, "hook {hook} ran {} times in round {round}: {jobs:?}", jobs.len());
        }
        for hook in ["before", "after"] {
            let ran = seen.contains_key(&(round.to_string(), hook.to_owned()));
            ensure!(ran, "hook {hook} did not run in round {round}: {seen:?}");
        }
        Ok(())
    }
}

/// The hooks of a round: one with a name, which takes the place of the former, and one whose name is generated.
pub fn manifests(round: usize) -> [(&'static str, Value); 2] {
    let named = json!({"name": "before"});
    let generated = json!({"generateName": "after-"});
    [
        ("before.json", job("before", "PreSync", named, round)),
        ("after.json", job("after", "PostSync", generated, round)),
    ]
}

fn job(hook: &str, phase: &str, mut metadata: Value, round: usize) -> Value {
    metadata["labels"] = json!({HOOK: hook, ROUND: round.to_string()});
    metadata["annotations"] = json!({"argocd.argoproj.io/hook": phase});
    let containers = json!([{"name": "work", "image": "registry.example.com/player"}]);
    json!({
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": metadata,
        "spec": {"backoffLimit": 0, "template": {"spec": {"restartPolicy": "Never", "containers": containers}}},
    })
}

/// Whether a manifest is none of the state that Git describes.
pub fn is_hook(manifest: &Value) -> bool {
    !manifest["metadata"]["annotations"]["argocd.argoproj.io/hook"].is_null()
}

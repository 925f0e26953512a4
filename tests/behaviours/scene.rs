//! A test's own corner of a stack: a repository, and Applications that nobody else touches.
//!
//! In: a unique name. Out: short verbs on Applications and objects, and waiting for what they become.

use std::{process::Output, time::Duration};

use anyhow::{Context, ensure};
use ithaca_tests::{Repository, Stack, wait_until};
use kube::Client;
use serde_json::{Map, Value, json};
use tokio::process::Command;

/// What a machine under load may take for anything that is waited for.
pub const DEADLINE: Duration = Duration::from_secs(60);

/// Who writes what a test writes.
const TESTER: &str = "tester";

/// A test's own corner.
pub struct Scene<'a> {
    pub stack: &'a Stack,
    pub repository: Repository,
    client: Client,
}

impl Scene<'static> {
    /// On the stack that all share. The name becomes the repository's.
    pub async fn new(name: &str) -> anyhow::Result<Self> {
        Scene::on(Stack::shared().await?, name).await
    }
}

impl<'a> Scene<'a> {
    /// On a stack of the test's own.
    pub async fn on(stack: &'a Stack, name: &str) -> anyhow::Result<Self> {
        let repository = stack.repository(name).await?;
        Ok(Self { stack, repository, client: stack.cluster.client().await? })
    }

    /// An Application of a folder of the repository, into the namespace of its own name, which is made.
    /// `spec` is merged over that.
    pub fn application(&self, name: &str, path: &str, spec: &Value) -> Value {
        let mut application = json!({
            "apiVersion": "argoproj.io/v1alpha1",
            "kind": "Application",
            "metadata": {"name": name, "namespace": "argocd"},
            "spec": {
                "project": "default",
                "source": {"repoURL": self.repository.url, "path": path, "targetRevision": "HEAD"},
                "destination": {"server": "https://kubernetes.default.svc", "namespace": name},
                "syncPolicy": {"syncOptions": ["CreateNamespace=true"]},
            },
        });
        merge(&mut application["spec"], spec);
        application
    }

    /// What the command line says when it is given these arguments by somebody who may do everything.
    pub async fn ithaca(&self, arguments: &[&str]) -> anyhow::Result<Output> {
        let binary = &self.stack.process("console")?.program().path;
        let kubeconfig = self.stack.cluster.kubeconfig();
        Ok(Command::new(binary).args(arguments).env("KUBECONFIG", kubeconfig).output().await?)
    }

    /// Creates such an Application.
    pub async fn create(&self, name: &str, path: &str, spec: Value) -> anyhow::Result<()> {
        self.post(&applications("argocd"), &self.application(name, path, &spec)).await
    }

    /// Creates an object in a collection.
    pub async fn post(&self, collection: &str, object: &Value) -> anyhow::Result<()> {
        let path = format!("{collection}?fieldManager={TESTER}");
        self.send(http::Request::post(path), object).await.map(drop)
    }

    /// Merges a patch into an object, as `kubectl patch` and `kubectl edit` do.
    pub async fn patch(&self, path: &str, patch: Value) -> anyhow::Result<()> {
        let request = http::Request::patch(format!("{path}?fieldManager={TESTER}"));
        self.send(request.header("Content-Type", "application/merge-patch+json"), &patch).await.map(drop)
    }

    /// Applies an object as a manager of its fields, as `kubectl apply --server-side` does: whoever comes first
    /// makes it.
    pub async fn apply(&self, path: &str, manager: &str, object: &Value) -> anyhow::Result<()> {
        let request = http::Request::patch(format!("{path}?fieldManager={manager}&force=true"));
        self.send(request.header("Content-Type", "application/apply-patch+yaml"), object).await.map(drop)
    }

    /// Deletes an object.
    pub async fn delete(&self, path: &str) -> anyhow::Result<()> {
        self.send(http::Request::delete(path), &json!({})).await.map(drop)
    }

    /// Asks whether an object may be deleted.
    pub async fn try_delete(&self, path: &str) -> anyhow::Result<()> {
        self.send(http::Request::delete(path), &json!({"dryRun": ["All"]})).await.map(drop)
    }

    /// An object; `None` where there is none.
    pub async fn get(&self, path: &str) -> anyhow::Result<Option<Value>> {
        match self.client.request::<Value>(http::Request::get(path).body(Vec::new())?).await {
            Ok(value) => Ok(Some(value)),
            Err(kube::Error::Api(status)) if status.code == 404 => Ok(None),
            Err(error) => Err(error).with_context(|| format!("failed to get {path}")),
        }
    }

    /// An object that has to be there.
    pub async fn expect(&self, path: &str) -> anyhow::Result<Value> {
        self.get(path).await?.with_context(|| format!("{path} is not there"))
    }

    /// Waits until an object is gone.
    pub async fn gone(&self, path: &str) -> anyhow::Result<()> {
        wait_until(&format!("{path} is gone"), DEADLINE, async || {
            let found = self.get(path).await?;
            ensure!(found.is_none(), "it is {}", found.unwrap_or_default()["metadata"]);
            Ok(())
        })
        .await
    }

    /// Waits until an object is as wanted, and returns it.
    pub async fn wait(
        &self,
        path: &str,
        what: &str,
        wanted: impl Fn(&Value) -> bool,
    ) -> anyhow::Result<Value> {
        self.wait_within(DEADLINE, path, what, wanted).await
    }

    /// The same of what takes long by its nature.
    pub async fn wait_within(
        &self,
        deadline: Duration,
        path: &str,
        what: &str,
        wanted: impl Fn(&Value) -> bool,
    ) -> anyhow::Result<Value> {
        wait_until(&format!("{path} {what}"), deadline, async || {
            let object = self.expect(path).await?;
            let seen = ["data", "spec", "status"].map(|part| object[part].to_string());
            ensure!(wanted(&object), "it is {}", seen.join(" "));
            Ok(object)
        })
        .await
    }

    /// Waits until an Application is Synced with a commit and no operation is under way, and returns it.
    pub async fn synced(&self, name: &str, commit: &str) -> anyhow::Result<Value> {
        self.wait(&application(name), &format!("is Synced with {commit}"), |application| {
            let (sync, operation) =
                (&application["status"]["sync"], &application["status"]["operationState"]);
            let is_at = sync["revision"] == commit || sync["revisions"].get(0) == Some(&json!(commit));
            let is_idle = application["operation"].is_null() && operation["phase"] != "Running";
            sync["status"] == "Synced" && is_at && is_idle
        })
        .await
    }

    /// Waits until an Application has a condition of this type that says this, and returns it.
    pub async fn told(&self, name: &str, type_: &str, words: &str) -> anyhow::Result<Value> {
        self.wait(&application(name), &format!("is told {words}"), |application| {
            let conditions = application["status"]["conditions"].as_array().into_iter().flatten();
            let mut of_type = conditions.filter(|condition| condition["type"] == type_);
            of_type.any(|condition| condition["message"].as_str().is_some_and(|told| told.contains(words)))
        })
        .await
    }

    /// Sets an operation as a person does, waits until it has ended, and returns the Application.
    pub async fn operate(&self, name: &str, operation: Value) -> anyhow::Result<Value> {
        let path = application(name);
        self.patch(&path, json!({"operation": operation})).await?;
        self.wait(&path, "has ended its operation", |app| {
            let state = state(app);
            let ended = state["phase"] != "Running" && !state["finishedAt"].is_null();
            app["operation"].is_null() && ended && state["operation"]["sync"] == operation["sync"]
        })
        .await
    }

    /// Asks for a refresh, waits until it is answered, and returns the Application.
    /// All that was told to Ithaca before has had its effect then.
    pub async fn refresh(&self, name: &str, how: &str) -> anyhow::Result<Value> {
        let patch = json!({"metadata": {"annotations": {"argocd.argoproj.io/refresh": how}}});
        self.patch(&application(name), patch).await?;
        self.wait(&application(name), "has its refresh answered", |application| {
            application["metadata"]["annotations"]["argocd.argoproj.io/refresh"].is_null()
        })
        .await
    }

    /// Confirms what an Application's objects want confirmed before they are deleted.
    pub async fn approve(&self, name: &str) -> anyhow::Result<()> {
        let now = k8s_openapi::jiff::Timestamp::now().to_string();
        let patch = json!({"metadata": {"annotations": {"argocd.argoproj.io/deletion-approved": now}}});
        self.patch(&application(name), patch).await
    }

    /// Waits for pods that hang in a namespace, and lets them begin.
    pub async fn let_play(&self, namespace: &str) -> anyhow::Result<()> {
        let pods = format!("/api/v1/namespaces/{namespace}/pods");
        let hangs = |pod: &&Value| pod["metadata"]["annotations"]["ithaca.dev/plays"] == "hangs";
        let hanging = wait_until("a pod hangs", DEADLINE, async || {
            let found = self.expect(&pods).await?;
            let hanging: Vec<_> =
                found["items"].as_array().into_iter().flatten().filter(hangs).cloned().collect();
            ensure!(!hanging.is_empty(), "none hangs");
            Ok(hanging)
        })
        .await?;
        for pod in hanging {
            let name = pod["metadata"]["name"].as_str().unwrap_or_default();
            let plays = json!({"metadata": {"annotations": {"ithaca.dev/plays": null}}});
            self.patch(&format!("{pods}/{name}"), plays).await?;
        }
        Ok(())
    }

    /// Waits for a Kubernetes Event on an Application whose message holds `word`.
    pub async fn event(&self, application: &str, reason: &str, word: &str) -> anyhow::Result<Value> {
        let (namespace, name) = application.split_once('/').unwrap_or(("argocd", application));
        let path = format!("/api/v1/namespaces/{namespace}/events?fieldSelector=involvedObject.name={name}");
        wait_until(&format!("there is an Event {reason}"), DEADLINE, async || {
            let events = self.expect(&path).await?;
            let all = || events["items"].as_array().into_iter().flatten();
            let wanted =
                |event: &&Value| event["reason"] == reason && event["message"].to_string().contains(word);
            all().find(wanted).cloned().with_context(|| {
                let told: Vec<_> =
                    all().map(|event| format!("{} {}", event["reason"], event["message"])).collect();
                format!("there are {told:?}")
            })
        })
        .await
    }

    /// What ConfigMap `argocd-cm` says from now on, and nothing else. It is for the whole installation, so this is for
    /// stacks of a test's own.
    pub async fn settings(&self, data: &[(&str, &str)]) -> anyhow::Result<()> {
        let data: Map<_, _> = data.iter().map(|(key, text)| ((*key).to_owned(), json!(text))).collect();
        let labels = json!({"app.kubernetes.io/part-of": "argocd"});
        let metadata = json!({"name": "argocd-cm", "namespace": "argocd", "labels": labels});
        let settings = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data});
        self.stack.cluster.apply(&settings.to_string()).await
    }

    async fn send(&self, request: http::request::Builder, body: &Value) -> anyhow::Result<Value> {
        let request = match request.headers_ref().is_some_and(|headers| headers.contains_key("Content-Type"))
        {
            true => request,
            false => request.header("Content-Type", "application/json"),
        };
        let request = request.body(serde_json::to_vec(body)?)?;
        let what = format!("failed to {} {}", request.method(), request.uri());
        self.client.request(request).await.context(what)
    }
}

/// Where an Application is: of the control plane's namespace, or `namespace/name`.
pub fn application(name: &str) -> String {
    let (namespace, name) = name.split_once('/').unwrap_or(("argocd", name));
    format!("{}/{name}", applications(namespace))
}

/// Where the Applications of a namespace are.
pub fn applications(namespace: &str) -> String {
    format!("/apis/argoproj.io/v1alpha1/namespaces/{namespace}/applications")
}

/// Where a ConfigMap is.
pub fn config_map(namespace: &str, name: &str) -> String {
    format!("/api/v1/namespaces/{namespace}/configmaps/{name}")
}

/// A manifest of a ConfigMap with the one key `value`.
pub fn manifest(name: &str, value: &str) -> String {
    format!("apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {name}\ndata:\n  value: {value:?}\n")
}

/// A manifest with annotations of its own; it may have had none.
pub fn annotated(manifest: &str, annotations: &[(&str, &str)]) -> String {
    let lines: String = annotations.iter().map(|(key, value)| format!("    {key}: {value:?}\n")).collect();
    manifest.replacen("metadata:\n", &format!("metadata:\n  annotations:\n{lines}"), 1)
}

/// The path of a Job.
pub fn job_path(namespace: &str, name: &str) -> String {
    format!("/apis/batch/v1/namespaces/{namespace}/jobs/{name}")
}

/// Where AppProjects are.
pub const PROJECTS: &str = "/apis/argoproj.io/v1alpha1/namespaces/argocd/appprojects";

/// A project that permits everything, but for what fields of its `spec` say otherwise.
pub fn project(name: &str, fields: &Value) -> Value {
    let mut project = json!({
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "AppProject",
        "metadata": {"name": name, "namespace": "argocd"},
        "spec": {
            "sourceRepos": ["*"],
            "destinations": [{"server": "*", "namespace": "*"}],
            "clusterResourceWhitelist": [{"group": "*", "kind": "*"}],
        },
    });
    for (field, value) in fields.as_object().into_iter().flatten() {
        project["spec"][field] = value.clone();
    }
    project
}

/// As `automated`, of a project.
pub fn of_project(name: &str) -> Value {
    let mut spec = automated();
    spec["project"] = json!(name);
    spec
}

/// How far an Application's operation is.
pub fn state(app: &Value) -> &Value {
    &app["status"]["operationState"]
}

/// Whether an Application's operation waits for this hook.
pub fn waits_for(app: &Value, name: &str) -> bool {
    state(app)["phase"] == "Running"
        && state(app)["message"] == format!("waiting for completion of hook batch/Job/{name}")
}

/// A manifest of a Deployment of one pod, which behaves as kwok is told (`crashes`, `hangs`) or well without.
pub fn deployment(name: &str, plays: Option<&str>) -> String {
    let labels = json!({"app": name});
    let annotations = plays.map(|plays| json!({"ithaca.dev/plays": plays})).unwrap_or_default();
    let pod = json!({
        "metadata": {"labels": labels, "annotations": annotations},
        "spec": {"containers": [{"name": name, "image": "registry.example.com/player"}]},
    });
    let deployment = json!({
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name},
        "spec": {"selector": {"matchLabels": labels}, "template": pod},
    });
    // JSON is YAML.
    deployment.to_string()
}

/// A manifest of a Job of one pod, which behaves as kwok is told or does its work without. `annotations` are the Job's.
pub fn job(name: &str, annotations: Value, plays: Option<&str>) -> String {
    let played = plays.map(|plays| json!({"ithaca.dev/plays": plays})).unwrap_or_default();
    let containers = json!([{"name": "work", "image": "registry.example.com/player"}]);
    let job = json!({
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": name, "annotations": annotations},
        "spec": {
            "backoffLimit": 0,
            "template": {
                "metadata": {"annotations": played},
                "spec": {"restartPolicy": "Never", "containers": containers},
            },
        },
    });
    job.to_string()
}

/// The annotation of a hook.
pub fn hook(phases: &str) -> Value {
    json!({"argocd.argoproj.io/hook": phases})
}

/// A `spec` with automated sync, with pruning and self-heal.
pub fn automated() -> Value {
    json!({"syncPolicy": {"automated": {"prune": true, "selfHeal": true}}})
}

/// JSON merge patch (RFC 7386).
fn merge(into: &mut Value, patch: &Value) {
    match (into.as_object_mut(), patch) {
        (Some(into), Value::Object(patch)) => {
            for (key, value) in patch {
                merge(into.entry(key).or_insert(Value::Null), value);
            }
            into.retain(|_, value| !value.is_null());
        }
        _ => *into = patch.clone(),
    }
}

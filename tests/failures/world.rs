//! What lives in the cluster: Applications of every kind of source below one root, and commits that concern them.
//!
//! In: the number of a round. Out: files in a repository. Tests take turns, as they all use one stack.

use std::time::Duration;

use anyhow::{Context, ensure};
use ithaca_tests::{Chance, Repository, Stack, sample, wait_until};
use serde_json::{Value, json};
use tokio::sync::{Mutex, MutexGuard, OnceCell};
use tokio::task::JoinHandle;

use crate::converges::converges;
use crate::hooks::{self, Hooks};
use crate::live::Live;
use crate::wanted::{self, Wanted};

/// Namespaces of this binary's Applications begin so.
pub const PREFIX: &str = "fail-";
/// The Application that makes all others, from the folder `apps`.
pub const ROOT: &str = "root";
/// No commit concerns it.
const CONTROL: &str = "fail-control";
const PLAIN: [&str; 4] = ["fail-plain-1", "fail-plain-2", "fail-plain-3", "fail-plain-4"];
const CONFIGS: usize = 24;
/// The label of all that the current round changed.
const ROUND: &str = "round";

/// A test's turn.
pub struct World {
    pub stack: &'static Stack,
    pub chance: Chance,
    pub state: MutexGuard<'static, State>,
    client: kube::Client,
    looking: JoinHandle<()>,
}

impl Drop for World {
    fn drop(&mut self) {
        self.looking.abort();
    }
}

/// What one turn leaves to the next.
pub struct State {
    pub repository: Repository,
    round: usize,
    hooks: Hooks,
}

impl World {
    /// Waits for its turn; the first one makes the world.
    pub async fn turn(what: &str) -> anyhow::Result<Self> {
        static STATE: OnceCell<Mutex<State>> = OnceCell::const_new();
        let stack = stack().await?;
        let state = STATE.get_or_try_init(|| begin(stack)).await?.lock().await;
        let chance = Chance::seeded(what)?;
        for process in stack.processes() {
            process.thaw()?;
            process.launch()?;
            process.wait_ready().await?;
        }
        let client = stack.cluster.client().await?;
        let looking = tokio::spawn(state.hooks.clone().watch(client.clone()));
        Ok(Self { stack, chance, state, client, looking })
    }

    /// What the cluster has.
    pub async fn live(&self) -> anyhow::Result<Live> {
        Live::read(&self.client).await
    }

    /// Changes, adds and removes objects of every Application but one, adds an Application and removes one.
    pub async fn commit(&mut self) -> anyhow::Result<String> {
        self.state.round += 1;
        write(&self.state.repository, self.state.round)?;
        self.state.repository.publish(&format!("Begin round {}", self.state.round)).await
    }

    /// A random moment of the sync; says how far it had come.
    pub async fn moment(&mut self) -> String {
        let wanted = wanted::of_apps(self.stack, &self.state.repository).await;
        let total = wanted.map_or(0, |wanted| wanted.labelled(ROUND, &self.state.round.to_string()));
        if self.chance.coin() {
            self.chance.moment(Duration::from_millis(600)).await;
        } else {
            let enough = self.chance.number(total);
            let progress = async || {
                let applied = self.applied().await?;
                ensure!(applied >= enough, "{applied} are");
                Ok(())
            };
            // Something else may hold the sync up: then this is the moment.
            let _ = wait_until("so many objects are applied", Duration::from_secs(4), progress).await;
        }
        let applied = tokio::time::timeout(Duration::from_secs(1), self.applied()).await;
        match applied {
            Ok(Ok(applied)) => format!("{applied} of {total} applied"),
            _ => format!("nobody to ask how many of {total} are applied"),
        }
    }

    /// No hook ran twice, and those of the last commit ran.
    pub async fn hooks_ran_once(&self) -> anyhow::Result<()> {
        let look = async || self.state.hooks.look(&self.client).await;
        wait_until("the API server tells of Jobs", Duration::from_secs(60), look).await?;
        self.state.hooks.ran_once(self.state.round)
    }

    /// Who committed what is in the audit trail, for each Application whose objects changed.
    pub async fn was_told(&self, head: &str) -> anyhow::Result<()> {
        let log = &self.stack.process("notifier")?.program().log;
        wait_until("the audit trail tells of the commit", Duration::from_secs(60), async || {
            let text = std::fs::read_to_string(log)?;
            let told = |application: &str| {
                let lines = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
                let mut lines = lines.filter(|line| line["audit"] == 1 && line["event"] == "SyncFinished");
                lines.any(|line| {
                    line["application"]["name"] == application
                        && line["revision"] == head
                        && line["commit"]["author"] == "Ada Tester <ada@example.com>"
                })
            };
            let untold: Vec<_> = PLAIN.into_iter().filter(|application| !told(application)).collect();
            ensure!(untold.is_empty(), "nothing is told of {untold:?}");
            Ok(())
        })
        .await
    }

    /// A small commit is applied at once, and what somebody deletes comes back.
    pub async fn lives(&mut self) -> anyhow::Result<()> {
        let (namespace, name) = (PLAIN[0], "pulse");
        let beat = json!({"beat": self.state.round.to_string()});
        let pulse =
            json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": beat});
        let repository = &self.state.repository;
        repository.write(&format!("{namespace}/{name}.json"), &pulse.to_string())?;
        repository.publish("Beat").await?;
        let path = format!("/api/v1/namespaces/{namespace}/configmaps/{name}");
        let beats = async |but: &Value| {
            let live = self.stack.cluster.get(&path).await?.context("it is not there")?;
            ensure!(live["data"] == beat, "it has {}", live["data"]);
            let uid = &live["metadata"]["uid"];
            ensure!(uid != but, "it is the old one");
            Ok(uid.clone())
        };
        let deadline = Duration::from_secs(90);
        let uid =
            wait_until("the next commit is applied", deadline, async || beats(&Value::Null).await).await?;
        self.stack.cluster.kubectl(&["delete", "configmap", name, "--namespace", namespace]).await?;
        wait_until("a deleted object is back", deadline, async || beats(&uid).await).await?;
        Ok(())
    }

    /// How many objects are as the current round has them.
    async fn applied(&self) -> anyhow::Result<usize> {
        let path = format!("/api/v1/configmaps?labelSelector={ROUND}%3D{}", self.state.round);
        let list: Value = self.client.request(http::Request::get(path).body(Vec::new())?).await?;
        Ok(list["items"].as_array().map_or(0, Vec::len))
    }
}

/// The stack that all turns share: two appliers divide the Applications.
async fn stack() -> anyhow::Result<&'static Stack> {
    static SHARED: OnceCell<Stack> = OnceCell::const_new();
    SHARED.get_or_try_init(|| Stack::of_appliers(2)).await
}

async fn begin(stack: &Stack) -> anyhow::Result<Mutex<State>> {
    let repository = stack.repository("failures").await?;
    for name in PLAIN.into_iter().chain([CONTROL]) {
        repository.write(&format!("apps/{name}.json"), &application(&repository, name))?;
        repository.write(&format!("{name}/deployment.json"), &deployment())?;
    }
    for number in 0..CONFIGS {
        let config = config(&format!("stays-{number}"), 0);
        repository.write(&format!("{CONTROL}/stays-{number}.json"), &config.to_string())?;
    }
    write_chart(&repository)?;
    write_overlay(&repository)?;
    let hooked = application(&repository, hooks::APPLICATION);
    repository.write(&format!("apps/{}.json", hooks::APPLICATION), &hooked)?;
    let round = 1;
    write(&repository, round)?;
    let head = repository.publish("Begin").await?;
    stack.cluster.apply(&sample::root_application_of(&repository.url, "apps")).await?;
    converges(stack, &repository, &head).await.context("failed to begin")?;
    Ok(Mutex::new(State { repository, round, hooks: Hooks::default() }))
}

/// All files that a round changes.
fn write(repository: &Repository, round: usize) -> anyhow::Result<()> {
    for name in PLAIN {
        for number in 0..CONFIGS {
            let config = config(&format!("config-{number}"), round);
            repository.write(&format!("{name}/config-{number}.json"), &config.to_string())?;
        }
        repository.write(
            &format!("{name}/only-{round}.json"),
            &config(&format!("only-{round}"), round).to_string(),
        )?;
        if round > 1 {
            repository.remove(&format!("{name}/only-{}.json", round - 1))?;
        }
    }
    let hooked = hooks::APPLICATION;
    repository.write(&format!("{hooked}/config.json"), &config("config", round).to_string())?;
    for (file, hook) in hooks::manifests(round) {
        repository.write(&format!("{hooked}/{file}"), &hook.to_string())?;
    }
    repository.write("fail-chart/values.yaml", &format!("round: {round}\ncount: {}\n", 8 + round))?;
    repository.write("fail-overlay/home/round.txt", &format!("{round}\n"))?;
    repository.write("fail-overlay/home/kustomization.yaml", &kustomization(round))?;
    let guest = format!("fail-guest-{round}");
    repository.write(&format!("apps/{guest}.json"), &application(repository, &guest))?;
    repository.write(&format!("{guest}/config.json"), &config("config", round).to_string())?;
    if round > 1 {
        let gone = format!("fail-guest-{}", round - 1);
        repository.remove(&format!("apps/{gone}.json"))?;
        repository.remove(&gone)?;
    }
    Ok(())
}

/// Each round one object more, and all of them changed.
fn write_chart(repository: &Repository) -> anyhow::Result<()> {
    repository.write("apps/fail-chart.json", &application(repository, "fail-chart"))?;
    repository.write("fail-chart/Chart.yaml", "apiVersion: v2\nname: chart\nversion: 0.1.0\n")?;
    repository.write(
        "fail-chart/templates/configs.yaml",
        "{{- range $number := until (int .Values.count) }}
---
apiVersion: v1
kind: ConfigMap
metadata:
  name: {{ $.Release.Name }}-{{ $number }}
  labels:
    round: {{ $.Values.round | quote }}
data:
  round: {{ $.Values.round | quote }}
{{- end }}
",
    )
}

/// A generated name: each round the Deployment names another ConfigMap, and the former one goes.
fn write_overlay(repository: &Repository) -> anyhow::Result<()> {
    repository
        .write("apps/fail-overlay.json", &application_at(repository, "fail-overlay", "fail-overlay/home"))?;
    repository.write("fail-overlay/base/kustomization.yaml", "resources: [deployment.json]\n")?;
    repository.write("fail-overlay/base/deployment.json", &deployment())
}

fn kustomization(round: usize) -> String {
    format!(
        "resources: [../base]
configMapGenerator:
- name: settings
  files: [round.txt]
  options: {{labels: {{round: \"{round}\"}}}}
"
    )
}

fn application(repository: &Repository, name: &str) -> String {
    application_at(repository, name, name)
}

fn application_at(repository: &Repository, name: &str, path: &str) -> String {
    json!({
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Application",
        "metadata": {
            "name": name,
            "namespace": "argocd",
            "finalizers": ["resources-finalizer.argocd.argoproj.io"],
        },
        "spec": {
            "project": "default",
            "source": {"repoURL": repository.url, "targetRevision": "HEAD", "path": path},
            "destination": {"server": "https://kubernetes.default.svc", "namespace": name},
            "syncPolicy": {
                "automated": {"prune": true, "selfHeal": true},
                "syncOptions": ["CreateNamespace=true"],
            },
        },
    })
    .to_string()
}

fn config(name: &str, round: usize) -> Value {
    let round = round.to_string();
    json!({
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name, "labels": {ROUND: round}},
        "data": {"round": round},
    })
}

fn deployment() -> String {
    json!({
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "web"},
        "spec": {
            "replicas": 1,
            "selector": {"matchLabels": {"app": "web"}},
            "template": {
                "metadata": {"labels": {"app": "web"}},
                "spec": {
                    "containers": [{
                        "name": "web",
                        "image": "registry.example.com/web:1.0.0",
                        "envFrom": [{"configMapRef": {"name": "settings", "optional": true}}],
                    }],
                },
            },
        },
    })
    .to_string()
}

/// Kept here so that the number of a round is counted in one place.
impl Wanted {
    fn labelled(&self, label: &str, value: &str) -> usize {
        let labels = |object: &Value| object["metadata"]["labels"][label] == value;
        self.objects.values().filter(|wanted| labels(&wanted.manifest)).count()
    }
}

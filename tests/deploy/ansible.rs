//! The Ansible role: it brings a cluster from nothing to Git, keeps it there, and says what stops it.
//!
//! In: the example playbook with variables of a test's own. Out: what Ansible counts and says, and the cluster's objects.
//! kwok plays the pods, so that a Deployment becomes available without its containers; the services themselves are played
//! once they are installed, and sync the root Application.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use ithaca_tests::{Ansible, EmptyCluster, Kubelet, Progress, Repository, Tools, binary, repository_root};
use serde_json::{Value, json};

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_goes_from_nothing_to_git_and_a_second_run_changes_nothing() -> anyhow::Result<()> {
    let cluster = EmptyCluster::fresh().await?;
    let repository = cluster.repository("home").await?;
    publish(&repository).await?;
    let role = Role::new(cluster.dir.join("ansible"), &cluster.tools, &variables(&cluster, &repository))?;

    check_mode_changes_nothing_of_a_bare_cluster(&role, &cluster).await?;
    the_first_run_makes_what_the_variables_say(&role, &cluster, &repository).await?;
    let _kubelet = Kubelet::start(&cluster, binary()?, "argocd").await?;
    the_second_run_waits_for_git_and_changes_nothing(&role, &cluster).await?;
    it_refuses_beside_argo_cd(&role, &cluster).await?;
    what_others_made_of_the_root_application_is_kept(&role, &cluster).await?;
    changed_variables_change_what_they_should(&role, &cluster).await
}

#[tokio::test]
async fn wrong_variables_are_named() -> anyhow::Result<()> {
    let role = Role::without_cluster("wrong-variables")?;
    let run = role
        .play(json!({"ithaca_wait_timeout": "soon", "ithaca_repositories": [{"url": "https://git.example.org"}]}), &[])
        .await?;
    run.failed_with(&[
        "ithaca_wait_timeout",
        "soon",
        "missing required arguments: name found in ithaca_repositories",
    ])?;
    let run = role.play(json!({"ithaca_hostname": "https://ithaca.example.org"}), &[]).await?;
    run.failed_with(&["ithaca_hostname is https://ithaca.example.org: give the bare name"])
}

#[tokio::test]
async fn what_is_missing_is_named() -> anyhow::Result<()> {
    let role = Role::without_cluster("missing")?;
    let run = role.play(json!({"ithaca_helm": "/nowhere/helm"}), &[]).await?;
    run.failed_with(&["Helm does not run on localhost", "/nowhere/helm", "Install Helm"])?;
    let run = role.play(json!({}), &[]).await?;
    run.failed_with(&["The cluster of ithaca_kubeconfig (/nowhere/kubeconfig) cannot be asked"])
}

#[tokio::test]
async fn the_collection_is_the_one_that_operators_are_told_to_install() -> anyhow::Result<()> {
    let role = Role::without_cluster("collection")?;
    let listed = role.ansible("galaxy", &["collection", "list", "kubernetes.core"]).output().await?;
    let listed = String::from_utf8(listed.stdout)?;
    let version =
        listed.lines().find_map(|line| line.strip_prefix("kubernetes.core")).unwrap_or_default().trim();
    let pinned = std::fs::read_to_string(repository_root().join("deploy/ansible/requirements.yml"))?;
    let pinned: Value = serde_saphyr::from_str(&pinned)?;
    ensure!(pinned["collections"][0]["version"] == version, "tried is {version:?}, pinned is {pinned}");
    Ok(())
}

async fn check_mode_changes_nothing_of_a_bare_cluster(
    role: &Role,
    cluster: &EmptyCluster,
) -> anyhow::Result<()> {
    let run = role.play(json!({"ithaca_values": {"consoel": {}}}), &["--check"]).await?;
    run.failed_with(&["Helm refuses to install", "consoel"])?;
    let run = role.play(json!({}), &["--check"]).await?;
    ensure!(run.changed()? > 0, "nothing would change:\n{}", run.text);
    let namespace = cluster.cluster.get("/api/v1/namespaces/argocd").await?;
    ensure!(namespace.is_none(), "check mode made a namespace");
    let definition = cluster.cluster.get(DEFINITION).await?;
    ensure!(definition.is_none(), "check mode made a definition");
    Ok(())
}

async fn it_refuses_beside_argo_cd(role: &Role, cluster: &EmptyCluster) -> anyhow::Result<()> {
    cluster.cluster.apply(ARGO_CD).await?;
    let before = objects(cluster).await?;
    let run = role.play(json!({}), &[]).await?;
    run.failed_with(&[
        "Argo CD runs in namespace argocd (StatefulSet argocd-application-controller)",
        "Scale it down first",
    ])?;
    ensure!(objects(cluster).await? == before, "a refusal changed something");
    cluster
        .cluster
        .kubectl(&["delete", "--namespace=argocd", "statefulset/argocd-application-controller"])
        .await?;
    Ok(())
}

async fn the_first_run_makes_what_the_variables_say(
    role: &Role,
    cluster: &EmptyCluster,
    repository: &Repository,
) -> anyhow::Result<()> {
    // Nobody syncs the root Application yet.
    let run = role.play(json!({"ithaca_wait_for_root": false}), &[]).await?;
    ensure!(run.changed()? > 0, "nothing changed:\n{}", run.text);
    ensure!(!run.text.contains(SECRET), "a secret is shown:\n{}", run.text);
    let namespace = expect(cluster, "/api/v1/namespaces/argocd").await?;
    let label = &namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"];
    ensure!(label == "restricted", "pod security is {label}");
    an_ingress_shows_the_page(cluster).await?;
    secrets_are_as_argo_cd_knows_them(cluster).await?;
    let crd = expect(cluster, DEFINITION).await?;
    ensure!(crd["metadata"]["managedFields"].to_string().contains("ithaca-ansible"), "the CRD is not ours");
    every_workload_is_available(cluster).await?;
    let root = expect(cluster, ROOT).await?;
    let source = json!({"repoURL": repository.url, "path": "app", "targetRevision": "main"});
    ensure!(root["spec"]["source"] == source, "the root reads {}", root["spec"]);
    ensure!(
        root["spec"]["syncPolicy"]["automated"] == json!({"prune": true, "selfHeal": true}),
        "{}",
        root["spec"]
    );
    Ok(())
}

async fn an_ingress_shows_the_page(cluster: &EmptyCluster) -> anyhow::Result<()> {
    let ingress = expect(cluster, INGRESS).await?;
    let annotations = &ingress["metadata"]["annotations"];
    for (name, value) in
        [("router.tls.certresolver", "home"), ("router.entrypoints", "websecure"), ("mine", "kept")]
    {
        let found = &annotations[format!("traefik.ingress.kubernetes.io/{name}")];
        ensure!(found == value, "{name} is {found}");
    }
    let spec = &ingress["spec"];
    ensure!(
        spec["ingressClassName"] == "traefik" && spec["rules"][0]["host"] == "ithaca.example.org",
        "{spec}"
    );
    let paths = spec["rules"][0]["http"]["paths"].as_array().context("no paths")?;
    let paths: Vec<_> = paths.iter().filter_map(|path| path["path"].as_str()).collect();
    ensure!(paths == ["/cd/api/webhook", "/cd"], "{paths:?}");
    Ok(())
}

async fn secrets_are_as_argo_cd_knows_them(cluster: &EmptyCluster) -> anyhow::Result<()> {
    let secret = expect(cluster, "/api/v1/namespaces/argocd/secrets/argocd-secret").await?;
    ensure!(secret["data"]["webhook.github.secret"] == SECRET_ENCODED, "{}", secret["data"]);
    let secret = expect(cluster, "/api/v1/namespaces/argocd/secrets/private").await?;
    let kind = &secret["metadata"]["labels"]["argocd.argoproj.io/secret-type"];
    ensure!(kind == "repo-creds" && secret["data"]["password"] == SECRET_ENCODED, "{secret}");
    ensure!(secret["data"].get("sshPrivateKey").is_none(), "{secret}");
    Ok(())
}

async fn every_workload_is_available(cluster: &EmptyCluster) -> anyhow::Result<()> {
    let workloads =
        cluster.cluster.kubectl(&["get", "deployments,statefulsets", "-n", "argocd", "-o", "json"]).await?;
    let workloads: Value = serde_json::from_str(&workloads)?;
    let workloads = workloads["items"].as_array().context("no workloads")?;
    ensure!(workloads.len() == 6, "there are {} workloads", workloads.len());
    for workload in workloads {
        let ready = &workload["status"]["readyReplicas"];
        ensure!(*ready == workload["spec"]["replicas"], "{} has {ready}", workload["metadata"]["name"]);
    }
    Ok(())
}

async fn the_second_run_waits_for_git_and_changes_nothing(
    role: &Role,
    cluster: &EmptyCluster,
) -> anyhow::Result<()> {
    let before = objects(cluster).await?;
    let run = role.play(json!({}), &[]).await?;
    ensure!(run.changed()? == 0, "something changed:\n{}", run.text);
    // Without waiting: the role did.
    let status = expect(cluster, ROOT).await?["status"].take();
    ensure!(status["sync"]["status"] == "Synced" && status["health"]["status"] == "Healthy", "{status}");
    expect(cluster, SETTINGS).await?;
    ensure!(objects(cluster).await? == before, "something changed that Ansible does not tell");
    Ok(())
}

async fn what_others_made_of_the_root_application_is_kept(
    role: &Role,
    cluster: &EmptyCluster,
) -> anyhow::Result<()> {
    let patch = r#"{"spec":{"source":{"targetRevision":"HEAD"}}}"#;
    cluster
        .cluster
        .kubectl(&["patch", "-n", "argocd", "application/root", "--type=merge", "-p", patch])
        .await?;
    let before = objects(cluster).await?;
    let run = role.play(json!({}), &[]).await?;
    run.failed_with(&[
        "The root Application root was not applied",
        "targetRevision",
        "ithaca_root_application_force",
    ])?;
    ensure!(objects(cluster).await? == before, "the refused run changed something");
    Ok(())
}

async fn changed_variables_change_what_they_should(
    role: &Role,
    cluster: &EmptyCluster,
) -> anyhow::Result<()> {
    let before = objects(cluster).await?;
    let other = json!({"ithaca_hostname": "other.example.org", "ithaca_root_application_force": true});
    let run = role.play(other.clone(), &["--check"]).await?;
    ensure!(run.changed()? == 2, "the release and the root would change:\n{}", run.text);
    ensure!(objects(cluster).await? == before, "check mode changed something");
    let run = role.play(other, &[]).await?;
    ensure!(run.changed()? == 2, "the release and the root change:\n{}", run.text);
    let after = objects(cluster).await?;
    let is_release = |name: &&String| name.contains("sh.helm.release");
    let changed = after.keys().filter(|name| before.get(*name) != after.get(*name));
    let changed: Vec<_> = changed.filter(|name| !is_release(name)).collect();
    ensure!(changed == ["Application/root", "Ingress/ithaca"], "changed are {changed:?}");
    let spec = &after["Ingress/ithaca"]["spec"];
    ensure!(spec["rules"][0]["host"] == "other.example.org", "{spec}");
    let spec = &after["Application/root"]["spec"];
    ensure!(spec["source"]["targetRevision"] == "main", "{spec}");
    Ok(())
}

/// The role with variables, in a folder of its own.
struct Role {
    ansible: Ansible,
    folder: PathBuf,
    variables: Value,
}

impl Role {
    fn new(folder: PathBuf, tools: &Tools, variables: &Value) -> anyhow::Result<Self> {
        let ansible = Ansible::build(&Progress::silent())?;
        std::fs::create_dir_all(&folder)?;
        std::fs::write(folder.join("ansible.cfg"), "")?;
        let python = ansible.python();
        let host = "localhost ansible_connection=local ansible_python_interpreter";
        std::fs::write(folder.join("inventory.ini"), format!("[k3s_server]\n{host}={}\n", python.display()))?;
        let mut all = json!({
            "ithaca_chart": repository_root().join("deploy/chart"),
            "ithaca_chart_version": "",
            "ithaca_helm": tools.path("helm"),
            "ithaca_webhook_secret": SECRET,
        });
        merge(&mut all, variables);
        Ok(Self { ansible, folder, variables: all })
    }

    /// For what is found wrong before a cluster is asked.
    fn without_cluster(name: &str) -> anyhow::Result<Self> {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("ansible").join(name);
        let tools = Tools::build(&Progress::silent())?;
        Self::new(folder, &tools, &json!({"ithaca_kubeconfig": "/nowhere/kubeconfig"}))
    }

    /// Runs the example playbook with variables over those of the role.
    async fn play(&self, variables: Value, arguments: &[&str]) -> anyhow::Result<Run> {
        let mut all = self.variables.clone();
        merge(&mut all, &variables);
        let file = self.folder.join("variables.json");
        std::fs::write(&file, all.to_string())?;
        let playbook = repository_root().join("deploy/ansible/playbook.yml").display().to_string();
        let inventory = self.folder.join("inventory.ini").display().to_string();
        let variables = format!("@{}", file.display());
        let mut command = self.ansible("playbook", &["-i", &inventory, "-e", &variables, &playbook]);
        let output = command.args(arguments).output().await?;
        let said = [output.stdout, output.stderr].concat();
        Ok(Run { succeeded: output.status.success(), text: String::from_utf8(said)? })
    }

    fn ansible(&self, program: &str, arguments: &[&str]) -> tokio::process::Command {
        let mut command = self.ansible.program(program);
        command
            .args(arguments)
            .current_dir(&self.folder)
            // Neither settings of this machine's user nor plugins of its helm.
            .env("HOME", &self.folder)
            .env("ANSIBLE_CONFIG", self.folder.join("ansible.cfg"))
            .env("ANSIBLE_NOCOLOR", "1")
            .env("ANSIBLE_PIPELINING", "1")
            .env("LC_ALL", "C.UTF-8")
            .env_remove("KUBECONFIG");
        command
    }
}

/// What a run of the playbook came to.
struct Run {
    succeeded: bool,
    text: String,
}

impl Run {
    /// How many tasks changed something.
    fn changed(&self) -> anyhow::Result<u32> {
        ensure!(self.succeeded, "the playbook failed:\n{}", self.text);
        let count = self.text.split_whitespace().filter_map(|word| word.strip_prefix("changed=")).next_back();
        Ok(count.context("no recap")?.parse()?)
    }

    fn failed_with(&self, words: &[&str]) -> anyhow::Result<()> {
        ensure!(!self.succeeded, "the playbook did not fail:\n{}", self.text);
        // Of a failure the whole message is on one line, with its line breaks escaped.
        let is_failure = |line: &&str| line.starts_with("fatal: ") || line.starts_with("failed: ");
        let told: Vec<_> = self.text.lines().filter(is_failure).collect();
        let told = told.join("\n");
        for word in words {
            ensure!(told.contains(word), "{word:?} is not told:\n{}", self.text);
        }
        Ok(())
    }
}

const SECRET: &str = "open-sesame";
const SECRET_ENCODED: &str = "b3Blbi1zZXNhbWU=";
const INGRESS: &str = "/apis/networking.k8s.io/v1/namespaces/argocd/ingresses/ithaca";
const DEFINITION: &str = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/applications.argoproj.io";
const SETTINGS: &str = "/api/v1/namespaces/default/configmaps/settings";
const ROOT: &str = "/apis/argoproj.io/v1alpha1/namespaces/argocd/applications/root";

const ARGO_CD: &str = "
apiVersion: apps/v1
kind: StatefulSet
metadata:
  name: argocd-application-controller
  namespace: argocd
  labels: {app.kubernetes.io/name: argocd-application-controller}
spec:
  serviceName: argocd
  replicas: 1
  selector: {matchLabels: {app: argocd}}
  template:
    metadata: {labels: {app: argocd}}
    spec: {containers: [{name: controller, image: argocd}]}
";

fn variables(cluster: &EmptyCluster, repository: &Repository) -> Value {
    json!({
        "ithaca_kubeconfig": cluster.cluster.kubeconfig(),
        "ithaca_hostname": "ithaca.example.org",
        "ithaca_path": "/cd",
        "ithaca_certificate_resolver": "home",
        "ithaca_ingress_annotations": {"traefik.ingress.kubernetes.io/mine": "kept"},
        "ithaca_values": {"console": {"replicas": 2}},
        "ithaca_repositories": [
            {"name": "private", "url": "https://git.example.org", "template": true, "username": "me", "password": SECRET},
        ],
        "ithaca_root_application": {"repoURL": repository.url, "path": "app", "targetRevision": "main"},
        "ithaca_wait_for_root": true,
        "ithaca_wait_timeout": 120,
    })
}

async fn publish(repository: &Repository) -> anyhow::Result<()> {
    let settings =
        "{apiVersion: v1, kind: ConfigMap, metadata: {name: settings, namespace: default}, data: {a: b}}";
    repository.write("app/settings.yaml", settings)?;
    repository.publish("Add settings").await.map(drop)
}

fn merge(all: &mut Value, over: &Value) {
    for (name, value) in over.as_object().into_iter().flatten() {
        all[name] = value.clone();
    }
}

async fn expect(cluster: &EmptyCluster, path: &str) -> anyhow::Result<Value> {
    cluster.cluster.get(path).await?.with_context(|| format!("nothing is at {path}"))
}

/// What somebody wants of each object in the namespace; not how it is, nor who wrote it when.
async fn objects(cluster: &EmptyCluster) -> anyhow::Result<BTreeMap<String, Value>> {
    let kinds = "deployments,statefulsets,services,configmaps,secrets,ingresses,networkpolicies,applications,\
                 serviceaccounts,roles,rolebindings,poddisruptionbudgets";
    let listed = cluster.cluster.kubectl(&["get", kinds, "-n", "argocd", "-o", "json"]).await?;
    let mut listed: Value = serde_json::from_str(&listed)?;
    let items = listed["items"].as_array_mut().context("no list")?;
    let wanted = items.iter_mut().map(|object| {
        let name = format!("{}/{}", object["kind"], object["metadata"]["name"]).replace('"', "");
        object["status"] = Value::Null;
        object["metadata"]["resourceVersion"] = Value::Null;
        object["metadata"]["generation"] = Value::Null;
        (name, object.take())
    });
    Ok(wanted.collect())
}

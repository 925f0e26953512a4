//! One file makes a bare K3s the whole cluster, and the same file brings a lost one back.

use anyhow::{Context, ensure};
use ithaca_tests::{EmptyCluster, HelmController, Kubelet, Repository, binary, sample};
use tokio::process::Command;

#[tokio::test(flavor = "multi_thread")]
async fn a_bare_cluster_and_one_file_become_what_git_says() -> anyhow::Result<()> {
    let cluster = EmptyCluster::fresh().await?;
    let repository = cluster.repository("home").await?;
    sample::publish(&repository).await?;
    let password = cluster.dir.join("password");
    std::fs::write(&password, "hush\n")?;

    let file = bootstrap(&repository, &["--username=me", "--password-file", &password.display().to_string()])
        .await?;
    let k3s = HelmController::start(&cluster).await?;
    k3s.take(&file).await?;
    let _kubelet = Kubelet::start(&cluster, binary()?, "argocd").await?;
    for name in ["root", "gateway", "notes", "website"] {
        cluster.synced(name).await?;
    }
    let secret = "/api/v1/namespaces/argocd/secrets/root-repository";
    let secret = cluster.cluster.get(secret).await?.context("no repository Secret")?;
    ensure!(secret["data"]["password"] == "aHVzaA==", "{secret}");

    // K3s reads its folder again at every start: nothing may change.
    let generations =
        ["get", "deployments,statefulsets", "-n", "argocd", "-o=jsonpath={.items[*].metadata.generation}"];
    let before = cluster.cluster.kubectl(&generations).await?;
    k3s.take(&file).await?;
    let after = cluster.cluster.kubectl(&generations).await?;
    let history = cluster.helm(&["history", "ithaca", "-n", "argocd", "--output=json"]).await?;
    ensure!(history.contains("deployed"), "{history}");
    ensure!(before == after && !before.is_empty(), "generations were {before}, are {after}");
    cluster.synced("root").await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_it_cannot_write_is_said() -> anyhow::Result<()> {
    for (arguments, words) in [
        (vec!["--values=/nowhere/values.yaml"], "failed to read /nowhere/values.yaml"),
        (vec!["--username=me"], "--password-file"),
        (vec![], "--repo"),
    ] {
        let repo = (!arguments.is_empty()).then_some("--repo=https://git.example.org/a.git");
        let output = Command::new(binary()?).arg("bootstrap").args(repo).args(arguments).output().await?;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        ensure!(!output.status.success() && said.contains(words), "{words:?} is not in {said}");
        ensure!(output.stdout.is_empty(), "half a file is written");
    }
    Ok(())
}

/// `ithaca bootstrap` for a repository whose root Application is in its folder bootstrap.
async fn bootstrap(repository: &Repository, more: &[&str]) -> anyhow::Result<String> {
    let output = Command::new(binary()?)
        .args(["bootstrap", "--repo", &repository.url, "--path=bootstrap"])
        .args(more)
        .output()
        .await?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(String::from_utf8(output.stdout)?)
}

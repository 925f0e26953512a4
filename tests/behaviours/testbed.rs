//! The ground that all other behaviours stand on: cluster, bus and Git server answer.

use anyhow::{Context, ensure};
use ithaca_tests::{Stack, wait_until};

use crate::scene::DEADLINE;

#[tokio::test]
async fn a_deployment_becomes_available_on_the_nodes() -> anyhow::Result<()> {
    let stack = Stack::shared().await?;
    let cluster = &stack.cluster;
    cluster.kubectl(&["create", "deployment", "testbed", "--image=nginx"]).await?;
    let path = "/apis/apps/v1/namespaces/default/deployments/testbed";
    wait_until("it is available", DEADLINE, async || {
        let deployment = cluster.get(path).await?.context("it is not there")?;
        let status = &deployment["status"];
        ensure!(status["availableReplicas"] == 1, "its status is {status}");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_job_completes() -> anyhow::Result<()> {
    let stack = Stack::shared().await?;
    let cluster = &stack.cluster;
    cluster.kubectl(&["create", "job", "testbed", "--image=busybox"]).await?;
    let path = "/apis/batch/v1/namespaces/default/jobs/testbed";
    wait_until("it is complete", DEADLINE, async || {
        let job = cluster.get(path).await?.context("it is not there")?;
        let status = &job["status"];
        ensure!(status["succeeded"] == 1, "its status is {status}");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_clone_gets_what_was_pushed() -> anyhow::Result<()> {
    let stack = Stack::shared().await?;
    let repository = stack.repository("testbed-push").await?;
    repository.write("folder/file.yaml", "a: 1\n")?;
    let commit = repository.publish("Add a file").await?;
    let listed = repository.git(&["ls-remote", &repository.url, "HEAD"]).await?;
    ensure!(listed.starts_with(&commit), "HEAD is {listed}");
    Ok(())
}

#[tokio::test]
async fn a_push_creates_a_repository_that_is_not_there() -> anyhow::Result<()> {
    let stack = Stack::shared().await?;
    let repository = stack.repository("testbed-first").await?;
    repository.write("file.yaml", "a: 1\n")?;
    let commit = repository.publish("Add a file").await?;
    let other = stack.git.repository_url("testbed-second");
    repository.git(&["push", "--quiet", &other, "main"]).await?;
    let listed = repository.git(&["ls-remote", &other, "HEAD"]).await?;
    ensure!(listed.starts_with(&commit), "HEAD is {listed}");
    Ok(())
}

#[tokio::test]
async fn nats_comes_back_on_its_port_after_a_kill_and_a_wipe() -> anyhow::Result<()> {
    // A server of its own: the shared one is in use.
    let shared = Stack::shared().await?;
    let nats = ithaca_tests::Nats::start(&shared.dir.join("second-nats"), &shared.tools).await?;
    let before = nats.process.pid();
    nats.process.kill()?;
    nats.wipe()?;
    nats.process.restart().await?;
    let after = nats.process.pid();
    ensure!(after.is_some() && after != before, "{after:?} is its process");
    Ok(())
}

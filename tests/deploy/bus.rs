//! The chart's NATS servers, started with its own configuration: one, then three that keep three copies.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, ensure};
use ithaca_bus::Bus;
use ithaca_tests::{EmptyCluster, Process, Program, Ready, free_port, wait_until};
use serde_json::Value;

use crate::template::{object, objects};

const SERVERS: usize = 3;
const TOKEN: &str = "mellon";

#[tokio::test(flavor = "multi_thread")]
async fn more_copies_are_kept_of_what_was_there_once_more_are_asked_for() -> anyhow::Result<()> {
    let cluster = EmptyCluster::fresh().await?;
    let servers = Servers::start(&cluster).await?;
    servers.refuse_strangers().await?;
    let once = servers.connect(1).await?;
    ensure!(servers.copies().await?.iter().all(|(_, copies)| *copies == 1), "{:?}", servers.copies().await?);
    let thrice = servers.connect(SERVERS).await?;
    let kept = async || {
        let copies = servers.copies().await?;
        ensure!(copies.len() == 5 && copies.iter().all(|(_, copies)| *copies == SERVERS), "{copies:?}");
        Ok(())
    };
    wait_until("all streams have three copies", Duration::from_secs(60), kept).await?;
    // A process of the release before takes nothing back.
    let before = servers.connect(1).await?;
    kept().await?;
    drop((once, thrice, before));
    Ok(())
}

struct Servers {
    processes: Vec<Process>,
    url: String,
    monitor: u16,
}

impl Servers {
    async fn start(cluster: &EmptyCluster) -> anyhow::Result<Self> {
        let objects = objects("nats: {replicas: 3, tokenSecret: bus}")?;
        let config = object(&objects, "ConfigMap", "ithaca-nats")?["data"]["nats.conf"].as_str();
        let config = config.context("no configuration")?.to_owned();
        let ports = || (0..SERVERS).map(|_| free_port()).collect::<anyhow::Result<Vec<_>>>();
        let (clients, routes, monitors) = (ports()?, ports()?, ports()?);
        let mut processes = Vec::new();
        for number in 0..SERVERS {
            let name = format!("ithaca-nats-{number}");
            let folder = cluster.dir.join(&name);
            let own = [
                ("0.0.0.0:4222", format!("127.0.0.1:{}", clients[number])),
                ("0.0.0.0:6222", format!("127.0.0.1:{}", routes[number])),
                ("0.0.0.0:8222", format!("127.0.0.1:{}", monitors[number])),
                ("/data", folder.display().to_string()),
            ];
            let mut text = own.iter().fold(config.clone(), |text, (theirs, ours)| text.replace(theirs, ours));
            for (peer, port) in routes.iter().enumerate() {
                let address = format!("ithaca-nats-{peer}.ithaca-nats-peers.argocd:6222");
                text = text.replace(&address, &format!("127.0.0.1:{port}"));
            }
            ensure!(!text.contains("ithaca-nats-peers"), "an address is left: {text}");
            let file: PathBuf = cluster.dir.join(format!("{name}.conf"));
            std::fs::write(&file, text)?;
            processes.push(Process::start(server(cluster, &name, &file, monitors[number])).await?);
        }
        let url = format!("nats://127.0.0.1:{}", clients[0]);
        let servers = Self { processes, url, monitor: monitors[0] };
        servers.have_a_leader().await?;
        Ok(servers)
    }

    async fn have_a_leader(&self) -> anyhow::Result<()> {
        ensure!(self.processes.len() == SERVERS);
        wait_until("the servers have a leader", Duration::from_secs(60), async || {
            let state = self.ask("jsz").await?;
            ensure!(state["meta_cluster"]["leader"].is_string(), "{}", state["meta_cluster"]);
            ensure!(state["meta_cluster"]["cluster_size"] == SERVERS, "{}", state["meta_cluster"]);
            Ok(())
        })
        .await
    }

    /// A service that does not know the token never gets ready.
    async fn refuse_strangers(&self) -> anyhow::Result<()> {
        for token in [None, Some("friend")] {
            let args = self.args(token, 1);
            let connected =
                tokio::time::timeout(Duration::from_secs(2), Bus::connect(&args, "stranger")).await;
            ensure!(!matches!(connected, Ok(Ok(_))), "the bus takes anybody");
        }
        Ok(())
    }

    fn args(&self, token: Option<&str>, replicas: usize) -> ithaca_bus::Args {
        ithaca_bus::Args {
            nats_url: self.url.clone(),
            nats_credentials: None,
            nats_token: token.map(str::to_owned),
            nats_replicas: replicas,
        }
    }

    async fn connect(&self, replicas: usize) -> anyhow::Result<Bus> {
        let args = self.args(Some(TOKEN), replicas);
        Ok(Bus::connect(&args, "test").await?)
    }

    /// How many copies each stream is to have, as the first server knows.
    async fn copies(&self) -> anyhow::Result<Vec<(String, usize)>> {
        let state = self.ask("jsz?streams=true&config=true&leader-only=false").await?;
        let mut copies = Vec::new();
        let mut all = Vec::new();
        for account in state["account_details"].as_array().into_iter().flatten() {
            all.extend(account["stream_detail"].as_array().into_iter().flatten().cloned());
        }
        for stream in all {
            let name = stream["name"].as_str().unwrap_or_default().to_owned();
            let count = stream["config"]["num_replicas"].as_u64().context("no number of copies")?;
            copies.push((name, usize::try_from(count)?));
        }
        Ok(copies)
    }

    async fn ask(&self, what: &str) -> anyhow::Result<Value> {
        Ok(reqwest::get(format!("http://127.0.0.1:{}/{what}", self.monitor)).await?.json().await?)
    }
}

fn server(cluster: &EmptyCluster, name: &str, config: &std::path::Path, monitor: u16) -> Program {
    Program {
        name: name.to_owned(),
        path: cluster.tools.path("nats-server"),
        arguments: vec!["--config".to_owned(), config.display().to_string()],
        environment: [("POD_NAME", name), ("TOKEN", TOKEN)]
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .to_vec(),
        log: cluster.dir.join(format!("logs/{name}.log")),
        // As the chart's probes ask.
        ready: Ready::Answers(format!("http://127.0.0.1:{monitor}/healthz?js-server-only=true")),
        metrics: None,
    }
}

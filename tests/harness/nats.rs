//! The bus: a NATS server with JetStream in a folder of its own.

use std::path::{Path, PathBuf};

use anyhow::Context;

use crate::{Process, Program, Ready, Tools, port};

/// The running server.
pub struct Nats {
    /// To kill, stop and restart it.
    pub process: Process,
    /// `nats://127.0.0.1:<port>`.
    pub url: String,
    store: PathBuf,
}

impl Nats {
    /// Starts the server with its store below `dir`.
    ///
    /// # Errors
    /// When it fails, with the end of its log.
    pub async fn start(dir: &Path, tools: &Tools) -> anyhow::Result<Self> {
        let port = port::free()?;
        let monitor = port::free()?;
        let store = dir.join("nats");
        let arguments = [
            "--addr=127.0.0.1",
            &format!("--port={port}"),
            &format!("--http_port={monitor}"),
            "--jetstream",
            &format!("--store_dir={}", store.display()),
        ];
        let process = Process::start(Program {
            name: "nats-server".to_owned(),
            path: tools.path("nats-server"),
            arguments: arguments.map(str::to_owned).to_vec(),
            environment: Vec::new(),
            log: dir.join("logs/nats-server.log"),
            ready: Ready::Answers(format!("http://127.0.0.1:{monitor}/healthz")),
            metrics: None,
        })
        .await?;
        Ok(Self { process, url: format!("nats://127.0.0.1:{port}"), store })
    }

    /// Removes all that JetStream holds. The server must not run.
    ///
    /// # Errors
    /// When the folder cannot be removed.
    pub fn wipe(&self) -> anyhow::Result<()> {
        std::fs::remove_dir_all(&self.store)
            .with_context(|| format!("failed to remove {}", self.store.display()))
    }
}

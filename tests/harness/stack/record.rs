//! `stack.json`: what scripts need to know about a running stack.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use anyhow::Context;
use serde::{Deserialize, Serialize};

use crate::Process;

/// Tells that a folder was made by a stack.
pub const MARKER: &str = "STACK";
const FILE: &str = "stack.json";

/// The addresses and processes of a stack.
#[derive(Debug, Serialize, Deserialize)]
pub struct Record {
    /// The cluster.
    pub kubeconfig: PathBuf,
    /// The web page.
    pub console: Option<String>,
    /// Where pushes are told.
    pub webhook: Option<String>,
    /// The Git server; repositories are `<git>/<name>.git`.
    pub git: String,
    /// The bus.
    pub nats: String,
    /// The folder of the built programs.
    pub tools: PathBuf,
    /// The process that everything ends with.
    pub owner: u32,
    /// By name.
    pub processes: BTreeMap<String, RecordedProcess>,
}

/// One process of a stack.
#[derive(Debug, Serialize, Deserialize)]
pub struct RecordedProcess {
    /// Absent while it is down.
    pub pid: Option<u32>,
    /// Standard output and error.
    pub log: PathBuf,
    /// Its Prometheus page, where it has one.
    pub metrics: Option<String>,
}

impl From<&Process> for RecordedProcess {
    fn from(process: &Process) -> Self {
        Self {
            pid: process.pid(),
            log: process.program().log.clone(),
            metrics: process.program().metrics.clone(),
        }
    }
}

impl Record {
    /// Reads the record of the stack in `dir`.
    ///
    /// # Errors
    /// When no stack runs there.
    pub fn read(dir: &Path) -> anyhow::Result<Self> {
        let path = dir.join(FILE);
        let text =
            std::fs::read_to_string(&path).with_context(|| format!("no stack runs in {}", dir.display()))?;
        serde_json::from_str(&text).with_context(|| format!("failed to read {}", path.display()))
    }

    /// Writes the record whole: a reader never sees half of it.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn write(&self, dir: &Path) -> anyhow::Result<()> {
        let unfinished = dir.join("stack.json.tmp");
        std::fs::write(&unfinished, serde_json::to_string_pretty(self)?)?;
        std::fs::rename(&unfinished, dir.join(FILE))
            .with_context(|| format!("failed to write {FILE} in {}", dir.display()))
    }

    /// Removes the record: the stack is gone.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn remove(dir: &Path) -> anyhow::Result<()> {
        match std::fs::remove_file(dir.join(FILE)) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                Err(error).with_context(|| format!("failed to remove {FILE} in {}", dir.display()))
            }
            _ => Ok(()),
        }
    }
}

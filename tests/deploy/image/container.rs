//! One container: an image's root filesystem, started by runc, the runtime below Docker and Kubernetes.
//!
//! In: an image and what a pod or a compose service adds to it. Out: a program for the harness to start.
//! It has its own processes and mounts, no capability, and nothing to write to but the folders that are given.
//! It shares the network: 127.0.0.1 is the test's own.

use std::path::{Path, PathBuf};
use std::process::Output;

use anyhow::Context;
use ithaca_tests::{Program, Ready};
use serde_json::{Value, json};

use super::packed::Packed;

/// What is started.
#[derive(Clone, Debug, Default)]
pub struct Container {
    /// The image.
    pub target: String,
    /// Unique in a test.
    pub name: String,
    /// After the image's entry point.
    pub arguments: Vec<String>,
    /// On top of the image's own.
    pub environment: Vec<(String, String)>,
    /// Folders in memory.
    pub writable: Vec<String>,
    /// Files and folders of the test, and where it sees them; read-only.
    pub mounts: Vec<(PathBuf, String)>,
}

impl Container {
    /// The container as a program whose state is below `dir`.
    pub fn program(&self, packed: &Packed, dir: &Path, ready: Ready) -> anyhow::Result<Program> {
        let bundle = dir.join(&self.name);
        std::fs::create_dir_all(&bundle).with_context(|| format!("failed to create {}", bundle.display()))?;
        let config = serde_json::to_vec_pretty(&self.config(packed)?)?;
        std::fs::write(bundle.join("config.json"), config)?;
        // Whatever kills unshare ends all that runs in its namespace of processes, which is the container.
        let arguments =
            ["--pid", "--fork", "--kill-child", "--mount-proc", "runc", "--root"].map(str::to_owned);
        let state = [dir.join("runc").display().to_string(), "run".to_owned(), "--bundle".to_owned()];
        let last = [bundle.display().to_string(), self.name.clone()];
        Ok(Program {
            name: self.name.clone(),
            path: "unshare".into(),
            arguments: arguments.into_iter().chain(state).chain(last).collect(),
            environment: Vec::new(),
            log: dir.join(format!("logs/{}.log", self.name)),
            ready,
            metrics: None,
        })
    }

    /// Runs it to its end.
    pub async fn run(&self, packed: &Packed, dir: &Path) -> anyhow::Result<Output> {
        let program = self.program(packed, dir, Ready::Started)?;
        let mut command = tokio::process::Command::new(program.path);
        let output = command.args(program.arguments).kill_on_drop(true).output().await;
        output.context("failed to start a container: is runc installed, as README.md says?")
    }

    fn config(&self, packed: &Packed) -> anyhow::Result<Value> {
        let mut config = packed.config(&self.target)?;
        config["root"] = json!({"path": packed.root(&self.target), "readonly": true});
        let process = config["process"].as_object_mut().context("the image says nothing of a process")?;
        process.insert("terminal".to_owned(), json!(false));
        process.insert("capabilities".to_owned(), json!({}));
        process.insert("noNewPrivileges".to_owned(), json!(true));
        append(process.get_mut("args"), self.arguments.iter().map(|argument| json!(argument)))?;
        let variables = self.environment.iter().map(|(name, value)| json!(format!("{name}={value}")));
        append(process.get_mut("env"), variables)?;
        config["mounts"] = self.mounts();
        config["linux"] = json!({"namespaces": [{"type": "pid"}, {"type": "mount"}, {"type": "ipc"}]});
        config.as_object_mut().context("no configuration")?.remove("hostname");
        Ok(config)
    }

    fn mounts(&self) -> Value {
        let memory = |folder: &str, mode: &str| {
            let options = ["nosuid", "nodev", &format!("mode={mode}"), "size=64m"];
            json!({"destination": folder, "type": "tmpfs", "source": "tmpfs", "options": options})
        };
        let mut mounts = vec![json!({"destination": "/proc", "type": "proc", "source": "proc"})];
        // The runtime puts the usual devices into it.
        mounts.push(json!({"destination": "/dev", "type": "tmpfs", "source": "tmpfs",
            "options": ["nosuid", "strictatime", "mode=755", "size=64k"]}));
        mounts.extend(self.writable.iter().map(|folder| memory(folder, "1777")));
        mounts.extend(self.mounts.iter().map(|(source, destination)| {
            json!({"destination": destination, "type": "bind", "source": source, "options": ["bind", "ro"]})
        }));
        json!(mounts)
    }
}

fn append(list: Option<&mut Value>, values: impl IntoIterator<Item = Value>) -> anyhow::Result<()> {
    list.and_then(Value::as_array_mut).context("no list in the image's configuration")?.extend(values);
    Ok(())
}

//! The real `sops` with a key of its own: files come in, what an author would commit goes out.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, ensure};

use crate::{Progress, Tools, fresh_folder};

/// An author who encrypts.
pub struct Sops {
    tools: Tools,
    folder: PathBuf,
    /// The public half of the key.
    pub recipient: String,
    /// The file of the key, as `age-keygen` writes it.
    pub key: String,
}

impl Sops {
    /// With a new key.
    ///
    /// # Errors
    /// When the programs do not build or do not run.
    pub fn new() -> anyhow::Result<Self> {
        let tools = Tools::sources(&Progress::silent())?;
        let key = String::from_utf8(run(&mut Command::new(tools.path("age-keygen")))?)?;
        let recipient = key.lines().find_map(|line| line.strip_prefix("# public key: "));
        let recipient = recipient.context("age-keygen shows no public key")?.to_owned();
        Ok(Self { tools, folder: fresh_folder()?, recipient, key })
    }

    /// What a file is in the repository. Its name says which format it has.
    ///
    /// # Errors
    /// When `sops` refuses it.
    pub fn encrypt(&self, name: &str, content: &str) -> anyhow::Result<String> {
        std::fs::write(self.folder.join(name), content)?;
        let mut sops = Command::new(self.tools.path("sops"));
        sops.args([
            "encrypt",
            "--age",
            &self.recipient,
            "--encrypted-regex",
            "^(data|stringData|password)$|^[A-Z_]+$",
        ]);
        Ok(String::from_utf8(run(sops.arg(name).current_dir(&self.folder))?)?)
    }
}

fn run(command: &mut Command) -> anyhow::Result<Vec<u8>> {
    let output = command.output()?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(output.stdout)
}

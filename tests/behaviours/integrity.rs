//! What tests of signatures share: keys, and what Applications tell.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, ensure};
use serde_json::{Value, json};

use crate::scene::{Scene, application, config_map};

/// Where OpenPGP keys are.
pub const KEYS: &str = "argocd-gpg-keys-cm";
/// Where allowed signers are.
pub const SIGNERS: &str = "ithaca-allowed-signers";

/// What a program says that succeeds.
pub fn run(program: &str, arguments: &[&str]) -> anyhow::Result<String> {
    let output = Command::new(program).args(arguments).output().with_context(|| program.to_owned())?;
    ensure!(output.status.success(), "{program}: {}", String::from_utf8_lossy(&output.stderr));
    Ok(String::from_utf8(output.stdout)?)
}

/// Makes an OpenPGP key in a folder, a program that signs with it, and a file of it (`secret.gpg`). Gives its fingerprint and the public key.
pub fn openpgp_key(folder: &Path) -> anyhow::Result<(String, String)> {
    let home = folder.display().to_string();
    let gpg = |arguments: &[&str]| {
        let quiet = ["--homedir", &home, "--batch", "--quiet", "--no-tty", "--passphrase", ""];
        run("gpg", &[&quiet[..], arguments].concat())
    };
    let make =
        ["--status-fd", "1", "--quick-generate-key", "Ada <ada@example.com>", "ed25519", "sign", "never"];
    let told = gpg(&make)?;
    let id = told.lines().find_map(|line| line.split_once("KEY_CREATED P ")).context("a key")?.1.trim();
    let program = folder.join("sign");
    std::fs::write(&program, format!("#!/bin/sh\nexec gpg --homedir '{home}' \"$@\"\n"))?;
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755))?;
    gpg(&["--pinentry-mode", "loopback", "--output", &format!("{home}/secret.gpg"), "--export-secret-keys"])?;
    Ok((id.to_owned(), gpg(&["--armor", "--export"])?))
}

impl Scene<'_> {
    /// Adds an entry to a ConfigMap of the installation, which is made if need be. One request does both, and each
    /// entry is a manager's own, since other tests add theirs at the same moment.
    pub async fn add_entry(&self, name: &str, key: &str, text: &str) -> anyhow::Result<()> {
        let object =
            json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {key: text}});
        self.apply(&config_map("argocd", name), key, &object).await
    }

    /// Waits until an Application has a condition with these words.
    pub async fn refused(&self, name: &str, words: &[&str]) -> anyhow::Result<()> {
        let told = |app: &Value| {
            let conditions = app["status"]["conditions"].to_string();
            conditions.contains("ComparisonError") && words.iter().all(|word| conditions.contains(word))
        };
        self.wait(&application(name), &format!("tells of {words:?}"), told).await.map(drop)
    }

    /// Whether this is what is applied.
    pub async fn is_applied(&self, namespace: &str, value: &str) -> anyhow::Result<()> {
        let object = self.expect(&config_map(namespace, "settings")).await?;
        ensure!(object["data"]["value"] == value, "{value} should be applied: {}", object["data"]);
        Ok(())
    }
}

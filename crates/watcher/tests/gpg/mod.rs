//! Somebody's keys, as the real `gpg` makes and uses them.
//!
//! In: arguments. Out: what it printed. Keys have no passphrase, and live in a folder that goes with the value.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, ensure};

/// A folder with keys, in which `gpg` runs.
pub struct Home(tempfile::TempDir);

impl Home {
    /// One without keys.
    pub fn new() -> anyhow::Result<Self> {
        Ok(Self(tempfile::tempdir()?))
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        self.0.path()
    }

    /// What `gpg` prints where it succeeds.
    pub fn gpg(&self, arguments: &[&str]) -> anyhow::Result<String> {
        let output = Command::new("gpg")
            .args(["--batch", "--quiet", "--no-tty", "--pinentry-mode", "loopback", "--passphrase", ""])
            .args(arguments)
            .env("GNUPGHOME", self.path())
            .current_dir(self.path())
            .output()
            .context("failed to run gpg")?;
        ensure!(output.status.success(), "gpg: {}", String::from_utf8_lossy(&output.stderr));
        Ok(String::from_utf8(output.stdout)?)
    }

    /// A new key of Ada's: its algorithm, what it may do and how long it lasts. Its fingerprint.
    pub fn key(&self, [algorithm, usage, lasts]: [&str; 3]) -> anyhow::Result<String> {
        let make =
            ["--status-fd", "1", "--quick-generate-key", "Ada <ada@example.com>", algorithm, usage, lasts];
        let told = self.gpg(&make)?;
        let id = told.lines().find_map(|line| Some(line.split_once("KEY_CREATED P ")?.1.trim()));
        Ok(id.context("no key was made")?.to_owned())
    }

    /// The public keys.
    pub fn exported(&self) -> anyhow::Result<String> {
        self.gpg(&["--armor", "--export"])
    }
}

//! Git over SSH: the real OpenSSH server, which lets in one key and runs nothing but Git.
//!
//! In: a folder for its keys. Out: the private key to give to Ithaca, and the line by which the server is known.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;
use tokio::process::{Child, Command};

use crate::{port, wait_until};

/// Where Debian installs it: not on the path of users.
const SSHD: &str = "/usr/sbin/sshd";
/// Where a server that runs as root wants to change to; the system makes it when it starts.
const ROOT_NEEDS: &str = "/run/sshd";

/// The running server; it ends when this is dropped.
pub struct SshServer {
    /// The private key that it lets in.
    pub key: String,
    /// Its line for known hosts.
    pub known_host: String,
    user: String,
    port: u16,
    _process: Child,
}

impl SshServer {
    /// Starts a server with new keys.
    ///
    /// # Errors
    /// When the package openssh-server is missing.
    pub async fn start(folder: &Path) -> anyhow::Result<Self> {
        std::fs::create_dir_all(folder)?;
        let (host, client) = (keygen(folder, "host").await?, keygen(folder, "client").await?);
        let port = port::free()?;
        let config = folder.join("config");
        let text = format!(
            "Port {port}\nListenAddress 127.0.0.1\nHostKey {}\nAuthorizedKeysFile {}.pub\nPidFile none\n\
             StrictModes no\nUsePAM no\nPasswordAuthentication no\nKbdInteractiveAuthentication no\n\
             PermitRootLogin yes\nForceCommand git shell -c \"$SSH_ORIGINAL_COMMAND\"\n",
            host.display(),
            client.display(),
        );
        std::fs::write(&config, text)?;
        // Who is not root cannot make it, and need not.
        let _ = std::fs::create_dir_all(ROOT_NEEDS);
        let log = std::fs::File::create(folder.join("sshd.log"))?;
        let process = Command::new(SSHD)
            .args(["-D", "-e", "-f"])
            .arg(&config)
            .stderr(log)
            .kill_on_drop(true)
            .spawn()
            .context("failed to start sshd: install the Debian package openssh-server")?;
        wait_until("sshd answers", Duration::from_secs(20), async || {
            tokio::net::TcpStream::connect(("127.0.0.1", port)).await?;
            Ok(())
        })
        .await?;
        let user = Command::new("id").arg("-un").output().await?;
        let public = std::fs::read_to_string(host.with_extension("pub"))?;
        Ok(Self {
            key: std::fs::read_to_string(client)?,
            known_host: format!("[127.0.0.1]:{port} {public}"),
            user: String::from_utf8(user.stdout)?.trim().to_owned(),
            port,
            _process: process,
        })
    }

    /// The URL of a bare repository on this machine.
    #[must_use]
    pub fn url(&self, bare: &Path) -> String {
        format!("ssh://{}@127.0.0.1:{}{}", self.user, self.port, bare.display())
    }
}

async fn keygen(folder: &Path, name: &str) -> anyhow::Result<PathBuf> {
    let file = folder.join(name);
    let mut command = Command::new("ssh-keygen");
    let status = command
        .args(["-q", "-t", "ed25519", "-N", "", "-C", "", "-f"])
        .arg(&file)
        .status()
        .await
        .context("failed to start ssh-keygen")?;
    anyhow::ensure!(status.success(), "failed to make a key at {}", file.display());
    Ok(file)
}

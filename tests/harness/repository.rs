//! A repository as its owner sees it: a working clone to write, commit and push.

use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use tokio::process::Command;

use crate::GitServer;

/// A working clone on branch `main`.
pub struct Repository {
    /// What Applications name as their `repoURL`.
    pub url: String,
    /// The bare repository that the server serves.
    pub bare: PathBuf,
    /// The working tree.
    pub folder: PathBuf,
}

impl Repository {
    /// Makes an empty repository on the server and a clone of it below `clones`.
    ///
    /// # Errors
    /// When Git fails.
    pub async fn create(server: &GitServer, clones: &Path, name: &str) -> anyhow::Result<Self> {
        let bare = server.create(name).await?;
        let folder = clones.join(name);
        std::fs::create_dir_all(clones)?;
        let repository = Self { url: server.repository_url(name), bare, folder };
        let folder = repository.folder.display().to_string();
        run(&["clone", "--quiet", &repository.url, &folder]).await?;
        repository.git(&["config", "user.name", "Ada Tester"]).await?;
        repository.git(&["config", "user.email", "ada@example.com"]).await?;
        repository.git(&["checkout", "--quiet", "-B", "main"]).await?;
        Ok(repository)
    }

    /// Writes a file; folders are made as needed.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn write(&self, path: &str, text: &str) -> anyhow::Result<()> {
        let path = self.folder.join(path);
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)?;
        }
        std::fs::write(&path, text).with_context(|| format!("failed to write {}", path.display()))
    }

    /// The text of a file.
    ///
    /// # Errors
    /// When it is not there.
    pub fn read(&self, path: &str) -> anyhow::Result<String> {
        let path = self.folder.join(path);
        std::fs::read_to_string(&path).with_context(|| format!("failed to read {}", path.display()))
    }

    /// Removes a file or a folder.
    ///
    /// # Errors
    /// When it is not there.
    pub fn remove(&self, path: &str) -> anyhow::Result<()> {
        let path = self.folder.join(path);
        let removed =
            if path.is_dir() { std::fs::remove_dir_all(&path) } else { std::fs::remove_file(&path) };
        removed.with_context(|| format!("failed to remove {}", path.display()))
    }

    /// Commits everything and returns the commit's id.
    ///
    /// # Errors
    /// When nothing has changed.
    pub async fn commit(&self, message: &str) -> anyhow::Result<String> {
        self.git(&["add", "--all"]).await?;
        self.git(&["commit", "--quiet", "--message", message]).await?;
        self.head().await
    }

    /// Commits everything and pushes it; the webhook tells Ithaca at once.
    ///
    /// # Errors
    /// As [`Repository::commit`] and [`Repository::push`].
    pub async fn publish(&self, message: &str) -> anyhow::Result<String> {
        let commit = self.commit(message).await?;
        self.push().await?;
        Ok(commit)
    }

    /// Undoes the last commit with a new one, and returns its id.
    ///
    /// # Errors
    /// When Git fails.
    pub async fn revert(&self) -> anyhow::Result<String> {
        self.git(&["revert", "--no-edit", "HEAD"]).await?;
        self.head().await
    }

    /// Pushes `main` to the server, which tells its webhook.
    ///
    /// # Errors
    /// When Git fails.
    pub async fn push(&self) -> anyhow::Result<()> {
        self.git(&["push", "--quiet", "origin", "main"]).await?;
        Ok(())
    }

    /// Pushes `main` without any webhook.
    ///
    /// # Errors
    /// When Git fails.
    pub async fn push_silently(&self) -> anyhow::Result<()> {
        let bare = self.bare.display().to_string();
        self.git(&["push", "--quiet", &bare, "main"]).await?;
        Ok(())
    }

    /// The id of the last commit.
    ///
    /// # Errors
    /// When there is none.
    pub async fn head(&self) -> anyhow::Result<String> {
        Ok(self.git(&["rev-parse", "HEAD"]).await?.trim().to_owned())
    }

    /// Any other Git command, run in the working tree.
    ///
    /// # Errors
    /// When it fails, with what it says.
    pub async fn git(&self, arguments: &[&str]) -> anyhow::Result<String> {
        let folder = self.folder.display().to_string();
        run(&[&["-C", &folder], arguments].concat()).await
    }
}

async fn run(arguments: &[&str]) -> anyhow::Result<String> {
    let output = Command::new("git")
        .args(arguments)
        .env("GIT_TERMINAL_PROMPT", "0")
        .output()
        .await
        .context("failed to start git")?;
    ensure!(
        output.status.success(),
        "failed to run git {}: {}",
        arguments.join(" "),
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(String::from_utf8(output.stdout)?)
}

//! The programs of `tests/tools`: built once per list of versions, found by name.
//!
//! In: `go.mod` and `go.sum` of a module. Out: a folder of its programs below `target/tools`.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context;
use sha2::{Digest, Sha256};

use crate::{Progress, built};

/// What the programs are linked with. Without it Kubernetes' programs and their clients believe in v0.0.0.
pub const LINKER_FLAGS: &str = "-s -w \
    -X k8s.io/component-base/version.gitVersion=v1.37.2 \
    -X k8s.io/component-base/version.gitMajor=1 \
    -X k8s.io/component-base/version.gitMinor=37";

/// The compose parser's package is called `cmd`, and so is the program that Go makes of it.
const RENAMED: (&str, &str) = ("cmd", "compose-go");

/// The folder of the built programs of one module.
#[derive(Clone, Debug)]
pub struct Tools {
    folder: PathBuf,
}

impl Tools {
    /// The control plane, NATS, helm and kustomize: built, or found built.
    ///
    /// # Errors
    /// When Go is missing or a program does not build; the message ends with what the compiler said.
    pub fn build(progress: &Progress) -> anyhow::Result<Self> {
        Self::of("tests/tools", "the control plane, NATS, helm and kustomize", progress)
    }

    /// The programs that check what is in `deploy`: built, or found built.
    ///
    /// # Errors
    /// As [`Tools::build`].
    pub fn checks(progress: &Progress) -> anyhow::Result<Self> {
        Self::of("tests/tools/checks", "Prometheus, kubeconform and the compose parser", progress)
    }

    /// The programs that hold and make what sources are: built, or found built.
    ///
    /// # Errors
    /// As [`Tools::build`].
    pub fn sources(progress: &Progress) -> anyhow::Result<Self> {
        Self::of("tests/tools/sources", "the OCI registry, sops, age and cosign", progress)
    }

    fn of(module: &str, programs: &str, progress: &Progress) -> anyhow::Result<Self> {
        let module = repository_root().join(module);
        let folder = target_folder().join("tools").join(key(&module)?);
        built::once(&folder, |unfinished| {
            progress.step(&format!("building {programs} with Go"));
            install(&module, unfinished, progress).context("failed to build the tools")
        })?;
        Ok(Self { folder })
    }

    /// The folder that holds all programs.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Where a program is, by the name in `tests/tools/README.md`.
    #[must_use]
    pub fn path(&self, program: &str) -> PathBuf {
        self.folder.join(program)
    }
}

/// The folder of the workspace's `Cargo.toml`.
#[must_use]
pub fn repository_root() -> PathBuf {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    package.parent().unwrap_or(package).to_path_buf()
}

/// Cargo's target folder.
#[must_use]
pub fn target_folder() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR")
        .map_or_else(|| repository_root().join("target"), |folder| repository_root().join(folder))
}

fn key(module: &Path) -> anyhow::Result<String> {
    let mut hash = Sha256::new();
    for name in ["go.mod", "go.sum"] {
        let path = module.join(name);
        let content = std::fs::read(&path).with_context(|| format!("failed to read {}", path.display()))?;
        hash.update(content);
    }
    hash.update(LINKER_FLAGS);
    Ok(hex::encode(&hash.finalize()[..8]))
}

fn install(module: &Path, folder: &Path, progress: &Progress) -> anyhow::Result<()> {
    let mut go = Command::new("go");
    go.args(["install", "-v", "-trimpath", "-ldflags", LINKER_FLAGS, "tool"])
        .current_dir(module)
        .env("GOBIN", folder)
        .env("CGO_ENABLED", "1");
    built::run(&mut go, progress).context("Go 1.26 or later is needed")?;
    let (made, name) = RENAMED;
    if folder.join(made).is_file() {
        std::fs::rename(folder.join(made), folder.join(name))?;
    }
    Ok(())
}

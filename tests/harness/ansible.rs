//! Ansible in a Python environment of its own: built once per list of packages.
//!
//! In: `python3` and the lists in `tests/tools/ansible`. Out: a folder below `target/ansible`, and `ansible-playbook` in it.
//! Nothing is installed on the machine, and nothing that is installed there is used.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context;
use sha2::{Digest, Sha256};

use crate::{Progress, built, repository_root, target_folder};

/// The packages, as pip reads them.
const PACKAGES: &str = "tests/tools/ansible/requirements.txt";
/// The package that holds the collections.
const COLLECTIONS: &str = "tests/tools/ansible/collections.txt";

/// Takes one collection out of the package of all: the others are half a gigabyte.
const UNPACK: &str = "
import pathlib, sys, sysconfig, zipfile
wheel, = pathlib.Path(sys.argv[1]).glob('*.whl')
with zipfile.ZipFile(wheel) as package:
    wanted = [name for name in package.namelist() if name.startswith('ansible_collections/kubernetes/core/')]
    package.extractall(sysconfig.get_path('purelib'), wanted)
";

/// A Python environment that holds Ansible and the collection `kubernetes.core`.
#[derive(Clone, Debug)]
pub struct Ansible {
    folder: PathBuf,
}

impl Ansible {
    /// The environment: built, or found built.
    ///
    /// # Errors
    /// When Python is missing or a package cannot be had; the message ends with what pip said.
    pub fn build(progress: &Progress) -> anyhow::Result<Self> {
        let folder = target_folder().join("ansible").join(key()?);
        built::once(&folder, |unfinished| {
            progress.step("installing Ansible with pip");
            install(unfinished, progress).context("failed to install Ansible")
        })?;
        Ok(Self { folder })
    }

    /// Python in which modules find what they import.
    #[must_use]
    pub fn python(&self) -> PathBuf {
        python(&self.folder)
    }

    /// One of Ansible's programs: `playbook` is `ansible-playbook`.
    ///
    /// The scripts in the environment name the folder that it was made in, so they are not used.
    #[must_use]
    pub fn program(&self, name: &str) -> tokio::process::Command {
        let mut command = tokio::process::Command::new(self.python());
        command.args(["-m", "ansible", name]).kill_on_drop(true);
        command
    }
}

fn python(folder: &Path) -> PathBuf {
    folder.join("bin/python")
}

/// What the environment is made of: the lists, and the Python that it belongs to.
fn key() -> anyhow::Result<String> {
    let mut hash = Sha256::new();
    for list in [PACKAGES, COLLECTIONS] {
        let path = repository_root().join(list);
        let content = std::fs::read(&path).with_context(|| format!("failed to read {}", path.display()))?;
        hash.update(content);
    }
    let whose =
        Command::new("python3").args(["-c", "import sys; print(sys.version, sys.base_prefix)"]).output();
    hash.update(whose.context("failed to start python3: install the Debian package python3-venv")?.stdout);
    hash.update(UNPACK);
    Ok(hex::encode(&hash.finalize()[..8]))
}

fn install(folder: &Path, progress: &Progress) -> anyhow::Result<()> {
    let root = repository_root();
    let downloads = folder.join("downloads");
    built::run(Command::new("python3").args(["-m", "venv"]).arg(folder), progress)?;
    let pip = |command: &str| {
        let mut pip = Command::new(python(folder));
        pip.args(["-m", "pip", command, "--disable-pip-version-check", "--no-input"]);
        pip
    };
    built::run(pip("install").arg("--requirement").arg(root.join(PACKAGES)), progress)?;
    // Its newest version asks for a newer Python, which the one collection that is used does not.
    let collections = ["--no-deps", "--ignore-requires-python", "--only-binary=:all:"];
    let mut download = pip("download");
    download.args(collections).arg("--dest").arg(&downloads).arg("--requirement").arg(root.join(COLLECTIONS));
    built::run(&mut download, progress)?;
    built::run(Command::new(python(folder)).args(["-c", UNPACK]).arg(&downloads), progress)?;
    std::fs::remove_dir_all(&downloads).with_context(|| format!("failed to remove {}", downloads.display()))
}

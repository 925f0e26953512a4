//! Both images as a registry would hold them, made without a container engine.
//!
//! In: the binary, helm and kustomize, `root.sh`, and what the Dockerfile says. Out: for each target the unpacked root
//! filesystem and the runtime's configuration, as umoci makes them of the image: what a runtime is given anywhere.

use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, ensure};
use ithaca_tests::{Progress, Tools, binary, empty, repository_root, target_folder};
use serde_json::Value;
use tokio::sync::OnceCell;

use super::dockerfile::Image;

/// In the order in which they stand on each other.
pub const TARGETS: [&str; 2] = ["ithaca", "ithaca-renderer"];

/// The unpacked images.
pub struct Packed {
    folder: PathBuf,
}

impl Packed {
    /// Made once for all tests.
    pub async fn shared() -> anyhow::Result<&'static Self> {
        static SHARED: OnceCell<Result<Packed, String>> = OnceCell::const_new();
        let make = async || Self::make().map_err(|error| format!("{error:#}"));
        let packed = SHARED.get_or_init(make).await.as_ref();
        packed.map_err(|error| anyhow::anyhow!("{error}"))
    }

    /// The root filesystem of a target. It is shared: run it read-only.
    pub fn root(&self, target: &str) -> PathBuf {
        self.folder.join(target).join("rootfs")
    }

    /// How a runtime is to start a target, by the OCI runtime specification.
    pub fn config(&self, target: &str) -> anyhow::Result<Value> {
        let path = self.folder.join(target).join("config.json");
        let text = std::fs::read(&path).with_context(|| format!("failed to read {}", path.display()))?;
        Ok(serde_json::from_slice(&text)?)
    }

    fn make() -> anyhow::Result<Self> {
        // Stacks are removed by the next run, and so is this.
        let folder = target_folder().join(format!("stacks/{}-images", std::process::id()));
        empty(&folder)?;
        let packed = Self { folder };
        packed.gather_programs()?;
        packed.umoci(&["init", "--layout", "layout"])?;
        packed.umoci(&["new", "--image", "layout:scratch"])?;
        let mut base = "scratch";
        let mut layers = 0;
        for target in TARGETS {
            let image = Image::of(target)?;
            packed.umoci(&["tag", "--image", &format!("layout:{base}"), target])?;
            for programs in &image.layers[layers..] {
                packed.add_layer(target, programs)?;
            }
            packed.configure(target, &image)?;
            packed.umoci(&["unpack", "--image", &format!("layout:{target}"), target])?;
            (base, layers) = (target, image.layers.len());
        }
        Ok(packed)
    }

    /// Every program under the name that the Dockerfile's build stages give it.
    fn gather_programs(&self) -> anyhow::Result<()> {
        let tools = Tools::build(&Progress::silent())?;
        let programs = self.folder.join("programs");
        std::fs::create_dir(&programs)?;
        symlink(std::path::absolute(binary()?)?, programs.join("ithaca"))?;
        for name in ["helm", "kustomize"] {
            symlink(tools.path(name), programs.join(name))?;
        }
        Ok(())
    }

    fn add_layer(&self, target: &str, programs: &[String]) -> anyhow::Result<()> {
        let root = format!("root-{target}");
        let mut script = Command::new(repository_root().join("deploy/image/root.sh"));
        script.arg(&root).args(programs.iter().map(|name| format!("programs/{name}")));
        run(script.current_dir(&self.folder))?;
        self.umoci(&["insert", "--image", &format!("layout:{target}"), &root, "/"])
    }

    fn configure(&self, target: &str, image: &Image) -> anyhow::Result<()> {
        let name = format!("layout:{target}");
        let mut arguments = vec!["config", "--image", &name, "--config.user", &image.user];
        let lists = [
            ("--config.entrypoint", &image.entrypoint),
            ("--config.env", &image.environment),
            ("--config.label", &image.labels),
            ("--config.exposedports", &image.ports),
        ];
        for (flag, values) in lists {
            arguments.extend(values.iter().flat_map(|value| [flag, value]));
        }
        self.umoci(&arguments)
    }

    fn umoci(&self, arguments: &[&str]) -> anyhow::Result<()> {
        run(Command::new("umoci").args(arguments).current_dir(&self.folder))
    }
}

fn run(command: &mut Command) -> anyhow::Result<()> {
    let program = Path::new(command.get_program()).display().to_string();
    let output = command
        .output()
        .with_context(|| format!("failed to start {program}: is it installed, as README.md says?"))?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{command:?} ended with {}: {said}", output.status);
    Ok(())
}

//! The renderer's arguments, and the tools that they name.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;
use ithaca_api::duration::{DurationError, parse_duration};

use crate::plugin::Plugins;
use crate::render::Renderer;
use crate::sandbox::{self, Limits, Sandbox, arguments};

/// How many revisions are held for each rendering that may run: the others wait for the watcher or the bus.
const HELD_PER_RENDER: usize = 4;

/// What a version may take to be told.
const VERSION_LIMITS: Limits = Limits { time: Duration::from_secs(30), output: 1 << 20, memory: 4 << 30 };

/// Arguments of `ithaca renderer`.
#[derive(Clone, Debug, clap::Args)]
#[group(skip)]
pub struct Args {
    #[command(flatten)]
    #[allow(missing_docs)]
    pub chassis: ithaca_chassis::Args,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub bus: ithaca_bus::Args,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub seal: ithaca_bus::SealArgs,
    /// Address of the watcher's gRPC service
    #[arg(
        long,
        env = "ITHACA_WATCHER_URL",
        default_value = "http://127.0.0.1:8081",
        help_heading = "Renderer"
    )]
    pub watcher_url: String,
    /// The helm program: a path, or a name to be found in PATH
    #[arg(long, env = "ITHACA_HELM", default_value = "helm", help_heading = "Renderer")]
    pub helm: PathBuf,
    /// The kustomize program: a path, or a name to be found in PATH
    #[arg(long, env = "ITHACA_KUSTOMIZE", default_value = "kustomize", help_heading = "Renderer")]
    pub kustomize: PathBuf,
    /// Other versions of kustomize for Applications that ask for one, as `v5.4.3=/programs/kustomize`
    #[arg(long, env = "ITHACA_KUSTOMIZE_VERSIONS", value_delimiter = ',', value_parser = version, help_heading = "Renderer")]
    pub kustomize_versions: Vec<(String, PathBuf)>,
    /// Folder for the private folders of helm and kustomize
    #[arg(long, env = "ITHACA_WORK_DIR", default_value_os_t = std::env::temp_dir().join("ithaca-renderer"), help_heading = "Renderer")]
    pub work_dir: PathBuf,
    /// Folder of the plugins: each has a folder of its name there, with its socket plugin.sock
    #[arg(
        long,
        env = "ITHACA_PLUGINS",
        default_value = "/var/run/ithaca/plugins",
        help_heading = "Renderer"
    )]
    pub plugins: PathBuf,
    /// Renderings at once; 0 takes as many as there are processors
    #[arg(long, env = "ITHACA_RENDERS", default_value_t = 0, help_heading = "Renderer")]
    pub renders: usize,
    /// How long one run of helm or kustomize, or one answer of a plugin, may take
    #[arg(long, env = "ITHACA_RENDER_TIME_LIMIT", default_value = "30s", value_parser = duration, help_heading = "Renderer")]
    pub render_time_limit: Duration,
    /// What one run may print, write to a file, or give as manifests of an application, and what a plugin may give, in MiB
    #[arg(long, env = "ITHACA_RENDER_OUTPUT_MAX_MIB", default_value_t = 64, help_heading = "Renderer")]
    pub render_output_max_mib: u32,
    /// Address space of one run, in MiB; helm reserves more than 1 GiB without using it
    #[arg(long, env = "ITHACA_RENDER_MEMORY_MAX_MIB", default_value_t = 4096, help_heading = "Renderer")]
    pub render_memory_max_mib: u32,
    /// What the sources of one application may hold, in MiB
    #[arg(long, env = "ITHACA_CONTENT_MAX_MIB", default_value_t = 128, help_heading = "Renderer")]
    pub content_max_mib: u32,
    /// Rendered manifests (compressed) that are kept in memory, in MiB
    #[arg(long, env = "ITHACA_RENDER_CACHE_MIB", default_value_t = 8, help_heading = "Renderer")]
    pub render_cache_mib: u32,
}

fn duration(text: &str) -> Result<Duration, DurationError> {
    parse_duration(text)
}

fn version(text: &str) -> Result<(String, PathBuf), &'static str> {
    match text.trim().split_once('=') {
        Some((version, program)) if !version.is_empty() => Ok((version.to_owned(), program.into())),
        _ => Err("it is not version=program"),
    }
}

fn bytes(mib: u32) -> u64 {
    u64::from(mib) << 20
}

impl Args {
    /// Renderings at once.
    pub fn parallel(&self) -> usize {
        match self.renders {
            0 => std::thread::available_parallelism().map_or(2, std::num::NonZero::get),
            renders => renders,
        }
    }

    /// Revisions that are held at once.
    pub fn held(&self) -> usize {
        self.parallel() * HELD_PER_RENDER
    }

    /// Bytes of files that the sources of one application may hold.
    pub fn content_limit(&self) -> u64 {
        bytes(self.content_max_mib)
    }

    /// Bytes of rendered manifests that are kept in memory.
    pub fn cache_limit(&self) -> u64 {
        bytes(self.render_cache_mib)
    }

    /// Finds the tools and prepares their folder.
    ///
    /// # Errors
    /// When a tool is not there or the folder cannot be made.
    pub fn renderer(&self) -> anyhow::Result<Renderer> {
        sandbox::prepare(&self.work_dir)
            .with_context(|| format!("failed to prepare --work-dir {}", self.work_dir.display()))?;
        let limits = Limits {
            time: self.render_time_limit,
            output: usize::try_from(bytes(self.render_output_max_mib))?,
            memory: bytes(self.render_memory_max_mib),
        };
        let versions = self.kustomize_versions.iter().map(|(version, program)| {
            anyhow::Ok((version.clone(), locate(program, "--kustomize-versions")?))
        });
        Ok(Renderer {
            kustomize_versions: versions.collect::<Result<_, _>>()?,
            helm: locate(&self.helm, "--helm")?,
            kustomize: locate(&self.kustomize, "--kustomize")?,
            ithaca: std::env::current_exe().context("failed to find our own binary")?,
            work_dir: std::path::absolute(&self.work_dir)?,
            plugins: Plugins::new(self.plugins.clone(), limits, self.held()),
            limits,
        })
    }
}

/// What the tools say of their versions: another version may render the same input otherwise.
/// The version that kustomize has is one that an Application may ask for.
///
/// # Errors
/// When a tool does not run.
pub async fn tool_versions(renderer: &mut Renderer) -> anyhow::Result<String> {
    let sandbox = Sandbox::create(&renderer.work_dir, VERSION_LIMITS)?;
    let ask = async |program: &Path, command: &[OsString]| {
        let answer = sandbox.run(program, command).await;
        let answer =
            answer.with_context(|| format!("failed to ask {} for its version", program.display()))?;
        anyhow::Ok(String::from_utf8_lossy(&answer).trim().to_owned())
    };
    let helm = ask(&renderer.helm, &arguments([&"version", &"--short"])).await?;
    let kustomize = ask(&renderer.kustomize, &arguments([&"version"])).await?;
    let mut versions = format!("helm {helm}, kustomize {kustomize}");
    for (name, program) in &renderer.kustomize_versions {
        let version = ask(program, &arguments([&"version"])).await?;
        versions.push_str(&format!(", kustomize {name} {version}"));
    }
    renderer.kustomize_versions.entry(kustomize).or_insert_with(|| renderer.kustomize.clone());
    Ok(versions)
}

/// The program's own path: children get no PATH to find it in.
fn locate(program: &Path, argument: &str) -> anyhow::Result<PathBuf> {
    let is_name = program.components().count() == 1 && !program.has_root();
    let candidates: Vec<PathBuf> = match std::env::var_os("PATH") {
        Some(path) if is_name => std::env::split_paths(&path).map(|folder| folder.join(program)).collect(),
        _ => vec![program.to_owned()],
    };
    let found = candidates.into_iter().find(|candidate| candidate.is_file());
    let found = found.with_context(|| {
        format!("failed to find {}: install it, or say where it is with {argument}", program.display())
    })?;
    Ok(std::path::absolute(found)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_is_found_by_name_or_path_or_named_in_the_error() {
        assert!(locate(Path::new("sh"), "--helm").is_ok_and(|path| path.is_absolute()));
        assert!(locate(Path::new("/bin/sh"), "--helm").is_ok());
        let error = locate(Path::new("no-such-program"), "--helm").expect_err("not there").to_string();
        assert_eq!(error, "failed to find no-such-program: install it, or say where it is with --helm");
    }
}

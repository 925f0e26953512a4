//! A private folder in which a program runs: a tree and a command line come in, the program's output goes out.
//!
//! The program sees an environment of our making, no terminal, no credentials and no proxy that leads anywhere. Time,
//! memory, file sizes and output are bounded, a fence holds it in its folder, and it dies with all its children when it
//! passes a bound or when nobody waits for it any more. The folder is gone with the `Sandbox`.

mod error;
mod fence;
mod words;

use std::ffi::{OsStr, OsString};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use ithaca_api::source::REMOTE_VALUE_FILES;
use rustix::process::{Pid, Resource, Rlimit, Signal, kill_process_group, prlimit};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::{Child, Command};

pub use self::error::SandboxError;
use crate::tree::{Entry, Tree};

/// How the names of private folders begin; the id of the process that made them follows.
const PREFIX: &str = "render-";

/// Bytes of standard error that are kept to explain a failure; what follows is read and dropped.
const MAX_ERRORS: usize = 256 * 1024;

/// A proxy address where nothing listens: whatever a program wants to fetch fails at once.
const NOWHERE: &str = "http://127.0.0.1:9";

/// Where programs in Go begin to collect garbage.
const GO_MEMORY: &str = "256MiB";

/// What a program may use.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Time on the clock.
    pub time: Duration,
    /// Bytes of output, and of each file that it writes.
    pub output: usize,
    /// Bytes of address space.
    pub memory: u64,
}

/// A private folder and its limits.
#[derive(Debug)]
pub struct Sandbox {
    folder: tempfile::TempDir,
    limits: Limits,
}

impl Sandbox {
    /// Makes an empty private folder in `parent`, which must exist.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn create(parent: &Path, limits: Limits) -> Result<Self, SandboxError> {
        let prefix = format!("{PREFIX}{}-", std::process::id());
        // Without links, as programs tell of paths: so `hide` finds them.
        let parent = parent.canonicalize().map_err(SandboxError::Folder)?;
        let folder =
            tempfile::Builder::new().prefix(&prefix).tempdir_in(parent).map_err(SandboxError::Folder)?;
        for name in ["home", "tmp"] {
            std::fs::create_dir(folder.path().join(name)).map_err(SandboxError::Folder)?;
        }
        Ok(Self { folder, limits })
    }

    /// Where `path` of this folder is on the disk.
    pub fn path(&self, path: &str) -> PathBuf {
        self.folder.path().join(path)
    }

    /// Writes `data` to the file `path`, a plain path in this folder.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn write(&self, path: &str, data: &[u8]) -> Result<PathBuf, SandboxError> {
        let path = self.path(path);
        write(&path, data).map_err(SandboxError::Folder)?;
        Ok(path)
    }

    /// Writes `data` to the file `path` as `write` does, but not through a link that is there.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn replace(&self, path: &str, data: &[u8]) -> Result<PathBuf, SandboxError> {
        match std::fs::remove_file(self.path(path)) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(SandboxError::Folder(error)),
            _ => self.write(path, data),
        }
    }

    /// Writes all of `tree` below the folder `name`, but for what its renderer alone is to see.
    ///
    /// # Errors
    /// When a link leads out of the tree, or the disk refuses.
    pub fn materialise(&self, name: &str, tree: &Tree) -> Result<(), SandboxError> {
        let own = tree.entries().filter(|(path, _)| !path.starts_with(REMOTE_VALUE_FILES));
        for (path, entry) in own {
            match entry {
                Entry::File { data, executable } => {
                    let place = self.path(&format!("{name}/{path}"));
                    write(&place, data).map_err(|error| SandboxError::of_file(path, false, error))?;
                    if *executable {
                        make_executable(&place).map_err(SandboxError::Folder)?;
                    }
                }
                Entry::Link(target) => {
                    // Once no link leads out by itself, none does together with others.
                    tree.resolve(path)?;
                    let place = self.path(&format!("{name}/{path}"));
                    let link = || {
                        std::fs::create_dir_all(place.parent().unwrap_or(Path::new("/")))?;
                        std::os::unix::fs::symlink(target, &place)
                    };
                    // Git keeps a link to no name, and no system does.
                    link().map_err(|error| SandboxError::of_file(path, target.is_empty(), error))?;
                }
            }
        }
        Ok(())
    }

    /// Runs `program` with this folder as its own and returns what it printed. Dropping the future kills it.
    ///
    /// # Errors
    /// When it cannot be started, fails, or passes a limit.
    pub async fn run(&self, program: &Path, arguments: &[OsString]) -> Result<Vec<u8>, SandboxError> {
        self.run_with(program, &[], arguments).await
    }

    /// Runs `program` as `run` does; it may run `others`.
    ///
    /// # Errors
    /// As `run`.
    pub async fn run_with(
        &self,
        program: &Path,
        others: &[&Path],
        arguments: &[OsString],
    ) -> Result<Vec<u8>, SandboxError> {
        let name = program.file_name().unwrap_or(program.as_os_str()).to_string_lossy().into_owned();
        let failed = |cause| SandboxError::Start { program: name.clone(), cause };
        let programs = [&[program], others].concat();
        let mut command = self.command(program, arguments);
        let child = fence::spawn(&mut command, self.folder.path(), &programs);
        let mut child = child.map_err(|cause| match cause.kind() {
            // The system's bound, or a character that ends every text for it.
            ErrorKind::ArgumentListTooLong | ErrorKind::InvalidInput => {
                SandboxError::Arguments { program: name.clone(), cause }
            }
            _ => failed(cause),
        })?;
        let group = Group::of(&child);
        self.limit(&group).map_err(failed)?;
        let stdout = read(child.stdout.take(), self.limits.output, AtLimit::Stop);
        let stderr = read(child.stderr.take(), MAX_ERRORS, AtLimit::Drop);
        let work = async {
            let read = async { tokio::try_join!(stdout, stderr) };
            let (output, errors) = match read.await {
                Ok(read) => read,
                Err(Unread::TooLong) => {
                    return Err(SandboxError::Output { program: name.clone(), limit: self.limits.output });
                }
                Err(Unread::Failed(error)) => return Err(failed(error)),
            };
            let status = child.wait().await.map_err(failed)?;
            Ok((output, errors, status))
        };
        let (output, errors, status) = tokio::time::timeout(self.limits.time, work)
            .await
            .map_err(|_| SandboxError::Time { program: name.clone(), time: self.limits.time })??;
        group.has_ended();
        if status.success() {
            return Ok(output);
        }
        Err(self.judge(name, status, &String::from_utf8_lossy(&errors)))
    }

    /// A text without the paths of this machine, as the user knows the files.
    pub fn hide(&self, text: &str) -> String {
        let folder = self.folder.path().to_string_lossy();
        text.replace(&format!("{folder}/"), "").replace(&*folder, "")
    }

    fn command(&self, program: &Path, arguments: &[OsString]) -> Command {
        let mut command = Command::new(program);
        command
            .args(arguments)
            .env_clear()
            .env("HOME", self.path("home"))
            .env("TMPDIR", self.path("tmp"))
            // An empty PATH is one that finds nothing, Git included.
            .env("PATH", self.path("home"))
            .env("HTTP_PROXY", NOWHERE)
            .env("HTTPS_PROXY", NOWHERE)
            // Programs in Go live too briefly to collect their garbage before there is much of it.
            .env("GOGC", "off")
            .env("GOMEMLIMIT", GO_MEMORY)
            .current_dir(self.folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true);
        command
    }

    /// Bounds what the clock and the pipes do not.
    fn limit(&self, group: &Group) -> std::io::Result<()> {
        let seconds = self.limits.time.as_secs().saturating_mul(4).max(1);
        let limits = [
            (Resource::As, self.limits.memory),
            (Resource::Cpu, seconds),
            (Resource::Fsize, self.limits.output as u64),
            (Resource::Nofile, 1024),
            (Resource::Core, 0),
        ];
        for (resource, limit) in limits {
            let limit = Rlimit { current: Some(limit), maximum: Some(limit) };
            match prlimit(group.0, resource, limit) {
                // A program that has ended already needs no limit.
                Ok(_) | Err(rustix::io::Errno::SRCH) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    fn judge(&self, program: String, status: std::process::ExitStatus, errors: &str) -> SandboxError {
        use std::os::unix::process::ExitStatusExt;
        if words::is_out_of_memory(errors) {
            return SandboxError::Memory { program, limit: self.limits.memory };
        }
        if let Some(signal) = status.signal() {
            return SandboxError::Killed { program, signal };
        }
        // Paths go first, so that none is cut in two.
        let message = words::telling(&self.hide(errors));
        let silent = || format!("{program} failed without a word ({status})");
        SandboxError::Failed { message: message.unwrap_or_else(silent) }
    }
}

/// Makes `parent` ready for private folders: it exists, and what a process that was killed left there is gone.
///
/// # Errors
/// When the disk refuses.
pub fn prepare(parent: &Path) -> std::io::Result<()> {
    std::fs::create_dir_all(parent)?;
    for entry in std::fs::read_dir(parent)? {
        let entry = entry?;
        let name = entry.file_name();
        let owner =
            name.to_str().and_then(|name| name.strip_prefix(PREFIX)?.split_once('-')).map(|(id, _)| id);
        // A folder that bears our own id is from another life: ids begin anew in each container.
        let is_left =
            |id: &str| id == std::process::id().to_string() || !Path::new("/proc").join(id).exists();
        if owner.is_some_and(is_left) {
            std::fs::remove_dir_all(entry.path())?;
        }
    }
    Ok(())
}

/// A child's process group, killed when dropped before the child's end was seen.
struct Group(Option<Pid>);

impl Group {
    fn of(child: &Child) -> Self {
        Self(child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw))
    }

    fn has_ended(mut self) {
        self.0 = None;
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(group) = self.0 {
            // It may have ended by itself.
            let _ = kill_process_group(group, Signal::KILL);
        }
    }
}

enum AtLimit {
    Stop,
    Drop,
}

enum Unread {
    TooLong,
    Failed(std::io::Error),
}

async fn read(
    pipe: Option<impl AsyncRead + Unpin>,
    limit: usize,
    at_limit: AtLimit,
) -> Result<Vec<u8>, Unread> {
    let Some(mut pipe) = pipe else { return Ok(Vec::new()) };
    let mut kept = Vec::new();
    let mut chunk = vec![0; 32 * 1024];
    loop {
        match pipe.read(&mut chunk).await {
            Ok(0) => return Ok(kept),
            Ok(count) => {
                let room = limit - kept.len();
                if count > room && matches!(at_limit, AtLimit::Stop) {
                    return Err(Unread::TooLong);
                }
                kept.extend_from_slice(&chunk[..count.min(room)]);
            }
            Err(error) => return Err(Unread::Failed(error)),
        }
    }
}

/// Writes a file, and makes the folder that it lies in.
fn write(path: &Path, data: &[u8]) -> std::io::Result<()> {
    std::fs::create_dir_all(path.parent().unwrap_or(Path::new("/")))?;
    std::fs::write(path, data)
}

fn make_executable(path: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755))
}

/// Arguments of a command line from texts and paths alike.
pub(crate) fn arguments<const N: usize>(list: [&dyn AsRef<OsStr>; N]) -> Vec<OsString> {
    list.iter().map(|argument| argument.as_ref().to_owned()).collect()
}

#[cfg(test)]
mod tests;

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
mod tests {
    use super::*;
    use bytes::Bytes;

    const LIMITS: Limits = Limits { time: Duration::from_secs(20), output: 1 << 20, memory: 1 << 30 };

    async fn shell(limits: Limits, script: &str) -> (Sandbox, Result<String, SandboxError>) {
        let sandbox = Sandbox::create(&std::env::temp_dir(), limits).expect("a folder");
        let arguments = arguments([&"-c", &script]);
        let output = sandbox.run(Path::new("/bin/sh"), &arguments).await;
        (sandbox, output.map(|bytes| String::from_utf8(bytes).expect("UTF-8")))
    }

    fn is_alive(pid: &str) -> bool {
        let state = std::fs::read_to_string(format!("/proc/{}/stat", pid.trim())).unwrap_or_default();
        !state.is_empty() && !state.contains(") Z ")
    }

    async fn ends(pid: &str) {
        let deadline = std::time::Instant::now() + Duration::from_secs(10);
        while is_alive(pid) {
            assert!(std::time::Instant::now() < deadline, "process {pid} lives on");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    #[tokio::test]
    async fn a_program_sees_nothing_of_our_environment() {
        let (sandbox, output) = shell(LIMITS, "export -p; pwd; ulimit -c; ulimit -n").await;
        let output = output.expect("it runs");
        assert!(!output.contains("CARGO"), "{output}");
        assert!(output.contains(&format!("HOME='{}'", sandbox.path("home").display())), "{output}");
    }

    #[test]
    fn a_file_that_no_disk_takes_is_the_sources_fault() {
        let file = || Entry::File { data: Bytes::new(), executable: false };
        let link = |target: &str| Entry::Link(target.to_owned());
        for (path, entry) in [
            (format!("a/{}", "x".repeat(256)), file()),
            (format!("{}x", "a/".repeat(2_500)), file()),
            ("a/link".to_owned(), link("")),
            ("a/link".to_owned(), link("x\0y")),
            ("x".repeat(256), link("y")),
        ] {
            let mut tree = Tree::default();
            tree.insert(path, entry).expect("a plain path");
            let sandbox = Sandbox::create(&std::env::temp_dir(), LIMITS).expect("a folder");
            let error = sandbox.materialise("0", &tree).expect_err("not to be written");
            assert!(!error.is_ours() && error.is_certain(), "{error}");
            let told = error.to_string();
            assert!(told.starts_with("failed to write the file \"") && told.len() < 400, "{told}");
        }
    }

    #[tokio::test]
    async fn an_argument_that_no_program_can_be_given_is_nobody_elses_fault() {
        for (argument, told) in [("x".repeat(1 << 18), "too long"), ("a\0b".to_owned(), "nul byte")] {
            let (_, output) = shell(LIMITS, &argument).await;
            let error = output.expect_err("not to be started");
            assert!(!error.is_ours() && error.is_certain(), "{error}");
            assert!(error.to_string().to_lowercase().contains(told), "{error}");
        }
    }

    #[tokio::test]
    async fn a_program_reaches_nothing_but_its_folder() {
        let us = std::process::id();
        let read =
            ["/etc/passwd".to_owned(), format!("/proc/{us}/environ"), format!("/proc/{us}/root/etc/passwd")];
        for path in read {
            let (_, output) = shell(LIMITS, &format!("read -r line < {path} && echo \"$line\"")).await;
            let error = output.expect_err("out of reach").to_string();
            assert!(error.to_lowercase().contains("permission denied"), "{path}: {error}");
        }
        let run = "echo '#!/bin/sh' > mine; /bin/chmod +x mine; ./mine";
        for command in ["echo x > /tmp/ithaca-outside", &format!("kill -0 {us}"), run] {
            let (_, output) = shell(LIMITS, command).await;
            assert!(output.is_err(), "{command}");
        }
        let (_, output) = shell(LIMITS, "echo x > y && read -r line < y && echo \"$line\"").await;
        assert_eq!(output.expect("its own folder"), "x\n");
    }

    #[tokio::test]
    async fn a_failure_is_told_in_the_programs_last_words_without_our_paths() {
        let (_, output) = shell(
            LIMITS,
            "i=0; while [ $i -lt 30 ]; do echo \"line $i in $PWD/x\" >&2; i=$((i+1)); done; exit 3",
        )
        .await;
        let error = output.expect_err("it fails").to_string();
        assert_eq!(error.lines().count(), 20);
        assert!(error.ends_with("line 29 in x"), "{error}");
    }

    #[tokio::test]
    async fn a_program_that_does_not_end_is_killed_with_its_children() {
        let limits = Limits { time: Duration::from_millis(300), ..LIMITS };
        let (sandbox, output) = shell(limits, "/bin/sleep 1000 & echo $! > child; wait").await;
        assert!(matches!(output, Err(SandboxError::Time { .. })), "{output:?}");
        ends(&std::fs::read_to_string(sandbox.path("child")).expect("the child's id")).await;
    }

    #[tokio::test]
    async fn dropping_the_run_kills_the_program() {
        let sandbox = Sandbox::create(&std::env::temp_dir(), LIMITS).expect("a folder");
        let arguments = arguments([&"-c", &"echo $$ > me; /bin/sleep 1000"]);
        let run = sandbox.run(Path::new("/bin/sh"), &arguments);
        let me = sandbox.path("me");
        let started = async {
            while std::fs::read_to_string(&me).unwrap_or_default().is_empty() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::select! {
            output = run => panic!("it ended: {output:?}"),
            () = started => {}
        }
        ends(&std::fs::read_to_string(&me).expect("the id")).await;
    }

    #[tokio::test]
    async fn output_beyond_the_limit_ends_the_program() {
        let limits = Limits { output: 100_000, ..LIMITS };
        let (_, output) = shell(limits, "while :; do echo xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx; done").await;
        let error = output.expect_err("too much").to_string();
        assert_eq!(
            error,
            "sh gave more than the limit of 100000 bytes; the renderer's --render-output-max-mib allows more"
        );
    }

    #[tokio::test]
    async fn files_beyond_the_limit_cannot_be_written() {
        let limits = Limits { output: 100_000, ..LIMITS };
        // The limit comes a moment after the start.
        let script = "until [ \"$(ulimit -f)\" != unlimited ]; do :; done
            while :; do echo xxxxxxxxxxxxxxxxxxxxxxxxx || exit 1; done > file";
        let (sandbox, output) = shell(limits, script).await;
        assert!(output.is_err());
        assert!(std::fs::metadata(sandbox.path("file")).expect("a file").len() <= 100_000);
    }

    #[test]
    fn a_tree_is_written_as_it_is_and_the_folder_goes_with_the_sandbox() {
        let file = |text: &'static str, executable| Entry::File {
            data: Bytes::from_static(text.as_bytes()),
            executable,
        };
        let mut tree = Tree::default();
        for (path, entry) in [("a/b", file("x", true)), ("c", Entry::Link("a/b".to_owned()))] {
            tree.insert(path.to_owned(), entry).expect("a plain path");
        }
        let sandbox = Sandbox::create(&std::env::temp_dir(), LIMITS).expect("a folder");
        sandbox.materialise("source", &tree).expect("it is written");
        assert_eq!(std::fs::read_to_string(sandbox.path("source/c")).expect("the link"), "x");
        let folder = sandbox.path("");
        drop(sandbox);
        assert!(!folder.exists());
    }

    #[test]
    fn folders_of_processes_that_are_gone_are_removed_at_the_start() {
        let parent = tempfile::tempdir().expect("a folder");
        let others = [format!("render-{}-a", std::process::id()), "render-999999999-b".to_owned()];
        let kept = ["render-1-c".to_owned(), "something else".to_owned()];
        for name in others.iter().chain(&kept) {
            std::fs::create_dir(parent.path().join(name)).expect("a folder");
        }
        prepare(parent.path()).expect("it is prepared");
        assert!(others.iter().all(|name| !parent.path().join(name).exists()));
        assert!(kept.iter().all(|name| parent.path().join(name).exists()));
    }

    #[test]
    fn a_link_out_of_the_tree_is_not_written() {
        let mut tree = Tree::default();
        tree.insert("a/out".to_owned(), Entry::Link("../../home".to_owned())).expect("a plain path");
        let sandbox = Sandbox::create(&std::env::temp_dir(), LIMITS).expect("a folder");
        let error = sandbox.materialise("source", &tree).expect_err("it leads out").to_string();
        assert_eq!(error, "the symbolic link \"a/out\" leads out of the repository");
    }
}

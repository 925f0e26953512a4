//! One program of the stack: started, asked whether it is ready, killed, stopped and started again.
//!
//! In: a [`Program`]. Out: a child process with a log file.
//! It dies with the process that started it. It is not started again by itself: see `Stack::supervise`.

use std::fs::File;
use std::io::Write;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use rustix::process::{Pid, Signal, kill_process};

use crate::{spawner, wait_until};

/// How to start a program, and how to see that it is ready.
#[derive(Clone, Debug)]
pub struct Program {
    /// Unique within a stack: `kube-apiserver`, `applier`.
    pub name: String,
    /// The executable.
    pub path: PathBuf,
    /// Its arguments, free ports included: a restart uses them again.
    pub arguments: Vec<String>,
    /// Variables on top of the ones of this process.
    pub environment: Vec<(String, String)>,
    /// Where its standard output and error go; appended to at each start.
    pub log: PathBuf,
    /// What is asked until the program answers.
    pub ready: Ready,
    /// Its Prometheus page.
    pub metrics: Option<String>,
}

/// A question that a program answers once it is ready.
#[derive(Clone, Debug)]
pub enum Ready {
    /// Something listens on this port of 127.0.0.1.
    Listens(u16),
    /// A GET of this URL gives 200; certificates are not checked.
    Answers(String),
    /// Nothing to ask: ready when started.
    Started,
}

/// A program that was started.
pub struct Process {
    program: Program,
    child: Mutex<Option<Child>>,
}

impl Process {
    /// Starts the program and waits until it is ready.
    ///
    /// # Errors
    /// When it does not start, ends at once or is not ready in time, with the last lines of its log.
    pub async fn start(program: Program) -> anyhow::Result<Self> {
        let process = Self { program, child: Mutex::new(None) };
        process.restart().await?;
        Ok(process)
    }

    /// Starts the program again with the arguments it had; stops it first where it runs.
    ///
    /// # Errors
    /// As [`Process::start`].
    pub async fn restart(&self) -> anyhow::Result<()> {
        self.stop().await?;
        self.launch()?;
        self.wait_ready().await
    }

    /// Starts the program without waiting for it, unless it runs.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn launch(&self) -> anyhow::Result<()> {
        let mut child = self.lock();
        if let Some(running) = child.as_mut()
            && running.try_wait()?.is_none()
        {
            return Ok(());
        }
        *child = Some(spawner::spawn(self.command()?)?);
        Ok(())
    }

    /// Waits until the program is ready.
    ///
    /// # Errors
    /// When it ends or is not ready within a minute, with the last lines of its log.
    pub async fn wait_ready(&self) -> anyhow::Result<()> {
        let name = &self.program.name;
        let what = format!("{name} is ready");
        let waited = wait_until(&what, Duration::from_secs(60), async || {
            if self.pid().is_none() {
                // No later answer can be its own: the wait ends with what is known.
                return Ok(false);
            }
            self.program.ready.check().await.map(|()| true)
        })
        .await;
        match waited {
            Ok(true) => Ok(()),
            Ok(false) => bail!("{name} ended before it was ready\n{}", self.log_tail(20)),
            Err(error) => Err(error.context(self.log_tail(20))),
        }
    }

    /// Kills the program at once (SIGKILL) and returns when it is gone.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn kill(&self) -> anyhow::Result<()> {
        let Some(mut child) = self.lock().take() else {
            return Ok(());
        };
        child.kill()?;
        child.wait()?;
        Ok(())
    }

    /// Asks the program to end (SIGTERM) and returns when it is gone; kills it after 15 seconds.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub async fn stop(&self) -> anyhow::Result<()> {
        self.terminate()?;
        let what = format!("{} has stopped", self.program.name);
        let stopped = wait_until(&what, Duration::from_secs(15), async || {
            ensure!(self.pid().is_none(), "it runs");
            Ok(())
        })
        .await;
        if stopped.is_err() {
            self.kill()?;
        }
        Ok(())
    }

    /// Asks the program to end (SIGTERM) and does not wait.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn terminate(&self) -> anyhow::Result<()> {
        self.signal(Signal::TERM)
    }

    /// Lets the program stand still (SIGSTOP): it answers nobody, and nobody is told.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn freeze(&self) -> anyhow::Result<()> {
        self.signal(Signal::STOP)
    }

    /// Lets it go on.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn thaw(&self) -> anyhow::Result<()> {
        self.signal(Signal::CONT)
    }

    fn signal(&self, signal: Signal) -> anyhow::Result<()> {
        if let Some(pid) = self.pid().and_then(|pid| Pid::from_raw(pid.try_into().ok()?)) {
            kill_process(pid, signal)?;
        }
        Ok(())
    }

    /// The process id, while it runs.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        let mut child = self.lock();
        let running = child.as_mut()?;
        running.try_wait().ok()?.is_none().then(|| running.id())
    }

    /// What was started.
    #[must_use]
    pub fn program(&self) -> &Program {
        &self.program
    }

    /// The last lines of its log, with the log's path.
    #[must_use]
    pub fn log_tail(&self, lines: usize) -> String {
        let log = std::fs::read(&self.program.log).unwrap_or_default();
        let log = String::from_utf8_lossy(&log);
        let lines: Vec<_> = log.lines().rev().take(lines).collect();
        let lines: Vec<_> = lines.into_iter().rev().collect();
        format!("the end of {}:\n{}", self.program.log.display(), lines.join("\n"))
    }

    fn command(&self) -> anyhow::Result<Command> {
        let program = &self.program;
        let log =
            open_log(&program.log).with_context(|| format!("failed to open {}", program.log.display()))?;
        // setpriv becomes the program itself, so the process id is the program's own.
        let mut command = Command::new("setpriv");
        command
            .args(["--pdeathsig", "KILL", "--"])
            .arg(&program.path)
            .args(&program.arguments)
            .envs(program.environment.iter().cloned())
            // Ctrl-C on the terminal goes to the owner alone, which stops the rest in order.
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log);
        Ok(command)
    }

    fn lock(&self) -> MutexGuard<'_, Option<Child>> {
        self.child.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Nothing can be done about a failure here, and the kernel ends the child with this process.
        let _ = self.kill();
    }
}

impl Ready {
    async fn check(&self) -> anyhow::Result<()> {
        match self {
            Self::Started => Ok(()),
            Self::Listens(port) => {
                tokio::net::TcpStream::connect(("127.0.0.1", *port)).await?;
                Ok(())
            }
            Self::Answers(url) => {
                let _ = rustls::crypto::ring::default_provider().install_default();
                let client = reqwest::Client::builder().tls_danger_accept_invalid_certs(true).build()?;
                let answer = client.get(url).send().await?;
                let status = answer.status();
                let text = answer.text().await?;
                ensure!(status.is_success(), "{url} answers {status}: {text}");
                Ok(())
            }
        }
    }
}

fn open_log(path: &std::path::Path) -> std::io::Result<File> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    let mut log = File::options().create(true).append(true).open(path)?;
    writeln!(log, "--- started by the harness")?;
    Ok(log)
}

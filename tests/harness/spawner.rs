//! Starts programs from one thread that lives as long as this process.
//!
//! The kernel ends a child when the *thread* that started it ends (`PR_SET_PDEATHSIG`);
//! a test's thread ends with its test while the stack is shared by all of them.

use std::process::{Child, Command};
use std::sync::OnceLock;
use std::sync::mpsc::{Sender, channel};

use anyhow::Context;

type Job = (Command, Sender<std::io::Result<Child>>);

/// Starts a command that dies with this process, however this process ends.
pub fn spawn(command: Command) -> anyhow::Result<Child> {
    static SPAWNER: OnceLock<Sender<Job>> = OnceLock::new();
    let spawner = SPAWNER.get_or_init(|| {
        let (jobs, queue) = channel::<Job>();
        std::thread::spawn(move || {
            for (mut command, answer) in queue {
                // Nobody waits for the answer only if the caller was cancelled; the child is ours then.
                let _ = answer.send(command.spawn());
            }
        });
        jobs
    });
    let name = command.get_program().display().to_string();
    let (answer, child) = channel();
    spawner.send((command, answer)).context("the spawning thread has ended")?;
    child.recv().context("the spawning thread has ended")?.with_context(|| format!("failed to start {name}"))
}

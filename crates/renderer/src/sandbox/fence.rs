//! What a program of the sandbox may reach, as the kernel holds it (Landlock): its own folder and what programs need of the
//! system, no other file, no TCP connection, no other process. In: a command. Out: the running program.
//!
//! What a repository says may name any path, by roads that nobody can foresee (patches over generated configurations), and
//! the process that renders holds the bus's password. A kernel without Landlock runs the program without the fence.

use std::io;
use std::path::Path;

use landlock::{
    ABI, Access, AccessFs, AccessNet, Ruleset, RulesetAttr, RulesetCreatedAttr, RulesetError, Scope,
    path_beneath_rules,
};
use tokio::process::{Child, Command};

/// The newest rights that are asked for; a kernel that knows fewer holds fewer.
const RIGHTS: ABI = ABI::V6;

/// What programs read and run of any system.
const SYSTEM: [&str; 8] = [
    "/usr",
    "/bin",
    "/lib",
    "/lib64",
    "/etc/ld.so.cache",
    "/etc/localtime",
    "/sys/devices/system/cpu",
    "/sys/kernel/mm/transparent_hugepage",
];

/// Devices that hold nothing.
const DEVICES: [&str; 4] = ["/dev/null", "/dev/zero", "/dev/random", "/dev/urandom"];

/// Starts a command that reaches nothing but `folder`, and runs no program but `programs` and the system's.
///
/// # Errors
/// When the kernel refuses.
pub(super) fn spawn(command: &mut Command, folder: &Path, programs: &[&Path]) -> io::Result<Child> {
    let runtime = tokio::runtime::Handle::current();
    // The fence is the thread's, and its children inherit it.
    std::thread::scope(|scope| {
        let spawned = scope.spawn(|| {
            let _entered = runtime.enter();
            raise(folder, programs).map_err(io::Error::other)?;
            command.spawn()
        });
        spawned.join().unwrap_or_else(|_| Err(io::Error::other("the thread that starts programs ended")))
    })
}

fn raise(folder: &Path, programs: &[&Path]) -> Result<(), RulesetError> {
    let all = AccessFs::from_all(RIGHTS);
    Ruleset::default()
        .handle_access(all)?
        .handle_access(AccessNet::from_all(RIGHTS))?
        .scope(Scope::from_all(RIGHTS))?
        .create()?
        .add_rules(path_beneath_rules(SYSTEM, AccessFs::from_read(RIGHTS)))?
        .add_rules(path_beneath_rules(programs, AccessFs::from_read(RIGHTS)))?
        .add_rules(path_beneath_rules(DEVICES, AccessFs::ReadFile | AccessFs::WriteFile))?
        // What a repository brings along is read and never run.
        .add_rules(path_beneath_rules([folder], all & !AccessFs::Execute))?
        .restrict_self()?;
    Ok(())
}

//! Why a program gave no output: which bound it met, or what it said. In: nothing. Out: words for the user, and whether
//! another try may help.

use std::io::ErrorKind;
use std::time::Duration;

use crate::tree::TreeError;

/// Why a program gave no output.
#[derive(Debug, thiserror::Error)]
pub enum SandboxError {
    /// The disk refused.
    #[error("failed to prepare a private folder: {0}")]
    Folder(std::io::Error),
    /// A file that has no place on any disk.
    #[error("failed to write the file \"{path}\" of the source: {cause}")]
    File {
        /// Its path in the repository, or the beginning of it.
        path: String,
        /// Why.
        cause: std::io::Error,
    },
    /// The program could not be started or watched.
    #[error("failed to run {program}: {cause}")]
    Start {
        /// The program's name.
        program: String,
        /// Why.
        cause: std::io::Error,
    },
    /// The program cannot be told what it is to be told.
    #[error(
        "failed to run {program} with what the source says: {cause}; a long parameter of a chart has to be in its values"
    )]
    Arguments {
        /// The program's name.
        program: String,
        /// Why.
        cause: std::io::Error,
    },
    /// A link that leads out of the tree.
    #[error(transparent)]
    Tree(#[from] TreeError),
    /// The program said no.
    #[error("{message}")]
    Failed {
        /// The last lines that it said.
        message: String,
    },
    /// The program ended by a signal.
    #[error("{program} was killed by signal {signal}")]
    Killed {
        /// The program's name.
        program: String,
        /// The signal's number.
        signal: i32,
    },
    /// The program did not end.
    #[error("{program} did not end within {} seconds; the renderer's --render-time-limit allows more", .time.as_secs_f32())]
    Time {
        /// The program's name.
        program: String,
        /// The limit.
        time: Duration,
    },
    /// The program said too much.
    #[error(
        "{program} gave more than the limit of {limit} bytes; the renderer's --render-output-max-mib allows more"
    )]
    Output {
        /// The program's name.
        program: String,
        /// Bytes.
        limit: usize,
    },
    /// The program wanted too much memory.
    #[error(
        "{program} needed more than {limit} bytes of memory; the renderer's --render-memory-max-mib allows more"
    )]
    Memory {
        /// The program's name.
        program: String,
        /// Bytes.
        limit: u64,
    },
}

/// How much is told of a path that may be of any length.
const TOLD: usize = 200;

impl SandboxError {
    /// What it means that a file of a source could not be written: its name or target may be none that a disk takes.
    pub(super) fn of_file(path: &str, is_odd: bool, cause: std::io::Error) -> Self {
        let is_named_so = matches!(cause.kind(), ErrorKind::InvalidFilename | ErrorKind::InvalidInput);
        if is_odd || is_named_so {
            Self::File { path: path.chars().take(TOLD).collect(), cause }
        } else {
            Self::Folder(cause)
        }
    }

    /// The same error, with the program's own words changed.
    pub fn reworded(self, reword: impl FnOnce(&str) -> String) -> Self {
        match self {
            Self::Failed { message } => Self::Failed { message: reword(&message) },
            other => other,
        }
    }

    /// Whether the same input will surely fail in the same way: limits of time and memory depend on the machine's load.
    pub fn is_certain(&self) -> bool {
        matches!(
            self,
            Self::File { .. }
                | Self::Arguments { .. }
                | Self::Tree(_)
                | Self::Failed { .. }
                | Self::Output { .. }
        )
    }

    /// Whether the same input may fare better another time: the machine is to blame, not the input.
    pub fn is_ours(&self) -> bool {
        match self {
            Self::Folder(_) | Self::Start { .. } => true,
            Self::File { .. }
            | Self::Arguments { .. }
            | Self::Tree(_)
            | Self::Failed { .. }
            | Self::Killed { .. }
            | Self::Time { .. }
            | Self::Output { .. }
            | Self::Memory { .. } => false,
        }
    }
}

//! Jsonnet files in a plain folder: a source and paths come in, JSON texts go out.
//!
//! They are programs that may loop for ever or grow without bounds, so another process of our own binary evaluates them,
//! in a sandbox as helm's. Imports lead nowhere but into the repository.

mod evaluate;
mod words;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use ithaca_api::source::JsonnetVariable;

pub use evaluate::{Evaluation, evaluate};

use crate::environment::Environment;
use crate::sandbox::{Sandbox, SandboxError, arguments};
use crate::source::Source;
use crate::tree::{self, TreeError};

/// The subcommand that evaluates.
pub const SUBCOMMAND: &str = "jsonnet";

/// How deep expressions may be nested in a file, in bytes of stack.
const STACK: usize = 256 << 20;

/// Why Jsonnet files give no manifests.
#[derive(Debug, thiserror::Error)]
pub enum JsonnetError {
    /// A folder of libraries that is not one.
    #[error("failed to read directory.jsonnet.libs: {0}")]
    Library(TreeError),
    /// The evaluator's own error, or what ended it.
    #[error("{0}")]
    Sandbox(#[from] SandboxError),
    /// Output of another form.
    #[error("failed to read what Jsonnet gives: {0}")]
    Output(serde_json::Error),
}

/// Arguments of the subcommand.
#[derive(Clone, Debug, clap::Args)]
pub struct JsonnetArgs {
    /// What to evaluate, as JSON
    evaluation: PathBuf,
}

/// Evaluates `files` of `source` with the binary `ithaca`; the source's tree is in the sandbox already.
///
/// # Errors
/// When a file cannot be evaluated or passes a limit.
pub async fn render(
    ithaca: &Path,
    sandbox: &Sandbox,
    source: &Source,
    files: Vec<String>,
    environment: &Environment,
) -> Result<BTreeMap<String, String>, JsonnetError> {
    let evaluation = evaluation(source, sandbox.path(&Source::root(source.index)), files, environment)?;
    let json = serde_json::to_vec(&evaluation).map_err(JsonnetError::Output)?;
    let request = sandbox.write("jsonnet.json", &json)?;
    let output = sandbox.run(ithaca, &arguments([&SUBCOMMAND, &request])).await?;
    let texts: Vec<String> = serde_json::from_slice(&output).map_err(JsonnetError::Output)?;
    Ok(evaluation.files.into_iter().zip(texts).collect())
}

/// What Argo CD tells its evaluator: libraries from the last one to the first, then the source's folder. The root comes
/// last of all.
fn evaluation(
    source: &Source,
    root: PathBuf,
    files: Vec<String>,
    environment: &Environment,
) -> Result<Evaluation, JsonnetError> {
    let options = source.request.spec.directory.clone().unwrap_or_default().jsonnet;
    let libraries: Result<Vec<String>, TreeError> =
        options.libs.iter().rev().map(|library| tree::plain(library)).collect();
    let mut search = libraries.map_err(JsonnetError::Library)?;
    search.extend([source.folder.clone(), String::new()]);
    let expanded = |variables: Vec<JsonnetVariable>| {
        let expand = |variable: JsonnetVariable| JsonnetVariable {
            value: environment.expand(&variable.value),
            ..variable
        };
        variables.into_iter().map(expand).collect()
    };
    Ok(Evaluation {
        root,
        files,
        search,
        variables: expanded(options.ext_vars),
        arguments: expanded(options.tlas),
    })
}

/// The subcommand: evaluates, and prints the texts or says why not.
pub fn run(args: &JsonnetArgs) -> ExitCode {
    let path = args.evaluation.clone();
    // Deeply nested expressions take stack; a program that wants more of it ends this process and nothing else.
    let evaluated = std::thread::Builder::new().stack_size(STACK).spawn(move || {
        let text = std::fs::read(&path).map_err(|error| error.to_string())?;
        let evaluation: Evaluation = serde_json::from_slice(&text).map_err(|error| error.to_string())?;
        let texts = evaluate(&evaluation)?;
        serde_json::to_string(&texts).map_err(|error| error.to_string())
    });
    let joined = evaluated.map_err(|error| error.to_string()).and_then(|thread| match thread.join() {
        Ok(evaluated) => evaluated,
        Err(_) => Err("the evaluator of Jsonnet ended".to_owned()),
    });
    match joined {
        Ok(texts) => {
            println!("{texts}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

impl JsonnetError {
    /// What the program or its folder is to blame for.
    pub fn sandbox(&self) -> Option<&SandboxError> {
        match self {
            Self::Sandbox(error) => Some(error),
            Self::Library(_) | Self::Output(_) => None,
        }
    }
}

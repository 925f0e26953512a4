//! How results and failures are written.

use std::process::ExitCode;

use anyhow::Context;
use kube::api::DynamicObject;
use serde_json::{Value, json};

/// How results are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// A table for people
    #[default]
    Table,
    /// A table with more columns
    Wide,
    /// As the API has it, in JSON
    Json,
    /// As the API has it, in YAML
    Yaml,
}

/// A list as `kubectl get -o json` writes it.
pub fn list(objects: &[DynamicObject]) -> Value {
    json!({"apiVersion": "v1", "kind": "List", "metadata": {}, "items": objects})
}

/// The text of an object or a list, with a line break at its end.
pub fn encode(value: &Value, as_yaml: bool) -> anyhow::Result<String> {
    if as_yaml {
        return serde_saphyr::to_string(value).context("failed to write YAML");
    }
    let mut text = serde_json::to_string_pretty(value).context("failed to write JSON")?;
    text.push('\n');
    Ok(text)
}

/// The exit code of a command, with its error told.
pub fn ended(result: anyhow::Result<()>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("ithaca: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Writes to standard output; a reader that has gone (`| head`) is no failure.
pub fn print(text: &str) -> anyhow::Result<()> {
    use std::io::Write;
    match std::io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(error).context("failed to write"),
        _ => Ok(()),
    }
}

//! The chart as `helm template` writes it.
//!
//! In: values. Out: objects, or what helm says of them. No cluster is asked.

use std::io::Write;
use std::process::{Command, Stdio};

use anyhow::{Context, ensure};
use ithaca_tests::{Progress, Tools, repository_root};
use serde_json::Value;

/// The chart's folder.
pub fn chart() -> String {
    repository_root().join("deploy/chart").display().to_string()
}

/// The text of all objects, in the namespace argocd.
pub fn text(values: &str, arguments: &[&str]) -> anyhow::Result<String> {
    helm(&[&["template", "ithaca", &chart(), "--namespace=argocd", "--values=-"], arguments].concat(), values)
}

/// All objects.
pub fn objects(values: &str) -> anyhow::Result<Vec<Value>> {
    let text = text(values, &[])?;
    let documents: Vec<Value> = serde_saphyr::from_multiple(&text)?;
    Ok(documents.into_iter().filter(|document| !document.is_null()).collect())
}

/// The one object of a kind and name.
pub fn object<'a>(objects: &'a [Value], kind: &str, name: &str) -> anyhow::Result<&'a Value> {
    let is_it = |object: &&Value| object["kind"] == kind && object["metadata"]["name"] == name;
    objects.iter().find(is_it).with_context(|| format!("no {kind} {name}"))
}

/// Runs helm with text as its standard input.
pub fn helm(arguments: &[&str], input: &str) -> anyhow::Result<String> {
    let tools = Tools::build(&Progress::silent())?;
    let mut helm = Command::new(tools.path("helm"))
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    helm.stdin.take().context("helm has no input")?.write_all(input.as_bytes())?;
    let output = helm.wait_with_output()?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(String::from_utf8(output.stdout)?)
}

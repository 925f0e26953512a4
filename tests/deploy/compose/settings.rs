//! What a process of Ithaca can be told, by its own `--help`.
//!
//! In: the binary. Out: its flags, its variables, and the addresses that it listens on.

use std::collections::BTreeMap;
use std::process::Command;

use anyhow::{Context, ensure};
use ithaca_tests::binary;

/// The settings of one process.
pub struct Settings {
    help: String,
    /// Each variable with the value it has when it is not set.
    pub variables: BTreeMap<String, String>,
}

impl Settings {
    /// Asks the binary.
    pub fn of(process: &str) -> anyhow::Result<Self> {
        let output = Command::new(binary()?).args([process, "--help"]).output()?;
        ensure!(
            output.status.success(),
            "ithaca {process} --help: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        let help = String::from_utf8(output.stdout)?;
        let mut variables = BTreeMap::new();
        let mut last = None;
        for line in help.lines().map(str::trim) {
            if let Some(variable) = between(line, "[env: ", "=") {
                last = Some(variables.entry(variable.to_owned()).or_insert_with(String::new));
            } else if let (Some(value), Some(last)) = (between(line, "[default: ", "]"), last.as_mut()) {
                **last = value.to_owned();
            }
        }
        Ok(Self { help, variables })
    }

    /// Whether it takes a flag: `--http-listen`.
    pub fn knows_flag(&self, flag: &str) -> bool {
        self.help.split_whitespace().any(|word| word == flag)
    }

    /// The variables that say where it listens, with the ports they say under these settings.
    pub fn ports(&self, environment: &[(String, String)]) -> anyhow::Result<BTreeMap<String, u16>> {
        let listens = self.variables.iter().filter(|(name, _)| name.ends_with("_LISTEN"));
        let port = |(name, default): (&String, &String)| {
            let set = environment.iter().find(|(variable, _)| variable == name);
            let address = set.map_or(default, |(_, value)| value);
            let port = address.rsplit(':').next().and_then(|port| port.parse().ok());
            let port = port.with_context(|| format!("{name} is no address: {address}"))?;
            Ok((name.clone(), port))
        };
        listens.map(port).collect()
    }
}

fn between<'a>(line: &'a str, start: &str, end: &str) -> Option<&'a str> {
    let rest = line.strip_prefix(start)?;
    Some(rest.split_once(end)?.0)
}

//! What must be installed, asked before any long build.
//!
//! In: the machine's PATH. Out: one line for each thing that is missing, with what to install.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::ensure;

/// A program that must answer, and the line that helps when it does not.
struct Prerequisite {
    command: &'static [&'static str],
    missing: &'static str,
}

const TO_BUILD: &[Prerequisite] = &[
    Prerequisite {
        command: &["git", "--version"],
        missing: "git is missing: install the Debian package git",
    },
    Prerequisite {
        command: &["go", "version"],
        missing: "go is missing: install Go 1.26 or later, which builds Kubernetes, NATS, Helm and Kustomize",
    },
    Prerequisite {
        command: &["cc", "--version"],
        missing: "a C compiler is missing: install the Debian package build-essential",
    },
    Prerequisite {
        command: &["setpriv", "--version"],
        missing: "setpriv is missing: install the Debian package util-linux",
    },
];

const TO_TEST: &[Prerequisite] = &[
    Prerequisite {
        command: &["chromium", "--version"],
        missing: "chromium is missing: install the Debian package chromium, which shows the web page to the tests",
    },
    Prerequisite {
        command: &["chromedriver", "--version"],
        missing: "chromedriver is missing: install the Debian package chromium-driver",
    },
];

/// What `up` and `bench` need.
pub fn to_build() -> anyhow::Result<()> {
    check(TO_BUILD)
}

/// What `test` needs.
pub fn to_test() -> anyhow::Result<()> {
    check(TO_BUILD)?;
    check(TO_TEST)
}

fn check(prerequisites: &[Prerequisite]) -> anyhow::Result<()> {
    let missing: Vec<_> =
        prerequisites.iter().filter(|it| !answers(it.command)).map(|it| it.missing).collect();
    ensure!(missing.is_empty(), "{}", missing.join("\n"));
    Ok(())
}

fn answers(command: &[&str]) -> bool {
    let Some((program, arguments)) = command.split_first() else {
        return false;
    };
    Command::new(Path::new(program))
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

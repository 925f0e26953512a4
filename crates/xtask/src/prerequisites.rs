//! What must be installed, asked before any long build.
//!
//! In: the machine's PATH. Out: one line for each thing that is missing, with what to install.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::ensure;

/// A program that must answer, and the line that helps when it does not.
struct Prerequisite {
    command: &'static [&'static str],
    /// What its answer has to say at least: a prefix, and the version after it.
    least: Option<(&'static str, [u32; 3])>,
    missing: &'static str,
}

const TO_BUILD: &[Prerequisite] = &[
    Prerequisite {
        command: &["git", "--version"],
        least: None,
        missing: "git is missing: install the Debian package git",
    },
    Prerequisite {
        command: &["go", "version"],
        least: Some(("go", [1, 26, 7])),
        missing: "go is missing or too old: install Go 1.26.7 or later, which builds Kubernetes, NATS, Helm and Kustomize",
    },
    Prerequisite {
        command: &["cc", "--version"],
        least: None,
        missing: "a C compiler is missing: install the Debian package build-essential",
    },
    Prerequisite {
        command: &["setpriv", "--version"],
        least: None,
        missing: "setpriv is missing: install the Debian package util-linux",
    },
];

/// Debian's Python has venv without its package, but no pip to fill an environment with.
const VENV_VERSION: &str =
    "import ensurepip, sys, venv; print('python' + '.'.join(map(str, sys.version_info[:3])))";

const TO_TEST: &[Prerequisite] = &[
    Prerequisite {
        command: &["python3", "-c", VENV_VERSION],
        least: Some(("python", [3, 11, 0])),
        missing: "python3 with venv is missing or too old: install the Debian package python3-venv (Python 3.11 or later), \
                  in which the tests run Ansible",
    },
    Prerequisite {
        command: &["chromium", "--version"],
        least: None,
        missing: "chromium is missing: install the Debian package chromium, which shows the web page to the tests",
    },
    Prerequisite {
        command: &["chromedriver", "--version"],
        least: None,
        missing: "chromedriver is missing: install the Debian package chromium-driver",
    },
    Prerequisite {
        command: &["npm", "--version"],
        least: None,
        missing: "npm is missing: install Node 20 or later with npm, which holds dashboards against Grafana's types",
    },
    Prerequisite {
        command: &["umoci", "--version"],
        least: None,
        missing: "umoci is missing: install the Debian package umoci, which packs the images for the tests",
    },
    Prerequisite {
        command: &["runc", "--version"],
        least: None,
        missing: "runc is missing: install the Debian package runc, which runs the images for the tests",
    },
    Prerequisite {
        command: &["lighttpd", "-v"],
        least: None,
        missing: "lighttpd is missing: install the Debian package lighttpd, which is the Git server of compose.yaml",
    },
    Prerequisite {
        command: &["curl", "--version"],
        least: None,
        missing: "curl is missing: install the Debian package curl, with which that Git server calls webhooks",
    },
    Prerequisite {
        command: &["test", "-x", "/usr/sbin/sshd"],
        least: None,
        missing: "sshd is missing: install the Debian package openssh-server, which serves Git over SSH to the tests",
    },
    Prerequisite {
        command: &["which", "ssh-keygen"],
        least: None,
        missing: "ssh-keygen is missing: install the Debian package openssh-client, which makes keys for the tests",
    },
    Prerequisite {
        command: &["openssl", "version"],
        least: None,
        missing: "openssl is missing: install the Debian package openssl, with which it signs them",
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
    let missing: Vec<_> = prerequisites.iter().filter(|it| !it.is_there()).map(|it| it.missing).collect();
    ensure!(missing.is_empty(), "{}", missing.join("\n"));
    Ok(())
}

impl Prerequisite {
    fn is_there(&self) -> bool {
        let Some((program, arguments)) = self.command.split_first() else {
            return false;
        };
        let answer = Command::new(Path::new(program)).args(arguments).stdin(Stdio::null()).output();
        answer.is_ok_and(|answer| {
            let text = String::from_utf8_lossy(&answer.stdout);
            answer.status.success() && self.least.is_none_or(|least| is_recent(&text, least))
        })
    }
}

/// Whether one of the words is `prefix` and a version that is no older.
fn is_recent(text: &str, (prefix, least): (&str, [u32; 3])) -> bool {
    let version = |word: &str| {
        let parts = word.strip_prefix(prefix)?.split('.');
        parts.map(|part| part.parse().ok()).collect::<Option<Vec<u32>>>()
    };
    text.split_whitespace().filter_map(version).any(|version| version.as_slice() >= least.as_slice())
}

#[cfg(test)]
mod tests {
    use super::is_recent;

    #[test]
    fn an_old_version_is_as_good_as_none() {
        let go = ("go", [1, 26, 7]);
        assert!(is_recent("go version go1.26.7 linux/amd64", go));
        assert!(is_recent("go version go2.0 linux/amd64", go));
        assert!(!is_recent("go version go1.26.5 linux/amd64", go));
        assert!(!is_recent("go version go1.19.8 linux/amd64", go));
        assert!(!is_recent("", go));
    }
}

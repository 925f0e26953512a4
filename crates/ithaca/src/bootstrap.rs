//! `ithaca bootstrap`: one file from which K3s makes a whole cluster.
//!
//! In: the address of a repository, and how to read it. Out: YAML for K3s's manifests folder.
//! It talks to no cluster and to no repository.

mod archive;
mod documents;

use std::path::{Path, PathBuf};

use anyhow::Context;
use serde_json::{Map, Value};

use crate::output;
use documents::{Credentials, Plan};

const EXAMPLES: &str = "\
Examples:
  ithaca bootstrap --repo https://github.com/me/home.git --path bootstrap > ithaca.yaml
  sudo cp ithaca.yaml /var/lib/rancher/k3s/server/manifests/      before or after K3s is installed

  ithaca bootstrap --repo https://github.com/me/home.git --path bootstrap \\
    --username me --password-file token.txt --values values.yaml > ithaca.yaml

The file holds the namespace, the Helm chart of this version with its settings, the Secret with which the repository is
read, and the root Application, which Helm creates once the API server knows what an Application is.
Keep the file: with it and the repository a lost cluster comes back.";

/// Write one file from which K3s makes a whole cluster
#[derive(clap::Args)]
#[command(after_long_help = EXAMPLES)]
pub struct Args {
    /// URL of the repository with the root Application's folder
    #[arg(long, value_name = "URL")]
    repo: String,
    /// Folder in the repository
    #[arg(long, default_value = ".")]
    path: String,
    /// Branch, tag or commit
    #[arg(long, default_value = "HEAD")]
    revision: String,
    /// Name of the root Application
    #[arg(long, default_value = "root")]
    name: String,
    /// Namespace of Ithaca and of the Applications
    #[arg(long, default_value = "argocd")]
    namespace: String,
    /// YAML file with values for the chart
    #[arg(long, value_name = "FILE")]
    values: Option<PathBuf>,
    /// User name for a private repository
    #[arg(long, requires = "password_file")]
    username: Option<String>,
    /// File with the password or token for a private repository
    #[arg(long, value_name = "FILE", conflicts_with = "ssh_key_file")]
    password_file: Option<PathBuf>,
    /// File with the private key for a private repository over SSH
    #[arg(long, value_name = "FILE")]
    ssh_key_file: Option<PathBuf>,
}

/// Writes the file to standard output.
pub fn run(args: Args) -> anyhow::Result<()> {
    let values = args.values.as_deref().map(read_values).transpose()?.unwrap_or_default();
    let plan = Plan {
        credentials: args.credentials()?,
        repo: args.repo,
        path: args.path,
        revision: args.revision,
        name: args.name,
        namespace: args.namespace,
        values,
        chart: archive::chart()?,
    };
    let mut text = format!(
        "# Ithaca {}, for K3s's folder of manifests: /var/lib/rancher/k3s/server/manifests/\n",
        env!("CARGO_PKG_VERSION")
    );
    for document in plan.documents()? {
        text.push_str("---\n");
        text.push_str(&output::encode(&document, true)?);
    }
    output::print(&text)
}

impl Args {
    fn credentials(&self) -> anyhow::Result<Option<Credentials>> {
        if let Some(file) = &self.ssh_key_file {
            return Ok(Some(Credentials::SshKey(read(file)?)));
        }
        let Some(file) = &self.password_file else { return Ok(None) };
        Ok(Some(Credentials::Password {
            // Git hosts that take tokens want a name, and mostly any will do.
            username: self.username.clone().unwrap_or_else(|| "git".to_owned()),
            password: read(file)?.trim_end().to_owned(),
        }))
    }
}

fn read(file: &Path) -> anyhow::Result<String> {
    std::fs::read_to_string(file).with_context(|| format!("failed to read {}", file.display()))
}

fn read_values(file: &Path) -> anyhow::Result<Map<String, Value>> {
    let text = read(file)?;
    if text.trim().is_empty() {
        return Ok(Map::new());
    }
    serde_saphyr::from_str(&text).with_context(|| format!("{} holds no YAML map of values", file.display()))
}

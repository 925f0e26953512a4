//! The real `cosign` with a key of its own: what is in a registry comes in, its signature beside it goes out.

use std::path::PathBuf;
use std::process::Command;

use anyhow::ensure;

use crate::{LOGIN, Progress, Tools, fresh_folder};

/// Where `cosign` puts a signature.
#[derive(Clone, Copy, Debug)]
pub enum SignatureForm {
    /// A bundle that refers to what is signed: the form of today.
    Bundle,
    /// Under a tag that is made of the digest: the form of old.
    Tag,
}

/// Somebody who signs what is in registries.
pub struct Cosign {
    tools: Tools,
    folder: PathBuf,
    /// The public half of the key.
    pub public: String,
}

impl Cosign {
    /// With a new key as `cosign` makes it.
    ///
    /// # Errors
    /// When the program does not build or does not run.
    pub fn new() -> anyhow::Result<Self> {
        Self::begin(|cosign| cosign.run(&["generate-key-pair"]))
    }

    /// With a new key of another kind, as `openssl genpkey` is told it.
    ///
    /// # Errors
    /// When a program does not run.
    pub fn with_key(arguments: &[&str]) -> anyhow::Result<Self> {
        Self::begin(|cosign| {
            let mut openssl = Command::new("openssl");
            openssl.arg("genpkey").args(arguments).args(["-out", "own.pem"]).current_dir(&cosign.folder);
            run(&mut openssl)?;
            cosign.run(&["import-key-pair", "--key", "own.pem", "--output-key-prefix", "cosign"])
        })
    }

    fn begin(make_key: impl FnOnce(&Self) -> anyhow::Result<()>) -> anyhow::Result<Self> {
        let tools = Tools::sources(&Progress::silent())?;
        let mut cosign = Self { tools, folder: fresh_folder()?, public: String::new() };
        make_key(&cosign)?;
        cosign.run(&["signing-config", "create", "--out", "no-services.json"])?;
        cosign.public = std::fs::read_to_string(cosign.folder.join("cosign.pub"))?;
        Ok(cosign)
    }

    /// Signs what a tag or a digest names: `<host>/<repository>:<tag>`.
    ///
    /// # Errors
    /// When `cosign` refuses it.
    pub fn sign(&self, reference: &str, form: SignatureForm) -> anyhow::Result<()> {
        let form: &[&str] = match form {
            SignatureForm::Bundle => &["--signing-config", "no-services.json"],
            SignatureForm::Tag => {
                &["--use-signing-config=false", "--new-bundle-format=false", "--tlog-upload=false"]
            }
        };
        self.run(&[&["sign", "--yes", "--key", "cosign.key"], form, &self.login(), &[reference]].concat())
    }

    /// Tells something of what a tag or a digest names, and signs that.
    ///
    /// # Errors
    /// When `cosign` refuses it.
    pub fn attest(&self, reference: &str) -> anyhow::Result<()> {
        std::fs::write(self.folder.join("told.json"), r#"{"vulnerabilities": "many"}"#)?;
        let told = ["attest", "--yes", "--key", "cosign.key", "--type", "custom", "--predicate", "told.json"];
        let config = ["--signing-config", "no-services.json"];
        self.run(&[&told[..], &config, &self.login(), &[reference]].concat())
    }

    fn login(&self) -> [&'static str; 4] {
        ["--registry-username", LOGIN.0, "--registry-password", LOGIN.1]
    }

    fn run(&self, arguments: &[&str]) -> anyhow::Result<()> {
        let mut cosign = Command::new(self.tools.path("cosign"));
        cosign.args(arguments).current_dir(&self.folder).env("COSIGN_PASSWORD", "").env("HOME", &self.folder);
        run(&mut cosign)
    }
}

fn run(command: &mut Command) -> anyhow::Result<()> {
    let output = command.output()?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}

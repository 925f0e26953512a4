//! The real OCI registry, behind a user's name and a password.
//!
//! In: charts, pushed by the real `helm`, and layers of other content. Out: their digests.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, ensure};
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, LOCATION};
use reqwest::{Client, RequestBuilder, Response, Url};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::{Process, Program, Progress, Ready, Tools, fresh_folder, port};

/// The only user, and the password.
pub const LOGIN: (&str, &str) = ("me", "p:ss");
/// The same as the registry wants to read it.
const PASSWORDS: &str = "me:$2a$04$PHrMouYuDpNQ2uTP3rXwPemEDPiC4OftLVlRs2x5zwN914myMR4si\n";

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const CONFIG: &str = "application/vnd.oci.empty.v1+json";
const LAYER: &str = "application/vnd.oci.image.layer.v1.tar+gzip";

/// The running registry.
pub struct OciRegistry {
    /// `127.0.0.1:<port>`.
    pub host: String,
    tools: Tools,
    client: Client,
    dir: std::path::PathBuf,
    _process: Process,
}

impl OciRegistry {
    /// Starts an empty registry.
    ///
    /// # Errors
    /// When it does not build or fails, with the end of its log.
    pub async fn start() -> anyhow::Result<Self> {
        let (tools, programs) = (Tools::build(&Progress::silent())?, Tools::sources(&Progress::silent())?);
        let dir = fresh_folder()?;
        let port = port::free()?;
        let host = format!("127.0.0.1:{port}");
        let (passwords, configuration) = (dir.join("htpasswd"), dir.join("registry.yml"));
        std::fs::write(&passwords, PASSWORDS)?;
        let settings = json!({
            "version": "0.1",
            "log": {"level": "warn"},
            "storage": {"filesystem": {"rootdirectory": dir.join("blobs")}},
            "http": {"addr": host},
            "auth": {"htpasswd": {"realm": "tests", "path": passwords}},
        });
        std::fs::write(&configuration, settings.to_string())?;
        let process = Process::start(Program {
            name: "registry".to_owned(),
            path: programs.path("registry"),
            arguments: vec!["serve".to_owned(), configuration.display().to_string()],
            environment: Vec::new(),
            log: dir.join("registry.log"),
            ready: Ready::Listens(port),
            metrics: None,
        })
        .await?;
        Ok(Self { host, tools, client: Client::new(), dir, _process: process })
    }

    /// Pushes the archive of a chart to `<host>/<folder>/<chart>`.
    ///
    /// # Errors
    /// When `helm` refuses it.
    pub fn push_chart(&self, archive: &Path, folder: &str) -> anyhow::Result<()> {
        let mut login =
            self.helm(&["registry", "login", &self.host, "--username", LOGIN.0, "--password-stdin"]);
        let mut login = login.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn()?;
        login.stdin.take().context("helm takes no password")?.write_all(LOGIN.1.as_bytes())?;
        let output = login.wait_with_output()?;
        ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let place = format!("oci://{}/{folder}", self.host);
        let output = self.helm(&["push", &archive.to_string_lossy(), &place]).output()?;
        ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        Ok(())
    }

    /// Pushes files in one layer under a tag, and gives the digest of the manifest.
    ///
    /// # Errors
    /// When the registry refuses it.
    pub async fn push_layer(&self, repository: &str, tag: &str, layer: &[u8]) -> anyhow::Result<String> {
        let layer = self.blob(repository, LAYER, layer).await?;
        self.push_manifest(repository, tag, &[layer]).await
    }

    /// Pushes a manifest of layers as their descriptors say, lies included.
    ///
    /// # Errors
    /// When the registry refuses it.
    pub async fn push_manifest(
        &self,
        repository: &str,
        tag: &str,
        layers: &[Value],
    ) -> anyhow::Result<String> {
        let config = self.blob(repository, CONFIG, b"{}").await?;
        let manifest = json!({"schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": layers});
        let manifest = manifest.to_string();
        let url = format!("http://{}/v2/{repository}/manifests/{tag}", self.host);
        let digest = digest(manifest.as_bytes());
        succeed(self.client.put(url).header(CONTENT_TYPE, MANIFEST).body(manifest)).await?;
        Ok(digest)
    }

    /// Pushes a blob and gives its descriptor.
    ///
    /// # Errors
    /// When the registry refuses it.
    pub async fn blob(&self, repository: &str, media_type: &str, content: &[u8]) -> anyhow::Result<Value> {
        let url = format!("http://{}/v2/{repository}/blobs/uploads/", self.host);
        let begun = succeed(self.client.post(url).header(CONTENT_LENGTH, 0)).await?;
        let location = begun.headers().get(LOCATION).context("an upload has no location")?.to_str()?;
        let mut location = Url::parse(location)?;
        let digest = digest(content);
        location.query_pairs_mut().append_pair("digest", &digest);
        succeed(self.client.put(location).body(content.to_vec())).await?;
        Ok(json!({"mediaType": media_type, "digest": digest, "size": content.len()}))
    }

    fn helm(&self, arguments: &[&str]) -> Command {
        let mut helm = Command::new(self.tools.path("helm"));
        helm.args(arguments).arg("--plain-http").arg("--registry-config").arg(self.dir.join("login.json"));
        helm
    }
}

async fn succeed(request: RequestBuilder) -> anyhow::Result<Response> {
    let response = request.basic_auth(LOGIN.0, Some(LOGIN.1)).send().await?;
    let (url, status) = (response.url().clone(), response.status());
    if status.is_success() {
        Ok(response)
    } else {
        anyhow::bail!("{url}: {status}: {}", response.text().await?)
    }
}

fn digest(content: &[u8]) -> String {
    format!("sha256:{}", hex::encode(Sha256::digest(content)))
}

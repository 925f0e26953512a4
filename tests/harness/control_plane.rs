//! A Kubernetes control plane: datastore, API server, controllers, scheduler and nodes without a runtime.
//!
//! In: a folder and a number of nodes. Out: five processes and two kubeconfigs, one for people and one for Ithaca.
//! No container runs: kwok plays what a kubelet would report, by the stages in `kwok.yaml`.
//! Nodes do not send heartbeats, so that an idle cluster writes next to nothing.

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, ensure};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rcgen::{BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair};

use crate::{Cluster, Process, Program, Ready, Tools, port, wait_until};

/// kwok's configuration and what its nodes and pods do.
const KWOK: &str = include_str!("control_plane/kwok.yaml");
/// What Ithaca's user may do, and how its requests are counted.
const ACCESS: &str = include_str!("control_plane/access.yaml");

/// The running control plane.
pub struct ControlPlane {
    /// In the order of their start: kine, API server, controllers, scheduler, kwok.
    pub processes: Vec<Process>,
    /// For people and tests: the user `admin`.
    pub kubeconfig: PathBuf,
    /// For Ithaca's services: the user `ithaca`, whose requests can be told from all others.
    pub service_kubeconfig: PathBuf,
    /// In PEM, for `admin` too.
    pub client_certificate: PathBuf,
    /// The key of the certificate.
    pub client_key: PathBuf,
}

struct Layout<'a> {
    tools: &'a Tools,
    folder: PathBuf,
    logs: PathBuf,
}

impl ControlPlane {
    /// Starts everything and waits until all nodes are ready.
    ///
    /// # Errors
    /// When a process fails, with the end of its log.
    pub async fn start(dir: &Path, tools: &Tools, nodes: usize) -> anyhow::Result<Self> {
        let layout = Layout { tools, folder: dir.join("control-plane"), logs: dir.join("logs") };
        layout.write_files()?;
        let datastore = Process::start(layout.kine(port::free()?)).await?;
        let Ready::Listens(datastore_port) = datastore.program().ready else {
            anyhow::bail!("kine has no port");
        };
        let api_port = port::free()?;
        let api_server = Process::start(layout.api_server(api_port, datastore_port)).await?;

        let kubeconfig = dir.join("kubeconfig");
        let service_kubeconfig = dir.join("services.kubeconfig");
        for (path, user) in [(&kubeconfig, "admin"), (&service_kubeconfig, "ithaca")] {
            std::fs::write(path, layout.kubeconfig(api_port, user)?)?;
        }
        let cluster = Cluster::new(kubeconfig.clone(), tools.clone());
        let documents = format!("{ACCESS}{}", node_documents(nodes));
        let (controllers, scheduler, kwok, applied) = tokio::join!(
            Process::start(layout.controllers(&kubeconfig, port::free()?)),
            Process::start(layout.scheduler(&kubeconfig, port::free()?)),
            Process::start(layout.kwok(&kubeconfig)),
            cluster.apply(&documents)
        );
        applied?;
        let processes = vec![datastore, api_server, controllers?, scheduler?, kwok?];
        wait_until("all nodes are ready", Duration::from_secs(60), async || {
            nodes_ready(&cluster, nodes).await
        })
        .await?;
        let (client_certificate, client_key) =
            (layout.folder.join("admin.crt"), layout.folder.join("admin.key"));
        Ok(Self { processes, kubeconfig, service_kubeconfig, client_certificate, client_key })
    }
}

impl Layout<'_> {
    fn write_files(&self) -> anyhow::Result<()> {
        std::fs::create_dir_all(&self.folder)
            .with_context(|| format!("failed to create {}", self.folder.display()))?;
        std::fs::write(self.folder.join("kwok.yaml"), KWOK)?;
        // For service account tokens.
        let keys = KeyPair::generate()?;
        std::fs::write(self.folder.join("sa.key"), keys.serialize_pem())?;
        std::fs::write(self.folder.join("sa.pub"), keys.public_key_pem())?;
        let [authority, certificate, key] = client_certificates()?;
        std::fs::write(self.folder.join("clients.crt"), authority)?;
        std::fs::write(self.folder.join("admin.crt"), certificate)?;
        std::fs::write(self.folder.join("admin.key"), key)?;
        std::fs::write(
            self.folder.join("tokens.csv"),
            "admin,admin,admin,\"system:masters\"\nithaca,ithaca,ithaca,\"ithaca\"\n",
        )?;
        Ok(())
    }

    fn program(&self, name: &str, arguments: Vec<String>, ready: Ready) -> Program {
        Program {
            name: name.to_owned(),
            path: self.tools.path(name),
            arguments,
            environment: Vec::new(),
            log: self.logs.join(format!("{name}.log")),
            ready,
            metrics: None,
        }
    }

    fn file(&self, name: &str) -> String {
        self.folder.join(name).display().to_string()
    }

    fn kine(&self, port: u16) -> Program {
        let database = self.file("state.db");
        let arguments = vec![
            format!("--endpoint=sqlite://{database}?_journal=WAL&cache=shared&_busy_timeout=30000"),
            format!("--listen-address=127.0.0.1:{port}"),
            "--metrics-bind-address=0".to_owned(),
        ];
        self.program("kine", arguments, Ready::Listens(port))
    }

    fn api_server(&self, port: u16, datastore_port: u16) -> Program {
        let arguments = vec![
            format!("--etcd-servers=http://127.0.0.1:{datastore_port}"),
            format!("--cert-dir={}", self.file("certs")),
            format!("--secure-port={port}"),
            "--bind-address=127.0.0.1".to_owned(),
            "--advertise-address=127.0.0.1".to_owned(),
            format!("--service-account-key-file={}", self.file("sa.pub")),
            format!("--service-account-signing-key-file={}", self.file("sa.key")),
            "--service-account-issuer=https://kubernetes.default.svc".to_owned(),
            "--service-cluster-ip-range=10.43.0.0/16".to_owned(),
            "--authorization-mode=RBAC".to_owned(),
            format!("--token-auth-file={}", self.file("tokens.csv")),
            format!("--client-ca-file={}", self.file("clients.crt")),
            "--endpoint-reconciler-type=none".to_owned(),
            "--allow-privileged".to_owned(),
        ];
        let ready = Ready::Answers(format!("https://127.0.0.1:{port}/readyz"));
        self.program("kube-apiserver", arguments, ready)
    }

    fn controllers(&self, kubeconfig: &Path, port: u16) -> Program {
        let arguments = vec![
            format!("--kubeconfig={}", kubeconfig.display()),
            format!("--service-account-private-key-file={}", self.file("sa.key")),
            "--use-service-account-credentials".to_owned(),
            "--leader-elect=false".to_owned(),
            // It wants a certificate authority that this API server does not have, and never gives up.
            "--controllers=*,-kube-apiserver-serving-clustertrustbundle-publisher-controller".to_owned(),
            // Nodes say once that they are ready, and never again.
            "--node-monitor-grace-period=87600h".to_owned(),
            format!("--secure-port={port}"),
        ];
        self.program("kube-controller-manager", arguments, Ready::Listens(port))
    }

    fn scheduler(&self, kubeconfig: &Path, port: u16) -> Program {
        let arguments = vec![
            format!("--kubeconfig={}", kubeconfig.display()),
            "--leader-elect=false".to_owned(),
            format!("--secure-port={port}"),
        ];
        self.program("kube-scheduler", arguments, Ready::Listens(port))
    }

    fn kwok(&self, kubeconfig: &Path) -> Program {
        let arguments = vec![
            format!("--kubeconfig={}", kubeconfig.display()),
            format!("--config={}", self.file("kwok.yaml")),
            "--manage-all-nodes=true".to_owned(),
        ];
        self.program("kwok", arguments, Ready::Started)
    }

    fn kubeconfig(&self, port: u16, user: &str) -> anyhow::Result<String> {
        let authority = std::fs::read(self.folder.join("certs/apiserver.crt"))
            .context("failed to read the API server's certificate")?;
        let authority = STANDARD.encode(authority);
        Ok(format!(
            "apiVersion: v1\nkind: Config\ncurrent-context: ithaca\n\
             clusters: [{{name: ithaca, cluster: {{server: \"https://127.0.0.1:{port}\", certificate-authority-data: {authority}}}}}]\n\
             users: [{{name: {user}, user: {{token: {user}}}}}]\n\
             contexts: [{{name: ithaca, context: {{cluster: ithaca, user: {user}}}}}]\n"
        ))
    }
}

/// An authority for client certificates, and one of its certificates for the user `admin` with its key; all in PEM.
fn client_certificates() -> Result<[String; 3], rcgen::Error> {
    let mut authority = CertificateParams::default();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority_key = KeyPair::generate()?;
    let authority_certificate = authority.self_signed(&authority_key)?.pem();
    let mut client = CertificateParams::default();
    client.distinguished_name.push(DnType::CommonName, "admin");
    client.distinguished_name.push(DnType::OrganizationName, "system:masters");
    client.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    let key = KeyPair::generate()?;
    let certificate = client.signed_by(&key, &Issuer::new(authority, authority_key))?;
    Ok([authority_certificate, certificate.pem(), key.serialize_pem()])
}

fn node_documents(nodes: usize) -> String {
    (1..=nodes).fold(String::new(), |mut text, number| {
        let _ = writeln!(
            text,
            "---\napiVersion: v1\nkind: Node\nmetadata:\n  name: node-{number}\n  labels:\n    \
             kubernetes.io/hostname: node-{number}\n    kubernetes.io/os: linux\n    kubernetes.io/arch: amd64"
        );
        text
    })
}

async fn nodes_ready(cluster: &Cluster, expected: usize) -> anyhow::Result<()> {
    let nodes = cluster.get("/api/v1/nodes").await?.context("no nodes")?;
    let ready = nodes["items"]
        .as_array()
        .into_iter()
        .flatten()
        .filter(|node| node["status"]["phase"] == "Running" && node["spec"]["taints"].is_null())
        .count();
    ensure!(ready == expected, "{ready} of {expected} are ready");
    Ok(())
}

//! Git over SSH against the real OpenSSH server.

use std::os::unix::fs::PermissionsExt;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use super::private::secret;
use super::*;
use crate::credentials::Index;

/// A server that lets in whoever has one of its keys, and runs nothing but Git.
pub(super) struct Server {
    folder: tempfile::TempDir,
    process: Child,
    user: String,
    port: u16,
}

impl Server {
    pub(super) async fn start(keys: &[(&str, &[&str])]) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let at = |name: &str| folder.path().join(name);
        keygen(&at("host"), &["-t", "ed25519"]);
        let mut authorized = String::new();
        for (name, arguments) in keys {
            keygen(&at(name), arguments);
            authorized += &std::fs::read_to_string(at(&format!("{name}.pub"))).expect("a public key");
        }
        std::fs::write(at("authorized"), authorized).expect("authorized keys");
        let config = format!(
            "ListenAddress 127.0.0.1\nHostKey {}\nAuthorizedKeysFile {}\nPidFile none\nStrictModes no\n\
             UsePAM no\nPasswordAuthentication no\nKbdInteractiveAuthentication no\nPermitRootLogin yes\n\
             ForceCommand {}\n",
            at("host").display(),
            at("authorized").display(),
            at("program").display(),
        );
        let program = format!(
            "#!/bin/sh\ncase \"$SSH_ORIGINAL_COMMAND\" in git-lfs-*) echo \"$SSH_ORIGINAL_COMMAND\" > {}; exec cat {};; esac\n\
             exec git shell -c \"$SSH_ORIGINAL_COMMAND\"\n",
            at("asked").display(),
            at("lfs").display(),
        );
        std::fs::write(at("program"), program).expect("a program");
        std::fs::set_permissions(at("program"), std::fs::Permissions::from_mode(0o755)).expect("executable");
        std::fs::write(at("config"), config).expect("a configuration");
        // Where the server runs as root it wants this folder, which the system makes when it starts.
        let _ = std::fs::create_dir_all("/run/sshd");
        let answers = async {
            loop {
                // Somebody else may take the port before the server does: then it ends, and another is tried.
                if let Some(listening) = listen(folder.path()).await {
                    return listening;
                }
            }
        };
        let (process, port) = tokio::time::timeout(PATIENCE, answers).await.expect("the server answers");
        let user = Command::new("id").arg("-un").output().expect("id").stdout;
        let user = String::from_utf8(user).expect("a name").trim().to_owned();
        Self { folder, process, user, port }
    }

    pub(super) fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.folder.path().join(name)).expect("a file")
    }

    pub(super) fn url(&self, path: &Path) -> String {
        format!("ssh://{}@127.0.0.1:{}{}", self.user, self.port, path.display())
    }

    /// What is answered to who asks for the server of Git LFS, which nobody is before.
    pub(super) fn say_of_lfs(&self, text: &str) {
        std::fs::write(self.folder.path().join("lfs"), text).expect("written");
    }

    /// The line by which the server is known.
    pub(super) fn line(&self) -> String {
        format!("[127.0.0.1]:{} {}", self.port, self.read("host.pub"))
    }
}

/// Starts the server of a folder at a port that is free; None where it did not get it.
async fn listen(folder: &Path) -> Option<(Child, u16)> {
    let free = std::net::TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr());
    let port = free.expect("a port").port();
    let log = folder.join("log");
    let mut process = Command::new("/usr/sbin/sshd")
        .args(["-D", "-e", "-p", &port.to_string(), "-f"])
        .arg(folder.join("config"))
        .stderr(std::fs::File::create(&log).expect("a log"))
        .stdout(Stdio::null())
        .spawn()
        .expect("the package openssh-server");
    while !std::fs::read_to_string(&log).expect("the log").contains("Server listening") {
        if process.try_wait().expect("its state").is_some() {
            return None;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Some((process, port))
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn keygen(file: &Path, arguments: &[&str]) {
    let mut command = Command::new("ssh-keygen");
    command.args(["-q", "-C", ""]).args(arguments).arg("-f").arg(file);
    if !arguments.contains(&"-N") {
        command.args(["-N", ""]);
    }
    assert!(command.status().expect("ssh-keygen").success());
}

#[tokio::test(flavor = "multi_thread")]
async fn repositories_are_fetched_over_ssh_with_any_usual_key_from_known_hosts() {
    let server = Server::start(&[
        ("ed25519", &["-t", "ed25519"]),
        ("ecdsa", &["-t", "ecdsa"]),
        ("rsa", &["-t", "rsa", "-b", "2048"]),
        ("pem", &["-t", "rsa", "-b", "2048", "-m", "PEM"]),
        ("pkcs8", &["-t", "rsa", "-b", "2048", "-m", "PKCS8"]),
        ("locked", &["-t", "ed25519", "-N", "passphrase"]),
    ])
    .await;
    keygen(&server.folder.path().join("stranger"), &["-t", "ed25519"]);
    let world = World::new();
    let first = world.commit("main", &[("a.yaml", "1")]);
    prepare_process();
    let upstream = world.folder.path().join("upstream");
    let url = server.url(&upstream);
    let (index, credentials) = watch::channel(None);
    let credentials = Credentials::new(credentials, PATIENCE);
    let look = async |url: &str, data: &[(&str, &str)], lines: &str| {
        let mut known: Index = Arc::unwrap_or_clone(secret(&[&[("url", url)], data].concat()));
        known.set_known_hosts(lines);
        index.send_replace(Some(Arc::new(known)));
        observe(&open_as(credentials.clone(), url, &world.cache()), "HEAD").await
    };
    for name in ["ed25519", "ecdsa", "rsa", "pem", "pkcs8"] {
        let found = look(&url, &[("sshPrivateKey", &server.read(name))], &server.line()).await;
        assert_eq!(found, Ok(first.clone()), "{name}: {}", server.read("log"));
    }
    let key = server.read("ed25519");
    let second = world.commit("main", &[("a.yaml", "2")]);
    assert_eq!(look(&url, &[("sshPrivateKey", key.trim())], &server.line()).await, Ok(second.clone()));
    let anyone = [("sshPrivateKey", key.as_str()), ("insecure", "true")];
    assert_eq!(look(&url, &anyone, "").await, Ok(second));

    let other = format!("[127.0.0.1]:{} {}", server.port, server.read("ed25519.pub"));
    let revoked = format!("{}@revoked * {}", server.line(), server.read("host.pub"));
    let nowhere = server.url(&world.folder.path().join("nothing"));
    let (locked, stranger) = (server.read("locked"), server.read("stranger"));
    for (url, data, lines, reason) in [
        (&url, vec![("sshPrivateKey", key.as_str())], "", "has no line for [127.0.0.1]"),
        (&url, vec![("sshPrivateKey", key.as_str())], other.as_str(), "has another for [127.0.0.1]"),
        (&url, vec![("sshPrivateKey", key.as_str())], revoked.as_str(), "is revoked in ConfigMap"),
        (
            &url,
            vec![("sshPrivateKey", stranger.as_str())],
            &server.line(),
            "refused the credentials of Secret private",
        ),
        (&url, vec![("sshPrivateKey", locked.as_str())], &server.line(), "has a passphrase"),
        (&url, vec![("sshPrivateKey", "s3cret")], &server.line(), "no private key that can be read"),
        (&url, vec![], &server.line(), "no Secret has credentials"),
        (&nowhere, vec![("sshPrivateKey", key.as_str())], &server.line(), "does not exist"),
    ] {
        let error = look(url, &data, lines).await.expect_err(reason);
        assert!(error.contains(reason), "{reason}: {error}");
        assert!(!error.contains("s3cret") && !error.contains("PRIVATE KEY"), "{error}");
    }

    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let silent = format!("ssh://git@127.0.0.1:{}/app", silent.local_addr().expect("an address").port());
    let silent = open_impatiently(&silent, &world.cache());
    let error = observe(&silent, "HEAD").await.expect_err("a silent host");
    assert!(error.contains("no answer within"), "{error}");
}

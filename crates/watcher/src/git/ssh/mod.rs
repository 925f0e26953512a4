//! Git over SSH, for libgit2, on the crate russh: libssh2 would bring a second library for encryption, OpenSSL, while
//! this one shares ring with TLS.
//!
//! What comes in: requests of libgit2, on threads that may block inside a runtime. What goes out: what `git-upload-pack`
//! on the host says. What it does not do: ask for passwords, or use agents and files of this machine.

mod address;
mod host_keys;
mod lfs;
mod stream;

use std::sync::{Arc, Once};
use std::time::Duration;

use git2::transport::{self, Service, SmartSubtransport, SmartSubtransportStream, Transport};
use git2::{ErrorClass, ErrorCode};
use ithaca_api::repository::Credential;
use russh::client::{self, Config, Handle};
use russh::keys::{
    Algorithm, HashAlg, PrivateKey, PrivateKeyWithHashAlg, PublicKeyOrCertificate, decode_secret_key,
};
use russh::{Channel, Preferred};

use self::address::Address;
use self::host_keys::{Verdict, judge, kinds};
use self::stream::SshStream;
use super::line::Line;
use crate::credentials::Access;

pub(super) use lfs::lfs_server;

/// What a connection over SSH is made with.
#[derive(Clone)]
pub(super) struct SshLine {
    /// As whom; none where there is no key.
    key: Option<Arc<PrivateKey>>,
    /// Lines of known hosts; none where any host is trusted.
    known_hosts: Option<Arc<str>>,
    /// How long the host may stay silent.
    silence: Duration,
}

impl SshLine {
    /// What an access says, or what is wrong with it; no key shows in that.
    pub(super) fn new(access: &Access, silence: Duration) -> Result<Self, &'static str> {
        if !access.settings.proxy.is_empty() {
            return Err("its Secret has a proxy, and repositories are reached over SSH without one");
        }
        let key = match &access.settings.credential {
            Some(Credential::SshKey(key)) => Some(Arc::new(read(key.reveal())?)),
            _ => None,
        };
        let lines = access.known_hosts.clone().unwrap_or_default();
        Ok(Self { key, known_hosts: (!access.settings.insecure).then_some(lines), silence })
    }
}

fn read(key: &str) -> Result<PrivateKey, &'static str> {
    const ENCRYPTED: &str = "sshPrivateKey has a passphrase: take it off with ssh-keygen -p";
    match decode_secret_key(key, None) {
        Ok(key) if key.is_encrypted() => Err(ENCRYPTED),
        Ok(key) => Ok(key),
        Err(russh::keys::Error::KeyIsEncrypted) => Err(ENCRYPTED),
        Err(_) if key.contains("ENCRYPTED") => Err(ENCRYPTED),
        Err(_) => {
            Err("sshPrivateKey is no private key that can be read: write an ed25519, ecdsa or RSA key in PEM")
        }
    }
}

/// Has libgit2 speak SSH through this module. Only the first call counts.
#[allow(unsafe_code)]
pub(super) fn install() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let factory = |remote: &git2::Remote<'_>| match Line::current() {
            Line::Ssh(line) => Transport::smart(remote, false, Subtransport { line }),
            _ => Err(git2::Error::from_str("nobody said how to reach the host")),
        };
        // SAFETY: this runs once, before any other use of Git.
        if let Err(error) = unsafe { transport::register("ssh", factory) } {
            tracing::error!(%error, "failed to register ssh for Git");
        }
    });
}

/// One connection as libgit2 sees it.
struct Subtransport {
    line: SshLine,
}

impl SmartSubtransport for Subtransport {
    fn action(&self, url: &str, action: Service) -> Result<Box<dyn SmartSubtransportStream>, git2::Error> {
        match action {
            Service::UploadPackLs | Service::UploadPack => {}
            Service::ReceivePackLs | Service::ReceivePack => {
                return Err(git2::Error::from_str("pushing is not supported"));
            }
        }
        let address = Address::parse(url);
        let address =
            address.ok_or_else(|| git2::Error::from_str("it is no address of a repository over SSH"))?;
        let runtime = tokio::runtime::Handle::try_current();
        let runtime = runtime.map_err(|error| git2::Error::from_str(&error.to_string()))?;
        let (session, channel) = runtime
            .block_on(connect(&self.line, &address, address.upload_pack()))
            .map_err(git2::Error::from)?;
        Ok(Box::new(SshStream::new(runtime, session, channel, self.line.silence)))
    }

    fn close(&self) -> Result<(), git2::Error> {
        Ok(())
    }
}

/// Why there is no connection.
#[derive(Debug)]
enum Failure {
    /// The host was too slow.
    Silent,
    /// The host does not take the key, or there is none.
    Refused,
    /// The host is not who it should be.
    Stranger(String),
    /// Something else.
    Broken(String),
}

impl From<russh::Error> for Failure {
    fn from(error: russh::Error) -> Self {
        Self::Broken(error.to_string())
    }
}

impl From<Failure> for git2::Error {
    fn from(failure: Failure) -> Self {
        let (code, reason) = match failure {
            Failure::Silent => (ErrorCode::Timeout, "timed out".to_owned()),
            Failure::Refused => (ErrorCode::Auth, "the host does not take the key".to_owned()),
            Failure::Stranger(reason) => (ErrorCode::Certificate, reason),
            Failure::Broken(reason) => (ErrorCode::GenericError, reason),
        };
        Self::new(code, ErrorClass::Ssh, reason.replace('\0', " "))
    }
}

/// Connects, says who asks, and starts the program that answers.
async fn connect(
    line: &SshLine,
    address: &Address,
    command: String,
) -> Result<(Handle<Host>, Channel<client::Msg>), Failure> {
    let patiently =
        async |wait: Duration, work| tokio::time::timeout(wait, work).await.map_err(|_| Failure::Silent)?;
    let known_hosts = line.known_hosts.as_deref();
    let host = Host { address: address.clone(), known_hosts: line.known_hosts.clone() };
    let connecting = async {
        let socket = tokio::net::TcpStream::connect((address.host.as_str(), address.port)).await;
        let socket = socket.map_err(|error| Failure::Broken(error.to_string()))?;
        let _ = socket.set_nodelay(true);
        let config = Config { preferred: preferred(known_hosts, address), ..Config::default() };
        let mut session = client::connect_stream(Arc::new(config), socket, host).await?;
        sign_in(&mut session, line, address).await?;
        let channel = session.channel_open_session().await?;
        channel.exec(false, command).await?;
        Ok((session, channel))
    };
    patiently(line.silence, connecting).await
}

async fn sign_in(session: &mut Handle<Host>, line: &SshLine, address: &Address) -> Result<(), Failure> {
    let user = address.user.as_str();
    let answer = match &line.key {
        None => session.authenticate_none(user).await?,
        Some(key) => {
            // Hosts that do not tell what they take are new enough for this one.
            let hash = session.best_supported_rsa_hash().await?.unwrap_or(Some(HashAlg::Sha512));
            session.authenticate_publickey(user, PrivateKeyWithHashAlg::new(key.clone(), hash)).await?
        }
    };
    if answer.success() { Ok(()) } else { Err(Failure::Refused) }
}

/// Kinds of keys by which the host is known come first: it may have others, which nobody has noted.
fn preferred(known_hosts: Option<&str>, address: &Address) -> Preferred {
    let known = known_hosts.map(|lines| kinds(lines, &address.host, address.port)).unwrap_or_default();
    let is_known = |algorithm: &Algorithm| match algorithm {
        Algorithm::Rsa { .. } => known.iter().any(|known| matches!(known, Algorithm::Rsa { .. })),
        other => known.contains(other),
    };
    let all = Preferred::DEFAULT.key.iter().filter(|algorithm| **algorithm != Algorithm::Rsa { hash: None });
    let (mut first, later): (Vec<_>, Vec<_>) = all.cloned().partition(is_known);
    first.extend(later);
    Preferred { key: first.into(), ..Preferred::DEFAULT }
}

/// The host that a connection leads to.
struct Host {
    address: Address,
    known_hosts: Option<Arc<str>>,
}

impl client::Handler for Host {
    type Error = Failure;

    async fn check_server_key(&mut self, shown: &PublicKeyOrCertificate) -> Result<bool, Failure> {
        let Some(lines) = &self.known_hosts else { return Ok(true) };
        let PublicKeyOrCertificate::PublicKey { key, .. } = shown else { return Ok(false) };
        let Address { host, port, .. } = &self.address;
        let fingerprint = key.fingerprint(HashAlg::Sha256);
        let shows = format!("host {host} shows the key {} {fingerprint}", key.algorithm());
        let map = "ConfigMap argocd-ssh-known-hosts-cm";
        let name = if *port == 22 { host.clone() } else { format!("[{host}]:{port}") };
        let reason = match judge(lines, host, *port, key) {
            Verdict::Known => return Ok(true),
            Verdict::Unknown => {
                format!("{shows}, and {map} has no line for {name}: add one if this is its key")
            }
            Verdict::Changed => format!(
                "{shows}, and {map} has another for {name}: either its key has changed, or somebody else answers"
            ),
            Verdict::Revoked => format!("{shows}, which is revoked in {map}"),
        };
        Err(Failure::Stranger(reason))
    }
}

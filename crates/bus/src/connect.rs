//! From arguments to a bus that stays connected, and says when its streams are new.

use std::time::Duration;

use async_nats::jetstream;
use tokio::sync::watch;

use crate::{Error, Seal, metrics, streams};

/// Where the bus is.
#[derive(Clone, Debug, clap::Args)]
#[group(skip)]
pub struct Args {
    /// URL of the NATS server, or several separated by commas
    #[arg(long, env = "ITHACA_NATS_URL", default_value = "nats://127.0.0.1:4222", help_heading = "Bus")]
    pub nats_url: String,
    /// File with NATS credentials (.creds)
    #[arg(long, env = "ITHACA_NATS_CREDENTIALS", help_heading = "Bus")]
    pub nats_credentials: Option<std::path::PathBuf>,
    /// Token that the NATS server asks for; better given in the environment, where nobody lists it
    #[arg(
        long,
        env = "ITHACA_NATS_TOKEN",
        hide_env_values = true,
        conflicts_with = "nats_credentials",
        help_heading = "Bus"
    )]
    pub nats_token: Option<String>,
    /// Copies that JetStream keeps of each stream; as many NATS servers are needed
    #[arg(long, env = "ITHACA_NATS_REPLICAS", default_value_t = 1, help_heading = "Bus")]
    pub nats_replicas: usize,
}

/// Which life of the streams this is. It changes when the server lost its volume:
/// then all that was published before is gone and has to be said again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Incarnation(pub(crate) i128);

/// A connection to the bus, cheap to clone.
#[derive(Clone, Debug)]
pub struct Bus {
    pub(crate) jetstream: jetstream::Context,
    pub(crate) seal: Option<Seal>,
    incarnation: watch::Receiver<Incarnation>,
}

impl Bus {
    /// Connects, checks the server's version and creates what is missing. `name` is shown in the server's
    /// list of connections. Waits for a server that is not up yet; fails only on wrong credentials,
    /// unreadable files and servers that are too old.
    pub async fn connect(args: &Args, name: &str) -> Result<Self, Error> {
        let (connected_tx, connected_rx) = watch::channel(0_u64);
        let client = open(args, name, connected_tx).await?;
        let mut jetstream = jetstream::new(client.clone());
        // What was on its way when the server went away is never answered: it is said again after this.
        jetstream.set_timeout(Duration::from_secs(5));
        let incarnation = streams::ensure_patiently(&client, &jetstream, args.nats_replicas).await?;
        let (incarnation_tx, incarnation_rx) = watch::channel(incarnation);
        let keeper = keep(client, jetstream.clone(), args.nats_replicas, connected_rx, incarnation_tx);
        tokio::spawn(keeper);
        Ok(Self { jetstream, seal: None, incarnation: incarnation_rx })
    }

    /// The same for somebody who has the key of bundles: contents are sealed, and what is not is refused.
    pub fn sealing(self, seal: Option<Seal>) -> Self {
        Self { seal, ..self }
    }

    /// What tells the key of bundles from another; empty where there is none.
    pub fn seal_id(&self) -> &str {
        self.seal.as_ref().map_or("", Seal::id)
    }

    /// The life of the streams, now and as it changes.
    pub fn incarnation(&self) -> watch::Receiver<Incarnation> {
        self.incarnation.clone()
    }

    /// Whether the server is connected at this moment.
    pub fn is_connected(&self) -> bool {
        matches!(self.jetstream.client().connection_state(), async_nats::connection::State::Connected)
    }

    /// Sends out what is buffered; to be called last.
    pub async fn close(&self) {
        let _ = tokio::time::timeout(Duration::from_secs(2), self.jetstream.client().flush()).await;
    }
}

async fn open(args: &Args, name: &str, connected: watch::Sender<u64>) -> Result<async_nats::Client, Error> {
    let failed = |source: Box<dyn std::error::Error + Send + Sync>| Error::Connect {
        url: redacted(&args.nats_url),
        source,
    };
    let connection = metrics::Connection::new();
    let mut options = async_nats::ConnectOptions::new();
    if let Some(path) = &args.nats_credentials {
        options = options.credentials_file(path).await.map_err(|e| failed(e.into()))?;
    }
    if let Some(token) = &args.nats_token {
        options = options.token(token.clone());
    }
    let servers = args.nats_url.split(',').map(str::trim).collect::<Vec<_>>();
    options
        .name(name)
        .retry_on_initial_connect()
        .ping_interval(Duration::from_secs(20))
        .reconnect_delay_callback(|attempts| Duration::from_millis(20 * attempts.clamp(1, 50) as u64))
        .event_callback(move |event| {
            let (connected, connection) = (connected.clone(), connection.clone());
            async move {
                match event {
                    async_nats::Event::Connected => {
                        connection.made();
                        connected.send_modify(|n| *n += 1);
                    }
                    async_nats::Event::Disconnected => {
                        connection.lost();
                        tracing::warn!("disconnected from NATS, waiting for it");
                    }
                    other => tracing::debug!(event = %other, "NATS"),
                }
            }
        })
        .connect(servers)
        .await
        .map_err(|e| failed(e.into()))
}

/// After each reconnect: makes sure that the streams exist, and tells when they are new ones.
async fn keep(
    client: async_nats::Client,
    jetstream: jetstream::Context,
    replicas: usize,
    mut connected: watch::Receiver<u64>,
    incarnation: watch::Sender<Incarnation>,
) {
    connected.mark_unchanged();
    while connected.changed().await.is_ok() {
        match streams::ensure_patiently(&client, &jetstream, replicas).await {
            Ok(now) => {
                incarnation.send_if_modified(|known| {
                    let is_new = *known != now;
                    if is_new {
                        tracing::warn!("the streams of NATS are new: everything will be said again");
                    }
                    *known = now;
                    is_new
                });
            }
            Err(error) => tracing::error!(%error, "NATS cannot be used"),
        }
        if incarnation.is_closed() {
            return;
        }
    }
}

/// The server list without user names and passwords.
fn redacted(urls: &str) -> String {
    urls.split(',')
        .map(|url| match (url.find("://"), url.rfind('@')) {
            (Some(scheme), Some(at)) if at > scheme => {
                format!("{}{}", &url[..scheme + 3], &url[at + 1..])
            }
            _ => url.to_owned(),
        })
        .collect::<Vec<_>>()
        .join(",")
}

#[cfg(test)]
mod tests {
    #[test]
    fn credentials_in_a_url_are_never_shown() {
        assert_eq!(super::redacted("nats://u:p@a:4222,nats://b:4222"), "nats://a:4222,nats://b:4222");
    }
}

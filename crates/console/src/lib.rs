//! The web page and the REST interface.
//!
//! What comes in: a watch of the Applications, events from the bus, requests of browsers and programs.
//! What goes out: pages and JSON, kept live by server-sent events.
//! What it does not do: write anything anywhere. Of each Application it keeps a summary of a few hundred bytes;
//! the whole one is read when somebody looks at it.

mod args;
mod board;
mod error;
mod events;
mod happening;
mod live;
mod metrics;
mod page;
mod rest;
mod site;
mod summary;
mod watch;

use std::sync::Arc;

use anyhow::Context;
use ithaca_api::ApplicationNamespaces;
use ithaca_chassis::{CountRequests, Process};
use tokio::net::TcpListener;

pub use args::Args;
use board::Board;
use events::Events;
use metrics::Metrics;
use site::Site;

/// Serves until the process shall end. Pages are served without the bus too, only without events.
pub async fn run(args: Args, process: Process) -> anyhow::Result<()> {
    let Args { chassis: _, bus, application_namespaces, console_listen, base_path } = args;
    let listener = TcpListener::bind(console_listen)
        .await
        .with_context(|| format!("failed to listen on {console_listen}; choose another --console-listen"))?;
    let config = kube::Config::infer().await.context("failed to find the Kubernetes API server")?;
    let requests = CountRequests::new("ithaca_kubernetes_requests");
    let client = kube::client::ClientBuilder::try_from(config)?.with_layer(&requests).build();

    let board = Arc::new(Board::default());
    let events = Arc::new(Events::default());
    let watched = process.health.part("applications");
    let namespaces = ApplicationNamespaces::new(&process.namespace, application_namespaces);
    let watching = watch::follow(client.clone(), namespaces, board.clone(), watched);
    let listening = events::follow(bus, process.name, events.clone());
    let site = Site {
        board,
        events,
        client,
        base: base_path,
        namespace: process.namespace,
        metrics: Metrics::new(),
        shutdown: process.shutdown.clone(),
    };
    tracing::info!(address = %console_listen, base = site.base.as_str(), "the page is served");
    let serving = axum::serve(listener, site::router(site))
        .with_graceful_shutdown(process.shutdown.clone().cancelled_owned());
    tokio::select! {
        served = serving => served.context("failed to serve"),
        () = watching => anyhow::bail!("the watch of the Applications ended"),
        listened = listening => listened,
    }
}

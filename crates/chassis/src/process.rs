//! From arguments to a running service, and from a signal to its end.

use std::{future::Future, process::ExitCode, time::Duration};

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::{Args, Health, serve, telemetry::Telemetry};

/// How long a service may take to finish or hand back its work.
const GRACE: Duration = Duration::from_secs(20);

/// What a service runs in.
#[derive(Clone, Debug)]
pub struct Process {
    /// The subcommand: `watcher`, `applier`, …
    pub name: &'static str,
    /// Namespace of Ithaca's own objects and of Applications.
    pub namespace: String,
    /// Cancelled when the process shall end.
    pub shutdown: CancellationToken,
    /// Where parts register their readiness.
    pub health: Health,
}

/// Runs a service until it ends or a signal ends it. A service that ends by itself ends the process,
/// with a failure unless it was told to stop. Each thread that runs it calls `at_rest` when it has nothing to do.
pub fn run<S, F>(name: &'static str, args: Args, at_rest: fn(), service: S) -> ExitCode
where
    S: FnOnce(Process) -> F,
    F: Future<Output = anyhow::Result<()>>,
{
    // An error says that another one is installed already, which serves as well.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let threads = std::thread::available_parallelism().map_or(2, |n| n.get().min(4));
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(threads)
        .enable_all()
        .thread_name(name)
        .on_thread_park(at_rest)
        .build();
    match runtime {
        Ok(runtime) => {
            let code = runtime.block_on(supervise(name, args, service));
            runtime.shutdown_timeout(Duration::from_secs(1));
            code
        }
        Err(error) => {
            eprintln!("ithaca {name}: failed to start the runtime: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn supervise<S, F>(name: &'static str, args: Args, service: S) -> ExitCode
where
    S: FnOnce(Process) -> F,
    F: Future<Output = anyhow::Result<()>>,
{
    let telemetry = match Telemetry::start(name, &args) {
        Ok(telemetry) => telemetry,
        Err(error) => {
            eprintln!("ithaca {name}: failed to start telemetry: {error:#}");
            return ExitCode::FAILURE;
        }
    };
    let shutdown = CancellationToken::new();
    let process = Process {
        name,
        namespace: args.namespace.clone(),
        shutdown: shutdown.clone(),
        health: Health::default(),
    };
    let outcome = drive(&args, process, telemetry.registry(), service).await;
    let code = match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(error = format!("{error:#}"), "{name} failed");
            ExitCode::FAILURE
        }
    };
    telemetry.stop();
    code
}

async fn drive<S, F>(
    args: &Args,
    process: Process,
    registry: prometheus::Registry,
    service: S,
) -> anyhow::Result<()>
where
    S: FnOnce(Process) -> F,
    F: Future<Output = anyhow::Result<()>>,
{
    let shutdown = process.shutdown.clone();
    let http = serve::bind(args.http_listen).await?;
    let serving = tokio::spawn(serve::serve(http, process.health.clone(), registry));
    let _ends_with_us = serving.abort_handle();
    tracing::info!(version = env!("CARGO_PKG_VERSION"), http = %args.http_listen, "starting {}", process.name);
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut service = Box::pin(service(process));
    tokio::select! {
        ended = &mut service => return ended.and_then(|()| anyhow::bail!("the service ended by itself")),
        ended = serving => anyhow::bail!("the HTTP server ended: {ended:?}"),
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    tracing::info!("stopping");
    shutdown.cancel();
    match tokio::time::timeout(GRACE, service).await {
        Ok(ended) => ended,
        Err(_) => anyhow::bail!("not finished {} seconds after the signal", GRACE.as_secs()),
    }
}

//! Ties the observer to the world: events in, effects carried out, until the process is told to stop.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;
use ithaca_api::ApplicationNamespaces;
use ithaca_bus::Bus;
use ithaca_chassis::{CountRequests, Process};
use ithaca_proto::v1::source_service_server::SourceServiceServer;
use kube::{Config, client::ClientBuilder};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;
use tonic::transport::server::TcpIncoming;
use tracing::Instrument;
use tracing_opentelemetry::OpenTelemetrySpanExt;

use crate::archive::ArchiveLimits;
use crate::cache::Caches;
use crate::content::{Content, ContentLimits};
use crate::credentials::Credentials;
use crate::event::{Event, Events};
use crate::git::{Limits, prepare_process};
use crate::metrics::Metrics;
use crate::observe::{Effect, Job, Observer, Settings, Vouched, evaluate};
use crate::publish::{Order, publish};
use crate::reads::PluginFiles;
use crate::registry::Registry;
use crate::sops::{Keys, watch_keys};
use crate::webhook::{Webhooks, router};
use crate::{Args, applications, capabilities, credentials, lookup, settings, signature, webhook};

/// Events that are taken at once before effects are carried out.
const EVENTS: usize = 256;

/// After this silence a reader of content is asked whether it is still there, and after as much again it counts as gone: who
/// vanished with its machine says no good-bye, and what is read for it has one of a few places.
const KEEPALIVE: Duration = Duration::from_secs(20);

/// Runs the watcher until it is told to stop.
pub async fn run(args: Args, process: Process) -> anyhow::Result<()> {
    let limits = Limits { silence: args.git_silence, call: args.git_timeout };
    let plugin_files = PluginFiles::new(args.plugin_files.iter().map(String::as_str));
    let plugin_files = Arc::new(plugin_files.context("failed to read --plugin-files")?);
    prepare_process();
    let (bus_ready, ready) = (process.health.part("bus"), process.health.part("applications"));
    let credentials_ready = process.health.part("credentials");
    let projects_ready = process.health.part("projects");
    let metrics = Metrics::new();
    let grpc = bind(args.grpc_listen, "--grpc-listen").await?;
    let webhook = bind(args.webhook_listen, "--webhook-listen").await?;
    std::fs::create_dir_all(&args.cache_dir)
        .with_context(|| format!("failed to create the cache folder {}", args.cache_dir.display()))?;
    let config = Config::infer().await.context("failed to find the Kubernetes API server")?;
    let requests = CountRequests::new("ithaca_kubernetes_requests");
    let client = ClientBuilder::try_from(config)?.with_layer(&requests).build();
    let bus = Bus::connect(&args.bus, process.name).await.context("failed to connect to the bus")?;
    bus_ready.set(true);

    let (index_tx, index_rx) = watch::channel(None);
    let credentials = Credentials::new(index_rx, limits.silence);
    let archives = ArchiveLimits::of_mib(args.content_max_mib);
    let registry =
        Registry::new(Caches::below(&args.cache_dir), limits, archives, credentials.clone(), metrics.clone());
    let (events_tx, events_rx) = mpsc::unbounded_channel();
    let (orders_tx, orders_rx) = mpsc::unbounded_channel();
    let (secrets_tx, secrets) = watch::channel(None);
    let (limit_tx, limit) = watch::channel(args.webhook_max_mib << 20);
    let (keys_tx, keys_rx) = watch::channel(Keys::default());
    let content_limits = ContentLimits::of_mib(args.content_max_mib);
    let content = Content::new(
        registry.clone(),
        keys_rx,
        content_limits,
        args.allow_file_repositories,
        metrics.clone(),
    );
    let webhooks = Webhooks { events: events_tx.clone(), secrets, limit, metrics: metrics.clone() };
    let settings = Settings {
        policy: settings::DEFAULT_POLICY,
        quiet: args.quiet_period,
        allow_files: args.allow_file_repositories,
        credentials: Arc::default(),
        rules: None,
    };
    let rim = Rim {
        events: events_tx.clone(),
        orders: orders_tx,
        registry,
        plugin_files,
        vouched: Vouched::default(),
        metrics: metrics.clone(),
    };

    let namespace = process.namespace.as_str();
    let namespaces = ApplicationNamespaces::new(namespace, args.application_namespaces);
    let mut publisher = tokio::spawn(publish(bus.clone(), orders_rx, metrics));
    let ended = tokio::select! {
        () = process.shutdown.cancelled() => Ok(()),
        () = observe(settings, rim, credentials, events_rx) => Err("observing ended"),
        () = applications::watch(client.clone(), &namespaces, events_tx.clone(), ready) => Err("the watch ended"),
        () = credentials::follow(client.clone(), namespace, index_tx, credentials_ready) => Err("the watch ended"),
        () = settings::watch_config_map(client.clone(), namespace, events_tx.clone(), limit_tx) => Err("the watch ended"),
        () = webhook::follow(client.clone(), namespace, secrets_tx) => Err("the watch ended"),
        () = watch_keys(client.clone(), namespace, keys_tx, events_tx.clone()) => Err("the watch ended"),
        () = signature::follow(client.clone(), namespace, events_tx.clone(), projects_ready) => Err("the watch ended"),
        () = capabilities::watch(client, events_tx.clone()) => Err("the watch ended"),
        () = tell_incarnations(&bus, events_tx) => Err("the bus ended"),
        () = serve_content(grpc, content, process.shutdown.clone()) => Err("the gRPC server ended"),
        () = serve_webhooks(webhook, router(webhooks, &args.webhook_base_path)) => Err("the webhook server ended"),
        _ = &mut publisher => Err("publishing ended"),
    };
    if ended.is_ok() {
        // The orders have ended with the observer; what is on its way still arrives.
        let _ = publisher.await;
        bus.close().await;
    }
    ended.map_err(anyhow::Error::msg)
}

async fn bind(address: std::net::SocketAddr, flag: &str) -> anyhow::Result<TcpListener> {
    let listener = TcpListener::bind(address).await;
    listener.with_context(|| format!("failed to listen on {address}; choose another {flag}"))
}

async fn serve_content(listener: TcpListener, content: Content, shutdown: CancellationToken) {
    let served = tonic::transport::Server::builder()
        .http2_keepalive_interval(Some(KEEPALIVE))
        .http2_keepalive_timeout(Some(KEEPALIVE))
        .add_service(SourceServiceServer::new(content))
        .serve_with_incoming_shutdown(
            TcpIncoming::from(listener).with_nodelay(Some(true)),
            shutdown.cancelled_owned(),
        )
        .await;
    if let Err(error) = served {
        tracing::error!(%error, "failed to serve content");
    }
}

async fn serve_webhooks(listener: TcpListener, router: axum::Router) {
    if let Err(error) = axum::serve(listener, router).await {
        tracing::error!(%error, "failed to serve webhooks");
    }
}

async fn tell_incarnations(bus: &Bus, events: Events) {
    let mut incarnation = bus.incarnation();
    incarnation.mark_unchanged();
    while incarnation.changed().await.is_ok() {
        if events.send(Event::BusIsNew).is_err() {
            return;
        }
    }
}

/// The loop: what happened, then what is to be done, then waiting for either. Nothing is done before credentials are
/// known: a private repository would be taken for one that cannot be read.
async fn observe(
    settings: Settings,
    rim: Rim,
    mut credentials: Credentials,
    mut events: mpsc::UnboundedReceiver<Event>,
) {
    let Some(known) = credentials.first().await else { return };
    let mut observer = Observer::new(Settings { credentials: known, ..settings });
    let mut batch = Vec::with_capacity(EVENTS);
    loop {
        let now = Instant::now();
        batch.drain(..).for_each(|event| rim.tell(&mut observer, now, event));
        observer.effects(now).into_iter().for_each(|effect| rim.carry_out(effect));
        let (applications, repositories) = observer.sizes();
        rim.metrics.applications.record(applications as u64, &[]);
        rim.metrics.repositories.record(repositories as u64, &[]);
        let pause = async {
            match observer.next() {
                Some(next) => tokio::time::sleep_until(next.into()).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            taken = events.recv_many(&mut batch, EVENTS) => if taken == 0 { return },
            known = credentials.changed() => observer.credentials(Instant::now(), known),
            () = pause => {}
        }
    }
}

/// What effects are carried out with.
struct Rim {
    events: Events,
    orders: mpsc::UnboundedSender<Order>,
    registry: Registry,
    plugin_files: Arc<PluginFiles>,
    vouched: Vouched,
    metrics: Metrics,
}

impl Rim {
    fn tell(&self, observer: &mut Observer, now: Instant, event: Event) {
        match event {
            Event::Application(watched) => observer.application(now, *watched),
            Event::Removed(uid) => observer.removed(&uid),
            Event::Only(uids) => observer.only(&uids),
            Event::Observed { repository, started, context, answer } => {
                if let Err(error) = &answer {
                    self.metrics.failures.add(1, &[]);
                    let hold = error.hold().map(|hold| hold.as_secs());
                    tracing::warn!(%error, %repository, hold, "failed to observe a repository");
                }
                observer.observed(now, &repository, (started, context), answer, chance());
            }
            Event::Evaluated(outcomes) => {
                for (key, epoch, outcome) in outcomes {
                    observer.evaluated(now, &key, epoch, outcome);
                }
            }
            Event::Pushed { keys, context, matched } => {
                let _ = matched.send(observer.pushed(now, &keys, &context));
            }
            Event::Policy(policy) => observer.policy(now, policy),
            Event::BuildOptions(options) => observer.build_options(now, options),
            Event::Tools(tools) => observer.tools(now, tools),
            Event::Capabilities(capabilities) => observer.capabilities(now, capabilities),
            Event::Rules(rules) => observer.rules(now, rules),
            Event::KeysChanged | Event::BusIsNew => observer.say_all_again(now),
        }
    }

    fn carry_out(&self, effect: Effect) {
        match effect {
            Effect::Observe { repository, revisions, with_proof, is_led, started, context } => {
                let (opened, events) = (self.registry.open(&repository), self.events.clone());
                let span = tracing::info_span!("observe repository", %repository);
                let _ = span.set_parent(context);
                let context = span.context();
                let call = async move {
                    let answer = match lookup::refusal(&repository, is_led).await {
                        None => opened.observe(revisions, with_proof).await,
                        Some(refusal) => Err(refusal),
                    };
                    let _ = events.send(Event::Observed { repository, started, context, answer });
                };
                tokio::spawn(call.instrument(span));
            }
            Effect::Evaluate(jobs) => {
                let used = jobs.iter().flat_map(Job::places).map(|(repository, _)| repository);
                let repositories: HashMap<_, _> =
                    used.filter_map(|key| Some((key.clone(), self.registry.get(key)?))).collect();
                let (events, vouched) = (self.events.clone(), self.vouched.clone());
                let plugin_files = self.plugin_files.clone();
                tokio::task::spawn_blocking(move || {
                    let found = |outcomes| drop(events.send(Event::Evaluated(outcomes)));
                    evaluate(&jobs, &repositories, &vouched, &plugin_files, found);
                });
            }
            Effect::Publish(publication) => drop(self.orders.send(Order::Say(publication))),
            Effect::Discard(key) => drop(self.orders.send(Order::Discard(key))),
            Effect::Forget(repository) => {
                if let Some(folder) = self.registry.remove(&repository) {
                    tokio::task::spawn_blocking(move || {
                        if let Err(error) = std::fs::remove_dir_all(&folder) {
                            tracing::warn!(%error, folder = %folder.display(), "failed to remove a cache");
                        }
                    });
                }
            }
        }
    }
}

/// A number between 0 and 1 that differs each time and from process to process.
fn chance() -> f64 {
    let bits = RandomState::new().hash_one(Instant::now()) >> 11;
    bits as f64 / (1_u64 << 53) as f64
}

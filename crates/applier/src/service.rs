//! The applier as a process: its arguments, and the tasks that it is made of.

use std::{
    future::Future,
    net::SocketAddr,
    ops::Deref,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use anyhow::Context;
use ithaca_api::{ApplicationNamespaces, NamespacePatterns};
use ithaca_bus::{Bus, Interest, Membership};
use ithaca_chassis::{CountRequests, Process};
use ithaca_proto::subject;
use tokio::{net::TcpListener, sync::watch, task::JoinSet};
use tokio_util::sync::CancellationToken;

use crate::{
    answer, bundle_key,
    cluster::Cluster,
    clusters::{self, Holdings},
    error::Error,
    follow,
    live::{Record, Records},
    metrics::{self, Metrics},
    object::ObjectKey,
    ownership,
    plan::Guard,
    projects,
    publish::{self, Publisher},
    queue::{self, Queue},
    rules::Rules,
    settings::{self, SettingsCell},
    state::{App, State},
    work,
};

/// How long what has happened may take to be published once the process stops.
const LAST_WORDS: Duration = Duration::from_secs(8);

/// How long it may take to tell the other appliers that this one leaves.
const GOODBYE: Duration = Duration::from_secs(2);

/// Makes clusters match Git and keeps them matched
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// Arguments of every process.
    #[command(flatten)]
    pub chassis: ithaca_chassis::Args,
    /// Where the bus is.
    #[command(flatten)]
    pub bus: ithaca_bus::Args,
    /// What bundles are sealed with.
    #[command(flatten)]
    pub seal: ithaca_bus::SealArgs,
    /// Secret in the own namespace that holds the key of bundles as `key`; it is made where there is none
    #[arg(long, env = "ITHACA_BUNDLE_KEY_SECRET", conflicts_with = "bundle_key", help_heading = "Bus")]
    pub bundle_key_secret: Option<String>,
    /// Namespaces beside the control plane's whose Applications are worked on, where their projects let them
    /// (spec.sourceNamespaces): names, globs, or regular expressions between slashes, with commas between them
    #[arg(long, env = "ITHACA_APPLICATION_NAMESPACES", default_value = "")]
    pub application_namespaces: NamespacePatterns,
    /// Applications that are worked on at the same time, not counting those that wait long for an answer
    #[arg(long, env = "ITHACA_APPLIER_WORKERS", default_value_t = 8)]
    pub workers: usize,
    /// Objects of one application that are written at the same time
    #[arg(long, env = "ITHACA_APPLIER_WRITES", default_value_t = 8)]
    pub writes: usize,
    /// From when on pruning waits for somebody's word.
    #[command(flatten)]
    pub guard: Guard,
    /// Address that answers how Applications differ from Git (gRPC)
    #[arg(long, env = "ITHACA_LIVE_LISTEN", default_value = "0.0.0.0:8083")]
    pub live_listen: SocketAddr,
    /// Name among the appliers, which divide the Applications between them: another one for each, and the same after a
    /// restart in the same place [default: the name of the host]
    #[arg(long, env = "ITHACA_APPLIER_NAME")]
    pub name: Option<String>,
    /// Host or IP address under which the other appliers reach --live-listen [default: the name of the host]
    #[arg(long, env = "ITHACA_LIVE_HOST")]
    pub live_host: Option<String>,
}

/// What all tasks of the applier share.
pub struct Shared {
    /// The cluster that Ithaca runs in: Applications, projects and settings are there.
    pub home: Arc<Cluster>,
    /// Requests to clusters are counted with it.
    pub requests: CountRequests,
    /// Facts go out through it.
    pub publisher: Publisher,
    /// Facts about deleted applications are forgotten through it.
    pub bus: Bus,
    /// Who is looked at next.
    pub queue: Queue,
    /// This applier's part among the appliers.
    pub membership: Membership,
    /// How often partitions were gained; each time all is listed once more.
    pub gains: watch::Sender<u64>,
    /// Whose bundles are read.
    pub interest: watch::Sender<Interest>,
    /// What is measured.
    pub metrics: Metrics,
    /// The installation's settings.
    pub settings: SettingsCell,
    /// Namespace of the control plane: projects, settings, and the Secrets of clusters are there.
    pub namespace: String,
    /// Writes of one application at the same time.
    pub writes: usize,
    /// From when on pruning waits for somebody's word.
    pub guard: Guard,
    state: Mutex<State>,
}

impl Shared {
    /// All that is known, for as short as a decision takes.
    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Every application of this applier has to be looked at again.
    pub fn dirty_all(&self) {
        self.state().own().for_each(|(uid, _)| self.queue.dirty(uid));
    }

    /// Whether the next thing may be done to an application that is worked on.
    ///
    /// # Errors
    /// Where it is another applier's now.
    pub fn expect_own(&self, uid: &str) -> Result<(), Error> {
        match self.membership.may_go_on(subject::partition(uid)) {
            true => Ok(()),
            false => Err(Error::HandedOver),
        }
    }

    /// Reads these bundles from now on.
    pub fn read_bundles_of(&self, interest: Interest) {
        self.interest.send_if_modified(|known| {
            let is_other = *known != interest;
            *known = interest;
            is_other
        });
    }
}

/// What all tasks share, at the cluster that they are about.
#[derive(Clone)]
pub struct Site {
    shared: Arc<Shared>,
    /// The way there.
    pub cluster: Arc<Cluster>,
}

impl Site {
    /// This cluster.
    pub fn new(shared: &Arc<Shared>, cluster: Arc<Cluster>) -> Self {
        Self { shared: shared.clone(), cluster }
    }

    /// Looks at what is known of the cluster, or changes it; None where nobody goes there any more.
    pub fn holdings<T>(&self, look: impl FnOnce(&mut Holdings) -> T) -> Option<T> {
        self.state().clusters.get_mut(self.cluster.id()).map(look)
    }

    /// The same for its objects.
    pub fn records<T>(&self, look: impl FnOnce(&mut Records) -> T) -> Option<T> {
        self.holdings(|there| look(&mut there.records))
    }

    /// Remembers what the API server answered about an object, and has the application looked at again that it was of
    /// until now.
    pub fn put_answer(&self, key: &ObjectKey, record: Record, rules: &Arc<Rules>) {
        let lost = self.records(|records| records.put_answer(key.clone(), record, rules)).flatten();
        let state = self.state();
        let loser = lost.and_then(|instance| state.by_instance(&instance));
        loser.into_iter().for_each(|uid| self.queue.dirty(uid));
    }

    /// What the installation says of all objects there.
    pub fn rules(&self) -> Arc<Rules> {
        self.records(|records| records.rules().clone()).unwrap_or_default()
    }

    /// Every application that goes there has to be looked at again.
    pub fn dirty_all(&self) {
        let state = self.state();
        let there = |app: &App| state.clusters.goes_to(&app.application, self.cluster.id());
        let concerned = state.own().filter(|(_, app)| there(app));
        concerned.for_each(|(uid, _)| self.queue.dirty(uid));
    }
}

impl Deref for Site {
    type Target = Arc<Shared>;

    fn deref(&self) -> &Arc<Shared> {
        &self.shared
    }
}

/// Runs until the process is told to stop; operations under way are handed to the next life.
pub async fn run(args: Args, process: Process) -> anyhow::Result<()> {
    let ready_bus = process.health.part("the bus");
    let ready_kinds = process.health.part("the API server");
    let ready_list = process.health.part("the list of Applications");
    let live = TcpListener::bind(args.live_listen).await;
    let live = live
        .with_context(|| format!("failed to listen on {}; choose another --live-listen", args.live_listen))?;
    let ready_clusters = process.health.part("the Secrets of clusters");
    let ready_projects = process.health.part("the list of AppProjects");
    let bus = Bus::connect(&args.bus, "ithaca-applier").await?;
    ready_bus.set(true);
    let config =
        kube::Config::infer().await.context("failed to find a Kubernetes cluster; set KUBECONFIG")?;
    let requests = CountRequests::new("ithaca_kubernetes_requests");
    let client = kube::client::ClientBuilder::try_from(config)?.with_layer(&requests).build();
    let seal = match &args.bundle_key_secret {
        Some(secret) => Some(bundle_key::seal(client.clone(), &process.namespace, secret).await?),
        None => args.seal.seal()?,
    };
    let bus = bus.sealing(seal);
    let (queue, dispatcher) = queue::queue();
    let (publisher, facts) = publish::publisher();
    let name = args.name.clone().unwrap_or_else(host);
    let host = args.live_host.clone().unwrap_or_else(host);
    let membership = Membership::new("applier", &name, &answer::address(&host, live.local_addr()?.port()));
    let shared = Arc::new(Shared {
        home: Arc::new(Cluster::new(client, true)),
        requests,
        membership: membership.clone(),
        gains: watch::Sender::new(0),
        interest: watch::Sender::default(),
        publisher,
        bus: bus.clone(),
        queue,
        metrics: Metrics::new(),
        settings: SettingsCell::new(&process.namespace),
        namespace: process.namespace.clone(),
        writes: args.writes,
        guard: args.guard,
        state: Mutex::default(),
    });
    metrics::observe(&shared);
    follow::discover_patiently(&shared.home).await;
    clusters::start_home(&shared);
    settings::read_patiently(&shared).await;
    ready_kinds.set(true);
    let mut part = tokio::spawn({
        let (bus, shared) = (bus.clone(), shared.clone());
        async move { bus.take_part(&shared.membership, |change| ownership::take_note(&shared, change)).await }
    });
    tokio::select! {
        () = membership.joined() => {}
        ended = &mut part => anyhow::bail!("the applier could not take its part: {ended:?}"),
    }
    let namespaces = ApplicationNamespaces::new(&process.namespace, args.application_namespaces);
    let mut tasks = JoinSet::new();
    spawn(&mut tasks, follow::bundles(shared.clone()));
    spawn(&mut tasks, follow::applications(shared.clone(), namespaces, ready_list));
    spawn(&mut tasks, clusters::follow(shared.clone(), ready_clusters));
    spawn(&mut tasks, settings::follow(shared.clone()));
    spawn(&mut tasks, answer::serve(shared.clone(), live));
    spawn(&mut tasks, projects::follow(shared.clone(), ready_projects));
    let over = CancellationToken::new();
    let mut publishing = tokio::spawn(publish::publish(bus.clone(), facts, over.clone()));
    let (stop, leaving) = (process.shutdown.clone(), membership.clone());
    let measured = shared.clone();
    let worker = move |uid| work::work(shared.clone(), uid);
    let depth = move |applications| measured.metrics.queued(applications);
    let dispatch = dispatcher.run(
        args.workers,
        async move {
            stop.cancelled().await;
            leaving.drain();
        },
        depth,
        worker,
    );
    tokio::select! {
        () = dispatch => {}
        Some(ended) = tasks.join_next() => anyhow::bail!("a task of the applier ended: {ended:?}"),
        ended = &mut part => anyhow::bail!("the applier lost its part: {ended:?}"),
        ended = &mut publishing => anyhow::bail!("the publisher of the applier ended: {ended:?}"),
    }
    membership.leave();
    if tokio::time::timeout(GOODBYE, part).await.is_err() {
        tracing::warn!("stopped without telling the other appliers: the bus is away");
    }
    over.cancel();
    if tokio::time::timeout(LAST_WORDS, publishing).await.is_err() {
        tracing::warn!("stopped before all events were published: the bus is away");
    }
    bus.close().await;
    Ok(())
}

/// The name of this machine: in a cluster, of the pod.
fn host() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

fn spawn(tasks: &mut JoinSet<()>, task: impl Future<Output = ()> + Send + 'static) {
    tasks.spawn(task);
}

//! What the applier measures: under Argo CD's names what its dashboards use, under `ithaca_` the rest.

use std::sync::{Arc, Weak};

use ithaca_api::{Application, OperationPhase, destination::IN_CLUSTER_SERVER, without_credentials};
use ithaca_chassis::{SECONDS, Timer, seconds};
use opentelemetry::{
    KeyValue,
    metrics::{Counter, Gauge, Histogram},
};

use crate::{clusters::Reach, plan::Run, service::Shared, state::Uid};

/// The instruments.
pub struct Metrics {
    reconcile: Histogram<f64>,
    sync: Counter<u64>,
    apply: Histogram<f64>,
    dry_run: Histogram<f64>,
    prune: Counter<u64>,
    commit_to_applied: Histogram<f64>,
    drift: Counter<u64>,
    queue: Gauge<u64>,
}

impl Metrics {
    /// Creates them on the process's meter.
    pub fn new() -> Self {
        let meter = opentelemetry::global::meter("ithaca");
        let metrics = Self {
            // Argo CD's name has no unit at its end.
            reconcile: meter
                .f64_histogram("argocd_app_reconcile")
                .with_description("time to bring an application to rest")
                .with_boundaries(SECONDS.to_vec())
                .build(),
            sync: meter.u64_counter("argocd_app_sync").with_description("operations that ended").build(),
            apply: seconds(&meter, "ithaca_apply_duration", "time of one server-side apply"),
            dry_run: seconds(&meter, "ithaca_apply_dry_run_duration", "time of one server-side dry run"),
            prune: meter
                .u64_counter("ithaca_apply_pruned")
                .with_description("objects that were pruned")
                .build(),
            commit_to_applied: seconds(
                &meter,
                "ithaca_commit_to_applied_duration",
                "time from a revision being observed to its being applied",
            ),
            drift: meter
                .u64_counter("ithaca_apply_drift_corrected")
                .with_description("objects put right")
                .build(),
            queue: meter
                .u64_gauge("ithaca_apply_queue")
                .with_description("applications that wait for a worker or have one")
                .build(),
        };
        metrics.prune.add(0, &[]);
        metrics
    }

    /// An Application is seen for the first time. Its counters begin at 0, so that a first failure shows as an
    /// increase.
    pub fn meet(&self, application: &Application) {
        for phase in [OperationPhase::Succeeded, OperationPhase::Failed, OperationPhase::Error] {
            self.sync.add(0, &outcome(application, phase, false));
        }
        self.drift.add(0, &names(application));
    }

    /// So many applications wait for a worker or have one.
    pub fn queued(&self, applications: usize) {
        self.queue.record(applications as u64, &[]);
    }

    /// Starts to measure a reconciliation.
    pub fn reconcile_timer(&self) -> Timer {
        Timer::start(&self.reconcile)
    }

    /// A reconciliation ended.
    pub fn reconciled(&self, timer: Timer, shared: &Shared, uid: &Uid) {
        let state = shared.state();
        let Some(app) = state.apps.get(uid) else { return };
        let namespace = app.application.metadata.namespace.clone().unwrap_or_default();
        timer.stop(&[
            KeyValue::new("namespace", namespace),
            KeyValue::new("dest_server", server(&app.application).to_owned()),
        ]);
    }

    /// Starts to measure an apply.
    pub fn apply_timer(&self) -> Timer {
        Timer::start(&self.apply)
    }

    /// An apply was answered.
    pub fn applied(&self, timer: Timer, ok: bool) {
        timer.stop(&[KeyValue::new("result", if ok { "ok" } else { "error" })]);
    }

    /// Measures a dry run until it is dropped.
    pub fn dry_run(&self) -> impl Drop + use<> {
        Guard(Some(Timer::start(&self.dry_run)))
    }

    /// An object was pruned.
    pub fn pruned(&self) {
        self.prune.add(1, &[]);
    }

    /// An operation ended.
    pub fn synced(&self, application: &Application, phase: OperationPhase, run: &Run) {
        self.sync.add(1, &outcome(application, phase, run.is_dry()));
        self.drift.add(run.drift.len() as u64, &names(application));
        let first = run.operation.initiated_by.automated && !run.is_selective() && run.retries == 0;
        let micros = jiff::Timestamp::now().as_microsecond() - run.bundle.observed_at;
        if first && phase == OperationPhase::Succeeded && micros > 0 {
            let project = KeyValue::new("project", application.spec.project().to_owned());
            self.commit_to_applied.record(micros as f64 / 1e6, &[project]);
        }
    }
}

struct Guard(Option<Timer>);

impl Drop for Guard {
    fn drop(&mut self) {
        self.0.take().map(|timer| timer.stop(&[]));
    }
}

/// Serves what is counted when it is asked for: `argocd_app_info`, one series for each Application of this applier,
/// worth 1, and what its share is.
pub fn observe(shared: &Arc<Shared>) {
    let meter = opentelemetry::global::meter("ithaca");
    let weak = Arc::downgrade(shared);
    meter
        .u64_observable_gauge("ithaca_apply_members")
        .with_description("live appliers, as this one knows them")
        .with_callback(move |observer| {
            weak.upgrade().inspect(|shared| observer.observe(shared.membership.count() as u64, &[]));
        })
        .build();
    let weak = Arc::downgrade(shared);
    meter
        .u64_observable_gauge("ithaca_apply_applications")
        .with_description("applications that this applier works on")
        .with_callback(move |observer| {
            let Some(shared) = weak.upgrade() else { return };
            let state = shared.state();
            let own = state.apps.keys().filter(|uid| state.ownership.is_mine(uid)).count();
            observer.observe(own as u64, &[]);
        })
        .build();
    let shared: Weak<Shared> = Arc::downgrade(shared);
    observe_clusters(shared.clone());
    meter
        .u64_observable_gauge("argocd_app_info")
        .with_description("an Application and its state")
        .with_callback(move |observer| {
            let Some(shared) = shared.upgrade() else { return };
            let state = shared.state();
            for (_, app) in state.apps.iter().filter(|(uid, _)| state.ownership.is_mine(uid)) {
                observer.observe(1, &info(&app.application));
            }
        })
        .build();
}

/// Serves `argocd_cluster_connection_status`: one series for each cluster, worth 1 while it answers.
fn observe_clusters(shared: Weak<Shared>) {
    opentelemetry::global::meter("ithaca")
        .u64_observable_gauge("argocd_cluster_connection_status")
        .with_description("whether a cluster answers")
        .with_callback(move |observer| {
            let Some(shared) = shared.upgrade() else { return };
            for known in shared.state().clusters.known() {
                let labels = [
                    KeyValue::new("server", known.spec.server.clone()),
                    KeyValue::new("name", known.spec.name.clone()),
                ];
                observer.observe(u64::from(matches!(known.reach, Reach::Connected(_))), &labels);
            }
        })
        .build();
}

fn info(application: &Application) -> Vec<KeyValue> {
    let (spec, status) = (&application.spec, application.status.clone().unwrap_or_default());
    let repo = spec.sources().first().map(|source| without_credentials(&source.repo_url)).unwrap_or_default();
    let automated = spec.sync_policy.as_ref().is_some_and(|policy| policy.automated().is_some());
    let sync = status.sync.map_or("Unknown", |sync| sync.status.as_str());
    let health = status.health.and_then(|health| health.status).map_or("Unknown", |health| health.as_str());
    let operation = if application.metadata.deletion_timestamp.is_some() {
        "delete"
    } else if application.operation.is_some() {
        "sync"
    } else {
        ""
    };
    let mut labels = names(application);
    labels.extend([
        KeyValue::new("repo", repo),
        KeyValue::new("dest_namespace", spec.destination.namespace.clone()),
        KeyValue::new("sync_status", sync),
        KeyValue::new("health_status", health),
        KeyValue::new("autosync_enabled", automated.to_string()),
        KeyValue::new("operation", operation),
    ]);
    labels
}

fn outcome(application: &Application, phase: OperationPhase, is_dry: bool) -> Vec<KeyValue> {
    let mut labels = names(application);
    labels.push(KeyValue::new("phase", phase.as_str()));
    labels.push(KeyValue::new("dry_run", is_dry.to_string()));
    labels
}

/// Where a name stands for the cluster that Ithaca runs in, its address.
fn server(application: &Application) -> &str {
    let destination = &application.spec.destination;
    if destination.is_in_cluster() { IN_CLUSTER_SERVER } else { &destination.server }
}

fn names(application: &Application) -> Vec<KeyValue> {
    let metadata = &application.metadata;
    vec![
        KeyValue::new("namespace", metadata.namespace.clone().unwrap_or_default()),
        KeyValue::new("name", metadata.name.clone().unwrap_or_default()),
        KeyValue::new("project", application.spec.project().to_owned()),
        KeyValue::new("dest_server", server(application).to_owned()),
    ]
}

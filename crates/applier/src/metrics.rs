//! What the applier measures: under Argo CD's names what its dashboards use, under `ithaca_` the rest.
//!
//! What has a series for each Application is kept with the Application, and read when it is asked for: the series of one
//! that is gone, or is another applier's now, go with it. Its labels stand in the order of their names, since others are
//! kept a second time in that order.

use std::sync::{Arc, Weak};

use ithaca_api::{Application, OperationPhase, destination::IN_CLUSTER_SERVER, without_credentials};
use ithaca_chassis::{SECONDS, Timer, seconds};
use opentelemetry::{
    KeyValue,
    metrics::{AsyncInstrument, Counter, Gauge, Histogram},
};

use crate::{
    clusters::Reach,
    plan::Run,
    service::Shared,
    state::{App, Uid},
};

/// The instruments.
pub struct Metrics {
    reconcile: Histogram<f64>,
    apply: Histogram<f64>,
    dry_run: Histogram<f64>,
    prune: Counter<u64>,
    commit_to_applied: Histogram<f64>,
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
            queue: meter
                .u64_gauge("ithaca_apply_queue")
                .with_description("applications that wait for a worker or have one")
                .build(),
        };
        metrics.prune.add(0, &[]);
        metrics
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
            KeyValue::new("dest_server", server(&app.application).to_owned()),
            KeyValue::new("namespace", namespace),
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
    pub fn synced(&self, shared: &Shared, uid: &Uid, phase: OperationPhase, run: &Run) {
        let mut state = shared.state();
        let Some(app) = state.apps.get_mut(uid) else { return };
        app.counts.note(phase, run);
        let first = run.operation.initiated_by.automated && !run.is_selective() && run.retries == 0;
        let micros = jiff::Timestamp::now().as_microsecond() - run.bundle.observed_at;
        if first && phase == OperationPhase::Succeeded && micros > 0 {
            let project = KeyValue::new("project", app.application.spec.project().to_owned());
            self.commit_to_applied.record(micros as f64 / 1e6, &[project]);
        }
    }
}

/// How an operation may end.
const ENDS: [OperationPhase; 3] = [OperationPhase::Succeeded, OperationPhase::Failed, OperationPhase::Error];

/// What is counted of one Application.
#[derive(Clone, Debug, Default)]
pub struct Counts {
    /// Operations that ended, by `ENDS`: those that changed something, and dry runs.
    operations: [[u64; 2]; ENDS.len()],
    /// Objects put right.
    drift: u64,
}

impl Counts {
    fn note(&mut self, phase: OperationPhase, run: &Run) {
        if let Some(place) = ENDS.iter().position(|end| *end == phase) {
            self.operations[place][usize::from(run.is_dry())] += 1;
        }
        self.drift += run.drift.len() as u64;
    }

    /// How many operations ended how, and whether they were dry runs. Those that change something are told of before there
    /// is one, so that a first failure shows as an increase.
    fn operations(&self) -> impl Iterator<Item = (OperationPhase, bool, u64)> {
        let of_phase = |(phase, [real, dry]): (OperationPhase, [u64; 2])| {
            std::iter::once((phase, false, real)).chain((dry > 0).then_some((phase, true, dry)))
        };
        ENDS.into_iter().zip(self.operations).flat_map(of_phase)
    }
}

struct Guard(Option<Timer>);

impl Drop for Guard {
    fn drop(&mut self) {
        self.0.take().map(|timer| timer.stop(&[]));
    }
}

/// Serves what is counted when it is asked for: what there is of each Application of this applier, and what its share is.
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
            observer.observe(shared.state().own().count() as u64, &[]);
        })
        .build();
    observe_clusters(Arc::downgrade(shared));
    observe_applications(shared);
}

/// Serves `argocd_app_info`, one series for each Application, worth 1, and what is counted of each.
fn observe_applications(shared: &Arc<Shared>) {
    let meter = opentelemetry::global::meter("ithaca");
    let each = |shared: &Arc<Shared>, tell: fn(&App, &dyn AsyncInstrument<u64>)| {
        let weak = Arc::downgrade(shared);
        move |observer: &dyn AsyncInstrument<u64>| {
            let Some(shared) = weak.upgrade() else { return };
            shared.state().own().for_each(|(_, app)| tell(app, observer));
        }
    };
    meter
        .u64_observable_gauge("argocd_app_info")
        .with_description("an Application and its state")
        .with_callback(each(shared, |app, observer| observer.observe(1, &info(&app.application))))
        .build();
    meter
        .u64_observable_counter("argocd_app_sync")
        .with_description("operations that ended")
        .with_callback(each(shared, |app, observer| {
            let names = names(&app.application);
            for (phase, is_dry, count) in app.counts.operations() {
                observer.observe(count, &outcome(&names, phase, is_dry));
            }
        }))
        .build();
    meter
        .u64_observable_counter("ithaca_apply_drift_corrected")
        .with_description("objects put right")
        .with_callback(each(shared, |app, observer| {
            observer.observe(app.counts.drift, &names(&app.application));
        }))
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

fn info(application: &Application) -> [KeyValue; 10] {
    let (spec, status) = (&application.spec, application.status.as_ref());
    let repo = spec.sources().first().map(|source| without_credentials(&source.repo_url)).unwrap_or_default();
    let automated = spec.sync_policy.as_ref().is_some_and(|policy| policy.automated().is_some());
    let sync = status.and_then(|status| status.sync.as_ref());
    let health = status.and_then(|status| status.health.as_ref()?.status);
    let operation = if application.metadata.deletion_timestamp.is_some() {
        "delete"
    } else if application.operation.is_some() {
        "sync"
    } else {
        ""
    };
    let [dest_server, name, namespace, project] = names(application);
    [
        KeyValue::new("autosync_enabled", if automated { "true" } else { "false" }),
        KeyValue::new("dest_namespace", spec.destination.namespace.clone()),
        dest_server,
        KeyValue::new("health_status", health.map_or("Unknown", |health| health.as_str())),
        name,
        namespace,
        KeyValue::new("operation", operation),
        project,
        KeyValue::new("repo", repo),
        KeyValue::new("sync_status", sync.map_or("Unknown", |sync| sync.status.as_str())),
    ]
}

fn outcome(names: &[KeyValue; 4], phase: OperationPhase, is_dry: bool) -> [KeyValue; 6] {
    let [dest_server, name, namespace, project] = names.clone();
    let dry_run = KeyValue::new("dry_run", if is_dry { "true" } else { "false" });
    [dest_server, dry_run, name, namespace, KeyValue::new("phase", phase.as_str()), project]
}

/// Where a name stands for the cluster that Ithaca runs in, its address.
fn server(application: &Application) -> &str {
    let destination = &application.spec.destination;
    if destination.is_in_cluster() { IN_CLUSTER_SERVER } else { &destination.server }
}

fn names(application: &Application) -> [KeyValue; 4] {
    let metadata = &application.metadata;
    // Shared by all series of the Application.
    let label = |key: &'static str, value: &str| KeyValue::new(key, Arc::<str>::from(value));
    [
        label("dest_server", server(application)),
        label("name", metadata.name.as_deref().unwrap_or_default()),
        label("namespace", metadata.namespace.as_deref().unwrap_or_default()),
        label("project", application.spec.project()),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_stand_in_the_order_of_their_names() {
        let application = Application::default();
        let outcome = outcome(&names(&application), OperationPhase::Failed, true);
        for labels in [info(&application).as_slice(), &outcome, &names(&application)] {
            assert!(labels.is_sorted_by_key(|label| label.key.as_str()), "{labels:?}");
        }
    }

    #[test]
    fn every_end_that_changes_something_is_told_of_before_there_is_one() {
        let mut counts = Counts::default();
        let told = |counts: &Counts| counts.operations().collect::<Vec<_>>();
        let none = ENDS.map(|phase| (phase, false, 0));
        assert_eq!(told(&counts), none);
        counts.operations[1] = [2, 1];
        let (failed, dry) = ((OperationPhase::Failed, false, 2), (OperationPhase::Failed, true, 1));
        assert_eq!(told(&counts), [none[0], failed, dry, none[2]]);
    }
}

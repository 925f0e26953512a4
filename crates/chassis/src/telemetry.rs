//! Logs, traces and metrics: one subscriber, one meter provider with a Prometheus reader and,
//! where an endpoint is given, OTLP beside it.

use std::{io::IsTerminal, time::Instant};

use anyhow::Context;
use opentelemetry::{
    KeyValue,
    metrics::{Histogram, Meter},
    trace::TracerProvider,
};
use opentelemetry_otlp::WithExportConfig;
use opentelemetry_sdk::{
    Resource,
    metrics::{Instrument, InstrumentKind, PeriodicReader, SdkMeterProvider, Stream},
    propagation::TraceContextPropagator,
    trace::SdkTracerProvider,
};
use tracing_subscriber::{EnvFilter, Layer, layer::SubscriberExt, util::SubscriberInitExt};

use crate::{Args, LogFormat};

/// Bounds of the histograms of durations, in seconds: from a cache hit to a chart that hangs.
pub const SECONDS: [f64; 14] =
    [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0, 60.0];

/// How many series an instrument may have that is read when it is asked for, such as one for each Application; whatever
/// is beyond goes into one series. Nothing is kept of them between two readings.
const SERIES: usize = 28_000;

/// A histogram of durations in seconds.
pub fn seconds(meter: &Meter, name: &'static str, description: &'static str) -> Histogram<f64> {
    meter
        .f64_histogram(name)
        .with_description(description)
        .with_unit("s")
        .with_boundaries(SECONDS.to_vec())
        .build()
}

/// Measures from its creation to `stop`.
#[derive(Debug)]
pub struct Timer {
    histogram: Histogram<f64>,
    started: Instant,
}

impl Timer {
    /// Starts to measure.
    pub fn start(histogram: &Histogram<f64>) -> Self {
        Self { histogram: histogram.clone(), started: Instant::now() }
    }

    /// Records the time since the start, in seconds, under these attributes, and returns it.
    pub fn stop(self, attributes: &[KeyValue]) -> f64 {
        let seconds = self.started.elapsed().as_secs_f64();
        self.histogram.record(seconds, attributes);
        seconds
    }
}

/// What has to be flushed at the end.
pub(crate) struct Telemetry {
    registry: prometheus::Registry,
    meters: SdkMeterProvider,
    tracers: Option<SdkTracerProvider>,
}

impl Telemetry {
    pub(crate) fn start(name: &'static str, args: &Args) -> anyhow::Result<Self> {
        let resource = Resource::builder()
            .with_service_name(format!("ithaca-{name}"))
            .with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")))
            .build();
        let registry = registry()?;
        let meters = meters(&registry, resource.clone(), args.otlp_endpoint.as_deref())?;
        opentelemetry::global::set_meter_provider(meters.clone());
        name_process(name);
        opentelemetry::global::set_text_map_propagator(TraceContextPropagator::new());
        let tracers =
            args.otlp_endpoint.as_deref().map(|endpoint| tracers(endpoint, resource)).transpose()?;
        subscribe(args, tracers.as_ref())?;
        Ok(Self { registry, meters, tracers })
    }

    pub(crate) fn registry(&self) -> prometheus::Registry {
        self.registry.clone()
    }

    /// Sends what is left. Errors are of no use to anybody any more.
    pub(crate) fn stop(self) {
        if let Some(tracers) = self.tracers {
            let _ = tracers.shutdown();
        }
        let _ = self.meters.shutdown();
    }
}

/// Which process and version this is: other series are joined to it by where they were scraped.
fn name_process(name: &'static str) {
    opentelemetry::global::meter("ithaca")
        .u64_gauge("ithaca_build_info")
        .with_description("the process and its version; always 1")
        .build()
        .record(1, &[KeyValue::new("process", name), KeyValue::new("version", env!("CARGO_PKG_VERSION"))]);
}

fn registry() -> anyhow::Result<prometheus::Registry> {
    let registry = prometheus::Registry::new();
    let own = prometheus::process_collector::ProcessCollector::for_self();
    registry.register(Box::new(own)).context("failed to register the process's own metrics")?;
    Ok(registry)
}

fn meters(
    registry: &prometheus::Registry,
    resource: Resource,
    otlp: Option<&str>,
) -> anyhow::Result<SdkMeterProvider> {
    let prometheus = opentelemetry_prometheus::exporter()
        .with_registry(registry.clone())
        .scope_info_enabled(false)
        .without_target_info()
        .build()
        .context("failed to prepare the Prometheus metrics")?;
    let mut builder = SdkMeterProvider::builder().with_resource(resource).with_reader(prometheus);
    if let Some(endpoint) = otlp {
        let exporter = opentelemetry_otlp::MetricExporter::builder()
            .with_tonic()
            .with_endpoint(endpoint)
            .build()
            .with_context(|| format!("failed to prepare metrics for {endpoint}"))?;
        builder = builder.with_reader(PeriodicReader::builder(exporter).build());
    }
    Ok(builder.with_view(room_for_what_is_read).build())
}

fn room_for_what_is_read(instrument: &Instrument) -> Option<Stream> {
    match instrument.kind() {
        InstrumentKind::ObservableCounter | InstrumentKind::ObservableGauge => {
            Stream::builder().with_cardinality_limit(SERIES).build().ok()
        }
        _ => None,
    }
}

fn tracers(endpoint: &str, resource: Resource) -> anyhow::Result<SdkTracerProvider> {
    let exporter = opentelemetry_otlp::SpanExporter::builder()
        .with_tonic()
        .with_endpoint(endpoint)
        .build()
        .with_context(|| format!("failed to prepare traces for {endpoint}"))?;
    Ok(SdkTracerProvider::builder().with_resource(resource).with_batch_exporter(exporter).build())
}

fn subscribe(args: &Args, tracers: Option<&SdkTracerProvider>) -> anyhow::Result<()> {
    let filter =
        EnvFilter::try_new(&args.log).with_context(|| format!("failed to read --log {:?}", args.log))?;
    let lines = match args.log_format {
        LogFormat::Json => tracing_subscriber::fmt::layer()
            .json()
            .flatten_event(true)
            .with_span_list(false)
            .with_writer(std::io::stderr)
            .boxed(),
        LogFormat::Text => tracing_subscriber::fmt::layer()
            .with_target(false)
            .with_ansi(std::io::stderr().is_terminal())
            .with_writer(std::io::stderr)
            .boxed(),
    };
    let spans = tracers.map(|tracers| tracing_opentelemetry::layer().with_tracer(tracers.tracer("ithaca")));
    tracing_subscriber::registry()
        .with(filter)
        .with(lines)
        .with(spans)
        .try_init()
        .context("failed to start logging")
}

#[cfg(test)]
mod tests {
    use opentelemetry::metrics::MeterProvider;

    use super::*;

    #[test]
    fn each_of_many_has_a_series_whenever_they_are_read() -> anyhow::Result<()> {
        let registry = prometheus::Registry::new();
        let meters = meters(&registry, Resource::builder_empty().build(), None)?;
        let _gauge = meters
            .meter("test")
            .u64_observable_gauge("things")
            .with_callback(|observer| {
                (0..5_000).for_each(|number| observer.observe(1, &[KeyValue::new("number", number)]));
            })
            .build();
        for reading in ["first", "second"] {
            let families = registry.gather();
            let things = families.iter().find(|family| family.name() == "things");
            assert_eq!(things.map(|family| family.get_metric().len()), Some(5_000), "{reading}");
        }
        Ok(())
    }
}

//! An OpenTelemetry collector that keeps what it is sent.
//!
//! In: traces and metrics of the services, over OTLP (gRPC). Out: the spans, and the names of the metrics.
//! It samples nothing and forgets nothing until it is dropped.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::Context;
use opentelemetry_proto::tonic::collector::metrics::v1::metrics_service_server::{
    MetricsService, MetricsServiceServer,
};
use opentelemetry_proto::tonic::collector::metrics::v1::{
    ExportMetricsServiceRequest, ExportMetricsServiceResponse,
};
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{
    TraceService, TraceServiceServer,
};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value::Value};
use opentelemetry_proto::tonic::resource::v1::Resource;
use tokio::sync::oneshot;
use tonic::transport::{Server, server::TcpIncoming};
use tonic::{Request, Response, Status};

use crate::port;

/// The running collector; it ends when this is dropped.
pub struct Collector {
    /// What services take as `OTEL_EXPORTER_OTLP_ENDPOINT`.
    pub endpoint: String,
    kept: Kept,
    _stop: oneshot::Sender<()>,
}

/// One step of a trace.
#[derive(Clone, Debug)]
pub struct Span {
    /// Who did it: `ithaca-watcher`.
    pub service: String,
    /// What was done.
    pub name: String,
    /// Hexadecimal; the same in all steps of a trace.
    pub trace: String,
    /// Texts by name; values of other types are left out.
    pub attributes: BTreeMap<String, String>,
}

#[derive(Clone, Default)]
struct Kept(Arc<Mutex<Received>>);

#[derive(Default)]
struct Received {
    spans: Vec<Span>,
    metrics: BTreeSet<(String, String)>,
}

impl Collector {
    /// Listens, on a thread of its own: no runtime of a test is needed to keep it alive.
    ///
    /// # Errors
    /// When no port is free.
    pub fn start() -> anyhow::Result<Self> {
        let port = port::free()?;
        let listener =
            std::net::TcpListener::bind(("127.0.0.1", port)).context("failed to listen for OTLP")?;
        listener.set_nonblocking(true)?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (stop, stopped) = oneshot::channel::<()>();
        let kept = Kept::default();
        let router = Server::builder()
            .add_service(TraceServiceServer::new(kept.clone()))
            .add_service(MetricsServiceServer::new(kept.clone()));
        std::thread::spawn(move || {
            runtime.block_on(async {
                let incoming = TcpIncoming::from(tokio::net::TcpListener::from_std(listener)?);
                // The sender is never used: it is dropped with the collector.
                let over = async { drop(stopped.await) };
                router.serve_with_incoming_shutdown(incoming, over).await.map_err(std::io::Error::other)
            })
        });
        Ok(Self { endpoint: format!("http://127.0.0.1:{port}"), kept, _stop: stop })
    }

    /// All spans so far that have ended.
    #[must_use]
    pub fn spans(&self) -> Vec<Span> {
        self.kept.lock().spans.clone()
    }

    /// Names of all metrics so far, with the service that sent them.
    #[must_use]
    pub fn metrics(&self) -> BTreeSet<(String, String)> {
        self.kept.lock().metrics.clone()
    }
}

impl Kept {
    fn lock(&self) -> MutexGuard<'_, Received> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[tonic::async_trait]
impl TraceService for Kept {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        for group in request.into_inner().resource_spans {
            let service = service(group.resource.as_ref());
            let spans = group.scope_spans.into_iter().flat_map(|scope| scope.spans);
            self.lock().spans.extend(spans.map(|span| Span {
                service: service.clone(),
                name: span.name,
                trace: hex::encode(span.trace_id),
                attributes: texts(&span.attributes),
            }));
        }
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

#[tonic::async_trait]
impl MetricsService for Kept {
    async fn export(
        &self,
        request: Request<ExportMetricsServiceRequest>,
    ) -> Result<Response<ExportMetricsServiceResponse>, Status> {
        for group in request.into_inner().resource_metrics {
            let service = service(group.resource.as_ref());
            let metrics = group.scope_metrics.into_iter().flat_map(|scope| scope.metrics);
            self.lock().metrics.extend(metrics.map(|metric| (service.clone(), metric.name)));
        }
        Ok(Response::new(ExportMetricsServiceResponse::default()))
    }
}

fn service(resource: Option<&Resource>) -> String {
    let attributes = resource.map(|resource| texts(&resource.attributes)).unwrap_or_default();
    attributes.get("service.name").cloned().unwrap_or_default()
}

fn texts(attributes: &[KeyValue]) -> BTreeMap<String, String> {
    let text = |attribute: &KeyValue| match &attribute.value {
        Some(AnyValue { value: Some(Value::StringValue(text)) }) => {
            Some((attribute.key.clone(), text.clone()))
        }
        _ => None,
    };
    attributes.iter().filter_map(text).collect()
}

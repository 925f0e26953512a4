//! Counts the requests that a client of HTTP makes.
//!
//! What comes in: requests, and what became of them. What goes out: the same, and one more in a counter.
//! What it does not do: read bodies, or see what is repeated below it.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use http::{Method, Request, Response};
use opentelemetry::{KeyValue, metrics::Counter};
use tower_layer::Layer;
use tower_service::Service;

/// A layer that counts requests by verb and status code.
#[derive(Clone, Debug)]
pub struct CountRequests(Counter<u64>);

impl CountRequests {
    /// Counts into the series of this name, without its `_total`.
    pub fn new(name: &'static str) -> Self {
        let meter = opentelemetry::global::meter("ithaca");
        let description = "Requests by verb and status code; `none` where no answer came";
        Self(meter.u64_counter(name).with_description(description).build())
    }
}

impl<S> Layer<S> for CountRequests {
    type Service = Counted<S>;

    fn layer(&self, inner: S) -> Counted<S> {
        Counted { inner, counter: self.0.clone() }
    }
}

/// A client whose requests are counted.
#[derive(Clone, Debug)]
pub struct Counted<S> {
    inner: S,
    counter: Counter<u64>,
}

impl<S, Q, A> Service<Request<Q>> for Counted<S>
where
    S: Service<Request<Q>, Response = Response<A>>,
    S::Future: Send + 'static,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<Q>) -> Self::Future {
        let verb = verb(&request);
        let counter = self.counter.clone();
        let answer = self.inner.call(request);
        Box::pin(async move {
            let answer = answer.await;
            let code = answer.as_ref().map_or("none".into(), |answer| answer.status().as_str().to_owned());
            counter.add(1, &[KeyValue::new("verb", verb), KeyValue::new("code", code)]);
            answer
        })
    }
}

/// What the client itself calls the request, as kube does in an extension; else what the method means in REST.
fn verb<B>(request: &Request<B>) -> &'static str {
    let named = request.extensions().get::<&'static str>();
    named.copied().unwrap_or_else(|| match *request.method() {
        Method::GET => "get",
        Method::POST => "create",
        Method::PUT => "replace",
        Method::PATCH => "patch",
        Method::DELETE => "delete",
        _ => "other",
    })
}

#[cfg(test)]
mod tests {
    use std::future::{Ready, ready};

    use opentelemetry::metrics::MeterProvider;
    use prometheus::Encoder;

    use super::*;

    /// Answers each request with the status that its path names, and breaks off where it names none.
    struct Server;

    impl Service<Request<()>> for Server {
        type Response = Response<()>;
        type Error = http::Error;
        type Future = Ready<Result<Response<()>, http::Error>>;

        fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), http::Error>> {
            Poll::Ready(Ok(()))
        }

        fn call(&mut self, request: Request<()>) -> Self::Future {
            ready(Response::builder().status(&request.uri().path()[1..]).body(()))
        }
    }

    #[tokio::test]
    async fn requests_are_counted_by_verb_and_code() {
        let registry = prometheus::Registry::new();
        let reader = opentelemetry_prometheus::exporter().with_registry(registry.clone()).build();
        let meters = opentelemetry_sdk::metrics::SdkMeterProvider::builder();
        let meters = meters.with_reader(reader.expect("a reader")).build();
        let counter = meters.meter("test").u64_counter("requests").build();
        let mut client = CountRequests(counter).layer(Server);
        let asked: [(_, _, Option<&'static str>); 4] = [
            (Method::GET, "/200", Some("watch")),
            (Method::PATCH, "/409", None),
            (Method::PATCH, "/409", None),
            (Method::POST, "/broken", None),
        ];
        for (method, path, name) in asked {
            let mut request = Request::builder().method(method).uri(path).body(()).expect("a request");
            name.map(|name| request.extensions_mut().insert(name));
            let _ = client.call(request).await;
        }
        let mut page = Vec::new();
        prometheus::TextEncoder::new().encode(&registry.gather(), &mut page).expect("a page");
        let page = String::from_utf8(page).expect("text");
        for (verb, code, count) in [("watch", "200", 1), ("patch", "409", 2), ("create", "none", 1)] {
            let mut lines = page.lines().filter(|line| line.contains(&format!("verb=\"{verb}\"")));
            let wanted = |line: &str| {
                line.contains(&format!("code=\"{code}\"")) && line.ends_with(&format!(" {count}"))
            };
            assert!(lines.any(wanted), "{verb} {code} {count} is not in {page}");
        }
    }
}

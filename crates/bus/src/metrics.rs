//! What a process knows of the bus: `ithaca_bus_*`.
//!
//! What comes in: what the connection and its deliveries tell. What goes out: series.
//! What it does not do: ask the server. Nothing is measured that did not happen anyway.

use async_nats::jetstream;
use opentelemetry::{
    KeyValue,
    metrics::{Counter, Gauge},
};

/// The connection's instruments; cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Connection {
    connected: Gauge<u64>,
    lost: Counter<u64>,
}

impl Connection {
    /// Not connected yet, and never lost.
    pub(crate) fn new() -> Self {
        let meter = opentelemetry::global::meter("ithaca");
        let connected = meter.u64_gauge("ithaca_bus_connected");
        let lost = meter.u64_counter("ithaca_bus_connections_lost");
        let connection = Self {
            connected: connected.with_description("1 while NATS is connected, else 0").build(),
            lost: lost.with_description("How often the connection to NATS was lost").build(),
        };
        connection.connected.record(0, &[]);
        connection.lost.add(0, &[]);
        connection
    }

    /// The server answers.
    pub(crate) fn made(&self) {
        self.connected.record(1, &[]);
    }

    /// The server is gone.
    pub(crate) fn lost(&self) {
        self.connected.record(0, &[]);
        self.lost.add(1, &[]);
    }
}

/// How many messages of a durable consumer wait, as each delivery tells.
#[derive(Clone, Debug)]
pub(crate) struct Pending(Gauge<u64>);

impl Pending {
    pub(crate) fn new() -> Self {
        let meter = opentelemetry::global::meter("ithaca");
        let gauge = meter.u64_gauge("ithaca_bus_pending_messages");
        let description = "Messages that waited in NATS behind the one delivered last, by consumer";
        Self(gauge.with_description(description).build())
    }

    /// A message was delivered.
    pub(crate) fn delivered(&self, message: &jetstream::Message) {
        if let Ok(info) = message.info() {
            self.0.record(info.pending, &[KeyValue::new("consumer", info.consumer.to_owned())]);
        }
    }
}

//! The only crate that knows the NATS client: typed publish, consume, store and members.
//!
//! What comes in: messages of `ithaca_proto`. What goes out: the same, each once acknowledged by the server.
//! What it does not do: decide anything about a message. Streams end only when they are dropped:
//! a lost connection, a restarted server and a wiped volume are waited out and made good here.

mod bundles;
mod connect;
mod contents;
mod delivery;
mod error;
mod events;
mod members;
mod metrics;
mod revisions;
mod seal;
mod streams;
mod trace;

pub use bundles::{BundleFact, Interest, StoredBundle};
pub use connect::{Args, Bus, Incarnation};
pub use contents::INLINE_LIMIT;
pub use delivery::Delivery;
pub use error::Error;
pub use members::{AtWork, Change, Membership, Partitions, TTL};
pub use seal::{Seal, SealArgs, SealError};

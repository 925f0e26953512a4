//! The contracts between the services: messages, gRPC services and the names of streams and subjects.
//!
//! What comes in: `proto/ithaca/v1/*.proto`, from which `cargo xtask gen` writes `src/generated`.
//! What goes out: plain message types, tonic clients and servers, and the `subject` module.
//! What it does not do: any I/O, any decision.

pub mod subject;

/// Version 1 of the contracts. Fields are only added; numbers are never used again.
#[path = "generated/v1.rs"]
pub mod v1;

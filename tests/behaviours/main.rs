//! Behaviours of the whole, against a real control plane, a real NATS server and real Git: one file each.
//!
//! All tests share one stack unless they stop parts of it, so each names what it makes after itself.

mod testbed;

//! The web page in a real browser, against a real control plane and a real NATS server: one file for each page.
//!
//! No applier runs: the tests write the statuses and say the events, so that they know what the page must show.
//! Pictures of the pages are left in `target/screenshots`.

mod application;
mod applications;
mod browser;
mod interruption;
mod stage;

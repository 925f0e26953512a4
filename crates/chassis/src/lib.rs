//! What any process needs: arguments, telemetry, health, shutdown.
//!
//! What comes in: arguments, signals, HTTP requests for /healthz, /readyz and /metrics.
//! What goes out: a `Process` for the service to run in, and an exit code.
//! What it does not do: it knows nothing of Git, Kubernetes or Ithaca's messages.

mod args;
mod health;
mod process;
mod requests;
mod serve;
mod telemetry;

pub use args::{Args, LogFormat, base_path};
pub use health::{Health, ReadyFlag};
pub use process::{Process, run};
pub use requests::{CountRequests, Counted};
pub use telemetry::{SECONDS, Timer, seconds};
